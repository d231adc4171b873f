package archtest

import "strings"

// module is the path of this module; paths in rules are relative to it.
const module = "mtmledger"

// Modules that rules name.
const (
	cometbft   = "github.com/cometbft/cometbft"
	cometbftDB = "github.com/cometbft/cometbft-db"
	pebble     = "github.com/cockroachdb/pebble"
	paho       = "github.com/eclipse/paho.mqtt.golang"
	mochi      = "github.com/mochi-mqtt/server"
)

// A rule forbids some packages to import others. A path stands for the package and all
// below it.
type rule struct {
	name   string
	reason string
	who    []string // bound by the rule; empty: every package of the module
	except []string // not bound
	never  []string // what they must not import; of this module, or of others
	deep   bool     // nor may anything that they import
	tests  bool     // nor may their tests, directly
}

var rules = []rule{
	{
		name:   "core",
		reason: "devices, verifiers and other chains use crypto and ledger without a node around them",
		who:    []string{"crypto", "ledger"},
		never:  []string{cometbft, cometbftDB, pebble, paho, mochi, "app", "mqttbridge", "testnet", "web", "cmd"},
		deep:   true,
	},
	{
		name:   "crypto below ledger",
		reason: "signatures and commitments know nothing of what is signed",
		who:    []string{"crypto"},
		never:  []string{"ledger"},
		deep:   true,
		tests:  true,
	},
	{
		name:   "verify without the rules",
		reason: "a verifier or a device reads rows and proofs; it must not depend on how state changes",
		who:    []string{"ledger/proof", "ledger/device", "ledger/record"},
		never:  []string{"ledger/state"},
		deep:   true,
	},
	{
		name:   "replicated code is pure",
		reason: "every validator must come to the same result: no clock, randomness, environment, floats or output",
		who:    []string{"ledger/state", "ledger/record", "crypto/merkle"},
		never:  []string{"time", "math/rand", "crypto/rand", "math/big", "os", "net", "log", "runtime", "unsafe", "sync"},
	},
	{
		name:   "one storage engine",
		reason: "only app/store knows how rows lie on disk, so the engine can be replaced and crash-tested in one place",
		except: []string{"app/store"},
		never:  []string{pebble}, // tests of app crash its in-memory file system
	},
	{
		name:   "CometBFT at the edge",
		reason: "consensus is replaceable and its updates touch app and testnet only",
		except: []string{"app", "testnet"},
		never:  []string{cometbft, cometbftDB},
	},
	{
		name:   "MQTT at the edge",
		reason: "the ledger does not depend on how readings travel",
		except: []string{"mqttbridge", "testnet", "cmd"},
		never:  []string{paho, mochi},
		tests:  true,
	},
	{
		name:   "bridge apart",
		reason: "the bridge, the explorer and the light node are separate programs that share the ledger only",
		who:    []string{"mqttbridge"},
		never:  []string{"web", "app/light", "app/store", "app/node"},
		deep:   true,
	},
	{
		name:   "explorer apart",
		reason: "the bridge, the explorer and the light node are separate programs that share the ledger only",
		who:    []string{"web"},
		never:  []string{"mqttbridge", "app/light"},
		deep:   true,
	},
	{
		name:   "light node apart",
		reason: "the bridge, the explorer and the light node are separate programs that share the ledger only",
		who:    []string{"app/light"},
		never:  []string{"mqttbridge", "web"},
		deep:   true,
	},
	{
		name:   "small verifier",
		reason: "an auditor reads and builds mtm-verify without trusting or compiling a node",
		who:    []string{"cmd/mtm-verify"},
		never:  []string{cometbft, cometbftDB, pebble, paho, mochi, "app", "mqttbridge", "ledger/state", "net/http"},
		deep:   true,
	},
	{
		name:   "helpers stay in tests",
		reason: "test helpers take short cuts that no shipped program may take",
		except: []string{"internal/simtest", "app/internal/ledgertest"},
		never:  []string{"internal/simtest", "testing", "pgregory.net/rapid"},
	},
}

// pkg is a package of the module as `go list -json` describes it.
type pkg struct {
	ImportPath   string
	Doc          string
	GoFiles      []string
	Imports      []string
	Deps         []string
	TestImports  []string
	XTestImports []string
}

// violations returns what p imports against r.
func (r rule) violations(p pkg) (found []string) {
	if !r.binds(p.ImportPath) {
		return nil
	}
	imports := p.Imports
	if r.deep {
		imports = p.Deps
	}
	if r.tests {
		imports = append(append(append([]string{}, imports...), p.TestImports...), p.XTestImports...)
	}
	for _, path := range imports {
		for _, never := range r.never {
			if under(path, never) || under(path, module+"/"+never) {
				found = append(found, path)
			}
		}
	}
	return found
}

func (r rule) binds(path string) bool {
	return (len(r.who) == 0 || underAny(path, r.who)) && !underAny(path, r.except)
}

// underAny tells whether a package of the module lies at or below one of the paths.
func underAny(path string, paths []string) bool {
	for _, p := range paths {
		if under(path, module+"/"+p) {
			return true
		}
	}
	return false
}

// under tells whether path is at or below dir. A major version is part of neither.
func under(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, dir+"/")
}
