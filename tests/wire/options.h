// What a transcript wants the server to be configured with: its lines that begin with "!", for a session without a
// server and as the lines of a config file.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compat/client_session.h"
#include "compat/subject_mappings.h"

namespace wire {

struct WireOptions {
    std::map<std::string, std::string> values;  ///< "! key value"
    std::vector<compat::Mapping> mappings;      ///< "! mapping source [weight% destination]..."

    bool operator==(const WireOptions&) const = default;
};

/// Reads what follows the "!" of one line.  Returns what is wrong with it, or nothing.
[[nodiscard]] std::optional<std::string> parse_option(std::string_view line, WireOptions& options);

/// True if time is to pass while a client waits for bytes: PING timers are what the transcript is about.
[[nodiscard]] inline bool time_passes(const WireOptions& options) {
    return options.values.count("ping_interval") != 0;
}

/// Does to `settings` what a server does that is configured so, as far as one session is concerned.
void apply_options(const WireOptions& options, compat::SessionSettings& settings);

/// A config file, as stock and treegate read it.  Empty: none is needed.
[[nodiscard]] std::string config_text(const WireOptions& options);

}  // namespace wire
