// Reads the config language of stock NATS: `key value`, `key: value`, `key = value`, maps, arrays, comments, strings in
// five forms, numbers with units, `include`, `$variables`, and JSON as it is.  README.md tells the language.
// Pure: files and the environment come through functions.  Threads: any.
// Leaves to others: which keys there are (gateway/config_file).
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>

#include "gateway/conf/value.h"
#include "routing/base/result.h"

namespace gateway::conf {

/// One file.  Unit: bytes.  Source: ours; a thousand times what large deployments have.
inline constexpr std::size_t file_bytes_max = std::size_t{8} * 1024 * 1024;
/// Maps and arrays within each other, and braces around the whole.  Source: ours; the deepest key of stock is at 8.
inline constexpr std::size_t nesting_max = 64;
/// Files that include each other, one within the other, and variables of the environment that name others.
inline constexpr std::size_t include_depth_max = 16;
/// Files in all.
inline constexpr std::size_t files_max = 1024;
/// Values in all, those that variables repeat included.
inline constexpr std::size_t values_max = 1'000'000;
/// Text that variables repeat, in all.  Unit: bytes.
inline constexpr std::size_t repeated_bytes_max = std::size_t{16} * 1024 * 1024;

struct Sources {
    /// What a file holds, of which no more than `bytes_max` + 1 need be given.  Errors: a sentence that names it.
    std::function<base::Result<std::string, std::string>(const std::string& path, std::size_t bytes_max)> file;
    /// A variable of the environment; nothing if it is not set.
    std::function<std::optional<std::string>(const std::string& name)> variable;
};

/// Reads the file `path` and what it includes.  Errors: the first thing that is no config, as "file:line:column: ...".
/// Costs: linear in what is read and repeated, times the logarithm of the keys of a map.
[[nodiscard]] base::Result<Document, std::string> parse_config(const std::string& path, const Sources& sources);

}  // namespace gateway::conf
