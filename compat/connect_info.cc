#include "compat/connect_info.h"

#include <charconv>
#include <cstdint>
#include <limits>

#include "compat/json.h"
#include "compat/nats_limits.h"
#include "compat/nats_writer.h"

namespace compat {

namespace {

using Token = JsonTokens::Token;

// What a key's value must be.  null is always fine and changes nothing.
enum class Kind : std::uint8_t {
    boolean,
    text,
    texts,        // an array of texts
    permissions,  // an object with two of them: allow and deny
    integer,      // 64 bits
    integer32,
    natural,  // 64 bits
    byte,
};

// A key of CONNECT or INFO, in lower case.
struct Field {
    std::string_view key;
    Kind kind;
    bool ConnectOptions::*boolean = nullptr;  // where the value goes, if anybody asks for it
    std::string ConnectOptions::*text = nullptr;
};

// Source: nats-server server/client.go ClientOpts.
constexpr Field connect_fields[] = {
    {"echo", Kind::boolean, &ConnectOptions::echo},
    {"verbose", Kind::boolean, &ConnectOptions::verbose},
    {"pedantic", Kind::boolean, &ConnectOptions::pedantic},
    {"tls_required", Kind::boolean, &ConnectOptions::tls_required},
    {"new_account", Kind::boolean, &ConnectOptions::new_account},
    {"headers", Kind::boolean, &ConnectOptions::headers},
    {"no_responders", Kind::boolean, &ConnectOptions::no_responders},
    {"protocol", Kind::integer},
    {"nkey", Kind::text, nullptr, &ConnectOptions::nkey},
    {"jwt", Kind::text, nullptr, &ConnectOptions::jwt},
    {"sig", Kind::text, nullptr, &ConnectOptions::sig},
    {"auth_token", Kind::text, nullptr, &ConnectOptions::auth_token},
    {"user", Kind::text, nullptr, &ConnectOptions::user},
    {"pass", Kind::text, nullptr, &ConnectOptions::pass},
    {"name", Kind::text, nullptr, &ConnectOptions::name},
    {"lang", Kind::text, nullptr, &ConnectOptions::lang},
    {"version", Kind::text, nullptr, &ConnectOptions::version},
    {"account", Kind::text, nullptr, &ConnectOptions::account},
    {"import", Kind::permissions},
    {"export", Kind::permissions},
    {"remote_account", Kind::text},
    {"proxy_sig", Kind::text},
};

// What other servers say; a client's INFO is checked for it and otherwise not looked at.
// Source: nats-server server/server.go Info.
constexpr Field info_fields[] = {
    {"server_id", Kind::text},
    {"server_name", Kind::text},
    {"version", Kind::text},
    {"proto", Kind::integer},
    {"git_commit", Kind::text},
    {"go", Kind::text},
    {"host", Kind::text},
    {"port", Kind::integer},
    {"headers", Kind::boolean},
    {"auth_required", Kind::boolean},
    {"tls_required", Kind::boolean},
    {"tls_verify", Kind::boolean},
    {"tls_available", Kind::boolean},
    {"max_payload", Kind::integer32},
    {"jetstream", Kind::boolean},
    {"ip", Kind::text},
    {"client_id", Kind::natural},
    {"client_ip", Kind::text},
    {"nonce", Kind::text},
    {"cluster", Kind::text},
    {"cluster_dynamic", Kind::boolean},
    {"domain", Kind::text},
    {"connect_urls", Kind::texts},
    {"ws_connect_urls", Kind::texts},
    {"ldm", Kind::boolean},
    {"compression", Kind::text},
    {"connect_info", Kind::boolean},
    {"remote_account", Kind::text},
    {"acc_is_sys", Kind::boolean},
    {"api_lvl", Kind::integer},
    {"import", Kind::permissions},
    {"export", Kind::permissions},
    {"lnoc", Kind::boolean},
    {"lnocu", Kind::boolean},
    {"ln", Kind::boolean},
    {"info_on_connect", Kind::boolean},
    {"route_pool_size", Kind::integer},
    {"route_pool_idx", Kind::integer},
    {"route_account", Kind::text},
    {"route_acc_add_reqid", Kind::text},
    {"gossip_mode", Kind::byte},
    {"gateway", Kind::text},
    {"gateway_urls", Kind::texts},
    {"gateway_url", Kind::text},
    {"gateway_cmd", Kind::byte},
    {"gateway_nrp", Kind::boolean},
    {"gateway_iom", Kind::boolean},
    {"leafnode_urls", Kind::texts},
    {"xkey", Kind::text},
};

// Whether `name` is `key` (lower case) but for case.  As for Go, the long s and the Kelvin sign are letters s and k.
bool same_key(std::string_view name, std::string_view key) {
    constexpr std::string_view long_s = "\xc5\xbf";
    constexpr std::string_view kelvin = "\xe2\x84\xaa";
    for (const char wanted : key) {
        if (name.empty()) return false;
        const char c = name.front();
        std::size_t bytes = 1;
        if (wanted == 's' && name.substr(0, long_s.size()) == long_s) {
            bytes = long_s.size();
        } else if (wanted == 'k' && name.substr(0, kelvin.size()) == kelvin) {
            bytes = kelvin.size();
        } else if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != wanted) {
            return false;
        }
        name.remove_prefix(bytes);
    }
    return name.empty();
}

template <typename Integer>
bool fits(std::string_view number, Integer& value) {
    const auto [end, wrong] = std::from_chars(number.data(), number.data() + number.size(), value);
    return wrong == std::errc() && end == number.data() + number.size();
}

bool read_texts(JsonTokens& tokens, Token token) {
    if (token == Token::null) return true;
    if (token != Token::open_array) return false;
    for (token = tokens.next(); token != Token::close_array; token = tokens.next())
        if (token != Token::text && token != Token::null) return false;
    return true;
}

bool read_permissions(JsonTokens& tokens, Token token) {
    if (token == Token::null) return true;
    if (token != Token::open_object) return false;
    for (token = tokens.next(); token == Token::key; token = tokens.next()) {
        const bool known = same_key(tokens.text(), "allow") || same_key(tokens.text(), "deny");
        token = tokens.next();
        if (!(known ? read_texts(tokens, token) : tokens.skip(token))) return false;
    }
    return token == Token::close_object;
}

// Reads the value that begins with `token`.  False: it is not what the field wants, or not JSON.
bool read_value(JsonTokens& tokens, Token token, const Field& field, ConnectOptions* options) {
    std::int64_t integer = 0;
    std::int32_t integer32 = 0;
    std::uint64_t natural = 0;
    std::uint8_t byte = 0;
    switch (field.kind) {
        case Kind::permissions:
            return read_permissions(tokens, token);
        case Kind::texts:
            return read_texts(tokens, token);
        case Kind::boolean:
            if (token == Token::boolean && field.boolean != nullptr) options->*field.boolean = tokens.boolean();
            return token == Token::boolean || token == Token::null;
        case Kind::text:
            if (token == Token::text && field.text != nullptr) options->*field.text = tokens.text();
            return token == Token::text || token == Token::null;
        case Kind::integer:
            if (token == Token::null) return true;
            if (token != Token::number || !fits(tokens.number(), integer)) return false;
            if (options != nullptr) options->protocol = integer;  // the only one that CONNECT has
            return true;
        case Kind::integer32:
            return token == Token::null || (token == Token::number && fits(tokens.number(), integer32));
        case Kind::natural:
            return token == Token::null || (token == Token::number && fits(tokens.number(), natural));
        case Kind::byte:
            return token == Token::null || (token == Token::number && fits(tokens.number(), byte));
    }
    return false;
}

// Reads an object with these fields, or null.
template <std::size_t N>
bool read_object(std::string_view json, const Field (&fields)[N], ConnectOptions* options) {
    JsonTokens tokens(json);
    Token token = tokens.next();
    if (token == Token::null) return tokens.next() == Token::end;
    if (token != Token::open_object) return false;
    for (token = tokens.next(); token == Token::key; token = tokens.next()) {
        const Field* field = nullptr;
        for (const Field& one : fields)
            if (same_key(tokens.text(), one.key)) field = &one;
        token = tokens.next();
        if (!(field != nullptr ? read_value(tokens, token, *field, options) : tokens.skip(token))) return false;
    }
    return token == Token::close_object && tokens.next() == Token::end;
}

void put_key(base::Bytes& out, std::string_view key) {
    if (out.back() != '{') out.push_back(',');
    out.push_back('"');
    out.append(key).append("\":");
}
void put(base::Bytes& out, std::string_view key, std::string_view value) {
    put_key(out, key);
    append_json_text(out, value);
}
void put(base::Bytes& out, std::string_view key, std::uint64_t value) {
    put_key(out, key);
    append_number(out, value);
}
void put_some(base::Bytes& out, std::string_view key, std::string_view value) {
    if (!value.empty()) put(out, key, value);
}
void put_true(base::Bytes& out, std::string_view key, bool value) {
    if (!value) return;
    put_key(out, key);
    out.append("true");
}

}  // namespace

