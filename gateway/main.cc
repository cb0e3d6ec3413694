// treegate: reads its command line, then is a gateway or a client that asks one.
#include <cstdio>
#include <span>
#include <string>
#include <variant>

#include "gateway/cli/cli.h"
#include "gateway/config.h"
#include "gateway/io/signal_watcher.h"
#include "gateway/server.h"

int main(int count, char** values) {
    const std::span<const char* const> arguments(values + 1, static_cast<std::size_t>(count > 0 ? count - 1 : 0));
    gateway::io::ignore_broken_pipes();

    if (gateway::cli::is_command(arguments)) return gateway::cli::run_command(arguments);

    const gateway::ConfigOutcome outcome = gateway::read_config(arguments, gateway::process_environment);
    if (const auto* text = std::get_if<gateway::ConfigText>(&outcome)) {
        std::fputs(text->text.c_str(), stdout);
        return 0;
    }
    if (const auto* error = std::get_if<gateway::ConfigError>(&outcome)) {
        for (const std::string& line : error->lines) std::fprintf(stderr, "treegate: %s\n", line.c_str());
        std::fputs("treegate --help says more\n", stderr);
        return 1;
    }
    return gateway::run_gateway(std::get<gateway::Config>(outcome));
}
