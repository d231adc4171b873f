package mqttbridge

import (
	"context"
	"fmt"
	"time"

	"mtmledger/internal/disk"
	"mtmledger/ledger"
)

// A bridge without MQTT takes messages by Ingest; with Config.Broker or
// Config.External they come from devices.
func Example() {
	bridge, err := New(Config{
		Chain: testChain, Bridge: ledger.BridgeID(bridgeKey.Public()), Key: bridgeKey,
		Dir: "bridge", FS: disk.NewCrash(), Ledger: newFake(bridgeKey.Public()),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- bridge.Run(ctx) }()

	if err := bridge.Ingest(ctx, "mtm/1/up/x/y", []byte("garbage")); err != nil {
		fmt.Println(err)
	}
	for bridge.Counts().Spooled > 0 {
		time.Sleep(time.Millisecond)
	}
	letters, _ := bridge.DeadLetters(1)
	fmt.Println(bridge.Counts().Received, letters[0].Reason)
	cancel()
	fmt.Println(<-done)
	// Output:
	// 1 malformed
	// <nil>
}
