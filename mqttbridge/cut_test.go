package mqttbridge

import (
	"strings"
	"testing"

	"mtmledger/mqttbridge/spool"
)

// TestCutMessage: what is far too large is kept in part, and refused as too large.
func TestCutMessage(t *testing.T) {
	r := start(t, testConfig(t, newFake(bridgeKey.Public())))
	r.ingest(strings.Repeat("t", spool.MaxTopic+1), make([]byte, spool.MaxPayload+1))
	if c := r.settled(); c.DeadLettered != 1 {
		t.Fatalf("%+v", c)
	}
	list, err := r.DeadLetters(1)
	if err != nil || list[0].Size != spool.MaxPayload || len(list[0].Payload) != maxLetterPayload {
		t.Fatal(err)
	}
	if n, err := r.Replay(t.Context(), list[0].ID); n != 0 || err != nil {
		t.Fatalf("replayed a letter that was cut: %d, %v", n, err)
	}
}
