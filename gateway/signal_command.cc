#include "gateway/signal_command.h"

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include <unistd.h>

#include "gateway/data_file.h"

namespace gateway {

namespace {

constexpr std::array<std::pair<std::string_view, int>, 6> commands{{{"stop", SIGKILL},
                                                                    {"quit", SIGINT},
                                                                    {"reopen", SIGUSR1},
                                                                    {"reload", SIGHUP},
                                                                    {"ldm", SIGUSR2},
                                                                    {"term", SIGTERM}}};
/// What a pid file may hold at most.  Unit: bytes.
constexpr std::size_t pid_file_bytes_max = 64;

std::optional<pid_t> read_pid(std::string_view text) {
    pid_t pid = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
    if (error != std::errc() || end != text.data() + text.size() || pid <= 0) return std::nullopt;
    return pid;
}

/// What the file of that name holds; if there is none, the text itself.
std::string pid_or_file(std::string_view text) {
    const auto file = read_file(std::string(text), pid_file_bytes_max);
    if (text.empty() || !file.ok() || !file.value().exists) return std::string(text);
    std::string pid = file.value().bytes;
    while (!pid.empty() && (pid.back() == '\n' || pid.back() == '\r' || pid.back() == ' ')) pid.pop_back();
    return pid;
}

}  // namespace

base::Result<std::vector<pid_t>, std::string> find_gateways() {
    std::vector<pid_t> pids;
    std::error_code wrong;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", wrong)) {
        const auto pid = read_pid(entry.path().filename().string());
        if (!pid || *pid == getpid()) continue;
        std::string name;
        if (!std::getline(std::ifstream(entry.path() / "comm"), name)) continue;  // gone meanwhile
        if (name == "treegate" || name == "nats-server") pids.push_back(*pid);
    }
    if (wrong) return base::failure(std::string("unable to resolve pid, try providing one"));
    return pids;
}

std::string send_signal(std::string_view request, const ProcessFinder& find) {
    const std::size_t equals = request.find('=');
    const std::string_view command = request.substr(0, equals);
    std::string target;
    if (equals != std::string_view::npos) {
        const std::string_view rest = request.substr(equals + 1);
        if (const std::size_t more = rest.find('='); more != std::string_view::npos) {
            return "invalid signal parameters: [" + std::string(rest.substr(more + 1)) + "]";
        }
        target = pid_or_file(rest);
    }
    const bool prefix = target.ends_with('*');
    if (prefix) target.pop_back();
    const std::optional<pid_t> wanted = read_pid(target);
    if (!target.empty() && !wanted) return "invalid pid: " + target;

    std::vector<pid_t> pids;
    if (!target.empty() && !prefix) {
        pids.push_back(*wanted);
    } else {
        auto found = find();
        if (!found.ok()) return found.error();
        pids = std::move(found).value();
    }
    if (pids.empty()) return "no treegate or nats-server processes running";
    if (pids.size() > 1 && !prefix) {
        std::string text = "multiple treegate or nats-server processes running:";
        for (const pid_t pid : pids) text += "\n" + std::to_string(pid);
        return text;
    }
    for (const auto& [name, number] : commands) {
        if (name != command) continue;
        std::string wrong;
        for (const pid_t pid : pids) {
            if (prefix && !std::to_string(pid).starts_with(target)) continue;
            if (kill(pid, number) == 0) continue;
            wrong += "\nsignal \"" + std::string(command) + "\" " + std::to_string(pid) + ": " + std::strerror(errno);
        }
        return wrong;
    }
    return "unknown signal \"" + std::string(command) + "\"";
}

}  // namespace gateway
