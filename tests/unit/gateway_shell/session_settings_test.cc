#include "gateway/session_settings.h"

#include <catch2/catch.hpp>
#include <chrono>

using namespace gateway;
using namespace std::chrono_literals;

TEST_CASE("sessions are held to what the config says", "[gateway][settings]") {
    Config config;
    config.client.host = "127.0.0.1";
    config.limits.max_payload = 1000;
    config.limits.max_control_line = 200;
    config.limits.max_subscriptions = 30;
    config.limits.max_sub_tokens = 4;
    config.limits.ping_interval = 5s;
    config.limits.ping_max = 6;
    config.limits.no_header_support = true;
    config.mappings = {{"a", {{"b", 100, ""}}}};
    compat::SessionSettings settings;
    settings.info.server_id = "NID";
    apply_config(config, 4567, settings);
    CHECK(settings.info.server_id == "NID");
    CHECK(settings.info.host == "127.0.0.1");
    CHECK(settings.info.port == 4567);
    CHECK(settings.info.max_payload == 1000);
    CHECK_FALSE(settings.info.headers);
    CHECK(settings.control_line_bytes_max == 200);
    CHECK(settings.subscriptions_max == 30);
    CHECK(settings.subscription_tokens_max == 4);
    CHECK(settings.ping_interval == 5s);
    CHECK(settings.ping_out_max == 6);
    CHECK(settings.mappings != nullptr);

    apply_config(Config(), 4222, settings);
    CHECK(settings.info.headers);
    CHECK(settings.info.host == "0.0.0.0");
    CHECK(settings.mappings == nullptr);
    CHECK(settings.control_line_bytes_max == 4096);
}

TEST_CASE("clients are told the advertised address", "[gateway][settings]") {
    const auto told = [](const char* advertise) {
        Config config;
        config.client_advertise = advertise;
        compat::SessionSettings settings;
        apply_config(config, 4567, settings);
        return settings.info.host + " " + std::to_string(settings.info.port);
    };
    CHECK(told("") == "0.0.0.0 4567");
    CHECK(told("nats.example.com:77") == "nats.example.com 77");
    CHECK(told("nats.example.com") == "nats.example.com 4567");
    CHECK(told("a:0") == "a 4567");
    CHECK(told("a:-1") == "a 4567");
    CHECK(told("[::1]:55") == "::1 55");
    CHECK(told("[::1]") == "::1 4567");
}
