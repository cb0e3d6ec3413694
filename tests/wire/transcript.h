// Transcripts of the client protocol as text, and the runner that plays one against anything that speaks it.
// The format is told in README.md beside this file.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tests/wire/options.h"

namespace wire {

/// One line of a transcript.
struct WireEntry {
    enum class Kind : std::uint8_t { send, expect, expect_unordered, expect_info, expect_closed, hang_up };
    Kind kind = Kind::send;
    std::size_t line = 0;                        ///< in the file, from 1
    std::string client;                          ///< empty: the one without a name
    std::string bytes;                           ///< send, expect: as on the wire; expect_info: the JSON
    std::map<std::size_t, std::string> choices;  ///< expect: at this offset any of these bytes will do
    bool whole = true;                           ///< send: ends a line
    bool exact = false;                          ///< expect_info: no other keys, but volatile ones
};

struct Transcript {
    std::string name;     ///< the file's, without folder
    WireOptions options;  ///< what the server must be configured with
    std::vector<WireEntry> entries;
};

/// Reads a transcript.  Errors: nothing, and `error` says line and reason.
[[nodiscard]] std::optional<Transcript> parse_transcript(std::string_view name, std::string_view text,
                                                         std::string& error);

/// Reads all `*.wire` files of a folder, sorted by name.  Errors: empty, and `error` says file, line and reason.
[[nodiscard]] std::vector<Transcript> load_transcripts(const std::string& folder, std::string& error);
/// Reads one file.
[[nodiscard]] std::optional<Transcript> load_transcript(const std::string& path, std::string& error);

/// Something that clients can connect to.  Clients are known by the names of the transcript.
class WireTarget {
  public:
    enum class Received : std::uint8_t { bytes, closed, nothing };

    virtual ~WireTarget() = default;
    /// Opens a connection.  False: it cannot be had.
    virtual bool connect(const std::string& client) = 0;
    /// Sends bytes.  What the other side has closed meanwhile is not an error here.
    virtual void send(const std::string& client, std::string_view bytes) = 0;
    /// Appends what comes next.  Waits for it as long as that makes sense for this target, then says nothing.
    virtual Received receive(const std::string& client, std::string& buffer) = 0;
    /// Closes the connection from the client's side.
    virtual void hang_up(const std::string& client) = 0;
    /// Whether this connection is so old that its server may have sent the first PING, which no transcript tells of.
    [[nodiscard]] virtual bool may_be_pinged(const std::string& /*client*/) const { return false; }
};

/// Keys of INFO that differ from one server to the next: who it is, which program and where it runs, and what only one
/// of stock and treegate has (api_lvl and xkey are for JetStream and auth callout, treegate is ours).
inline constexpr std::string_view volatile_info_keys[] = {
    "server_id", "server_name", "version", "git_commit", "go", "port", "client_id", "api_lvl", "xkey", "treegate"};

/// Plays `transcript` against `target` and hangs up all its clients.
/// Returns what went wrong as text for a person ("file:line: ..."), or nothing.
[[nodiscard]] std::optional<std::string> run_transcript(const Transcript& transcript, WireTarget& target);

}  // namespace wire
