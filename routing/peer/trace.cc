#include "routing/peer/trace.h"

#include <algorithm>

#include "routing/event_path.h"

namespace routing::peer {

namespace {

constexpr std::string_view trace_header = "Tree-Trace:";

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

std::string factor_text(const PrimePower& power) {
    static constexpr std::string_view superscripts[] = {"⁰", "¹", "²", "³"};
    std::string text = std::to_string(power.prime);
    if (power.exponent != 1 && power.exponent < std::size(superscripts)) text += superscripts[power.exponent];
    return text;
}

}  // namespace

bool wants_trace(base::ByteView headers) {
    while (!headers.empty()) {
        const std::size_t end = headers.find("\r\n");
        const std::string_view line = headers.substr(0, end);
        if (line.substr(0, trace_header.size()) == trace_header)
            return trimmed(line.substr(trace_header.size())) == "1";
        if (end == std::string_view::npos) break;
        headers.remove_prefix(end + 2);
    }
    return false;
}

void append_hop(base::Bytes& out, const TraceHop& hop) {
    out.append(hop.id.view());
    base::append_varint(out, hop.prime);
    out.push_back(static_cast<char>(hop.exponent));
}

bool read_trace(base::ByteView trace, std::vector<TraceHop>& out) {
    out.clear();
    while (!trace.empty()) {
        base::ByteView id;
        TraceHop hop;
        if (out.size() == trace_hops_max || !base::read_bytes(trace, hop.id.bytes.size(), id) ||
            !base::read_varint(trace, hop.prime) || trace.empty())
            return false;
        hop.id = GatewayId::from(id);
        hop.exponent = static_cast<std::uint8_t>(trace.front());
        trace.remove_prefix(1);
        if (hop.prime > prime_max || hop.exponent > exponent_hand_over) return false;
        out.push_back(hop);
    }
    return true;
}

std::string path_text(const std::vector<TraceHop>& hops) {
    std::vector<PrimePower> powers;
    for (const TraceHop& hop : hops)
        if (hop.exponent > 0) powers.push_back(PrimePower{hop.prime, hop.exponent});
    std::sort(powers.begin(), powers.end(), [](const PrimePower& a, const PrimePower& b) { return a.prime < b.prime; });
    std::string text = multiply_out(powers) + " = ";
    if (powers.empty()) return text + "1";
    for (std::size_t i = 0; i < powers.size(); ++i) text += (i == 0 ? "" : "·") + factor_text(powers[i]);
    return text;
}

base::Bytes with_trace_headers(base::ByteView headers, const std::vector<TraceHop>& hops,
                               const std::function<std::string(const GatewayId&)>& name_of) {
    constexpr std::string_view end_of_block = "\r\n\r\n";
    base::Bytes out(headers);
    if (out.size() >= end_of_block.size() && std::string_view(out).substr(out.size() - 4) == end_of_block) {
        out.resize(out.size() - 2);
    } else {
        out = "NATS/1.0\r\n";
    }
    out += "Tree-Path: " + path_text(hops) + "\r\n";
    for (const TraceHop& hop : hops) {
        out += "Tree-Hop: " + name_of(hop.id) + " " + std::to_string(hop.prime) + " " + std::to_string(hop.exponent);
        out += "\r\n";
    }
    out += "\r\n";
    return out;
}

}  // namespace routing::peer
