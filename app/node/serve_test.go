package node

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"testing"

	"mtmledger/app/client"
	"mtmledger/app/internal/ledgertest"
	"mtmledger/app/query"
	"mtmledger/ledger"
)

// TestRPCServer: whatever comes, the server answers by name what was wrong; CometBFT's
// own methods stand beside the ledger's.
func TestRPCServer(t *testing.T) {
	n := startNode(t, newHome(t, ledgertest.New(t)), nil)
	base := "http://" + n.RPCAddress()
	ask := func(method, path string, body []byte) (int, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		reply, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, reply
	}
	for _, tt := range []struct {
		name, path string
		body       []byte
		want       ledger.Code
	}{
		{"garbage", client.PathTransaction, []byte("garbage"), ledger.CodeMalformed},
		{"nothing", client.PathTransaction, nil, ledger.CodeMalformed},
		{"a large transaction", client.PathTransaction, make([]byte, ledger.MaxTransaction+1), ledger.CodeTooLarge},
		{"beyond the server's limit", client.PathTransaction, make([]byte, rpcMaxBody+1), ledger.CodeTooLarge},
		{"no such query", client.PathQuery + "nothing", nil, ledger.CodeNotFound},
		{"a bad query", client.PathQuery + "stream", []byte{0xff}, ledger.CodeMalformed},
		{"a large query", client.PathQuery + "stream", make([]byte, query.MaxRequest+1), ledger.CodeTooLarge},
	} {
		status, reply := ask(http.MethodPost, tt.path, tt.body)
		var r client.Refusal
		err := json.Unmarshal(reply, &r)
		if err != nil || status != http.StatusBadRequest || r.Code != uint64(tt.want) || r.Name != tt.want.String() || r.Text == "" {
			t.Errorf("%s: status %d, %s; want %v", tt.name, status, reply, tt.want)
		}
	}
	if status, _ := ask(http.MethodGet, client.PathTransaction, nil); status != http.StatusNotFound {
		t.Errorf("GET: status %d", status)
	}
	if status, reply := ask(http.MethodGet, "/status", nil); status != http.StatusOK || !bytes.Contains(reply, []byte(n.id.NodeID)) {
		t.Errorf("CometBFT's status: %d, %.200s", status, reply)
	}
}

// TestRPCAddressInUse: a node that can't serve doesn't start.
func TestRPCAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", DefaultListen)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	home := newHome(t, ledgertest.New(t))
	n, err := Start(t.Context(), Config{Home: home, RPCListen: l.Addr().String()}, nil)
	if err == nil {
		n.Stop()
		t.Fatal("started")
	}
	startNode(t, home, nil) // and left nothing open
}
