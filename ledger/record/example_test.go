package record_test

import (
	"fmt"

	"mtmledger/crypto"
	"mtmledger/ledger/record"
)

// The row of an open gap: numbers 4 to 6 of a stream are missing.
func Example() {
	stream := crypto.ID{0xaa}
	key, value := record.GapRow(stream, 4), record.Gap{Last: 6}.Encode()
	gap, err := record.ParseGap(value)
	fmt.Println(record.FamilyOf(key), record.IDOf(key) == stream, record.NumberOf(key), gap.Last, err)
	fmt.Printf("%x\n", value)
	// Output:
	// gap true 4 6 <nil>
	// 820106
}
