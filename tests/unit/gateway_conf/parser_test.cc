#include "gateway/conf/parser.h"

#include <catch2/catch.hpp>
#include <map>

#include "gateway/conf/digest.h"

namespace gateway::conf {

namespace {

using Texts = std::map<std::string, std::string>;

base::Result<Document, std::string> parse(const std::string& text, Texts others = {}, const Texts& variables = {}) {
    others["nats.conf"] = text;
    Sources sources;
    sources.file = [&others](const std::string& path, std::size_t) -> base::Result<std::string, std::string> {
        const auto found = others.find(path);
        if (found == others.end()) return base::failure("open " + path + ": no such file or directory");
        return found->second;
    };
    sources.variable = [&variables](const std::string& name) -> std::optional<std::string> {
        const auto found = variables.find(name);
        if (found == variables.end()) return std::nullopt;
        return found->second;
    };
    return parse_config("nats.conf", sources);
}

/// What was read, as JSON; or the error.
std::string read(const std::string& text, const Texts& others = {}, const Texts& variables = {}) {
    const auto document = parse(text, others, variables);
    if (!document.ok()) return document.error();
    std::string json = digest_text(document.value().root);
    json.pop_back();
    return json;
}

std::string repeated(const std::string& text, std::size_t times) {
    std::string out;
    for (std::size_t i = 0; i < times; ++i) out += text;
    return out;
}

}  // namespace

TEST_CASE("a config is read as stock reads it", "[gateway][conf]") {
    struct Row {
        const char* text;
        const char* json;
    };
    const auto row = GENERATE(values<Row>({
        {"", "{}"},
        {"\n# nothing\n// at all\n", "{}"},
        {"a 1\nb: 2\nc = 3\nd=4;e:5,f 6", R"({"a":1,"b":2,"c":3,"d":4,"e":5,"f":6})"},
        {"a\n1", R"({"a":1})"},
        {"a {b: c}\na2\n{b c\n}\n", R"({"a":{"b":"c"},"a2":{"b":"c"}})"},
        {"m {x: 1, y: 2; z: 3\nw: {v: []}}", R"({"m":{"w":{"v":[]},"x":1,"y":2,"z":3}})"},
        {R"({"a": 1, "b": [1, 2, {"c": null}], "d": {"e": "f"}})", R"({"a":1,"b":[1,2,{"c":"null"}],"d":{"e":"f"}})"},
        {"{\n\"a\": 1,\n\"b\": 2\n}\n", R"({"a":1,"b":2})"},
        {"{a: 1\n", R"({"a":1})"},
        {"{{a: 1}, b: 2}", R"({"a":1,"b":2})"},
        {"{a: 1}{b: 2}", R"({"a":1,"b":2})"},
        {"a: 1 }", R"({"a":1})"},
        {"a: 1\n}\n", R"({"a":1})"},
        {"a: 1\na: 2\nA: 3", R"({"A":3,"a":2})"},
        {"\"a b\": 1\n'c': 2\n'd'3", R"({"a b":1,"c":2,"d":3})"},
        {"a:", R"({"a":""})"},
        {"a: ;b: 3", R"({"a":"","b":3})"},
        {"a: x#y\nb: x//y\nc: 1 # z\nd: 2 // z", R"({"a":"x#y","b":"x//y","c":1,"d":2})"},
        {"a: 1\r\nb: [\r\n1\r\n2\r\n]\r\n", R"({"a":1,"b":[1,2]})"},
        {"\xc2\xa0"
         "a\xe3\x80\x80: 1",
         R"({"a":1})"},
        // Arrays.
        {"a: [1, 2\n3,\n4,]", R"({"a":[1,2,3,4]})"},
        {"a: [\n# x\n1 # y\n// z\n]", R"({"a":[1]})"},
        {"a: [/x/y, 'z', [w], {v: u}]", R"({"a":["/x/y","z",["w"],{"v":"u"}]})"},
        {"a: [1k]", R"({"a":[1000]})"},
        // Booleans.
        {"a: true, b: YES, c: On, d: false, e: no, f: OFF, g: truth, h: 'true', i: \"on\"",
         R"({"a":true,"b":true,"c":true,"d":false,"e":false,"f":false,"g":"truth","h":"true","i":"on"})"},
        // Integers: k is 1000, kb, ki and kib are 1024.
        {"a: 0, b: -12, c: 010, d: 9223372036854775807, e: -9223372036854775808",
         R"({"a":0,"b":-12,"c":10,"d":9223372036854775807,"e":-9223372036854775808})"},
        {"a: 1k, b: 1K, c: 1kb, d: 1ki, e: 1KiB, f: -2k",
         R"({"a":1000,"b":1000,"c":1024,"d":1024,"e":1024,"f":-2000})"},
        {"a: 1m, b: 1mb, c: 1g, d: 1GiB, e: 1t, f: 1ti, g: 1p, h: 1pib, i: 2e, j: 1eib",
         R"({"a":1000000,"b":1048576,"c":1000000000,"d":1073741824,"e":1000000000000,"f":1099511627776,)"
         R"("g":1000000000000000,"h":1125899906842624,"i":2000000000000000000,"j":1152921504606846976})"},
        // What begins as a number and is none.
        {"a: 10s, b: 4222x, c: 0K1abc, d: 5e7bcd, e: 1kk, f: 1_000, g: 1e3, h: 1#",
         R"({"a":"10s","b":"4222x","c":"0K1abc","d":"5e7bcd","e":"1kk","f":"1_000","g":"1e3","h":"1#"})"},
        {"a: 127.0.0.1:4222, b: 1.2.3.4-5:6, c: 1.5, d: -0.25, e: 0.0000001",
         R"({"a":"127.0.0.1:4222","b":"1.2.3.4-5:6","c":1.5,"d":-0.25,"e":1e-7})"},
        {"a: 2016-05-04T18:53:41Z, b: 2024-02-29T00:00:00Z",
         R"({"a":"2016-05-04T18:53:41Z","b":"2024-02-29T00:00:00Z"})"},
        // Strings.
        {R"(a: "\x41\t\n\r\"\\", b: x\x41y)", R"({"a":"A\t\n\r\"\\","b":"xAy"})"},
        {"a: 'x\\y\nz', b: \"p\nq\"", R"({"a":"x\\y\nz","b":"p\nq"})"},
        {"a: x'\nb: TRUE'\n", R"({"a":"x","b":"TRUE"})"},
        {"a: (\nx ) y\n )\n)\nb: 1", R"({"a":"\nx ) y\n )\n","b":1})"},
        {"a: (x\n)", R"({"a":"x\n"})"},
        {"a: $2a$11$pBwUBpza8vdJ7tWZcP5GRO13qRgh4dwNn8g67k5i/41yIKBp.sHke",
         R"({"a":"$2a$11$pBwUBpza8vdJ7tWZcP5GRO13qRgh4dwNn8g67k5i/41yIKBp.sHke"})"},
        {"a: <&>\x01\x7f\xff\xe2\x80\xa8\xc3\xa9",
         "{\"a\":\"\\u003c\\u0026\\u003e\\u0001\x7f\\ufffd\\u2028\xc3\xa9\"}"},
    }));
    CAPTURE(row.text);
    CHECK(read(row.text) == row.json);
}

TEST_CASE("what is no config is refused where it stops being one", "[gateway][conf]") {
    struct Row {
        const char* text;
        const char* error;
    };
    const auto row = GENERATE(values<Row>({
        {"foo", "nats.conf:1:1: 'foo' has no value"},
        {"a: 1\n  foo\n", "nats.conf:2:3: 'foo' has no value"},
        {"a:\n1", "nats.conf:1:3: here should be the value of 'a', not the line's end"},
        {"= 1", "nats.conf:1:1: here should be a key, not '='"},
        {"a: 1 b: 2", "nats.conf:1:6: a value must end with a new line, ',', ';' or a comment, but here is 'b'"},
        {"a: 1 / b", "but here is '/'"},
        {"/ a: 1", "'/' begins no key"},
        {"a: {", "nats.conf:1:5: this map does not end"},
        {"a: {b: 1", "this map does not end"},
        {"{a: 1", "this map does not end"},
        {"a {b: }", "here should be the value of 'b', not '}'"},
        {"a {b: , c: 1}", "here should be the value of 'b', not ','"},
        {"a {b: 1}{c: 2}", "but here is '{'"},
        {"a: [", "this array does not end"},
        {"a: [1", "this array does not end"},
        {"a: [,]", "here should be a value, not ','"},
        {"a: [1\n,2]", "nats.conf:2:1: here should be a value, not ','"},
        {"a: [1 2]", "here should be ',' or ']' or a new line, not '2'"},
        {"a: [1;2]", "here should be ',' or ']' or a new line, not ';'"},
        {"a: [1}", "here should be"},
        {"a: \"x", "nats.conf:1:4: this string does not end"},
        {"a: 'x", "nats.conf:1:4: this string does not end"},
        {"'a: 1", "nats.conf:1:1: this string does not end"},
        {"a: (x)\n", "this block does not end"},
        {"a: (\nx\n )", "this block does not end"},
        {R"(a: "\q")", "nats.conf:1:6: a backslash and 'q'"},
        {R"(a: "\xg1")", "two hexadecimal digits must follow"},
        {R"(a: \)", "a backslash and the end"},
        {"a: .5", "floats must start with a digit"},
        {"a: 1.", "floats must have a digit after the '.', but here is the end"},
        {"a: 1.5s", "but here is 's'"},
        {"a: -x", "here should be a digit, not 'x'"},
        {"a: -5x", "but here is 'x'"},
        {"a: 99999999999999999999", "integer '99999999999999999999' is out of the range"},
        {"a: 10e", "integer '10e' is out of the range"},
        {"a: 1kii", "'kii' is no unit"},
        {"a: 12-34", "dates must be in full Zulu form"},
        {"a: 2016-05-04", "is no date"},
        {"a: 2016-13-04T18:53:41Z", "is no date"},
        {"a: 2015-02-29T18:53:41Z", "is no date"},
        {"a: $nope", "nats.conf:1:4: variable '$nope' is not defined"},
        {"include", "'include' has no value"},
        {"include [a]", "here should be the path of a file to include, not '['"},
        {"include 7", "here should be the path"},
        {"include nope.conf", "nats.conf:1:9: open nope.conf: no such file or directory"},
    }));
    CAPTURE(row.text);
    const std::string error = read(row.text);
    CAPTURE(error);
    CHECK(error.find(row.error) != std::string::npos);
    CHECK(error.starts_with("nats.conf:"));
}

TEST_CASE("a byte 0 makes it no text", "[gateway][conf]") {
    CHECK(read(std::string("a: 1\0", 5)) == "nats.conf is no text: it has a byte 0 in it");
}

TEST_CASE("a file that is not there is an error without a place", "[gateway][conf]") {
    const Sources none{[](const std::string& path, std::size_t) -> base::Result<std::string, std::string> {
                           return base::failure("open " + path + ": no such file or directory");
                       },
                       {}};
    const auto document = parse_config("x", none);
    REQUIRE_FALSE(document.ok());
    CHECK(document.error() == "open x: no such file or directory");
}

TEST_CASE("values know where their key stands, those of an array where they stand", "[gateway][conf]") {
    const auto document = parse("a: 1\n  b : {\n c: [x,\n y] }\ninclude 'd/e.conf'\n", {{"d/e.conf", "\n f: g"}});
    REQUIRE(document.ok());
    const Document& read = document.value();
    const auto at = [&read](const Value& value) { return read.at(value.place); };
    CHECK(at(read.root.at("a")) == "nats.conf:1:1");
    CHECK(at(read.root.at("b")) == "nats.conf:2:3");
    const Value& c = std::get<Map>(read.root.at("b").data).at("c");
    CHECK(at(c) == "nats.conf:3:2");
    CHECK(at(std::get<Array>(c.data).at(0)) == "nats.conf:3:6");
    CHECK(at(std::get<Array>(c.data).at(1)) == "nats.conf:4:2");
    CHECK(at(read.root.at("f")) == "d/e.conf:2:2");
}

// ---- include --------------------------------------------------------------------------------------------------------

TEST_CASE("a file is included relative to the one that includes it, whatever its path looks like", "[gateway][conf]") {
    CHECK(read("include \"d/one.conf\"\nz: 9",
               {{"d/one.conf", "a: 1\ninclude './two.conf' # x"}, {"d/two.conf", "b: 2"}}) == R"({"a":1,"b":2,"z":9})");
    CHECK(read("include ../up.conf", {{"../up.conf", "a: 1"}}) == R"({"a":1})");
    CHECK(read("include /d/../e/abs.conf", {{"e/abs.conf", "a: 1"}}) == R"({"a":1})");
    CHECK(read("m {include x.conf; b: 2}", {{"x.conf", "a: 1"}}) == R"({"m":{"a":1,"b":2}})");
    CHECK(read("m {\nINCLUDE x.conf\n}", {{"x.conf", "a: 1"}}) == R"({"m":{"a":1}})");
    CHECK(read("{include x.conf}", {{"x.conf", "{a: 1}"}}) == R"({"a":1})");
    CHECK(read("a: 1\ninclude x.conf\nb: 2", {{"x.conf", "a: 3, b: 4"}}) == R"({"a":3,"b":2})");
    CHECK(read("include: x.conf") == R"({"include":"x.conf"})");
}

TEST_CASE("an error in an included file is one of that file", "[gateway][conf]") {
    CHECK(read("include d/x.conf", {{"d/x.conf", "a: 1\nb"}}) == "d/x.conf:2:1: 'b' has no value");
}

TEST_CASE("files that include themselves are refused", "[gateway][conf]") {
    CHECK(read("include nats.conf") == "nats.conf:1:9: nats.conf includes itself");
    CHECK(read("include a.conf", {{"a.conf", "include b.conf"}, {"b.conf", "\ninclude ./a.conf"}}) ==
          "b.conf:2:9: a.conf includes itself");
}

TEST_CASE("files may be included only so deep, and only so many", "[gateway][conf]") {
    Texts files;
    for (std::size_t i = 0; i < include_depth_max + 1; ++i) {
        files["f" + std::to_string(i)] = "include 'f" + std::to_string(i + 1) + "'";
    }
    files["f" + std::to_string(include_depth_max - 1)] = "a: 1";
    CHECK(read("include f0", files) == R"({"a":1})");
    files["f" + std::to_string(include_depth_max - 1)] = "include 'f" + std::to_string(include_depth_max) + "'";
    files["f" + std::to_string(include_depth_max)] = "a: 1";
    CHECK(read("include f0", files).find("more than 16 deep") != std::string::npos);

    CHECK(read(repeated("include x\n", files_max - 1), {{"x", "a: 1"}}) == R"({"a":1})");
    CHECK(read(repeated("include x\n", files_max), {{"x", "a: 1"}}).find("more than 1024 files") != std::string::npos);
}

// ---- variables ------------------------------------------------------------------------------------------------------

TEST_CASE("a variable is the nearest earlier key of its name, outwards, then the environment", "[gateway][conf]") {
    CHECK(read("x: 1\na: $x") == R"({"a":1,"x":1})");
    CHECK(read("x: 1\nm {a: $x, x: 2, b: $x, n {c: $x}}") == R"({"m":{"a":1,"b":2,"n":{"c":2},"x":2},"x":1})");
    CHECK(read("x {y: [1, 2]}\na: [$x, $x]") == R"({"a":[{"y":[1,2]},{"y":[1,2]}],"x":{"y":[1,2]}})");
    CHECK(read("a: $x\nx: 1", {}, {{"x", "'env'"}}) == R"({"a":"env","x":1})");
    CHECK(read("a: \"$x\"\nb: '$x'\nx: 1") == R"({"a":"$x","b":"$x","x":1})");
}

TEST_CASE("an included file sees no variables of the one that includes it, which sees its keys", "[gateway][conf]") {
    CHECK(read("x: 1\ninclude i.conf", {{"i.conf", "a: $x"}}) == "i.conf:1:4: variable '$x' is not defined");
    CHECK(read("include i.conf\na: $x", {{"i.conf", "x: 1"}}) == R"({"a":1,"x":1})");
}

TEST_CASE("a value of the environment is config text", "[gateway][conf]") {
    const Texts variables{{"NUMBER", "4k"},       {"DIGITS", "'123'"},    {"LIST", "[1, b]"}, {"EMPTY", ""},
                          {"OTHER", "$NUMBER"},   {"LOOP", "$LOOP2"},     {"LOOP2", "$LOOP"}, {"BAD", "{ a: 1"},
                          {"MORE", "1\npk: 2\n"}, {"HASH", "$2a$10$abc"}, {"WORDS", "a b"}};
    const auto value = [&variables](const char* name) { return read(std::string("a: $") + name, {}, variables); };
    CHECK(value("NUMBER") == R"({"a":4000})");
    CHECK(value("DIGITS") == R"({"a":"123"})");
    CHECK(value("LIST") == R"({"a":[1,"b"]})");
    CHECK(value("EMPTY") == R"({"a":""})");
    CHECK(value("OTHER") == R"({"a":4000})");
    CHECK(value("MORE") == R"({"a":2})");
    CHECK(value("HASH") == R"({"a":"$2a$10$abc"})");
    CHECK(value("LOOP").find("variable '$LOOP' stands for itself") != std::string::npos);
    CHECK(value("BAD") == "$BAD:1:10: this map does not end");
    CHECK(value("WORDS").starts_with("$WORDS:1:6: "));
}

TEST_CASE("a key that a variable names counts as used", "[gateway][conf]") {
    const auto document = parse("x: 1\ny: 2\na: $x");
    REQUIRE(document.ok());
    CHECK(document.value().root.at("x").used);
    CHECK_FALSE(document.value().root.at("y").used);
    CHECK_FALSE(document.value().root.at("a").used);
}

// ---- limits ---------------------------------------------------------------------------------------------------------

TEST_CASE("maps and arrays go only so deep", "[gateway][conf]") {
    CHECK(read("a: " + repeated("[", nesting_max) + repeated("]", nesting_max)).starts_with("{\"a\":["));
    CHECK(read("a: " + repeated("[", nesting_max + 1)).find("deeper than 64") != std::string::npos);
    CHECK(read(repeated("a {", nesting_max + 1)).find("deeper than 64") != std::string::npos);
    CHECK(read(repeated("{", nesting_max + 1)).find("deeper than 64") != std::string::npos);
    const std::string half = repeated("[", nesting_max / 2) + repeated("]", nesting_max / 2);
    CHECK(read("x: " + half + "\ny: " + repeated("[", nesting_max / 2) + "$x" + repeated("]", nesting_max / 2))
              .starts_with("{"));
    CHECK(read("x: " + half + "\ny: [" + repeated("[", nesting_max / 2) + "$x").find("by a variable") !=
          std::string::npos);
}

TEST_CASE("variables that multiply what they repeat come to an end", "[gateway][conf]") {
    std::string bomb = "a0: [1, 1]\n";
    for (int i = 1; i < 40; ++i) {
        const std::string before = "$a" + std::to_string(i - 1);
        bomb += "a" + std::to_string(i) + ": [" + before + ", " + before + "]\n";
    }
    CHECK(read(bomb).find("variables repeat too much") != std::string::npos);

    std::string texts = "x: '" + std::string(repeated_bytes_max / 16, 'x') + "'\na: [" + repeated("$x, ", 16) + "]";
    CHECK(read(texts).starts_with("{"));
    texts = "x: '" + std::string(repeated_bytes_max / 16, 'x') + "'\na: [" + repeated("$x, ", 17) + "]";
    CHECK(read(texts).find("variables repeat too much") != std::string::npos);
}

TEST_CASE("a file may be only so long and hold only so many values", "[gateway][conf]") {
    CHECK(read("a: '" + std::string(file_bytes_max - 5, 'x') + "'").size() > file_bytes_max);
    CHECK(read("a: '" + std::string(file_bytes_max - 4, 'x') + "'") == "nats.conf is longer than 8388608 bytes");
    CHECK(read("a: [" + repeated("1,", values_max - 1) + "]").starts_with("{"));
    CHECK(read("a: [" + repeated("1,", values_max) + "]").find("more than 1000000 values") != std::string::npos);
}

}  // namespace gateway::conf
