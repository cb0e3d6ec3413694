#include "gateway/cli/verify.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "gateway/cli/render.h"
#include "routing/event_path.h"

namespace gateway::cli {

namespace {

std::string_view trim(std::string_view text) {
    const std::size_t first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// The value of `name: value`, if the line is one; names of headers ignore case.
std::optional<std::string_view> value_of(std::string_view line, std::string_view name) {
    if (line.size() <= name.size() || line[name.size()] != ':') return std::nullopt;
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    for (std::size_t i = 0; i < name.size(); ++i) {
        if (lower(line[i]) != lower(name[i])) return std::nullopt;
    }
    return trim(line.substr(name.size() + 1));
}

template <typename Integer>
bool read_whole(std::string_view text, Integer& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
}

std::optional<VerifiedHop> read_hop(std::string_view text) {
    const std::size_t last = text.rfind(' ');
    if (last == std::string_view::npos || last == 0) return std::nullopt;
    const std::size_t middle = text.rfind(' ', last - 1);
    if (middle == std::string_view::npos || middle == 0) return std::nullopt;
    VerifiedHop hop;
    hop.name = text.substr(0, middle);
    if (!read_whole(text.substr(middle + 1, last - middle - 1), hop.prime) || hop.prime < 2 ||
        hop.prime > routing::prime_max || !read_whole(text.substr(last + 1), hop.exponent) || hop.exponent > 3) {
        return std::nullopt;
    }
    return hop;
}

std::string find_problem(const Verification& result) {
    for (std::size_t i = 0; i < result.hops.size(); ++i) {
        const VerifiedHop& hop = result.hops[i];
        for (std::size_t k = 0; k < i; ++k) {
            if (result.hops[k].prime == hop.prime) return "the prime " + std::to_string(hop.prime) + " comes twice";
        }
        if (i == 0 && hop.exponent != 0) return "the first hop is not the ingress: it spent a factor";
        if (i > 0 && hop.exponent == 0) return hop.name + " spent no factor, which only the ingress may";
        if (i > 0 && !hop.divides) {
            return "the path does not have the factor " + std::to_string(hop.prime) + " to the " +
                   std::to_string(hop.exponent) + " that " + hop.name + " spent";
        }
    }
    if (result.hops.size() > 1 && result.hops.back().exponent < 2) return "the last hop did not deliver";
    return {};
}

}  // namespace

base::Result<Verification, std::string> verify_path(std::string_view headers) {
    Verification result;
    while (!headers.empty()) {
        const std::size_t end = headers.find('\n');
        const std::string_view line = trim(headers.substr(0, end));
        headers.remove_prefix(end == std::string_view::npos ? headers.size() : end + 1);
        if (const auto path = value_of(line, "Tree-Path")) {
            result.number = path->substr(0, path->find(' '));
        } else if (const auto text = value_of(line, "Tree-Hop")) {
            auto hop = read_hop(*text);
            if (!hop) return base::failure("'" + std::string(line) + "' is not 'Tree-Hop: <name> <prime> <exponent>'");
            if (result.hops.size() == verify_hops_max)
                return base::failure("more than " + std::to_string(verify_hops_max) + " hops");
            result.hops.push_back(std::move(*hop));
        }
    }
    if (result.number.empty())
        return base::failure(
            std::string("there is no line 'Tree-Path: <number> = ...'; publish with the header 'Tree-Trace: 1' and "
                        "pass the headers that arrived"));
    if (result.hops.empty())
        return base::failure(std::string("there is no line 'Tree-Hop: <name> <prime> <exponent>'"));

    std::vector<routing::Prime> primes;
    std::vector<routing::PrimePower> spent;
    for (const VerifiedHop& hop : result.hops) {
        primes.push_back(hop.prime);
        if (hop.exponent > 0) spent.push_back({.prime = hop.prime, .exponent = hop.exponent});
    }
    std::sort(primes.begin(), primes.end());
    primes.erase(std::unique(primes.begin(), primes.end()), primes.end());
    const auto factored = routing::factor_number(result.number, primes);
    if (!factored) return base::failure("'" + result.number + "' is not the number of a path");
    for (VerifiedHop& hop : result.hops) {
        hop.divides = std::any_of(factored->powers.begin(), factored->powers.end(), [&hop](const auto& power) {
            return power.prime == hop.prime && power.exponent == hop.exponent;
        });
    }
    result.product = routing::multiply_out(spent);
    result.rest = factored->rest;
    result.problem = find_problem(result);
    result.verified = result.problem.empty();
    return result;
}

std::string verification_text(const Verification& verification) {
    std::vector<std::vector<std::string>> rows = {{"Hop", "Gateway", "Prime", "Exponent", "In the path"}};
    for (std::size_t i = 0; i < verification.hops.size(); ++i) {
        const VerifiedHop& hop = verification.hops[i];
        const bool ingress = hop.exponent == 0;
        rows.push_back({std::to_string(i), hop.name, std::to_string(hop.prime), std::to_string(hop.exponent),
                        ingress       ? "ingress: it computed the path"
                        : hop.divides ? "yes"
                                      : "no"});
    }
    std::string text = "Path     " + verification.number + "\n\n" + table(rows) + "\n";
    text += "The hops multiply to " + verification.product;
    if (!verification.verified) return text + ".\nNOT verified: " + verification.problem + ".\n";
    if (verification.product == verification.number) return text + ", which is the path: verified.\n";
    return text + ", which divides the path; " + verification.rest + " is for other branches: verified.\n";
}

std::string verification_json(const Verification& verification) {
    nlohmann::ordered_json hops = nlohmann::ordered_json::array();
    for (const VerifiedHop& hop : verification.hops) {
        hops.push_back(
            {{"name", hop.name}, {"prime", hop.prime}, {"exponent", hop.exponent}, {"divides", hop.divides}});
    }
    const nlohmann::ordered_json object = {{"number", verification.number},     {"hops", std::move(hops)},
                                           {"product", verification.product},   {"rest", verification.rest},
                                           {"verified", verification.verified}, {"problem", verification.problem}};
    return object.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace gateway::cli
