// Answers of a gateway as text for people: small aligned tables.  Pure.
// A member that is missing shows as "-", an unknown one is left out, so gateways and tools of different versions get
// along.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gateway::cli {

/// Rows of cells, the first row the heads; columns part by two blanks, numbers stand to the right.
/// A cell's width is its number of code points.
[[nodiscard]] std::string table(const std::vector<std::vector<std::string>>& rows, std::string_view indent = "");

/// The answer to `verb` ("tree.status", "tree.map", "path.show", "path.explain", "queue.ls", "queue.where",
/// "queue.dump").  An answer that is not what was expected is shown as JSON.
[[nodiscard]] std::string render(std::string_view verb, const nlohmann::json& answer);

}  // namespace gateway::cli
