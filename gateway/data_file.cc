#include "gateway/data_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace gateway {

namespace {

base::Failure<std::string> failed(const char* what, const std::string& path) {
    return base::failure("cannot " + std::string(what) + " " + path + ": " + std::strerror(errno));
}

class Descriptor {
  public:
    explicit Descriptor(int number) : number_(number) {}
    ~Descriptor() {
        if (number_ >= 0) close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    [[nodiscard]] int get() const { return number_; }

  private:
    int number_;
};

bool write_all(const Descriptor& file, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t written = write(file.get(), bytes.data(), bytes.size());
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
}

}  // namespace

base::Result<void, std::string> replace_file(const std::string& path, std::string_view bytes, unsigned mode) {
    const std::string beside = path + ".new";
    {
        const Descriptor file(open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
        if (file.get() < 0 || !write_all(file, bytes)) return failed("write", beside);
        if (fsync(file.get()) != 0) return failed("sync", beside);
    }
    if (std::rename(beside.c_str(), path.c_str()) != 0) return failed("replace", path);
    const std::string folder_path = path.substr(0, path.rfind('/') + 1);
    const Descriptor folder(open(folder_path.empty() ? "." : folder_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.get() < 0 || fsync(folder.get()) != 0) return failed("sync the folder of", path);
    return {};
}

base::Result<void, std::string> overwrite_file(const std::string& path, std::string_view bytes, unsigned mode) {
    const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, mode));
    if (file.get() < 0 || !write_all(file, bytes)) return failed("write", path);
    return {};
}

base::Result<FileBytes, std::string> read_file(const std::string& path, std::size_t bytes_max) {
    const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (file.get() < 0 && errno == ENOENT) return FileBytes{};
    if (file.get() < 0) return failed("read", path);
    FileBytes content{.exists = true, .bytes = std::string(bytes_max + 1, '\0')};
    std::size_t size = 0;
    while (size < content.bytes.size()) {
        const ssize_t got = read(file.get(), content.bytes.data() + size, content.bytes.size() - size);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failed("read", path);
        if (got == 0) break;
        size += static_cast<std::size_t>(got);
    }
    if (size > bytes_max)
        return base::failure(path + " is longer than it can be (" + std::to_string(bytes_max) + " bytes)");
    content.bytes.resize(size);
    return content;
}

base::Result<void, std::string> make_folder(const std::string& path) {
    for (std::size_t end = path.find('/', 1);; end = path.find('/', end + 1)) {
        const std::string part = path.substr(0, end);
        if (mkdir(part.c_str(), 0700) != 0 && errno != EEXIST) return failed("make the folder", part);
        if (end == std::string::npos) break;
    }
    struct stat status {};
    if (stat(path.c_str(), &status) != 0) return failed("use the folder", path);
    if (!S_ISDIR(status.st_mode)) return base::failure(path + " is not a folder");
    return {};
}

}  // namespace gateway
