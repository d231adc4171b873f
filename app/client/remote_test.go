package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"mtmledger/app/query"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// fakeNode answers the two paths as a node does.
type fakeNode struct {
	*httptest.Server
	mu        sync.Mutex
	height    uint64
	committed map[[32]byte]query.TxOutcome
	calls     map[string]int
	submit    func(tx []byte) (status int, body string)
}

func newFakeNode(t *testing.T) *fakeNode {
	n := &fakeNode{committed: make(map[[32]byte]query.TxOutcome), calls: make(map[string]int)}
	n.Server = httptest.NewServer(http.HandlerFunc(n.serve))
	t.Cleanup(n.Close)
	return n
}

func (n *fakeNode) serve(w http.ResponseWriter, r *http.Request) {
	request, err := io.ReadAll(r.Body)
	if err != nil || r.Method != http.MethodPost {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.URL.Path == PathTransaction {
		status, body := n.submit(request)
		w.WriteHeader(status)
		io.WriteString(w, body)
		return
	}
	path := "/" + strings.TrimPrefix(r.URL.Path, PathQuery)
	n.calls[path]++
	reply, err := n.query(path, request)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, refusal(ledger.CodeOf(err)))
		return
	}
	w.Write(query.Encode(reply))
}

func refusal(code ledger.Code) string {
	return fmt.Sprintf(`{"code":%d,"name":"%v","text":"why"}`, uint64(code), code)
}

func (n *fakeNode) query(path string, request []byte) (query.Message, error) {
	switch path {
	case query.PathTip:
		return &query.Tip{Height: n.height}, nil
	case query.PathResults:
		var q query.ResultsRequest
		if err := query.Decode(request, &q); err != nil {
			return nil, err
		}
		res := &query.Results{Height: n.height}
		for i, h := range q.Hashes {
			if o, ok := n.committed[h]; ok {
				o.Place = uint64(i)
				res.List = append(res.List, o)
			}
		}
		return res, nil
	}
	return nil, ledger.Errorf(ledger.CodeUnknownStream, "no such stream")
}

// commit makes a block of transactions.
func (n *fakeNode) commit(hashes ...[32]byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.height++
	for _, h := range hashes {
		data := state.Result{Indexes: []uint64{n.height}}.Encode()
		n.committed[h] = query.TxOutcome{Height: n.height, Time: 5, Data: data}
	}
}

func (n *fakeNode) count(path string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.calls[path]
}

// TestRemoteWaitIsOnePoller: a thousand who wait cost a question a block, not
// one each.
func TestRemoteWaitIsOnePoller(t *testing.T) {
	n := newFakeNode(t)
	c := NewRemote(n.URL)
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const waiters, blocks = 1000, 5
	var wg sync.WaitGroup
	for i := range waiters {
		wg.Go(func() {
			hash := [32]byte{byte(i), byte(i >> 8)}
			res, err := c.Wait(ctx, hash)
			if err != nil || res.Height != uint64(i%blocks+1) || res.Indexes[0] != res.Height {
				t.Errorf("waiter %d: %+v, %v", i, res, err)
			}
		})
	}
	for c.waiters() < waiters {
		time.Sleep(time.Millisecond) // between polls
	}
	for b := range blocks {
		var hashes [][32]byte
		for i := b; i < waiters; i += blocks {
			hashes = append(hashes, [32]byte{byte(i), byte(i >> 8)})
		}
		n.commit(hashes...)
		for c.waiters() > waiters-(b+1)*waiters/blocks {
			time.Sleep(time.Millisecond) // between polls
		}
	}
	wg.Wait()
	// One for each block, and one for each tick in which waiters were new.
	if got := n.count(query.PathResults); got > waiters/10 {
		t.Errorf("%d questions for %d who wait", got, waiters)
	}
}

func (r *Remote) waiters() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.waiting)
}

func TestRemoteWaitEnds(t *testing.T) {
	n := newFakeNode(t)
	c := NewRemote(n.URL)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Wait(ctx, [32]byte{1}); !errors.Is(err, context.Canceled) || !ledger.CodeOf(err).Retryable() {
		t.Errorf("canceled: %v", err)
	}
	if c.waiters() != 0 {
		t.Error("the canceled one still waits")
	}
	done := make(chan error)
	go func() {
		_, err := c.Wait(t.Context(), [32]byte{2})
		done <- err
	}()
	for c.waiters() == 0 {
		time.Sleep(time.Millisecond) // between polls
	}
	c.Close()
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// TestRemoteWaitSurvivesOutage: while the node can't be reached, Wait waits.
func TestRemoteWaitSurvivesOutage(t *testing.T) {
	n := newFakeNode(t)
	down := true
	var mu sync.Mutex
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		n.serve(w, r)
	}))
	defer proxy.Close()
	c := NewRemote(proxy.URL)
	defer c.Close()
	n.commit([32]byte{1})
	done := make(chan error)
	go func() {
		_, err := c.Wait(t.Context(), [32]byte{1})
		done <- err
	}()
	for c.waiters() == 0 {
		time.Sleep(time.Millisecond) // between polls
	}
	if _, err := c.Height(t.Context()); !ledger.CodeOf(err).Retryable() {
		t.Fatalf("the node is not down: %v", err)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestRemoteSubmit(t *testing.T) {
	n := newFakeNode(t)
	c := NewRemote(n.URL)
	defer c.Close()
	tx := []byte("tx")
	known := []byte("committed")
	n.commit(ledger.TxHash(known))
	tests := []struct {
		name   string
		tx     []byte
		status int
		body   string
		want   ledger.Code
	}{
		{"taken", tx, 200, "", ledger.CodeOK},
		{"refused", tx, 400, refusal(ledger.CodeUnknownBridge), ledger.CodeUnknownBridge},
		{"refused for now", tx, 503, refusal(ledger.CodeOverloaded), ledger.CodeOverloaded},
		{"refused by a newer node", tx, 400, `{"code":9999,"name":"new","text":"why"}`, 9999},
		{"this one is committed", known, 400, refusal(ledger.CodeReplayed), ledger.CodeOK},
		{"replay of another", tx, 400, refusal(ledger.CodeReplayed), ledger.CodeReplayed},
		{"another server", tx, 404, "<html>not found</html>", ledger.CodeOverloaded},
		{"a server that refuses with code 0", tx, 400, `{"code":0}`, ledger.CodeOverloaded},
	}
	for _, tt := range tests {
		n.submit = func(got []byte) (int, string) {
			if !bytes.Equal(got, tt.tx) {
				t.Errorf("%s: the node got %q", tt.name, got)
			}
			return tt.status, tt.body
		}
		err := c.Submit(t.Context(), tt.tx)
		if got := ledger.CodeOf(err); got != tt.want {
			t.Errorf("%s: %v (%v), want %v", tt.name, got, err, tt.want)
		}
	}
	if _, err := c.Stream(t.Context(), [16]byte{}); ledger.CodeOf(err) != ledger.CodeUnknownStream {
		t.Errorf("refused query: %v", err)
	}
	n.Close()
	if err := c.Submit(t.Context(), tx); !ledger.CodeOf(err).Retryable() {
		t.Errorf("no node: %v", err)
	}
}

func ExampleNewRemote() {
	c := NewRemote("127.0.0.1:26657")
	defer c.Close()
	_, err := c.Wait(canceled(), ledger.TxHash([]byte("a transaction")))
	fmt.Println(ledger.CodeOf(err))
	// Output: overloaded
}

func canceled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
