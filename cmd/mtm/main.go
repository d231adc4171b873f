// Command mtm runs and uses MTM Ledger: a demo of the whole way of a reading in
// one process, validators, bridges and devices as processes of their own, and
// the tools of organisations and auditors.
//
// Exit codes: 0 done, 1 failed or refused, 2 wrong usage.
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"mtmledger/testnet"
)

func main() { os.Exit(mainCode()) }

func mainCode() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	if os.Getenv(testnet.AttachedEnv) != "" {
		ctx = untilEOF(ctx, os.Stdin)
	}
	return run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
}

// untilEOF returns a context that ends when in does: the parent has gone.
func untilEOF(ctx context.Context, in io.Reader) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		_, _ = io.Copy(io.Discard, in) // an error is an end too
		cancel()
	}()
	return ctx
}
