#include "compat/connect_info.h"

#include <nlohmann/json.hpp>

#include "compat/nats_limits.h"

namespace compat {

namespace {

using Json = nlohmann::ordered_json;

bool same_key(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    for (std::size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

struct BoolField {
    std::string_view key;
    bool ConnectOptions::*member;
};
struct TextField {
    std::string_view key;
    std::string ConnectOptions::*member;
};
constexpr BoolField bool_fields[] = {
    {"verbose", &ConnectOptions::verbose},
    {"pedantic", &ConnectOptions::pedantic},
    {"echo", &ConnectOptions::echo},
    {"tls_required", &ConnectOptions::tls_required},
    {"headers", &ConnectOptions::headers},
    {"no_responders", &ConnectOptions::no_responders},
    {"new_account", &ConnectOptions::new_account},
};
constexpr TextField text_fields[] = {
    {"name", &ConnectOptions::name},       {"lang", &ConnectOptions::lang}, {"version", &ConnectOptions::version},
    {"user", &ConnectOptions::user},       {"pass", &ConnectOptions::pass}, {"auth_token", &ConnectOptions::auth_token},
    {"jwt", &ConnectOptions::jwt},         {"nkey", &ConnectOptions::nkey}, {"sig", &ConnectOptions::sig},
    {"account", &ConnectOptions::account},
};
constexpr std::string_view protocol_key = "protocol";

// Takes the JSON apart as it is read, so that nothing of a hostile text is built in memory.  A null `options` only
// checks the syntax.
class ObjectReader : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit ObjectReader(ConnectOptions* options) : options_(options) {}

    bool null() override { return true; }
    bool boolean(bool value) override {
        if (depth_ == 0) return false;
        if (bool_ != nullptr) options_->*bool_ = value;
        return bool_ != nullptr || !known();
    }
    bool number_integer(std::int64_t value) override {
        if (depth_ == 0) return false;
        if (is_protocol_) options_->protocol = value;
        return is_protocol_ || !known();
    }
    bool number_unsigned(std::uint64_t value) override {
        if (value > static_cast<std::uint64_t>(INT64_MAX)) return depth_ != 0 && !known();
        return number_integer(static_cast<std::int64_t>(value));
    }
    bool number_float(double /*value*/, const std::string& /*text*/) override { return depth_ != 0 && !known(); }
    bool string(std::string& value) override {
        if (depth_ == 0) return false;
        if (text_ != nullptr) options_->*text_ = value;
        return text_ != nullptr || !known();
    }
    bool binary(nlohmann::json::binary_t& /*value*/) override { return false; }
    bool start_object(std::size_t /*elements*/) override { return open(); }
    bool end_object() override { return shut(); }
    bool start_array(std::size_t /*elements*/) override { return depth_ != 0 && open(); }
    bool end_array() override { return shut(); }
    bool key(std::string& name) override {
        forget_key();
        if (depth_ != 1 || options_ == nullptr) return true;
        for (const BoolField& field : bool_fields)
            if (same_key(name, field.key)) bool_ = field.member;
        for (const TextField& field : text_fields)
            if (same_key(name, field.key)) text_ = field.member;
        is_protocol_ = same_key(name, protocol_key);
        return true;
    }
    bool parse_error(std::size_t /*position*/, const std::string& /*token*/,
                     const nlohmann::detail::exception& /*why*/) override {
        return false;
    }

  private:
    [[nodiscard]] bool known() const { return bool_ != nullptr || text_ != nullptr || is_protocol_; }
    void forget_key() {
        bool_ = nullptr;
        text_ = nullptr;
        is_protocol_ = false;
    }
    bool open() {
        if (known()) return false;  // none of our keys holds an object or an array
        ++depth_;
        return true;
    }
    bool shut() {
        --depth_;
        forget_key();
        return true;
    }

    ConnectOptions* options_;
    std::size_t depth_ = 0;
    bool ConnectOptions::*bool_ = nullptr;
    std::string ConnectOptions::*text_ = nullptr;
    bool is_protocol_ = false;
};

bool read_object(std::string_view json, ConnectOptions* options) {
    ObjectReader reader(options);
    try {
        return nlohmann::json::sax_parse(json.begin(), json.end(), &reader);
    } catch (const std::exception&) {
        return false;
    }
}

void put(Json& json, const char* key, std::string_view value) {
    if (!value.empty()) json[key] = value;
}
void put(Json& json, const char* key, bool value) {
    if (value) json[key] = true;
}

}  // namespace

bool parse_connect(std::string_view json, ConnectOptions& options) {
    return read_object(json, &options);
}

bool is_json_object(std::string_view json) {
    return read_object(json, nullptr);
}

void append_info(base::Bytes& out, const ServerInfo& server, const ClientInfo& client) {
    // The order is stock's (server/server.go Info); no client should care, people who read traces do.
    Json json;
    json["server_id"] = server.server_id;
    json["server_name"] = server.server_name;
    json["version"] = server.version;
    json["proto"] = client_protocol_max;
    put(json, "git_commit", server.git_commit);
    json["go"] = server.go;
    json["host"] = server.host;
    json["port"] = server.port;
    json["headers"] = server.headers;
    put(json, "auth_required", server.auth_required);
    put(json, "tls_required", server.tls_required);
    put(json, "tls_verify", server.tls_verify);
    put(json, "tls_available", server.tls_available);
    json["max_payload"] = server.max_payload;
    if (client.client_id != 0) json["client_id"] = client.client_id;
    put(json, "client_ip", client.client_ip);
    put(json, "nonce", client.nonce);
    put(json, "cluster", std::string_view(server.cluster));
    if (!server.connect_urls.empty()) json["connect_urls"] = server.connect_urls;
    put(json, "ldm", client.lame_duck);
    put(json, "connect_info", client.connect_info);
    put(json, "remote_account", client.remote_account);
    put(json, "treegate", std::string_view(server.treegate_version));
    out.append("INFO ");
    out.append(json.dump(-1, ' ', false, Json::error_handler_t::replace));
    out.append(" \r\n");
}

}  // namespace compat
