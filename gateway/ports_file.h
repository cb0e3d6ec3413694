// What tells scripts about a running gateway: the ports file (`--ports_file_dir`) and the pid file (`--pid`), as stock
// has them.  The ports file is removed at the end, the pid file is not.
#pragma once

#include <cstdint>
#include <string>

#include "gateway/config.h"
#include "gateway/log.h"

namespace gateway {

/// `{"nats":["nats://127.0.0.1:4222"],"tree":["127.0.0.1:7522"]}`, in a file `<program>_<pid>.ports`.
/// A wildcard host is written as 127.0.0.1: what is in the file can be dialled.
/// Source: nats-server server.go logPorts; the key `tree` is ours.
class PortsFile {
  public:
    /// Writes what `config` asks for, whole or not at all.  What cannot be written is a line in the log, no more.
    /// `tree_port` 0: there is no tree listener.
    PortsFile(const Config& config, std::uint16_t client_port, std::uint16_t tree_port, Log& log);
    ~PortsFile();
    PortsFile(const PortsFile&) = delete;
    PortsFile& operator=(const PortsFile&) = delete;

    /// Empty: none was written.
    [[nodiscard]] const std::string& path() const { return path_; }

  private:
    std::string path_;
};

}  // namespace gateway
