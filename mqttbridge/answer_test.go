package mqttbridge

import (
	"io"
	"log/slog"
	"slices"
	"testing"

	"mtmledger/ledger"
)

// packets is a sink that counts messages and keeps the outcomes of each topic.
type packets struct {
	messages map[string]int
	outcomes map[string][]ledger.Outcome
}

func (p *packets) Subscribed(topic string) bool { return true }

func (p *packets) Publish(topic string, payload []byte) error {
	p.messages[topic]++
	a, err := ledger.ParseAcknowledgement(payload)
	if err == nil {
		p.outcomes[topic] = append(p.outcomes[topic], a.Outcomes...)
	}
	return err
}

// TestAnswersTogether: what waits goes out in as few messages as the format allows, a
// device's outcomes in order and none of another's among them.
func TestAnswersTogether(t *testing.T) {
	p := &packets{map[string]int{}, map[string][]ledger.Outcome{}}
	a := newAnswers(&Config{
		Chain: testChain, Bridge: ledger.BridgeID(bridgeKey.Public()), Key: bridgeKey, AckQueue: 1_000,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}, p)
	devices := []device{newDevice(1), newDevice(2)}
	want := make([][]ledger.Outcome, 2)
	lane := make(chan answer, 200)
	for i := range 140 {
		d := i % 7 / 6 // six of the first, one of the second
		s, err := ledger.ParseStatement(devices[d].statement(t, uint64(i+1), 1))
		if err != nil {
			t.Fatal(err)
		}
		x := answer{statement: s, digest: s.Digest(), found: ledger.Found{Height: 3, Index: uint64(i + 1)}}
		if i == 50 {
			x.found, x.code = ledger.Found{}, ledger.CodeUsed
		}
		lane <- x
		want[d] = append(want[d], x.outcome())
	}
	a.publish(waiting(lane, <-lane))
	for d, messages := range []int{(120 + ledger.MaxOutcomes - 1) / ledger.MaxOutcomes, 1} {
		topic := ledger.AckTopic(devices[d].id)
		if p.messages[topic] != messages || !slices.Equal(p.outcomes[topic], want[d]) {
			t.Errorf("device %d: %d messages, want %d; %d outcomes, want %d", d, p.messages[topic], messages, len(p.outcomes[topic]), len(want[d]))
		}
	}
	if a.sent.Load() != 140 || a.lost.Load() != 0 || len(lane) != 0 {
		t.Errorf("%d sent, %d lost", a.sent.Load(), a.lost.Load())
	}
}
