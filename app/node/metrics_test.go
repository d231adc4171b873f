package node

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"mtmledger/app/client"
	"mtmledger/app/internal/ledgertest"
	"mtmledger/crypto"
	"mtmledger/ledger"
)

// TestMetrics: the node's page of metrics has its state, and what it refused by code,
// whichever way it came.
func TestMetrics(t *testing.T) {
	l := ledgertest.New(t)
	n := startNode(t, newHome(t, l), nil)
	d := l.Device("press")
	setUp(t, n.Client(), d)
	commit(t, n.Client(), l.Batch(d.Statement(1)))

	remote := client.NewRemote(n.RPCAddress())
	defer remote.Close()
	stranger := ledgertest.New(t)
	stranger.Bridge = ledgertest.Key("stranger")
	stranger.BridgeID = ledger.BridgeID(stranger.Bridge.Public())
	for _, c := range []submitter{n.Client(), remote} {
		if err := c.Submit(t.Context(), stranger.Batch(d.StatementAt(50, 1))); ledger.CodeOf(err) != ledger.CodeUnknownBridge {
			t.Fatalf("a stranger's batch: %v", err)
		}
	}
	if err := remote.Submit(t.Context(), make([]byte, ledger.MaxTransaction+1)); ledger.CodeOf(err) != ledger.CodeTooLarge {
		t.Fatalf("a large transaction: %v", err)
	}
	if _, err := remote.Stream(t.Context(), crypto.ID{9}); ledger.CodeOf(err) != ledger.CodeUnknownStream {
		t.Fatalf("an unknown stream: %v", err)
	}
	resp, err := http.Get("http://" + n.RPCAddress() + metricsPath)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v: %s", resp.StatusCode, err, b)
	}
	page := string(b)
	for _, line := range []string{
		`mtm_node_refused_total{code="unknown_bridge",of="transaction"} `,
		`mtm_node_refused_total{code="too_large",of="transaction"} 1`,
		`mtm_node_refused_total{code="unknown_stream",of="query"} 1`,
		"mtm_node_peers 0", "mtm_node_catching_up 0", "mtm_node_standing_seconds ", "mtm_node_height ", "mtm_node_log_entries ",
	} {
		if !strings.Contains(page, "\n"+line) {
			t.Errorf("the page lacks %q:\n%s", line, page)
		}
	}
}
