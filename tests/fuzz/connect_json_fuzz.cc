// CONNECT and INFO from strangers, and what we write as JSON: the same texts are JSON for us and for a library, and
// what we write can be read back.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "compat/connect_info.h"
#include "compat/json.h"
#include "routing/base/check.h"

namespace {

using compat::JsonTokens;

bool is_json(std::string_view text) {
    JsonTokens tokens(text);
    JsonTokens::Token token = tokens.next();
    while (token != JsonTokens::Token::end && token != JsonTokens::Token::wrong) token = tokens.next();
    // It stays what it is.
    BASE_CHECK(tokens.next() == token);
    return token == JsonTokens::Token::end;
}

// Where Go's rules and the library's are the same: not for bytes beyond ASCII, \u escapes and huge numbers.
bool is_plain(std::string_view text) {
    std::size_t digits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c >= 0x80 || c == 0) return false;
        if (c == '\\' && i + 1 < text.size() && text[i + 1] == 'u') return false;
        digits = c >= '0' && c <= '9' ? digits + 1 : 0;
        if (digits > 2 && text.find_first_of("eE") != std::string_view::npos) return false;
        if (digits > 300) return false;
    }
    return true;
}

void check_reading(std::string_view text) {
    const bool json = is_json(text);
    if (is_plain(text)) BASE_CHECK(json == nlohmann::json::accept(text.begin(), text.end()));
    compat::ConnectOptions options;
    const bool connect = compat::parse_connect(text, options);
    BASE_CHECK(json || (!connect && !compat::is_info(text)));
    if (!connect || !is_plain(text)) return;
    // Without case and repeated keys, the library says the same.
    const auto tree = nlohmann::json::parse(text);
    BASE_CHECK(tree.is_null() || tree.is_object());
    if (!tree.is_object() || text.find_first_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ") != std::string_view::npos) return;
    const auto verbose = tree.find("verbose");
    if (verbose != tree.end() && verbose->is_boolean()) BASE_CHECK(options.verbose == verbose->get<bool>());
    const auto name = tree.find("name");
    if (name != tree.end() && name->is_string()) BASE_CHECK(options.name == name->get<std::string>());
    const auto protocol = tree.find("protocol");
    if (protocol != tree.end() && protocol->is_number()) BASE_CHECK(options.protocol == protocol->get<std::int64_t>());
}

void check_writing(std::string_view text) {
    std::string written;
    compat::append_json_text(written, text);
    JsonTokens tokens(written);
    BASE_CHECK(tokens.next() == JsonTokens::Token::text);
    const std::string read(tokens.text());
    BASE_CHECK(tokens.next() == JsonTokens::Token::end);
    BASE_CHECK(nlohmann::json::parse(written).get<std::string>() == read);
    // What was UTF-8 comes back; what has come back was repaired, and stays.
    std::string again;
    compat::append_json_text(again, read);
    BASE_CHECK(JsonTokens(again).next() == JsonTokens::Token::text);
    if (nlohmann::json::accept("\"" + read + "\"") && read == text) BASE_CHECK(again == written);

    compat::ServerInfo server;
    server.server_name = text;
    server.connect_urls = {std::string(text), "b:1"};
    compat::ClientInfo client;
    client.client_ip = text;
    std::string info;
    compat::append_info(info, server, client);
    const std::string_view json = std::string_view(info).substr(5, info.size() - 5 - 2);
    BASE_CHECK(compat::is_info(json));
    BASE_CHECK(nlohmann::json::parse(json)["server_name"].get<std::string>() == read);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_reading(text);
    check_writing(text);
    return 0;
}
