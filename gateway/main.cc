// treegate: reads its command line, then is a gateway or a client that asks one.
#include <cstdio>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "gateway/cli/cli.h"
#include "gateway/config.h"
#include "gateway/io/process_limits.h"
#include "gateway/server.h"
#include "gateway/signal_command.h"

int main(int count, char** values) {
    const std::span<const char* const> arguments(values + 1, static_cast<std::size_t>(count > 0 ? count - 1 : 0));
    gateway::io::ignore_write_signals();

    if (gateway::cli::is_command(arguments)) return gateway::cli::run_command(arguments);

    const std::string_view program = gateway::base_name(count > 0 ? values[0] : "treegate");
    const gateway::ConfigReader read = [arguments, program] {
        return gateway::read_config(arguments, gateway::process_environment, program);
    };
    const gateway::ConfigOutcome outcome = read();
    if (const auto* text = std::get_if<gateway::ConfigText>(&outcome)) {
        std::fputs(text->text.c_str(), text->to_stderr ? stderr : stdout);
        return 0;
    }
    if (const auto* error = std::get_if<gateway::ConfigError>(&outcome)) {
        for (const std::string& line : error->lines) {
            std::fprintf(stderr, "%s: %s\n", std::string(program).c_str(), line.c_str());
        }
        if (error->help_helps) std::fprintf(stderr, "%s --help says more\n", std::string(program).c_str());
        return 1;
    }
    if (const auto* signal = std::get_if<gateway::SignalRequest>(&outcome)) {
        const std::string wrong = gateway::send_signal(signal->request, gateway::find_gateways);
        if (!wrong.empty()) std::fprintf(stderr, "%s: %s\n", std::string(program).c_str(), wrong.c_str());
        return wrong.empty() ? 0 : 1;
    }
    return gateway::run_gateway(std::get<gateway::Config>(outcome), read);
}
