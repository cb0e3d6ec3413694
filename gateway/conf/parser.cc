#include "gateway/conf/parser.h"

#include <algorithm>
#include <utility>

#include "gateway/conf/cursor.h"
#include "gateway/conf/scalar.h"

namespace gateway::conf {

namespace {

/// The key under which a variable of the environment is read.  Source: nats-server conf/parse.go.
constexpr std::string_view environment_key = "pk";

/// "a/./b/../c" -> "a/c".  Source: Go's filepath.Join, which nats-server joins an include with.
std::string join_path(std::string_view folder, std::string_view name) {
    const std::string whole = std::string(folder) + "/" + std::string(name);
    const bool rooted = whole.starts_with("/");
    std::vector<std::string_view> parts;
    std::string_view rest = whole;
    while (!rest.empty()) {
        const std::size_t end = std::min(rest.find('/'), rest.size());
        const std::string_view part = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (part.empty() || part == ".") continue;
        if (part != "..") {
            parts.push_back(part);
        } else if (!parts.empty() && parts.back() != "..") {
            parts.pop_back();
        } else if (!rooted) {
            parts.push_back(part);
        }
    }
    std::string out;
    for (const std::string_view part : parts) {
        if (!out.empty() || rooted) out += "/";
        out += part;
    }
    if (out.empty()) return rooted ? "/" : ".";
    return out;
}

std::string_view folder_of(std::string_view path) {
    const std::size_t slash = path.rfind('/');
    if (slash == std::string_view::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// What all files and variables of one config have in common.
struct Reading {
    explicit Reading(const Sources& given) : sources(given) {}

    const Sources& sources;
    Document document;
    std::vector<std::string> open_files;      // those that include the one that is read, and itself
    std::vector<std::string> open_variables;  // of the environment, being read
    std::size_t values = 0;
    std::size_t repeated_bytes = 0;
    std::string error;

    /// Keeps the first error.  Always false.
    bool fail(const Place& place, std::string_view text) {
        if (error.empty()) error = document.at(place) + ": " + std::string(text);
        return false;
    }
};

/// How deep `value` is: 0 for one without others in it.  Counts what it holds on the way.
std::size_t measure(const Value& value, Reading& reading) {
    ++reading.values;
    std::size_t depth = 0;
    if (const auto* text = std::get_if<std::string>(&value.data)) {
        reading.repeated_bytes += text->size();
    } else if (const auto* array = std::get_if<Array>(&value.data)) {
        for (const Value& each : *array) depth = std::max(depth, measure(each, reading) + 1);
        return std::max<std::size_t>(depth, 1);
    } else if (const auto* map = std::get_if<Map>(&value.data)) {
        for (const auto& [key, each] : *map) {
            reading.repeated_bytes += key.size();
            depth = std::max(depth, measure(each, reading) + 1);
        }
        return std::max<std::size_t>(depth, 1);
    }
    return depth;
}

/// One text: a file or a variable of the environment.
class Parser {
  public:
    /// Reads `text`, the file `file` of the document, which lies in `folder`.
    Parser(Reading& reading, std::string_view text, std::uint32_t file, std::string_view folder)
        : reading_(reading), cursor_(text, file), folder_(folder) {}

    /// Appends to `root`.  False: reading.error says why.
    bool parse(Map& root);

  private:
    enum class Level : std::uint8_t { top, braces, map };  // `braces`: around the whole, as JSON has them

    bool parse_statements(Map& map, Level level);
    bool parse_statement(Map& map, Level level);
    bool end_statement(Level level, bool& closed);
    bool parse_key(std::string& key, Place& place, bool& bare);
    bool parse_value(const Place& place, Value& value);
    bool parse_map(Value& value);
    bool parse_array(Value& value);
    bool end_array_value(bool& closed);
    bool include(Map& map);
    bool parse_include_path(std::string& path);
    bool look_up(const Place& place, const std::string& name, Value& value);
    bool look_up_environment(const Place& place, const std::string& name, Value& value);
    bool repeat(const Place& place, const Value& original, Value& value);

    bool skip_space();
    void skip_blanks() {
        while (is_blank(cursor_.peek())) cursor_.advance();
    }
    bool skip_comment();
    [[nodiscard]] std::string here() const;
    bool fail(std::string_view text) { return reading_.fail(cursor_.place(), text); }
    bool enter() {
        return ++depth_ <= nesting_max ||
               fail("maps and arrays deeper than " + std::to_string(nesting_max) + " within each other");
    }

    Reading& reading_;
    Cursor cursor_;
    std::string folder_;
    std::vector<Map*> scopes_;  // maps that are being read, the innermost last
    std::size_t depth_ = 0;
};

std::string Parser::here() const {
    if (cursor_.at_end()) return "the end of the file";
    if (is_line_end(cursor_.peek())) return "the line's end";
    return "'" + std::string(1, cursor_.peek()) + "'";
}

/// Up to the line's end.  False: there is no comment here.
bool Parser::skip_comment() {
    if (cursor_.peek() != '#' && !cursor_.looks_at("//")) return false;
    while (!cursor_.at_end() && !is_line_end(cursor_.peek())) cursor_.advance();
    return true;
}

bool Parser::skip_space() {
    bool any = false;
    while (true) {
        const std::size_t space = cursor_.space();
        if (space == 0) return any;
        cursor_.advance(space);
        any = true;
    }
}

bool Parser::parse(Map& root) {
    scopes_.push_back(&root);
    return parse_statements(root, Level::top);
}

/// Up to the brace that closes them, which is read, or the end of the file.
bool Parser::parse_statements(Map& map, Level level) {
    while (true) {
        while (skip_space() || skip_comment()) {
        }
        if (cursor_.at_end()) {
            if (level != Level::map) return true;  // as in stock: braces around the whole need not be closed
            return fail("this map does not end");
        }
        if (level != Level::top && cursor_.peek() == '}') {
            cursor_.advance();
            return true;
        }
        if (level != Level::map && cursor_.peek() == '{') {
            if (!enter()) return false;
            cursor_.advance();
            if (!parse_statements(map, Level::braces)) return false;
            --depth_;
            while (skip_space() || skip_comment() || cursor_.peek() == ',' || cursor_.peek() == ';') {
                if (cursor_.peek() == ',' || cursor_.peek() == ';') cursor_.advance();
            }
            continue;
        }
        if (cursor_.peek() == '/') return fail("'/' begins no key; a comment begins with '//'");
        if (!parse_statement(map, level)) return false;
        bool closed = false;
        if (!end_statement(level, closed)) return false;
        if (closed) return true;
    }
}

bool Parser::parse_statement(Map& map, Level level) {
    std::string key;
    Place place;
    bool bare = false;
    if (!parse_key(key, place, bare)) return false;
    if (bare && cursor_.space() > 0 && key.size() == 7) {
        std::string word = key;
        for (char& c : word) c = static_cast<char>(c | 0x20);
        if (word == "include") return include(map);
    }
    while (skip_space()) {
    }
    if (cursor_.at_end()) {
        // As in stock: one brace too many at the end of the file is forgiven.
        if (key == "}" && level == Level::top) return true;
        return reading_.fail(place, "'" + key + "' has no value");
    }
    if (cursor_.peek() == '=' || cursor_.peek() == ':') {
        cursor_.advance();
        if (level == Level::map) skip_space();
    }
    skip_blanks();
    if (is_line_end(cursor_.peek())) return fail("here should be the value of '" + key + "', not the line's end");
    if (level == Level::map && (cursor_.peek() == ',' || cursor_.peek() == '}')) {
        return fail("here should be the value of '" + key + "', not " + here());
    }
    Value value;
    if (!parse_value(place, value)) return false;
    map.insert_or_assign(std::move(key), std::move(value));
    return true;
}

/// What must follow a value: a comment, a line's end, ',' or ';' or the end of the map.
bool Parser::end_statement(Level level, bool& closed) {
    while (true) {
        skip_blanks();
        if (!skip_comment()) break;
        if (level != Level::top) continue;
        return true;
    }
    if (cursor_.at_end()) return level == Level::top || fail("this map does not end");
    const char c = cursor_.peek();
    closed = c == '}' && level != Level::top;
    if (!is_line_end(c) && c != ',' && c != ';' && c != '}') {
        return fail("a value must end with a new line, ',', ';' or a comment, but here is " + here());
    }
    cursor_.advance();
    return true;
}

bool Parser::parse_key(std::string& key, Place& place, bool& bare) {
    place = cursor_.place();
    const char c = cursor_.peek();
    if (c == '=' || c == ':') return fail("here should be a key, not " + here());
    if (c == '"' || c == '\'') {
        auto text = read_quoted(cursor_);
        if (const auto* flaw = std::get_if<Flaw>(&text)) return reading_.fail(flaw->place, flaw->text);
        key = std::get<std::string>(std::move(text));
        return true;
    }
    bare = true;
    const std::size_t from = cursor_.position();
    cursor_.advance();
    while (!cursor_.at_end() && cursor_.peek() != '=' && cursor_.peek() != ':' && cursor_.space() == 0) {
        cursor_.advance();
    }
    key = cursor_.since(from);
    return true;
}

bool Parser::parse_value(const Place& place, Value& value) {
    value.place = place;
    if (++reading_.values > values_max) return fail("more than " + std::to_string(values_max) + " values");
    if (cursor_.peek() == '{') return parse_map(value);
    if (cursor_.peek() == '[') return parse_array(value);
    const Place begin = cursor_.place();
    Scalar scalar = read_scalar(cursor_);
    if (const auto* flaw = std::get_if<Flaw>(&scalar)) return reading_.fail(flaw->place, flaw->text);
    if (const auto* variable = std::get_if<Variable>(&scalar)) return look_up(begin, variable->name, value);
    std::visit(
        [&value](auto& each) {
            using T = std::decay_t<decltype(each)>;
            if constexpr (!std::is_same_v<T, Flaw> && !std::is_same_v<T, Variable>) value.data = std::move(each);
        },
        scalar);
    return true;
}

bool Parser::parse_map(Value& value) {
    if (!enter()) return false;
    cursor_.advance();
    Map map;
    scopes_.push_back(&map);
    if (!parse_statements(map, Level::map)) return false;
    scopes_.pop_back();
    --depth_;
    value.data = std::move(map);
    return true;
}

bool Parser::parse_array(Value& value) {
    if (!enter()) return false;
    cursor_.advance();
    Array array;
    for (bool closed = false; !closed;) {
        while (skip_space() || skip_comment()) {
        }
        if (cursor_.at_end()) return fail("this array does not end");
        if (cursor_.peek() == ']') {
            cursor_.advance();
            break;
        }
        if (cursor_.peek() == ',') return fail("here should be a value, not " + here());
        array.emplace_back();
        if (!parse_value(cursor_.place(), array.back()) || !end_array_value(closed)) return false;
    }
    --depth_;
    value.data = std::move(array);
    return true;
}

bool Parser::end_array_value(bool& closed) {
    skip_blanks();
    while (skip_comment()) {
    }
    const char c = cursor_.peek();
    closed = c == ']';
    if (cursor_.at_end()) return fail("this array does not end");
    if (c != ',' && c != ']' && !is_line_end(c)) {
        return fail("here should be ',' or ']' or a new line, not " + here());
    }
    cursor_.advance();
    return true;
}

// ---- include --------------------------------------------------------------------------------------------------------

bool Parser::parse_include_path(std::string& path) {
    skip_blanks();
    const char c = cursor_.peek();
    if (c == '"' || c == '\'') {
        auto text = read_quoted(cursor_);
        if (const auto* flaw = std::get_if<Flaw>(&text)) return reading_.fail(flaw->place, flaw->text);
        path = std::get<std::string>(std::move(text));
        return true;
    }
    if (c == '[' || c == '{' || c == '(' || c == '-' || c == '\\' || is_line_end(c) || is_digit(c)) {
        return fail("here should be the path of a file to include, not " + here());
    }
    const std::size_t from = cursor_.position();
    while (!cursor_.at_end() && !is_line_end(cursor_.peek()) && !is_blank(cursor_.peek()) && cursor_.peek() != ';' &&
           cursor_.peek() != '}' && cursor_.peek() != '\'') {
        cursor_.advance();
    }
    path = cursor_.since(from);
    if (cursor_.peek() == '\'') cursor_.advance();
    return true;
}

bool parse_one_file(Reading& reading, const std::string& path, const Place& from, Map& map);

/// The keys of another file, here.  It sees no variables of this one.
bool Parser::include(Map& map) {
    skip_blanks();
    const Place place = cursor_.place();
    std::string name;
    if (!parse_include_path(name)) return false;
    Map included;
    if (!parse_one_file(reading_, join_path(folder_, name), place, included)) return false;
    for (auto& [key, value] : included) map.insert_or_assign(key, std::move(value));
    return true;
}

bool parse_one_file(Reading& reading, const std::string& path, const Place& from, Map& map) {
    const bool first = reading.document.files.empty();
    const auto fail = [&](const std::string& text) {
        if (first) reading.error = text;
        return first ? false : reading.fail(from, text);
    };
    auto& open = reading.open_files;
    if (std::find(open.begin(), open.end(), path) != open.end()) return fail(path + " includes itself");
    if (open.size() > include_depth_max) {
        return fail("files that include each other more than " + std::to_string(include_depth_max) + " deep");
    }
    if (reading.document.files.size() == files_max) return fail("more than " + std::to_string(files_max) + " files");
    const auto bytes = reading.sources.file(path, file_bytes_max);
    if (!bytes.ok()) return fail(bytes.error());
    const std::string& text = bytes.value();
    if (text.size() > file_bytes_max) {
        return fail(path + " is longer than " + std::to_string(file_bytes_max) + " bytes");
    }
    if (text.find('\0') != std::string::npos) return fail(path + " is no text: it has a byte 0 in it");
    const auto file = static_cast<std::uint32_t>(reading.document.files.size());
    reading.document.files.push_back(path);
    open.push_back(path);
    Parser parser(reading, text, file, folder_of(path));
    const bool good = parser.parse(map);
    open.pop_back();
    return good;
}

// ---- variables ------------------------------------------------------------------------------------------------------

/// The nearest earlier key of that name, outwards from here; then the environment.
bool Parser::look_up(const Place& place, const std::string& name, Value& value) {
    // A bcrypt hash needs no quotes.  Source: nats-server conf/parse.go.
    if (name.starts_with("2a$")) {
        value.data = "$" + name;
        return true;
    }
    for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
        const auto found = (*scope)->find(name);
        if (found == (*scope)->end()) continue;
        found->second.used = true;
        return repeat(place, found->second, value);
    }
    return look_up_environment(place, name, value);
}

bool Parser::repeat(const Place& place, const Value& original, Value& value) {
    const std::size_t depth = measure(original, reading_);
    if (reading_.values > values_max || reading_.repeated_bytes > repeated_bytes_max) {
        return reading_.fail(place, "variables repeat too much");
    }
    if (depth_ + depth > nesting_max) {
        return reading_.fail(
            place, "maps and arrays deeper than " + std::to_string(nesting_max) + " within each other, by a variable");
    }
    value.data = original.data;
    return true;
}

/// A value of the environment is config text as well.
bool Parser::look_up_environment(const Place& place, const std::string& name, Value& value) {
    auto& open = reading_.open_variables;
    if (std::find(open.begin(), open.end(), name) != open.end() || open.size() == include_depth_max) {
        return reading_.fail(place, "variable '$" + name + "' stands for itself");
    }
    const auto text = reading_.sources.variable(name);
    if (!text) return reading_.fail(place, "variable '$" + name + "' is not defined");
    if (text->size() > file_bytes_max || text->find('\0') != std::string::npos) {
        return reading_.fail(place, "variable '$" + name + "' is no text");
    }
    auto& files = reading_.document.files;
    if (files.size() == files_max) return reading_.fail(place, "more than " + std::to_string(files_max) + " files");
    const auto file = static_cast<std::uint32_t>(files.size());
    files.push_back("$" + name);
    reading_.repeated_bytes += text->size();
    open.push_back(name);
    const std::string statement = std::string(environment_key) + "=" + *text;
    Map map;
    if (!Parser(reading_, statement, file, ".").parse(map)) return false;
    open.pop_back();
    return repeat(place, map.find(environment_key)->second, value);
}

}  // namespace

base::Result<Document, std::string> parse_config(const std::string& path, const Sources& sources) {
    Reading reading(sources);
    Map root;
    if (!parse_one_file(reading, path, {}, root)) return base::failure(std::move(reading.error));
    reading.document.root = std::move(root);
    return std::move(reading.document);
}

}  // namespace gateway::conf
