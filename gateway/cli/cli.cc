#include "gateway/cli/cli.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/cli/render.h"
#include "gateway/cli/sim.h"
#include "gateway/cli/tree_client.h"
#include "gateway/cli/verify.h"
#include "gateway/flags.h"

namespace gateway::cli {

namespace {

using Json = nlohmann::json;

/// Pages of one `queue dump`, so that a gateway that always says "more" cannot keep us for ever.
constexpr int dump_pages_max = 100'000;

/// The one subcommand that asks nobody.
constexpr std::string_view sim_word = "sim";

/// One subcommand.
struct Command {
    std::string_view room;
    std::string_view name;
    std::string_view argument;  ///< what the word after it is called in the help; empty: it takes none
    std::string_view member;    ///< of the request that holds that word
    std::string_view help;
};

constexpr std::array commands = {
    Command{"tree", "status", "", "", "this gateway: parent, children, links, counters"},
    Command{"tree", "map", "", "", "the tree as it knows it: roles, primes, regions, links"},
    Command{"tree", "forget", "GATEWAY", "gateway",
            "gives up a gateway that is away, at all members (from this machine)"},
    Command{"path", "show", "SUBJECT", "subject", "the event path that a message published here would take"},
    Command{"path", "explain", "NUMBER", "number", "the gateways behind the number of an event path"},
    Command{"path", "verify", "", "", "reads a traced message's headers (standard input) and multiplies again"},
    Command{"queue", "ls", "", "", "durable messages: backlog per target, watermark per origin, local queues"},
    Command{"queue", "where", "ORIGIN:POSITION", "record", "who has a record and who is still to get it"},
    Command{"queue", "skip", "ORIGIN:POSITION", "record",
            "gives up a record that Tree-Forbid bars (from the origin's machine)"},
    Command{"queue", "dump", "", "", "what the local queues took, in order: origin, run, position"},
};

struct Options {
    std::string server = "nats://127.0.0.1:4222";
    std::chrono::milliseconds timeout{5000};
    bool json = false;
    bool help = false;
};

/// "2s", "500ms", or seconds.
std::string read_timeout(std::string_view text, std::chrono::milliseconds& timeout) {
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
    const double millis = unit == "ms"                  ? value
                          : unit == "s" || unit.empty() ? value * 1000
                          : unit == "m"                 ? value * 60'000
                                                        : 0;
    if (error != std::errc() || millis < 1 || millis > 3'600'000) {
        return "'" + std::string(text) + "' is not a time from 1ms to 60m (as 500ms, 2s)";
    }
    timeout = std::chrono::milliseconds(static_cast<long>(millis));
    return {};
}

std::vector<FlagGroup> flags_of(Options& options) {
    return {{"Flags",
             {
                 {{"s", "server"},
                  "URL",
                  "the gateway to ask (default: nats://127.0.0.1:4222)",
                  [&options](std::string_view text) {
                      options.server = text;
                      return text.empty() ? std::string("needs a value") : std::string();
                  }},
                 {{"timeout"},
                  "TIME",
                  "how long to wait (default: 5s)",
                  [&options](std::string_view text) { return read_timeout(text, options.timeout); }},
                 {{"json"},
                  "",
                  "the answer as JSON",
                  [&options](std::string_view text) {
                      options.json = text == "true";
                      return std::string();
                  }},
                 {{"h", "help"},
                  "",
                  "this text",
                  [&options](std::string_view text) {
                      options.help = text == "true";
                      return std::string();
                  }},
             }}};
}

std::string help_text(std::string_view room) {
    std::string text = "Usage:\n";
    for (const Command& command : commands) {
        if (command.room != room) continue;
        std::string line = "  treegate " + std::string(command.room) + " " + std::string(command.name);
        if (!command.argument.empty()) line += " " + std::string(command.argument);
        line.resize(std::max<std::size_t>(line.size() + 2, 44), ' ');
        text += line + std::string(command.help) + "\n";
    }
    Options options;
    return text + flags_text(flags_of(options));
}

const Command* find_command(std::string_view room, std::string_view name) {
    const auto found = std::find_if(commands.begin(), commands.end(), [&](const Command& command) {
        return command.room == room && command.name == name;
    });
    return found == commands.end() ? nullptr : found;
}

/// Parses an answer.  Errors: a sentence, also if the answer is itself one.
base::Result<Json, std::string> read_answer(const std::string& text) {
    Json answer = Json::parse(text, nullptr, false);
    if (answer.is_discarded()) return base::failure(std::string("the gateway's answer is not JSON"));
    if (answer.is_object() && answer.contains("error")) {
        const Json& error = answer["error"];
        return base::failure(error.is_string() ? error.get<std::string>() : error.dump());
    }
    return answer;
}

base::Result<Json, std::string> ask(TreeClient& client, const std::string& verb, const Json& request) {
    auto answer = client.ask(verb, request.dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!answer.ok()) return base::failure(answer.error());
    return read_answer(answer.value());
}

/// Where the next page begins, as text; empty: there is none.
std::string next_page(const Json& page) {
    const auto next = page.find("next");
    if (next == page.end() || next->is_null()) return {};
    std::string text = next->is_string() ? next->get<std::string>() : next->dump();
    return text == "0" ? std::string() : text;
}

/// Appends the records of one page to those of the same queue before.
void merge_page(Json& all, Json& page) {
    for (Json& queue : page["queues"]) {
        auto same = std::find_if(all["queues"].begin(), all["queues"].end(),
                                 [&queue](const Json& known) { return known["filter"] == queue["filter"]; });
        if (same == all["queues"].end()) {
            all["queues"].push_back(std::move(queue));
            continue;
        }
        for (Json& record : queue["records"]) (*same)["records"].push_back(std::move(record));
    }
}

/// A dump may be longer than one message: it comes in pages.
base::Result<Json, std::string> ask_dump(TreeClient& client) {
    auto first = ask(client, "queue.dump", Json::object());
    if (!first.ok()) return first;
    Json all = std::move(first).value();
    const auto is_dump = [](const Json& page) {
        return page.is_object() && page.contains("queues") && page["queues"].is_array();
    };
    if (!is_dump(all)) return base::failure(std::string("the gateway's answer is no dump"));
    std::string from = next_page(all);
    for (int pages = 1; !from.empty(); ++pages) {
        if (pages == dump_pages_max) return base::failure(std::string("the dump does not end"));
        auto page = ask(client, "queue.dump", {{"from", from}});
        if (!page.ok()) return page;
        Json next = std::move(page).value();
        if (!is_dump(next)) return base::failure(std::string("the gateway's answer is no dump"));
        std::string after = next_page(next);
        if (after == from) return base::failure(std::string("the dump does not go on"));
        merge_page(all, next);
        from = std::move(after);
    }
    all.erase("next");
    return all;
}

/// Asks every member for its links and puts them into the map, so that it shows round trips that are not ours.
/// Who does not answer in time has none in it.
void add_links(TreeClient& client, Json& map) {
    const auto gateways = map.find("gateways");
    if (!map.is_object() || gateways == map.end() || !gateways->is_array()) return;
    const auto statuses = client.ask_all("tree.status", map.value("members", std::size_t{1}));
    for (const std::string& text : statuses) {
        const Json status = Json::parse(text, nullptr, false);
        if (!status.is_object() || !status.contains("id") || !status.contains("links")) continue;
        for (Json& gateway : *gateways)
            if (gateway.is_object() && gateway.value("id", Json()) == status["id"]) gateway["links"] = status["links"];
    }
}

int run_verify(const Options& options, std::span<const std::string_view> lines, std::istream& in, std::ostream& out,
               std::ostream& error) {
    std::string headers;
    for (const std::string_view line : lines) headers += std::string(line) + "\n";
    if (lines.empty()) headers.assign(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    const auto verified = verify_path(headers);
    if (!verified.ok()) {
        error << "treegate: " << verified.error() << "\n";
        return 1;
    }
    out << (options.json ? verification_json(verified.value()) : verification_text(verified.value()));
    return verified.value().verified ? 0 : 1;
}

int run_asking(const Command& command, const Options& options, std::span<const std::string_view> words,
               std::ostream& out, std::ostream& error) {
    const auto failed = [&error](const std::string& why) {
        error << "treegate: " << why << "\n";
        return 1;
    };
    const std::string verb = std::string(command.room) + "." + std::string(command.name);
    auto client = TreeClient::connect(options.server, options.timeout);
    if (!client.ok()) return failed(client.error());
    Json request = Json::object();
    if (!command.member.empty()) request[std::string(command.member)] = std::string(words[0]);
    auto answer = verb == "queue.dump" ? ask_dump(client.value()) : ask(client.value(), verb, request);
    if (!answer.ok()) return failed(answer.error());
    if (verb == "tree.map") {
        Json map = std::move(answer).value();
        add_links(client.value(), map);
        answer = std::move(map);
    }
    out << (options.json ? answer.value().dump(2, ' ', false, Json::error_handler_t::replace) + "\n"
                         : render(verb, answer.value()));
    return 0;
}

}  // namespace

bool is_command(std::span<const char* const> arguments) {
    if (!arguments.empty() && std::string_view(arguments[0]) == sim_word) return true;
    return !arguments.empty() && std::any_of(commands.begin(), commands.end(),
                                             [&](const Command& command) { return command.room == arguments[0]; });
}

int run_command_for_test(std::span<const char* const> arguments, std::istream& in, std::ostream& out,
                         std::ostream& error) {
    if (std::string_view(arguments[0]) == sim_word) return run_sim(arguments.subspan(1), out, error);
    Options options;
    const std::vector<FlagGroup> groups = flags_of(options);
    const FlagOutcome flags = read_flags(arguments.subspan(1), groups);
    const std::string_view room = arguments[0];
    if (options.help) {
        out << help_text(room);
        return 0;
    }
    const auto wrong = [&](const std::string& why) {
        error << "treegate: " << why << "\n" << help_text(room);
        return 1;
    };
    if (!flags.errors.empty()) return wrong(flags.errors.front());
    if (flags.words.empty()) return wrong(std::string(room) + " what?");
    const Command* command = find_command(room, flags.words[0]);
    if (command == nullptr) return wrong("there is no '" + std::string(room) + " " + std::string(flags.words[0]) + "'");
    const std::span<const std::string_view> words = std::span(flags.words).subspan(1);
    if (command->name == "verify") return run_verify(options, words, in, out, error);
    if (words.size() != (command->argument.empty() ? 0u : 1u)) {
        return wrong(command->argument.empty() ? "'" + std::string(words[0]) + "' is one word too many"
                                               : "needs one " + std::string(command->argument));
    }
    try {
        return run_asking(*command, options, words, out, error);
    } catch (const Json::exception&) {
        error << "treegate: the gateway's answer has another form than this version of treegate knows\n";
        return 1;
    }
}

int run_command(std::span<const char* const> arguments) {
    return run_command_for_test(arguments, std::cin, std::cout, std::cerr);
}

}  // namespace gateway::cli
