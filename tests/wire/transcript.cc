#include "tests/wire/transcript.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

namespace wire {

namespace {

constexpr std::string_view closed_mark = "<closed>";
constexpr std::size_t repeat_max = 10'000'000;  // bytes a repetition may stand for

std::string readable(std::string_view bytes) {
    constexpr std::size_t shown_max = 600;
    std::string out;
    for (const char c : bytes.substr(0, shown_max)) {
        if (c == '\r') {
            out += "\\r";
        } else if (c == '\n') {
            out += "\\n";
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            constexpr std::string_view digits = "0123456789abcdef";
            out += "\\x";
            out += digits[(static_cast<unsigned char>(c) >> 4) & 15];
            out += digits[static_cast<unsigned char>(c) & 15];
        } else {
            out += c;
        }
    }
    if (bytes.size() > shown_max) out += "... (" + std::to_string(bytes.size()) + " bytes)";
    return out;
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

// Turns the escapes of a transcript line into bytes.  Returns what is wrong, or nothing.
std::optional<std::string> unescape(std::string_view text, WireEntry& entry) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '\\') {
            entry.bytes.push_back(text[i]);
            continue;
        }
        if (++i == text.size()) return "a lonely \\ at the end";
        switch (text[i]) {
            case 'r':
                entry.bytes.push_back('\r');
                break;
            case 'n':
                entry.bytes.push_back('\n');
                break;
            case 't':
                entry.bytes.push_back('\t');
                break;
            case '\\':
                entry.bytes.push_back('\\');
                break;
            case 'x': {
                if (i + 2 >= text.size() || hex_digit(text[i + 1]) < 0 || hex_digit(text[i + 2]) < 0)
                    return "\\x wants two hexadecimal digits";
                entry.bytes.push_back(static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])));
                i += 2;
                break;
            }
            case '{': {  // \{text*count}
                const std::size_t end = text.find('}', i);
                const std::size_t star = text.rfind('*', end);
                if (end == std::string_view::npos || star == std::string_view::npos || star <= i + 1)
                    return "\\{text*count} expected";
                const std::string_view what = text.substr(i + 1, star - i - 1);
                std::size_t count = 0;
                for (const char c : text.substr(star + 1, end - star - 1)) {
                    if (c < '0' || c > '9' || count > repeat_max) return "\\{text*count}: bad count";
                    count = count * 10 + static_cast<std::size_t>(c - '0');
                }
                if (count * what.size() > repeat_max) return "\\{text*count}: too much";
                for (std::size_t n = 0; n < count; ++n) entry.bytes.append(what);
                i = end;
                break;
            }
            case '[': {  // \[bytes]: any one of them
                const std::size_t end = text.find(']', i);
                if (end == std::string_view::npos || end == i + 1) return "\\[bytes] expected";
                if (entry.kind == WireEntry::Kind::send) return "\\[bytes] is for what the server sends";
                entry.choices[entry.bytes.size()] = std::string(text.substr(i + 1, end - i - 1));
                entry.bytes.push_back('?');
                i = end;
                break;
            }
            default:
                return std::string("unknown escape \\") + text[i];
        }
    }
    return std::nullopt;
}

// "name> rest", "name>> rest", "name< rest", "name<* rest"
std::optional<std::string> parse_entry(std::string_view line, WireEntry& entry) {
    std::size_t at = 0;
    while (at < line.size() && (std::isalnum(static_cast<unsigned char>(line[at])) != 0 || line[at] == '_')) ++at;
    entry.client = line.substr(0, at);
    line.remove_prefix(at);
    std::string_view mark = line.substr(0, line.find(' '));
    std::string_view rest = mark.size() < line.size() ? line.substr(mark.size() + 1) : std::string_view();
    if (mark == ">" || mark == ">>") {
        if (rest == closed_mark) {
            entry.kind = WireEntry::Kind::hang_up;
            return std::nullopt;
        }
        entry.kind = WireEntry::Kind::send;
        entry.whole = mark == ">";
        if (auto wrong = unescape(rest, entry)) return wrong;
        if (entry.whole) entry.bytes += "\r\n";
        return std::nullopt;
    }
    if (mark != "<" && mark != "<*") return "expected: [client]>, >>, < or <*, then a blank";
    if (mark == "<" && rest == closed_mark) {
        entry.kind = WireEntry::Kind::expect_closed;
        return std::nullopt;
    }
    if (mark == "<" && (rest.substr(0, 5) == "INFO " || rest.substr(0, 6) == "INFO! ")) {
        entry.kind = WireEntry::Kind::expect_info;
        entry.exact = rest[4] == '!';
        entry.bytes = rest.substr(entry.exact ? 6 : 5);
        if (!nlohmann::json::parse(entry.bytes, nullptr, false).is_object()) return "INFO wants a JSON object";
        return std::nullopt;
    }
    entry.kind = mark == "<" ? WireEntry::Kind::expect : WireEntry::Kind::expect_unordered;
    if (auto wrong = unescape(rest, entry)) return wrong;
    entry.bytes += "\r\n";
    return std::nullopt;
}

