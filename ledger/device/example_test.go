package device_test

import (
	"errors"
	"fmt"
	"os"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/device"
)

// A device appends a reading, is switched off, and publishes after it came back
// what was not acknowledged.
func Example() {
	dir, err := os.MkdirTemp("", "device")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	bridgeKey := crypto.KeyFromSeed([32]byte{2})
	config := device.Config{
		Dir: dir, Chain: "mtm-1", Key: crypto.KeyFromSeed([32]byte{1}),
		Bridges: []crypto.PublicKey{bridgeKey.Public()},
	}

	d, err := device.Open(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	temperature, err := d.Stream("temperature", ledger.Media{Text: "text/plain"})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := temperature.Append(ledger.Reading{Time: 1_790_000_000_000_000, Content: []byte("21.5")}); err != nil {
		fmt.Println(err)
		return
	}
	d.Close()

	if d, err = device.Open(config); err != nil {
		fmt.Println(err)
		return
	}
	defer d.Close()
	for s := range d.Pending() { // publish s.Bytes() to ledger.UpTopic(s.Device, s.Stream)
		fmt.Printf("number %d waits, of %d bytes\n", s.First, len(s.Bytes()))
		receive(d, acknowledgement(bridgeKey, s)) // what arrives on ledger.AckTopic(d.ID())
	}
	fmt.Println("waiting:", d.Stats().Pending)
	// Output:
	// number 1 waits, of 171 bytes
	// number 1 is committed at height 12, index 345
	// waiting: 0
}

// receive is what a device does with a message on its acknowledgement topic.
func receive(d *device.Device, payload []byte) {
	answers, err := d.Acknowledge(payload)
	if err != nil && !errors.Is(err, device.ErrNotPending) { // that would be a repetition
		fmt.Println("ignored:", err)
	}
	for _, a := range answers {
		if a.Code != ledger.CodeOK {
			fmt.Printf("number %d is refused: %v: %s\n", a.Statement.First, a.Code, a.Code.Advice())
			continue
		}
		fmt.Printf("number %d is committed at height %d, index %d\n", a.Statement.First, a.Height, a.Index)
	}
}

// acknowledgement plays the bridge.
func acknowledgement(k crypto.PrivateKey, s *ledger.Statement) []byte {
	a, err := ledger.SignAcknowledgement(k, ledger.Acknowledgement{
		Chain: "mtm-1", Bridge: ledger.BridgeID(k.Public()),
		Outcomes: []ledger.Outcome{{
			Stream: s.Stream, First: s.First, Count: uint64(len(s.Readings)), Digest: s.Digest(), Height: 12, Index: 345,
		}},
	})
	if err != nil {
		return nil
	}
	return a.Bytes()
}
