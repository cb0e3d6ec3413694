// Sees every fsync and fdatasync of this program, so that a test knows what a loss of power would leave of a file.
#pragma once

#include <cstdint>
#include <string>

namespace store_test {

/// How long the file was when it was synced last; 0 if it never was.
std::uintmax_t synced_bytes(const std::string& file);

/// Syncs the file.
void sync_file(const std::string& file);

/// How many times any file was synced.
std::uint64_t syncs_seen();

}  // namespace store_test
