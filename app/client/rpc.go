package client

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"mtmledger/ledger"
)

// Limits of an RPC exchange.
const (
	rpcTimeout  = 20 * time.Second
	rpcMaxReply = 64 << 20
	rpcConns    = 64
)

// rpc speaks the two methods of CometBFT's JSON-RPC that a client needs.
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
		url:  strings.Replace(address, "tcp://", "http://", 1),
		http: &http.Client{Timeout: rpcTimeout, Transport: tr},
	}
}

type rpcError struct {
	Message string `json:"message"`
	Data    string `json:"data"`
}

func (e *rpcError) Error() string { return "rpc: " + e.Message + ": " + e.Data }

// call makes one JSON-RPC request.
func (c *rpc) call(ctx context.Context, method string, params, result any) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	reply, err := io.ReadAll(io.LimitReader(resp.Body, rpcMaxReply))
	if err != nil {
		return err
	}
	var envelope struct {
		Result json.RawMessage `json:"result"`
		Error  *rpcError       `json:"error"`
	}
	if err := json.Unmarshal(reply, &envelope); err != nil {
		return fmt.Errorf("rpc: status %s: %w", resp.Status, err)
	}
	if envelope.Error != nil {
		return envelope.Error
	}
	return json.Unmarshal(envelope.Result, result)
}

// query is an ABCI query at the last height.
func (c *rpc) query(ctx context.Context, path string, request []byte) ([]byte, error) {
	params := map[string]any{"path": path, "data": hex.EncodeToString(request)}
	var out struct {
		Response struct {
			Code  uint32 `json:"code"`
			Log   string `json:"log"`
			Value []byte `json:"value"`
		} `json:"response"`
	}
	if err := c.call(ctx, "abci_query", params, &out); err != nil {
		return nil, err
	}
	if code := ledger.Code(out.Response.Code); code != 0 {
		return nil, &ledger.Error{Code: code, Text: out.Response.Log}
	}
	return out.Response.Value, nil
}

// submit is broadcast_tx_sync. A transaction that the pool knows is a success;
// a full pool is CodeOverloaded.
func (c *rpc) submit(ctx context.Context, tx []byte) error {
	var out struct {
		Code uint32 `json:"code"`
		Log  string `json:"log"`
	}
	err := c.call(ctx, "broadcast_tx_sync", map[string]any{"tx": tx}, &out)
	if e, ok := err.(*rpcError); ok {
		return poolError(e.Message+": "+e.Data, e)
	}
	if err != nil {
		return err
	}
	if code := ledger.Code(out.Code); code != 0 {
		return &ledger.Error{Code: code, Text: out.Log}
	}
	return nil
}

// poolError gives the errors of CometBFT's pool, which are known by their text
// over RPC, their meaning.
func poolError(text string, err error) error {
	switch {
	case strings.Contains(text, "tx already exists in cache"):
		return nil
	case strings.Contains(text, "mempool is full"), strings.Contains(text, "catching up"):
		return ledger.Errorf(ledger.CodeOverloaded, "%w", err)
	case strings.Contains(text, "tx too large"):
		return ledger.Errorf(ledger.CodeTooLarge, "%w", err)
	}
	return err
}
