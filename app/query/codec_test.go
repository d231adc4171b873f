package query

import (
	"bytes"
	"reflect"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger/proof"
)

// samples has one of each message, every field set.
func samples() []Message {
	id := crypto.ID{1, 2, 3}
	stream := StreamInfo{Height: 1, Stream: id, Device: id, Name: "n", Owner: id, Mark: 2, GapCount: 1, Gaps: []Gap{{3, 4}}}
	statement := Statement{First: 1, Last: 2, Index: 3, Height: 4, Time: -5, Bytes: []byte{6}}
	return []Message{
		&Empty{},
		&Tip{Height: 7},
		&Status{Chain: "c", Height: 1, AppHash: [32]byte{2}, LogSize: 3, Time: 4, BaseHeight: 5, NodeID: "n", Key: crypto.PublicKey{6},
			CatchingUp: true, Peers: 7, PoolCount: 8, PoolBytes: 9, DiskBytes: 10, SignedHeight: 11,
			Refused: Refused{Transactions: []CodeCount{{1, 12}}, Committed: []CodeCount{{2, 13}}, Queries: []CodeCount{{3, 14}, {4, 15}}}},
		&ResultsRequest{Hashes: [][32]byte{{1}, {2}}},
		&Results{Height: 1, List: []TxOutcome{{Place: 1, Height: 2, Time: 3, Data: []byte{4}}}},
		&KeyRequest{Principal: id, KeyID: crypto.KeyID{1}},
		&KeyInfo{Height: 1, Key: crypto.PublicKey{2}, Opens: 3, Closes: 4},
		&FindRequest{Stream: id, Number: 1, Height: 2},
		&RangeRequest{Stream: id, First: 1, Last: 2},
		&CertificateRequest{RangeRequest: RangeRequest{Stream: id, First: 1, Last: 2}, From: merkle.Hash{3}},
		&StatementsRequest{Stream: id, From: 1, Count: 2},
		&statement,
		&Statements{Height: 1, Next: 2, List: []Statement{statement}},
		&EntriesRequest{From: 1, Count: 2},
		&Entries{Height: 1, LogSize: 2, List: []Entry{{Index: 3, Height: 4, Time: 5, Bytes: []byte{6}}}},
		&IDRequest{ID: id},
		&stream,
		&ListRequest{Of: id, After: id, Count: 1},
		&StreamList{Height: 1, More: true, List: []StreamInfo{stream}},
		&DeviceList{Height: 1, More: true, List: []DeviceInfo{{Device: id, Organisation: id, Status: 1, Since: 2}}},
		&OrganisationList{Height: 1, More: true, List: []OrganisationInfo{{Organisation: id, Name: "n", Threshold: 1, Status: 2}}},
		&HeightRequest{Height: 1},
		&HeightInfo{Height: 1, AppHash: [32]byte{2}, LogSize: 3, Time: 4, Count: 5},
		&File{Bytes: []byte{1}},
		&Pin{ID: id, Height: 1, Expires: 2},
		&AnswerRequest{
			Pin: id, Questions: []Question{{Query: proof.Query{Kind: 3, Lo: merkle.Key{1}, Hi: merkle.Key{2}}, Follow: 4, History: true, At: 5}},
			Entries: []uint64{6}, Cover: &RangeRequest{Stream: id, First: 7, Last: 8}, Limit: 9, From: merkle.Hash{10},
		},
	}
}

func fresh(m Message) Message { return reflect.New(reflect.TypeOf(m).Elem()).Interface().(Message) }

func TestMessages(t *testing.T) {
	for _, m := range samples() {
		b := Encode(m)
		got := fresh(m)
		if err := Decode(b, got); err != nil || !reflect.DeepEqual(got, m) {
			t.Errorf("%T: %+v, %v; want %+v", m, got, err, m)
		}
		for i := range b {
			if Decode(b[:i], fresh(m)) == nil {
				t.Errorf("%T: %d of %d bytes are taken", m, i, len(b))
			}
		}
		if Decode(append(b, 0), fresh(m)) == nil {
			t.Errorf("%T: a trailing byte is taken", m)
		}
	}
}

// FuzzMessages: what is taken encodes to the same bytes, for every message.
func FuzzMessages(f *testing.F) {
	kinds := samples()
	for i, m := range kinds {
		f.Add(uint8(i), Encode(m))
	}
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		m := fresh(kinds[int(kind)%len(kinds)])
		if err := Decode(b, m); err != nil {
			return
		}
		if got := Encode(m); !bytes.Equal(got, b) {
			t.Fatalf("%T: %x encodes to %x", m, b, got)
		}
	})
}
