//go:build tools

// Keeps the stock server in go.mod and go.sum although no Go code of ours calls it.
package tools

import _ "github.com/nats-io/nats-server/v2"
