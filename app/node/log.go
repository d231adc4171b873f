package node

import (
	"fmt"
	"log/slog"
	"strings"

	cmtlog "github.com/cometbft/cometbft/libs/log"
)

// consensusFailure begins the line that CometBFT logs when its consensus has
// panicked. The node lives on as if nothing were wrong, so this line is the
// only sign (consensus/state.go).
const consensusFailure = "CONSENSUS FAILURE!!!"

// cometLogger passes CometBFT's messages to slog, its info as debug: it has
// several lines a block. failed is called on a consensus failure.
type cometLogger struct {
	log    *slog.Logger
	failed func(error)
}

var _ cmtlog.Logger = cometLogger{}

func (l cometLogger) Debug(string, ...any) {} // several lines a message

func (l cometLogger) Info(msg string, kv ...any) { l.log.Debug(msg, plain(kv)...) }

func (l cometLogger) Warn(msg string, kv ...any) { l.log.Warn(msg, plain(kv)...) }

func (l cometLogger) Error(msg string, kv ...any) {
	l.log.Error(msg, plain(kv)...)
	if strings.HasPrefix(msg, consensusFailure) {
		l.failed(fmt.Errorf("%w: %v", ErrConsensus, value(kv, "err")))
	}
}

func (l cometLogger) With(kv ...any) cmtlog.Logger {
	return cometLogger{log: l.log.With(plain(kv)...), failed: l.failed}
}

// plain makes text of the values that slog would print by their structure.
func plain(kv []any) []any {
	out := make([]any, len(kv))
	for i, v := range kv {
		switch v := v.(type) {
		case error, string, int, int32, int64, uint64, bool:
			out[i] = v
		case fmt.Stringer:
			out[i] = lazy{v}
		default:
			out[i] = v
		}
	}
	return out
}

// lazy is formatted only when the line is written.
type lazy struct{ s fmt.Stringer }

// LogValue implements slog.LogValuer.
func (l lazy) LogValue() slog.Value { return slog.StringValue(l.s.String()) }

func value(kv []any, key string) any {
	for i := 0; i+1 < len(kv); i += 2 {
		if kv[i] == key {
			return kv[i+1]
		}
	}
	return "no cause given"
}
