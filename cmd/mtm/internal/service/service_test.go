package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/testnet"
)

// away is a ledger that can't be reached.
type away struct{}

var errAway = errors.New("away")

func (away) Submit(context.Context, []byte) error { return errAway }

func (away) Wait(context.Context, [32]byte) (ledger.TxResult, error) {
	return ledger.TxResult{}, errAway
}

func (away) Key(context.Context, crypto.ID, crypto.KeyID) (crypto.PublicKey, error) {
	return crypto.PublicKey{}, errAway
}

func (away) Find(context.Context, crypto.ID, uint64, uint64) (ledger.Found, error) {
	return ledger.Found{}, errAway
}

func TestService(t *testing.T) {
	m, err := testnet.Generate(t.TempDir(), testnet.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if _, err := Ask(ctx, m.Bridge.HTTP); err == nil {
		t.Error("a bridge that does not run answered")
	}
	s, err := New(Config{Manifest: m, Ledger: away{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(Config{Manifest: m, Ledger: away{}}); err == nil {
		t.Error("two bridges in one folder")
	}
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	status, err := Ask(ctx, m.Bridge.HTTP)
	if err != nil {
		t.Fatal(err)
	}
	if status.MQTT != m.Bridge.MQTT || status.Counts.Received != 0 {
		t.Errorf("status %+v", status)
	}
	for _, ids := range [][]uint64{nil, {1, 2}} {
		if n, err := AskReplay(ctx, m.Bridge.HTTP, ids); err != nil || n != 0 {
			t.Errorf("replay of %v: %d, %v", ids, n, err)
		}
	}
	checkPage(t, "http://"+m.Bridge.HTTP+"/metrics", http.StatusOK, "mtm_bridge")
	checkPage(t, "http://"+m.Bridge.HTTP+"/replay", http.StatusMethodNotAllowed, "")
	stop()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
}

func checkPage(t *testing.T, url string, code int, text string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != code || !strings.Contains(string(body), text) {
		t.Errorf("%s: %s, %v, want %q in\n%.300s", url, resp.Status, err, text, body)
	}
}

// TestNodesAway checks that all nodes are tried and each failure is named.
func TestNodesAway(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	n := NewNodes("127.0.0.1:1", "127.0.0.1:2")
	defer n.Close()
	err := n.Submit(ctx, []byte("x"))
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || !strings.Contains(err.Error(), "127.0.0.1:2") {
		t.Errorf("Submit: %v", err)
	}
	if _, err := n.Key(ctx, crypto.ID{}, crypto.KeyID{}); err == nil {
		t.Error("Key: no error")
	}
	if _, err := n.Find(ctx, crypto.ID{}, 1, 0); err == nil {
		t.Error("Find: no error")
	}
}

// TestNodeBehind checks that a node which lacks the block that is asked about does not
// answer for one that has it.
func TestNodeBehind(t *testing.T) {
	node := func(code ledger.Code) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"code":%d}`, code)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	n := NewNodes(node(ledger.CodeFutureHeight), node(ledger.CodeOverloaded), node(ledger.CodeNotFound))
	defer n.Close()
	if _, err := n.Find(t.Context(), crypto.ID{}, 1, 7); ledger.CodeOf(err) != ledger.CodeNotFound {
		t.Errorf("Find: %v", err)
	}
}

func TestRefusal(t *testing.T) {
	for code, want := range map[ledger.Code]bool{
		ledger.CodeUsed: true, ledger.CodeNotFound: true, ledger.CodeUnknownKey: true, // also those that may pass
		ledger.CodeOK: false, ledger.CodeOverloaded: false, ledger.CodeFutureHeight: false,
	} {
		if refusal(code.Err()) != want {
			t.Errorf("%v: want %v", code, want)
		}
	}
	if refusal(errAway) {
		t.Error("a failure without a code is no refusal")
	}
}