bool matches_at(const WireEntry& entry, std::string_view buffer, std::size_t at) {
    if (buffer.size() < at + entry.bytes.size()) return false;
    std::string_view piece = buffer.substr(at, entry.bytes.size());
    if (entry.choices.empty()) return piece == entry.bytes;
    for (std::size_t i = 0; i < piece.size(); ++i) {
        const auto choice = entry.choices.find(i);
        if (choice == entry.choices.end() ? piece[i] != entry.bytes[i]
                                          : choice->second.find(piece[i]) == std::string::npos)
            return false;
    }
    return true;
}

bool is_volatile(std::string_view key) {
    return std::find(std::begin(volatile_info_keys), std::end(volatile_info_keys), key) != std::end(volatile_info_keys);
}

// Every key of `expected` must be there with that value; "*" is any value, null is: not there.  `exact`: and no others.
std::optional<std::string> compare_info(const nlohmann::json& expected, std::string_view line, bool exact = false) {
    const std::string shown = "got: " + readable(line);
    if (line.substr(0, 5) != "INFO " || line.substr(line.size() - 2) != "\r\n")
        return "an INFO line was expected, " + shown;
    const nlohmann::json info = nlohmann::json::parse(line.substr(5), nullptr, false);
    if (!info.is_object()) return "INFO does not hold a JSON object, " + shown;
    for (const auto& [key, value] : expected.items()) {
        const auto found = info.find(key);
        if (value.is_null() ? found != info.end() : found == info.end() || (value != "*" && *found != value))
            return "INFO: key " + key + " should be " + value.dump() + ", " + shown;
    }
    if (!exact) return std::nullopt;
    for (const auto& [key, value] : info.items())
        if (!is_volatile(key) && !expected.contains(key)) return "INFO: nobody told of key " + key + ", " + shown;
    return std::nullopt;
}

class Runner {
  public:
    Runner(const Transcript& transcript, WireTarget& target) : transcript_(transcript), target_(target) {}

    std::optional<std::string> run() {
        std::optional<std::string> wrong;
        const auto& entries = transcript_.entries;
        for (std::size_t i = 0; i < entries.size() && !wrong;) {
            std::size_t next = i + 1;
            if (entries[i].kind == WireEntry::Kind::expect_unordered)
                while (next < entries.size() && entries[next].kind == entries[i].kind &&
                       entries[next].client == entries[i].client)
                    ++next;
            wrong = play(i, next);
            if (wrong) wrong = transcript_.name + ":" + std::to_string(entries[i].line) + ": " + *wrong;
            i = next;
        }
        if (!wrong) {
            wrong = nothing_is_left();
            if (wrong) wrong = transcript_.name + ": at the end: " + *wrong;
        }
        for (const auto& [name, client] : clients_)
            if (client.open) target_.hang_up(name);
        return wrong;
    }

  private:
    struct Client {
        std::string buffer;
        std::string greeting;  // the first INFO, until something asks for it
        bool open = false;
        bool between_lines = true;
    };

    std::optional<std::string> play(std::size_t from, std::size_t to) {
        const WireEntry& entry = transcript_.entries[from];
        Client& client = clients_[entry.client];
        if (!client.open) {
            if (auto wrong = open(entry.client, client)) return wrong;
        }
        // The greeting is what a first `< INFO` means; later ones are another line.
        const std::string greeting = std::exchange(client.greeting, {});
        switch (entry.kind) {
            case WireEntry::Kind::send:
                target_.send(entry.client, entry.bytes);
                client.between_lines = entry.whole;
                return std::nullopt;
            case WireEntry::Kind::hang_up:
                target_.hang_up(entry.client);
                client = Client();
                return std::nullopt;
            case WireEntry::Kind::expect_info: {
                const std::string line = greeting.empty() ? take_line(entry.client, client) : greeting;
                return compare_info(nlohmann::json::parse(entry.bytes), line, entry.exact);
            }
            case WireEntry::Kind::expect_closed: {
                WireTarget::Received received = WireTarget::Received::bytes;
                while (received == WireTarget::Received::bytes && client.buffer.empty()) {
                    received = target_.receive(entry.client, client.buffer);
                    drop_ping(entry.client, client, 0);
                }
                if (!client.buffer.empty()) return "the end was expected, got: " + readable(client.buffer);
                if (received != WireTarget::Received::closed) return "the connection stays open";
                target_.hang_up(entry.client);
                client = Client();
                return std::nullopt;
            }
            case WireEntry::Kind::expect:
            case WireEntry::Kind::expect_unordered:
                return expect(from, to, client);
        }
        return "a kind of line that nobody knows";
    }

    std::optional<std::string> open(const std::string& name, Client& client) {
        if (!target_.connect(name)) return "cannot connect";
        client.open = true;
        client.greeting = take_line(name, client);
        return compare_info(nlohmann::json::object(), client.greeting);
    }

