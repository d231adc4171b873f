package baseline

import (
	"context"
	"testing"
	"time"

	"mtmledger/app/node"
)

func TestRun(t *testing.T) {
	home := t.TempDir()
	if _, err := node.Init(home, node.InitOptions{Chain: "baseline", AppState: []byte("{}")}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := Run(ctx, Config{
		Node: node.Config{Home: home, P2PListen: "127.0.0.1:0"}, TxBytes: 250, Window: 1000,
		Warm: 100 * time.Millisecond, For: time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.Transactions == 0 || r.PerSecond <= 0 || r.LatencyP50 <= 0 || r.Blocks == 0 {
		t.Errorf("nothing measured: %+v", r)
	}
}

func TestConfig(t *testing.T) {
	if _, err := Run(context.Background(), Config{TxBytes: 8, Window: 1, For: 1}); err == nil {
		t.Error("transactions without room for a header were accepted")
	}
}
