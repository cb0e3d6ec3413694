// The keys of a config file: what they mean, which are known but not built, what is wrong with their values.
// Leaves to others: the language (gateway/conf), the flags (config_flags), what only shows at the end (config).
#pragma once

#include <string>
#include <vector>

#include "gateway/conf/parser.h"
#include "gateway/config_draft.h"

namespace gateway {

struct FileReport {
    std::vector<std::string> errors;    ///< "file:line:column: ...", all of them, in the order of the file
    std::vector<std::string> warnings;  ///< what stock warns of; `-t` refuses it, as stock does
    std::string digest;                 ///< "sha256:...", the one that stock has for the same file
};

/// Reads the config file at `path` and writes what it says into `draft`.  After errors `draft` holds the rest.
[[nodiscard]] FileReport read_config_file(const std::string& path, const conf::Sources& sources, Draft& draft);

/// Files of the disk and variables of `environment`.
[[nodiscard]] conf::Sources system_sources(const Environment& environment);

}  // namespace gateway
