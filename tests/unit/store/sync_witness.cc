#include "tests/unit/store/sync_witness.h"

#include <map>
#include <mutex>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace store_test {
namespace {

struct Witness {
    std::mutex mutex;
    std::map<std::pair<dev_t, ino_t>, std::uintmax_t> bytes;
    std::uint64_t syncs = 0;
};

Witness& witness() {
    static Witness one;
    return one;
}

int note(int descriptor, long call) {
    struct stat before {};
    const bool known = fstat(descriptor, &before) == 0;  // what is written meanwhile may not be synced
    const long result = syscall(call, descriptor);
    if (result == 0 && known) {
        const std::lock_guard lock(witness().mutex);
        witness().bytes[{before.st_dev, before.st_ino}] = static_cast<std::uintmax_t>(before.st_size);
        ++witness().syncs;
    }
    return static_cast<int>(result);
}

}  // namespace

std::uintmax_t synced_bytes(const std::string& file) {
    struct stat now {};
    if (stat(file.c_str(), &now) != 0) return 0;
    const std::lock_guard lock(witness().mutex);
    const auto found = witness().bytes.find({now.st_dev, now.st_ino});
    return found == witness().bytes.end() ? 0 : found->second;
}

void sync_file(const std::string& file) {
    const int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) return;
    fsync(descriptor);
    close(descriptor);
}

std::uint64_t syncs_seen() {
    const std::lock_guard lock(witness().mutex);
    return witness().syncs;
}

}  // namespace store_test

// In the place of the C library's, for all of this program.
extern "C" int fdatasync(int descriptor) {
    return store_test::note(descriptor, SYS_fdatasync);
}
extern "C" int fsync(int descriptor) {
    return store_test::note(descriptor, SYS_fsync);
}
