package mqttbridge

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// sink is where acknowledgements and data are published.
type sink interface {
	// Subscribed reports whether anyone may be listening.
	Subscribed(topic string) bool
	Publish(topic string, payload []byte) error
}

// answer is what is to be said about one statement.
type answer struct {
	statement *ledger.Statement
	digest    [32]byte
	found     ledger.Found // where it was committed; Statement is not used
	code      ledger.Code
	data      bool // publish the statement, too
}

// answers signs and publishes acknowledgements and committed data. Giving it one
// never blocks; when too many wait, they are dropped: a device that misses its
// acknowledgement sends the statement again and is answered then.
type answers struct {
	chain  string
	bridge crypto.ID
	key    crypto.PrivateKey
	log    *slog.Logger
	sink   sink // nil: nobody listens
	lanes  []chan answer
	sent   atomic.Uint64
	lost   atomic.Uint64
}

func newAnswers(cfg *Config, s sink) *answers {
	a := &answers{chain: cfg.Chain, bridge: cfg.Bridge, key: cfg.Key, log: cfg.Logger, sink: s}
	n := min(runtime.GOMAXPROCS(0), 4)
	for range n {
		a.lanes = append(a.lanes, make(chan answer, cfg.AckQueue/n+1))
	}
	return a
}

// committed answers a statement that this bridge's transaction committed.
func (a *answers) committed(it *item, f ledger.Found) {
	a.put(answer{statement: it.statement, digest: it.digest, found: f, data: true})
}

// duplicate answers a statement that was committed before.
func (a *answers) duplicate(it *item, f ledger.Found) {
	f.Statement = nil
	a.put(answer{statement: it.statement, digest: it.digest, found: f})
}

// refused answers a statement that will never be committed.
func (a *answers) refused(it *item, code ledger.Code) {
	a.put(answer{statement: it.statement, digest: it.digest, code: code})
}

// put queues an answer. All of one device go the same way, so they stay in order.
func (a *answers) put(x answer) {
	if a.sink == nil {
		return
	}
	lane := a.lanes[int(x.statement.Device[0])%len(a.lanes)]
	select {
	case lane <- x:
	default:
		a.lost.Add(1)
	}
}

// run publishes until ctx ends.
func (a *answers) run(ctx context.Context) {
	var wg sync.WaitGroup
	for _, lane := range a.lanes {
		wg.Go(func() {
			for {
				select {
				case x := <-lane:
					a.publish(waiting(lane, x))
				case <-ctx.Done():
					return
				}
			}
		})
	}
	wg.Wait()
}

// maxTogether is how many answers are published together.
const maxTogether = 1_024

// waiting returns an answer and those that wait behind it.
func waiting(lane <-chan answer, x answer) []answer {
	list := []answer{x}
	for len(list) < maxTogether {
		select {
		case x := <-lane:
			list = append(list, x)
		default:
			return list
		}
	}
	return list
}

// publish acknowledges to each device what became of its statements, several in one
// message as long as they fit, and publishes the data, if anyone listens. A signature
// costs more than all the rest.
func (a *answers) publish(list []answer) {
	outcomes := make(map[crypto.ID][]ledger.Outcome)
	for i := range list {
		s := list[i].statement
		outcomes[s.Device] = append(outcomes[s.Device], list[i].outcome())
	}
	for device, o := range outcomes {
		topic := ledger.AckTopic(device)
		if !a.sink.Subscribed(topic) {
			continue
		}
		for part := range slices.Chunk(o, ledger.MaxOutcomes) {
			a.note(topic, len(part), a.acknowledge(topic, part))
		}
	}
	for i := range list {
		a.publishData(&list[i])
	}
}

func (x *answer) outcome() ledger.Outcome {
	s := x.statement
	return ledger.Outcome{
		Stream: s.Stream, First: s.First, Count: uint64(len(s.Readings)), Digest: x.digest,
		Height: x.found.Height, Index: x.found.Index, Code: x.code,
	}
}

func (a *answers) acknowledge(topic string, outcomes []ledger.Outcome) error {
	ack, err := ledger.SignAcknowledgement(a.key, ledger.Acknowledgement{Chain: a.chain, Bridge: a.bridge, Outcomes: outcomes})
	if err != nil {
		return err
	}
	return a.sink.Publish(topic, ack.Bytes())
}

func (a *answers) publishData(x *answer) {
	if !x.data {
		return
	}
	s := x.statement
	if topic := ledger.DataTopic(s.Stream); a.sink.Subscribed(topic) {
		c := ledger.Committed{Height: x.found.Height, Index: x.found.Index, Time: x.found.Time, Statement: s.Bytes()}
		a.note(topic, 1, a.sink.Publish(topic, c.Encode()))
	}
}

func (a *answers) note(topic string, answers int, err error) {
	if err != nil {
		a.lost.Add(uint64(answers))
		a.log.Debug("not published", "topic", topic, "err", err)
		return
	}
	a.sent.Add(uint64(answers))
}
