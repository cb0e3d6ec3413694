#include "gateway/ports_file.h"

#include <string_view>

#include <sys/stat.h>
#include <unistd.h>

#include "gateway/data_file.h"
#include "gateway/io/socket.h"

namespace gateway {

namespace {

constexpr unsigned readable_by_all = 0644;

std::string dialable(std::string_view host, std::uint16_t port) {
    const bool everywhere = host.empty() || host == "0.0.0.0" || host == "::";
    return io::join_address(everywhere ? "127.0.0.1" : host, port);
}

/// A pid file is replaced as a whole where that can be, so nobody reads half of it; else (a device, a link, a folder
/// that only root may write) it is written where it is, as stock does.
base::Result<void, std::string> write_pid(const std::string& path, const std::string& pid) {
    struct stat status {};
    const bool exists = lstat(path.c_str(), &status) == 0;
    if ((!exists || S_ISREG(status.st_mode)) && replace_file(path, pid, readable_by_all).ok()) return {};
    return overwrite_file(path, pid, readable_by_all);
}

}  // namespace

PortsFile::PortsFile(const Config& config, std::uint16_t client_port, std::uint16_t tree_port, Log& log) {
    const std::string pid = std::to_string(getpid());
    if (!config.pid_file.empty()) {
        if (auto kept = write_pid(config.pid_file, pid); !kept.ok())
            log.error("Could not write pidfile: " + kept.error());
    }
    if (config.ports_file_dir.empty()) return;
    // Hosts come from our own flags and resolve, so they need no escaping.
    std::string text = "{\"nats\":[\"nats://" + dialable(config.client.host, client_port) + "\"]";
    if (tree_port != 0 && config.tree) text += ",\"tree\":[\"" + dialable(config.tree->listen.host, tree_port) + "\"]";
    text += "}\n";
    const std::string path = config.ports_file_dir + "/" + config.program + "_" + pid + ".ports";
    if (auto kept = replace_file(path, text, readable_by_all); !kept.ok()) {
        log.error("Could not write ports file: " + kept.error());
        return;
    }
    path_ = path;
}

PortsFile::~PortsFile() {
    if (!path_.empty()) unlink(path_.c_str());
}

}  // namespace gateway
