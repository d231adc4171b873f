package state

import (
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// recordUses writes the row of each input of a derived statement, which is accepted as the
// next entry, and which classes of lengths the uses of its stream have.
func (v *View) recordUses(s *ledger.Statement) {
	var stream crypto.ID // the one before: inputs of a stream mostly stand together
	var written uint64
	for i, in := range s.Inputs {
		use := record.Use{First: in.First, Last: in.Last, Stream: s.Stream, DerivedFirst: s.First, DerivedLast: s.Last()}
		v.put(record.UseRow(in.Stream, in.First, in.Last, v.size, uint64(i)), use.Encode())
		if i == 0 || in.Stream != stream {
			stream, written = in.Stream, v.useLengths(in.Stream)
		}
		if class := uint64(1) << record.LengthClass(in.First, in.Last); written&class == 0 {
			written |= class
			v.put(record.UseLengthsRow(stream), record.UseLengths{Classes: written}.Encode())
		}
	}
}

// useLengths are the classes of lengths of a stream's uses.
func (v *View) useLengths(stream crypto.ID) uint64 {
	value := v.get(record.UseLengthsRow(stream))
	if value == nil {
		return 0
	}
	row, err := record.ParseUseLengths(value)
	v.fail(err)
	return row.Classes
}