    // Takes the lines [from, to) in any order.
    std::optional<std::string> expect(std::size_t from, std::size_t to, Client& client) {
        const auto& entries = transcript_.entries;
        std::vector<const WireEntry*> left;
        std::size_t total = 0;
        for (std::size_t i = from; i < to; ++i) {
            left.push_back(&entries[i]);
            total += entries[i].bytes.size();
        }
        receive(entries[from].client, client, total);
        std::size_t at = 0;
        while (!left.empty()) {
            const auto found = std::find_if(left.begin(), left.end(), [&](const WireEntry* entry) {
                return matches_at(*entry, client.buffer, at);
            });
            if (found == left.end() && drop_ping(entries[from].client, client, at)) {
                receive(entries[from].client, client, total);
                continue;
            }
            if (found == left.end())
                return "expected: " + readable(left.front()->bytes) +
                       "\n  got:      " + readable(client.buffer.substr(std::min(at, client.buffer.size())));
            at += (*found)->bytes.size();
            left.erase(found);
        }
        client.buffer.erase(0, at);
        return std::nullopt;
    }

    // Waits until so many bytes are there, or no more come.
    void receive(const std::string& name, Client& client, std::size_t bytes) {
        while (client.buffer.size() < bytes)
            if (target_.receive(name, client.buffer) != WireTarget::Received::bytes) return;
    }

    std::string take_line(const std::string& name, Client& client) {
        while (drop_ping(name, client, 0) || client.buffer.find('\n') == std::string::npos)
            if (target_.receive(name, client.buffer) != WireTarget::Received::bytes) break;
        const std::size_t end = std::min(client.buffer.find('\n'), client.buffer.size() - 1) + 1;
        std::string line = client.buffer.substr(0, end);
        client.buffer.erase(0, end);
        return line;
    }

    // A server's first PING comes by itself, seconds after CONNECT; on a slow machine a transcript that is about
    // something else may still be at play.
    bool drop_ping(const std::string& name, Client& client, std::size_t at) {
        constexpr std::string_view ping = "PING\r\n";
        if (time_passes(transcript_.options) || !target_.may_be_pinged(name)) return false;
        if (at > client.buffer.size() || client.buffer.compare(at, ping.size(), ping) != 0) return false;
        client.buffer.erase(at, ping.size());
        return true;
    }

    // Asks every client that is still there for a PONG: anything before it is something nobody expected.
    std::optional<std::string> nothing_is_left() {
        for (auto& [name, client] : clients_) {
            if (!client.open || !client.between_lines) continue;
            target_.send(name, "PING\r\n");
            constexpr std::string_view pong = "PONG\r\n";
            receive(name, client, pong.size());
            if (drop_ping(name, client, 0)) receive(name, client, pong.size());
            if (std::string_view(client.buffer).substr(0, pong.size()) != pong)
                return "client '" + name + "' got more than was told: " + readable(client.buffer);
        }
        return std::nullopt;
    }

    const Transcript& transcript_;
    WireTarget& target_;
    std::map<std::string, Client> clients_;
};

}  // namespace

std::optional<Transcript> parse_transcript(std::string_view name, std::string_view text, std::string& error) {
    Transcript transcript;
    transcript.name = name;
    std::size_t number = 0;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        ++number;
        if (line.empty() || line.front() == '#') continue;
        std::optional<std::string> wrong;
        if (line.front() == '!') {
            wrong = parse_option(line.substr(1), transcript.options);
        } else {
            WireEntry entry;
            entry.line = number;
            wrong = parse_entry(line, entry);
            transcript.entries.push_back(std::move(entry));
        }
        if (wrong) {
            error = transcript.name + ":" + std::to_string(number) + ": " + *wrong;
            return std::nullopt;
        }
    }
    if (transcript.entries.empty()) {
        error = transcript.name + ": nothing in it";
        return std::nullopt;
    }
    return transcript;
}

std::optional<Transcript> load_transcript(const std::string& path, std::string& error) {
    std::ifstream file(path, std::ios::binary);
    if (!file) {
        error = path + ": cannot be read";
        return std::nullopt;
    }
    std::ostringstream text;
    text << file.rdbuf();
    return parse_transcript(std::filesystem::path(path).filename().string(), text.str(), error);
}

std::vector<Transcript> load_transcripts(const std::string& folder, std::string& error) {
    std::vector<std::string> paths;
    std::error_code wrong;
    for (const auto& entry : std::filesystem::directory_iterator(folder, wrong))
        if (entry.path().extension() == ".wire") paths.push_back(entry.path().string());
    std::sort(paths.begin(), paths.end());
    if (paths.empty()) error = folder + ": no transcripts";
    std::vector<Transcript> transcripts;
    for (const std::string& path : paths) {
        auto transcript = load_transcript(path, error);
        if (!transcript) return {};
        transcripts.push_back(std::move(*transcript));
    }
    return transcripts;
}

std::optional<std::string> run_transcript(const Transcript& transcript, WireTarget& target) {
    return Runner(transcript, target).run();
}

}  // namespace wire
