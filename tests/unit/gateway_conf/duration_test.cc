#include "gateway/conf/duration.h"

#include <catch2/catch.hpp>

namespace gateway::conf {

TEST_CASE("durations are read and written as Go does", "[gateway][conf]") {
    struct Row {
        const char* text;
        std::int64_t nanoseconds;
        const char* written;
    };
    const auto row = GENERATE(values<Row>({
        {"0", 0, "0s"},
        {"10s", 10'000'000'000, "10s"},
        {"1h30m", 5'400'000'000'000, "1h30m0s"},
        {"2m", 120'000'000'000, "2m0s"},
        {"1.5s", 1'500'000'000, "1.5s"},
        {".5s", 500'000'000, "500ms"},
        {"1.s", 1'000'000'000, "1s"},
        {"-1.5h", -5'400'000'000'000, "-1h30m0s"},
        {"+5us", 5'000, "5\xc2\xb5s"},
        {"5\xc2\xb5s", 5'000, "5\xc2\xb5s"},
        {"5\xce\xbcs", 5'000, "5\xc2\xb5s"},
        {"1.25ms", 1'250'000, "1.25ms"},
        {"7ns", 7, "7ns"},
        {"0.9999999999s", 999'999'999, "999.999999ms"},
        {"1h0.001s", 3'600'001'000'000, "1h0m0.001s"},
        {"9223372036854775807ns", 9'223'372'036'854'775'807, "2562047h47m16.854775807s"},
        {"-9223372036854775808ns", -9'223'372'036'854'775'807 - 1, "-2562047h47m16.854775808s"},
    }));
    CAPTURE(row.text);
    const auto duration = parse_duration(row.text);
    REQUIRE(duration);
    CHECK(duration->count() == row.nanoseconds);
    CHECK(duration_text(*duration) == row.written);
    CHECK(parse_duration(row.written) == duration);
}

TEST_CASE("what is no duration is refused", "[gateway][conf]") {
    for (const char* text : {"",
                             "10",
                             "s",
                             ".s",
                             "-",
                             "+",
                             "1x",
                             "1 s",
                             "1s ",
                             "1h 2m",
                             "1sm",
                             "3000000h",
                             "9223372036854775808ns",
                             "9223372036854775807ns1ns",
                             "99999999999999999999999s",
                             "1e3s",
                             "--1s",
                             "1.2.3s",
                             "0x1s",
                             "1S"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_duration(text));
    }
}

}  // namespace gateway::conf
