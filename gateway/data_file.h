// Small files that must be whole or not there: written beside, synced, renamed, and the folder synced.
// Leaves to others: what is in them (identity), large data (gateway/store).
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "routing/base/result.h"

namespace gateway {

/// Replaces the file `path` by `bytes`: after a crash it is the old one or the new one, and after a return
/// the new one.  Blocks for the sync.  Errors: a sentence that names the file.
[[nodiscard]] base::Result<void, std::string> replace_file(const std::string& path, std::string_view bytes,
                                                           unsigned mode = 0600);

/// Writes `bytes` into the file `path`, whatever it is (a device, a link, a file in a folder that may not be written).
/// Errors: a sentence that names the file.
[[nodiscard]] base::Result<void, std::string> overwrite_file(const std::string& path, std::string_view bytes,
                                                             unsigned mode = 0600);

/// What a file holds.
struct FileBytes {
    bool exists = false;
    std::string bytes;
};
/// Reads a file of at most `bytes_max`.  A file that is not there is no error.  Errors: a sentence that names the file.
[[nodiscard]] base::Result<FileBytes, std::string> read_file(const std::string& path, std::size_t bytes_max);

/// Makes a folder (mode 0700) and those above it.  Errors: a sentence that names it.
[[nodiscard]] base::Result<void, std::string> make_folder(const std::string& path);

}  // namespace gateway
