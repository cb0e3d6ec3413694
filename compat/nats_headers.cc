#include "compat/nats_headers.h"

#include "routing/base/check.h"

namespace compat {

namespace {

constexpr std::string_view line_break = "\r\n";

// Cuts the first line off `rest`.  False if there is no whole line.
bool next_line(base::ByteView& rest, std::string_view& line) {
    const std::size_t end = rest.find(line_break);
    if (end == base::ByteView::npos) return false;
    line = rest.substr(0, end);
    rest.remove_prefix(end + line_break.size());
    return true;
}

bool is_version_line(std::string_view line) {
    if (line.substr(0, header_version.size()) != header_version) return false;
    return line.size() == header_version.size() || line[header_version.size()] == ' ';
}

bool split_field(std::string_view line, HeaderFields::Field& field) {
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return false;
    field.key = line.substr(0, colon);
    if (field.key.find_first_of(" \t") != std::string_view::npos) return false;
    field.value = line.substr(colon + 1);
    while (!field.value.empty() && (field.value.front() == ' ' || field.value.front() == '\t'))
        field.value.remove_prefix(1);
    while (!field.value.empty() && (field.value.back() == ' ' || field.value.back() == '\t'))
        field.value.remove_suffix(1);
    return true;
}

}  // namespace

HeaderFields::HeaderFields(base::ByteView block) : rest_(block) {
    std::string_view line;
    if (!next_line(rest_, line) || !is_version_line(line)) rest_ = {};
}

bool HeaderFields::next(Field& field) {
    std::string_view line;
    if (!next_line(rest_, line) || !split_field(line, field)) {
        rest_ = {};
        return false;
    }
    return true;
}

bool valid_headers(base::ByteView block) {
    std::string_view line;
    if (!next_line(block, line) || !is_version_line(line)) return false;
    while (next_line(block, line)) {
        if (line.empty()) return block.empty();
        HeaderFields::Field field;
        if (!split_field(line, field)) return false;
    }
    return false;
}

std::optional<std::string_view> find_header(base::ByteView block, std::string_view key) {
    HeaderFields fields(block);
    HeaderFields::Field field;
    while (fields.next(field))
        if (field.key == key) return field.value;
    return std::nullopt;
}

std::string_view header_status(base::ByteView block) {
    std::string_view line;
    if (!next_line(block, line) || !is_version_line(line)) return {};
    line.remove_prefix(header_version.size());
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    return line.substr(0, line.find(' '));
}

void append_header(base::Bytes& block, std::string_view key, std::string_view value) {
    BASE_CHECK(!key.empty() && key.find_first_of(": \t\r\n") == std::string_view::npos);
    BASE_CHECK(value.find_first_of("\r\n") == std::string_view::npos);
    if (block.empty()) {
        block.append(header_version).append(line_break);
    } else {
        BASE_CHECK(block.size() >= 2 * line_break.size());
        block.resize(block.size() - line_break.size());
    }
    block.append(key).append(": ").append(value).append(line_break).append(line_break);
}

}  // namespace compat