bool parse_connect(std::string_view json, ConnectOptions& options) {
    return read_object(json, connect_fields, &options);
}

bool is_info(std::string_view json) {
    return read_object(json, info_fields, nullptr);
}

void append_info(base::Bytes& out, const ServerInfo& server, const ClientInfo& client) {
    // The order is stock's (server/server.go Info); no client should care, people who read traces do.
    out.append("INFO {");
    put(out, "server_id", server.server_id);
    put(out, "server_name", server.server_name);
    put(out, "version", server.version);
    put(out, "proto", client_protocol_max);
    put_some(out, "git_commit", server.git_commit);
    put(out, "go", server.go);
    put(out, "host", server.host);
    put(out, "port", server.port);
    put_key(out, "headers");
    out.append(server.headers ? "true" : "false");
    put_true(out, "auth_required", server.auth_required);
    put_true(out, "tls_required", server.tls_required);
    put_true(out, "tls_verify", server.tls_verify);
    put_true(out, "tls_available", server.tls_available);
    put(out, "max_payload", server.max_payload);
    if (client.client_id != 0) put(out, "client_id", client.client_id);
    put_some(out, "client_ip", client.client_ip);
    put_some(out, "nonce", client.nonce);
    put_some(out, "cluster", server.cluster);
    if (!server.connect_urls.empty()) {
        put_key(out, "connect_urls");
        char before = '[';
        for (const std::string& url : server.connect_urls) {
            out.push_back(before);
            append_json_text(out, url);
            before = ',';
        }
        out.push_back(']');
    }
    put_true(out, "ldm", client.lame_duck);
    put_true(out, "connect_info", client.connect_info);
    put_some(out, "remote_account", client.remote_account);
    put_some(out, "treegate", server.treegate_version);
    out.append("} \r\n");
}

}  // namespace compat
