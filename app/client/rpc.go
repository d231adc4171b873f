package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"mtmledger/ledger"
)

// Paths of a node's RPC server that carry the ledger's bytes as they are
// (docs/spec/answer.md). PathQuery is followed by a query's path without its slash.
const (
	PathTransaction = "/ledger/transaction"
	PathQuery       = "/ledger/query/"
)

// Refusal is what a node answers, as JSON, to a request that it refuses. The status
// is 503 when the same request may be accepted later, else 400.
type Refusal struct {
	Code uint64 `json:"code"`
	Name string `json:"name"` // of the code
	Text string `json:"text"`
}

// Limits of an RPC exchange.
const (
	rpcTimeout  = 20 * time.Second
	rpcMaxReply = 64 << 20
	rpcConns    = 64
)

// rpc asks a node over HTTP.
type rpc struct {
	url  string
	http *http.Client
}

func newRPC(address string) *rpc {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	tr := &http.Transport{
		MaxIdleConns:        rpcConns,
		MaxIdleConnsPerHost: rpcConns,
		IdleConnTimeout:     time.Minute,
	}
	return &rpc{
		url:  strings.TrimSuffix(strings.Replace(address, "tcp://", "http://", 1), "/"),
		http: &http.Client{Timeout: rpcTimeout, Transport: tr},
	}
}

// post sends bytes and returns the node's.
func (c *rpc) post(ctx context.Context, path string, request []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+path, bytes.NewReader(request))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/octet-stream")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, rpcMaxReply))
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return reply, nil
	}
	var r Refusal
	if json.Unmarshal(reply, &r) != nil || r.Code == 0 {
		return nil, fmt.Errorf("rpc: %s%s: status %s, is this the RPC address of a node?", c.url, path, resp.Status)
	}
	return nil, &ledger.Error{Code: ledger.Code(r.Code), Text: r.Text}
}

// query is a query at the last height.
func (c *rpc) query(ctx context.Context, path string, request []byte) ([]byte, error) {
	return c.post(ctx, PathQuery+strings.TrimPrefix(path, "/"), request)
}

// submit returns once the node has the transaction in its pool.
func (c *rpc) submit(ctx context.Context, tx []byte) error {
	_, err := c.post(ctx, PathTransaction, tx)
	return err
}
