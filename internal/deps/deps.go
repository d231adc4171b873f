// Package deps is temporary: it holds requirements until code imports them.
package deps

import (
	_ "filippo.io/edwards25519"
	_ "github.com/cockroachdb/pebble/v2"
	_ "github.com/cometbft/cometbft/light"
	_ "github.com/cometbft/cometbft/node"
	_ "github.com/cometbft/cometbft/rpc/client/local"
	_ "github.com/eclipse/paho.mqtt.golang"
	_ "github.com/fxamacker/cbor/v2"
	_ "github.com/google/go-cmp/cmp"
	_ "github.com/mochi-mqtt/server/v2"
	_ "github.com/prometheus/client_golang/prometheus"
	_ "github.com/rogpeppe/go-internal/testscript"
	_ "github.com/shirou/gopsutil/v4/cpu"
	_ "github.com/shirou/gopsutil/v4/mem"
	_ "github.com/spf13/cobra"
	_ "github.com/veraison/go-cose"
	_ "golang.org/x/mod/sumdb/tlog"
	_ "golang.org/x/mod/sumdb/note"
	_ "golang.org/x/sync/errgroup"
	_ "golang.org/x/term"
	_ "pgregory.net/rapid"
	_ "github.com/hdevalence/ed25519consensus"
	_ "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
	_ "github.com/transparency-dev/merkle/compact"
)
