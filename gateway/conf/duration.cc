#include "gateway/conf/duration.h"

#include <array>
#include <cstdint>
#include <limits>

#include "gateway/conf/cursor.h"

namespace gateway::conf {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t nanoseconds;
};
constexpr std::array<Unit, 8> units{{{"ns", 1},
                                     {"us", 1'000},
                                     {"\xc2\xb5s", 1'000},  // MICRO SIGN
                                     {"\xce\xbcs", 1'000},  // GREEK SMALL LETTER MU
                                     {"ms", 1'000'000},
                                     {"s", 1'000'000'000},
                                     {"m", 60'000'000'000},
                                     {"h", 3'600'000'000'000}}};

/// The largest magnitude: that of the smallest negative number.
constexpr std::uint64_t magnitude_max = std::uint64_t{1} << 63;

/// Digits of a fraction that are looked at.  Source: what a 64-bit number holds.
constexpr std::size_t fraction_digits_max = 18;

std::uint64_t unit_of(std::string_view name) {
    for (const Unit& unit : units) {
        if (unit.name == name) return unit.nanoseconds;
    }
    return 0;
}

/// The digits after the point, as nanoseconds of `unit`; digits too small to matter are dropped.
/// Source: Go's time.ParseDuration, which counts in doubles here as well.
std::uint64_t fraction_of(std::string_view digits, std::uint64_t unit) {
    double fraction = 0;
    double scale = 1;
    for (const char digit : digits.substr(0, fraction_digits_max)) {
        fraction = fraction * 10 + (digit - '0');
        scale *= 10;
    }
    return static_cast<std::uint64_t>(fraction * (static_cast<double>(unit) / scale));
}

/// `whole`.`fraction` of a unit, without trailing zeros.
void append_decimal(std::string& out, std::uint64_t value, std::uint64_t unit) {
    out += std::to_string(value / unit);
    std::string digits = std::to_string(unit + value % unit).substr(1);
    while (!digits.empty() && digits.back() == '0') digits.pop_back();
    if (!digits.empty()) out += "." + digits;
}

}  // namespace

std::optional<base::Duration> parse_duration(std::string_view text) {
    bool negative = false;
    if (!text.empty() && (text[0] == '-' || text[0] == '+')) {
        negative = text[0] == '-';
        text.remove_prefix(1);
    }
    if (text == "0") return base::Duration{};
    if (text.empty()) return std::nullopt;
    std::uint64_t total = 0;
    while (!text.empty()) {
        std::size_t end = 0;
        std::uint64_t whole = 0;
        while (end < text.size() && is_digit(text[end])) {
            if (whole > magnitude_max / 10) return std::nullopt;
            whole = whole * 10 + static_cast<std::uint64_t>(text[end++] - '0');
            if (whole > magnitude_max) return std::nullopt;
        }
        bool any = end > 0;
        std::string_view fraction;
        if (end < text.size() && text[end] == '.') {
            const std::size_t begin = ++end;
            while (end < text.size() && is_digit(text[end])) ++end;
            fraction = text.substr(begin, end - begin);
            any = any || !fraction.empty();
        }
        if (!any) return std::nullopt;
        text.remove_prefix(end);
        end = 0;
        while (end < text.size() && text[end] != '.' && !is_digit(text[end])) ++end;
        const std::uint64_t unit = unit_of(text.substr(0, end));
        if (unit == 0 || whole > magnitude_max / unit) return std::nullopt;
        text.remove_prefix(end);
        const std::uint64_t part = whole * unit + fraction_of(fraction, unit);
        if (part > magnitude_max || total > magnitude_max - part) return std::nullopt;
        total += part;
    }
    if (negative) return base::Duration(static_cast<std::int64_t>(~total + 1));
    if (total > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return std::nullopt;
    return base::Duration(static_cast<std::int64_t>(total));
}

std::string duration_text(base::Duration duration) {
    const bool negative = duration.count() < 0;
    std::uint64_t left = static_cast<std::uint64_t>(duration.count());
    if (negative) left = ~left + 1;
    std::string out = negative ? "-" : "";
    if (left == 0) return "0s";
    if (left < 1'000'000'000) {
        if (left < 1'000) {
            append_decimal(out, left, 1);
            return out + "ns";
        }
        const bool micro = left < 1'000'000;
        append_decimal(out, left, micro ? 1'000 : 1'000'000);
        return out + (micro ? "\xc2\xb5s" : "ms");
    }
    const std::uint64_t minute = 60'000'000'000;
    const std::uint64_t minutes = left / minute;
    if (minutes >= 60) out += std::to_string(minutes / 60) + "h";
    if (minutes > 0) out += std::to_string(minutes % 60) + "m";
    append_decimal(out, left % minute, 1'000'000'000);
    return out + "s";
}

}  // namespace gateway::conf
