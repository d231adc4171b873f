package ledger_test

import (
	"fmt"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// A device signs two readings; a bridge carries them; the ledger's answer comes
// back.
func Example() {
	deviceKey, bridgeKey := crypto.KeyFromSeed([32]byte{1}), crypto.KeyFromSeed([32]byte{2})
	device, bridge := ledger.DeviceID(deviceKey.Public()), ledger.BridgeID(bridgeKey.Public())
	stream := ledger.StreamID("mtm-1", device, "temperature")

	s, err := ledger.SignStatement(deviceKey, ledger.Statement{
		Device: device, Stream: stream, First: 1, Media: ledger.Media{Text: "text/plain"},
		Readings: []ledger.Reading{
			{Time: 1_790_000_000_000_000, Content: []byte("21.5")},
			{Time: 1_790_000_001_000_000, Content: []byte("21.6")},
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	tx, err := ledger.SignBatch(bridgeKey, "mtm-1", bridge, 0, 1_790_000_002_000_000, [][]byte{s.Bytes()})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d bytes in a transaction of %d\n", len(s.Bytes()), len(tx.Bytes()))

	got, err := tx.Parse(0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for i, r := range got.Readings {
		fmt.Printf("number %d: %s\n", got.First+uint64(i), r.Content)
	}
	fmt.Println("signature:", got.Sign1.Verify(deviceKey.Public()))
	// Output:
	// 182 bytes in a transaction of 309
	// number 1: 21.5
	// number 2: 21.6
	// signature: true
}

// Errors carry the code that also stands in results and acknowledgements.
func ExampleCodeOf() {
	_, err := ledger.ParseStatement([]byte("garbage"))
	code := ledger.CodeOf(err)
	fmt.Println(code, code.Retryable())
	fmt.Println(ledger.CodeUnknownDevice.Advice())
	// Output:
	// malformed false
	// enrol the device, then send again
}

func ExampleParseUpTopic() {
	device, stream, err := ledger.ParseUpTopic("mtm/1/up/iTdp1zf-5KxkdTQPwfKnqw/JUrla97WVX9eojO_vu7iNg")
	fmt.Println(device, stream, err)
	// Output: iTdp1zf-5KxkdTQPwfKnqw JUrla97WVX9eojO_vu7iNg <nil>
}
