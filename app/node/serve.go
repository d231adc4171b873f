package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	cmtnode "github.com/cometbft/cometbft/node"
	"github.com/cometbft/cometbft/rpc/jsonrpc/server"
	"golang.org/x/net/netutil"

	"mtmledger/app/client"
	"mtmledger/app/query"
	"mtmledger/ledger"
)

// Limits of the RPC server. CometBFT's JSON requests have transactions in base64.
const (
	rpcMaxBody   = 1_000_000
	rpcMaxHeader = 64 << 10
	rpcMaxConns  = 900 // as many as CometBFT's own server takes
	rpcTimeout   = time.Minute
	rpcClose     = 2 * time.Second
)

// serveRPC listens on the node's RPC address until n closes. Two paths are the
// ledger's own and carry bytes as they are (docs/spec/answer.md, "Asking a node"), one
// has the metrics; the others are CometBFT's JSON RPC, for its tools.
func (n *Node) serveRPC() error {
	if n.cfg.RPCListen == Off {
		return nil
	}
	mux := http.NewServeMux()
	if err := cometRPC(mux, n.comet, cometLogger{log: n.log}); err != nil {
		return fmt.Errorf("node: RPC: %w", err)
	}
	mux.Handle("POST "+client.PathTransaction, n.transactionHandler())
	mux.Handle("GET "+metricsPath, n.metricsHandler())
	mux.Handle("POST "+client.PathQuery+"{path}", n.queryHandler())
	l, err := net.Listen("tcp", n.cfg.RPCListen)
	if err != nil {
		return fmt.Errorf("node: RPC: %w", err)
	}
	n.rpc = &http.Server{
		Handler:           http.MaxBytesHandler(mux, rpcMaxBody),
		ReadHeaderTimeout: rpcTimeout,
		ReadTimeout:       rpcTimeout,
		WriteTimeout:      rpcTimeout,
		MaxHeaderBytes:    rpcMaxHeader,
		ErrorLog:          slog.NewLogLogger(n.log.Handler(), slog.LevelWarn),
	}
	go func() {
		if err := n.rpc.Serve(netutil.LimitListener(l, rpcMaxConns)); !errors.Is(err, http.ErrServerClosed) {
			n.fail(fmt.Errorf("node: RPC: %w", err))
		}
	}()
	return nil
}

// closeRPC answers what was asked already, for a moment.
func (n *Node) closeRPC() {
	if n.rpc == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), rpcClose)
	defer cancel()
	if n.rpc.Shutdown(ctx) != nil {
		n.rpc.Close()
	}
}

// cometRPC adds CometBFT's routes. Its websocket, with subscriptions, is left out.
func cometRPC(mux *http.ServeMux, comet *cmtnode.Node, log cometLogger) error {
	env, err := comet.ConfigureRPC()
	if err != nil {
		return err
	}
	server.RegisterRPCFuncs(mux, env.GetRoutes(), log.With("module", "rpc-server"))
	return nil
}

// transactionHandler takes a transaction's bytes. It answers once the transaction
// is checked and in the pool.
func (n *Node) transactionHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tx, err := body(r, ledger.MaxTransaction)
		if err != nil {
			refuse(w, n.refusedTx(err))
			return
		}
		if err := (backend{n}).Submit(r.Context(), tx); err != nil {
			refuse(w, err)
		}
	})
}

// queryHandler takes a request of package query and answers its reply.
func (n *Node) queryHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		request, err := body(r, query.MaxRequest)
		if err != nil {
			n.queries.Refused.Queries.Add(refusalCode(err))
			refuse(w, err)
			return
		}
		reply, err := backend{n}.Query(r.Context(), "/"+r.PathValue("path"), request)
		if err != nil {
			refuse(w, err)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
		w.Write(reply) // a client that left needs no answer
	})
}

func body(r *http.Request, limit int) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, int64(limit)+1))
	switch {
	case err != nil:
		return nil, ledger.Errorf(ledger.CodeOverloaded, "reading the request: %w", err)
	case len(b) > limit:
		return nil, ledger.Errorf(ledger.CodeTooLarge, "more than %d bytes", limit)
	}
	return b, nil
}

// refusalCode is the code of a refusal. What has none is a trouble of the node's.
func refusalCode(err error) ledger.Code {
	if e := (*ledger.Error)(nil); err != nil && !errors.As(err, &e) {
		return ledger.CodeOverloaded
	}
	return ledger.CodeOf(err)
}

// refuse answers a code and a text.
func refuse(w http.ResponseWriter, err error) {
	code := refusalCode(err)
	status := http.StatusBadRequest
	if code.Retryable() {
		status = http.StatusServiceUnavailable
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(client.Refusal{Code: uint64(code), Name: code.String(), Text: err.Error()})
}
