#include "gateway/client_log.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "compat/nats_error.h"

namespace gateway {

namespace {

/// Of a line that is longer, nothing is traced: the session refuses it.  Unit: bytes.
constexpr std::size_t line_bytes_max = 64 * 1024;

/// Verbs whose lines are traced with their arguments.
constexpr std::array<std::string_view, 5> traced = {"CONNECT", "PUB", "HPUB", "SUB", "UNSUB"};

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}
bool is_space(char c) {
    return is_blank(c) || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}
bool is_word(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/// Where the value begins if `text` at `at` is `"? blanks [:=] blanks "?`; npos if it is not.
std::size_t value_after(std::string_view text, std::size_t at) {
    const auto skip_spaces = [&] {
        while (at < text.size() && is_space(text[at])) ++at;
    };
    if (at < text.size() && text[at] == '"') ++at;
    skip_spaces();
    if (at == text.size() || (text[at] != ':' && text[at] != '=')) return std::string_view::npos;
    ++at;
    skip_spaces();
    if (at < text.size() && text[at] == '"') ++at;
    return at;
}

/// The value of a secret whose key begins at `at`; npos if there is none.
std::size_t secret_at(std::string_view text, std::size_t at) {
    for (const std::string_view key : {"auth_token", "pass"}) {
        if (text.substr(at, key.size()) != key) continue;
        // Any key that begins so, whatever follows.
        for (std::size_t i = at + key.size(); i <= text.size(); ++i) {
            if (const auto value = value_after(text, i); value != std::string_view::npos) return value;
            if (i < text.size() && is_space(text[i])) break;
        }
    }
    if (at > 0 && is_word(text[at - 1])) return std::string_view::npos;
    for (const std::string_view key : {"proxy_sig", "nkey", "sig"}) {
        if (text.substr(at, key.size()) == key) return value_after(text, at + key.size());
    }
    return std::string_view::npos;
}

std::string_view last_word(std::string_view text) {
    while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
    std::size_t from = text.size();
    while (from > 0 && !is_space(text[from - 1])) --from;
    return text.substr(from);
}

std::string upper(std::string_view text) {
    std::string result(text);
    for (char& c : result) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return result;
}

/// Whether `line` is a verb and blanks up to its '\n': then the session reads on in the next line (NatsParser).
bool lacks_arguments(std::string_view line) {
    line.remove_suffix(1);
    std::size_t end = line.size();
    while (end > 0 && is_blank(line[end - 1])) --end;
    const std::string verb = upper(line.substr(0, end));
    return verb == "CONNECT" || (end != line.size() && (verb == "SUB" || verb == "UNSUB"));
}

std::size_t number(std::string_view digits) {
    std::size_t value = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return read.ec == std::errc() && read.ptr == digits.data() + digits.size() ? value : 0;
}

}  // namespace

std::string client_log_prefix(std::string_view address, const compat::ClientSession& session,
                              std::string_view account) {
    std::string text(address);
    text += " - cid:" + std::to_string(session.client_id()) + " - ";
    if (!session.connected()) return text;
    const auto& options = session.options();
    std::string who;
    const auto add = [&who](std::string_view part) {
        if (part.empty()) return;
        if (!who.empty()) who += ':';
        who += part;
    };
    if (!options.version.empty()) who = "v" + options.version;
    add(options.lang);
    add(options.name);
    std::string user;
    if (!options.nkey.empty()) {
        user = "nkey:" + options.nkey;
    } else if (!options.user.empty()) {
        user = "user:" + options.user;
    } else if (!options.jwt.empty()) {
        user = "jwt:";  // of no known key: nobody is authenticated here
    } else if (!options.auth_token.empty()) {
        user = "token";
    }
    if (!user.empty()) user = std::string(account) + "/" + user;
    for (const std::string& part : {who, user}) {
        if (part.empty()) continue;
        compat::append_quoted(text, part);
        text += " - ";
    }
    return text;
}

std::string redact_secrets(std::string_view connect) {
    std::string text;
    std::size_t at = 0;
    while (at < connect.size()) {
        const std::size_t value = secret_at(connect, at);
        if (value == std::string_view::npos) {
            text += connect[at++];
            continue;
        }
        text += connect.substr(at, value - at);
        text += "[REDACTED]";
        at = std::min(connect.find_first_of("\",\r\n}", value), connect.size());
    }
    return text;
}

std::string traced_payload(std::string_view arrow, base::ByteView body, std::size_t header_bytes,
                           const ClientLogSettings& settings) {
    if (settings.trace_headers) {
        constexpr std::size_t end_bytes = 2;  // the header block's last "\r\n"
        body = body.substr(0, header_bytes < end_bytes ? 0 : header_bytes - end_bytes);
        if (body.size() >= 2) body.remove_suffix(2);
    }
    if (body.empty()) return {};
    std::string text(arrow);
    text += " MSG_PAYLOAD: [";
    const bool cut = settings.traced_bytes_max != 0 && body.size() > settings.traced_bytes_max;
    if (cut) body = body.substr(0, settings.traced_bytes_max);
    compat::append_quoted(text, body);
    if (cut) text.insert(text.size() - 1, "...");
    text += ']';
    return text;
}

std::size_t InputTrace::next(base::ByteView in, const ClientLogSettings& settings, std::string& text) {
    text.clear();
    if (body_left_ > 0) {
        const std::size_t size = std::min(body_left_, in.size());
        held_.append(in.substr(0, size));
        body_left_ -= size;
        if (body_left_ == 0) {
            constexpr std::size_t end_bytes = 2;
            const base::ByteView body = held_;
            text = traced_payload("<<-", body.substr(0, body.size() - end_bytes), header_bytes_, settings);
            base::Bytes().swap(held_);
        }
        return size;
    }
    const std::size_t newline = in.find('\n');
    const std::size_t size = newline == base::ByteView::npos ? in.size() : newline + 1;
    if (held_.size() <= line_bytes_max) held_.append(in.substr(0, size));
    if (newline == base::ByteView::npos || lacks_arguments(held_)) return size;
    if (held_.size() <= line_bytes_max) on_line(held_, text);
    base::Bytes().swap(held_);
    return size;
}

void InputTrace::on_line(std::string_view line, std::string& text) {
    while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
    std::size_t end = 0;
    while (end < line.size() && !is_blank(line[end]) && line[end] != '{') ++end;
    const std::string verb = upper(line.substr(0, end));
    while (end < line.size() && is_blank(line[end])) ++end;
    const std::string_view arguments = line.substr(end);
    if (verb.starts_with("PING") || verb.starts_with("PONG")) {
        text = "<<- [" + verb.substr(0, 4) + "]";
        return;
    }
    if (std::find(traced.begin(), traced.end(), verb) == traced.end()) return;
    text = "<<- [" + verb + " ";
    text += verb == "CONNECT" ? redact_secrets(arguments) : std::string(arguments);
    text += ']';
    if (verb != "PUB" && verb != "HPUB") return;
    const std::string_view size = last_word(arguments);
    body_left_ = number(size) + 2;
    header_bytes_ = verb == "HPUB" ? number(last_word(arguments.substr(0, arguments.size() - size.size()))) : 0;
}

}  // namespace gateway
