// Just enough JSON to answer questions about the tree: objects, arrays, strings, numbers, no spaces.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace routing::node {

/// Appends JSON to a string that it owns.  The caller opens and closes what it must; commas come by themselves.
/// Strings may hold any bytes: control characters are escaped, what is not UTF-8 passes as it is.
class JsonWriter {
  public:
    JsonWriter& open_object() { return open('{'); }
    JsonWriter& close_object() { return close('}'); }
    JsonWriter& open_array() { return open('['); }
    JsonWriter& close_array() { return close(']'); }

    JsonWriter& key(std::string_view name) {
        string(name);
        out_.push_back(':');
        comma_ = false;
        return *this;
    }
    JsonWriter& string(std::string_view text);
    JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
    template <typename Number>
    JsonWriter& number(Number value) {
        static_assert(std::is_arithmetic_v<Number>);
        return raw(std::to_string(value));
    }
    JsonWriter& null() { return raw("null"); }

    /// One member of an object.
    JsonWriter& member(std::string_view name, std::string_view text) { return key(name).string(text); }
    JsonWriter& member(std::string_view name, const char* text) { return key(name).string(text); }
    JsonWriter& member(std::string_view name, bool value) { return key(name).boolean(value); }
    template <typename Number>
    requires(std::is_arithmetic_v<Number> && !std::is_same_v<Number, bool>) JsonWriter& member(std::string_view name,
                                                                                               Number value) {
        return key(name).number(value);
    }

    [[nodiscard]] const std::string& text() const { return out_; }

  private:
    JsonWriter& open(char bracket) {
        separate();
        out_.push_back(bracket);
        comma_ = false;
        return *this;
    }
    JsonWriter& close(char bracket) {
        out_.push_back(bracket);
        comma_ = true;
        return *this;
    }
    JsonWriter& raw(std::string_view text) {
        separate();
        out_ += text;
        comma_ = true;
        return *this;
    }
    void separate() {
        if (comma_) out_.push_back(',');
    }

    std::string out_;
    bool comma_ = false;
};

/// The string member `name` of a flat JSON object, or an empty string.  For the small requests of our own subcommands;
/// understands the escapes that JSON has, except \u above one byte.
[[nodiscard]] std::string json_string_member(std::string_view object, std::string_view name);

}  // namespace routing::node
