// A config as JSON, byte for byte as stock NATS writes it before it takes the digest that it logs; so the same file has
// the same digest here and there, and equal digests show that it was understood equally.
// Leaves to others: SHA-256 (gateway/config_file).
#pragma once

#include <string>

#include "gateway/conf/value.h"

namespace gateway::conf {

/// One line, with its end.  Source: nats-server conf/parse.go configDigest, and Go's encoding/json.
[[nodiscard]] std::string digest_text(const Map& root);

}  // namespace gateway::conf
