package record

import (
	"errors"
	"fmt"
	"math"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
	"mtmledger/ledger"
)

// version is the first element of every value.
const version = 1

// MaxText bounds the names in values, in bytes.
const MaxText = 64

// MaxNumber is the greatest height, index or reading number.
const MaxNumber = math.MaxInt64

// ErrMalformed is wrapped by every decoding error of this package.
var ErrMalformed = errors.New("malformed record")

// Status is the state of an organisation, a bridge or a device.
type Status uint64

// The statuses. Only StatusActive is given out so far.
const (
	StatusActive    Status = 0
	StatusSuspended Status = 1
	StatusRetired   Status = 2
)

// String returns the status's name.
func (s Status) String() string {
	switch s {
	case StatusActive:
		return "active"
	case StatusSuspended:
		return "suspended"
	case StatusRetired:
		return "retired"
	}
	return fmt.Sprintf("status_%d", uint64(s))
}

// Parameters are the limits that the ledger may change while it runs; see
// ledger.ParameterInfos.
type Parameters struct {
	ClockAhead int64  // seconds that a declared time may be ahead of the block's time
	NotAfter   int64  // seconds that an operation's not_after may be ahead of the block's time
	OpenGaps   uint64 // open gaps that a stream may have

	VoteNum, VoteDen uint64 // a vote needs VoteNum/VoteDen of the members

	StatementsPerBridge       uint64 // in one block
	BytesPerBridge            uint64 // of statements in one block
	StatementsPerOrganisation uint64
	BytesPerOrganisation      uint64

	AppVersion uint64 // of the rules
}

// Block is the row of a block that added entries to the log.
type Block struct {
	First uint64 // log index of its first entry
	Count uint64 // number of its entries, at least 1
	Time  int64  // the block header's time, microseconds since the Unix epoch
}

// Contains tells whether the entry at index belongs to the block.
func (b Block) Contains(index uint64) bool {
	return index >= b.First && index-b.First < b.Count
}

// Operation says where an accepted operation stands.
type Operation struct {
	Height uint64
	Index  uint64
}

// Organisation is a member of the consortium.
type Organisation struct {
	Name      string
	Threshold uint64 // how many of its admin keys must sign, at least 1
	Status    Status
}

// Key is a public key and the heights at which it may sign.
type Key struct {
	Public crypto.PublicKey
	Opens  uint64 // first height at which it is valid
	Closes uint64 // first height at which it is valid no more; 0 = open

	// Doubtful is the height from which on the owner declared the key compromised:
	// what it signed in the log from there on stands, and is shown as doubtful. 0 = never.
	Doubtful uint64
}

// DoubtfulAt tells whether a signature by the key in the block at height is in doubt.
func (k Key) DoubtfulAt(height uint64) bool { return k.Doubtful != 0 && height >= k.Doubtful }

// ValidAt tells whether a signature by the key counts in the block at height.
func (k Key) ValidAt(height uint64) bool {
	return k.Opens <= height && (k.Closes == 0 || height < k.Closes)
}

// Bridge says which organisation answers for a bridge.
type Bridge struct {
	Organisation crypto.ID
	Status       Status
}

// Device says which organisation owns a device.
type Device struct {
	Organisation crypto.ID
	Status       Status
}

// Since is the value of a list row: the height of the block that added it.
type Since struct{ Height uint64 }

// StreamHead is the changing part of a stream.
type StreamHead struct {
	Device crypto.ID
	Mark   uint64 // greatest number used so far; 0 = none
	Gaps   uint64 // number of open gaps below the mark
	Status Status // StatusRetired once the stream is closed
}

// Owner is the organisation that owns a stream from the row's height on. Since is the
// row's own height for a stream opened or sold "from now on", that of the giver's row
// where past readings went with the sale. Whose the readings are: [Parts].
type Owner struct {
	Organisation crypto.ID
	Since        uint64
}

// DeviceStream is the name of a stream of a device.
type DeviceStream struct{ Name string }

// Gap is an open gap; its first number stands in the row's key.
type Gap struct{ Last uint64 }

// Encode returns the row's value.
func (v Parameters) Encode() []byte {
	return ledger.AppendParameters(head(2), ledger.GenesisParameters(v).Values())
}

// With returns the parameters with some changed; values are in range.
func (v Parameters) With(list []ledger.Parameter) Parameters {
	rest := []*uint64{
		&v.OpenGaps, &v.VoteNum, &v.VoteDen, &v.StatementsPerBridge, &v.BytesPerBridge,
		&v.StatementsPerOrganisation, &v.BytesPerOrganisation, &v.AppVersion,
	}
	for _, p := range list {
		switch p.ID {
		case ledger.ParameterClockAhead:
			v.ClockAhead = int64(p.Value)
		case ledger.ParameterNotAfter:
			v.NotAfter = int64(p.Value)
		default:
			*rest[p.ID-ledger.ParameterOpenGaps] = p.Value
		}
	}
	return v
}

// Encode returns the row's value.
func (v Block) Encode() []byte {
	b := head(4)
	b = dcbor.AppendUint(b, v.First)
	b = dcbor.AppendUint(b, v.Count)
	return dcbor.AppendInt(b, v.Time)
}

// Encode returns the row's value.
func (v Operation) Encode() []byte {
	return dcbor.AppendUint(dcbor.AppendUint(head(3), v.Height), v.Index)
}

// Encode returns the row's value.
func (v Organisation) Encode() []byte {
	b := dcbor.AppendText(head(4), v.Name)
	b = dcbor.AppendUint(b, v.Threshold)
	return dcbor.AppendUint(b, uint64(v.Status))
}

// Encode returns the row's value.
func (v Key) Encode() []byte {
	b := dcbor.AppendBytes(head(5), v.Public[:])
	b = dcbor.AppendUint(b, v.Opens)
	b = dcbor.AppendUint(b, v.Closes)
	return dcbor.AppendUint(b, v.Doubtful)
}

// Encode returns the row's value.
func (v Bridge) Encode() []byte { return encodeOwned(v.Organisation, v.Status) }

// Encode returns the row's value.
func (v Device) Encode() []byte { return encodeOwned(v.Organisation, v.Status) }

// Encode returns the row's value.
func (v Since) Encode() []byte { return dcbor.AppendUint(head(2), v.Height) }

// Encode returns the row's value.
func (v StreamHead) Encode() []byte {
	b := dcbor.AppendBytes(head(5), v.Device[:])
	b = dcbor.AppendUint(b, v.Mark)
	b = dcbor.AppendUint(b, v.Gaps)
	return dcbor.AppendUint(b, uint64(v.Status))
}

// Encode returns the row's value.
func (v Owner) Encode() []byte {
	return dcbor.AppendUint(dcbor.AppendBytes(head(3), v.Organisation[:]), v.Since)
}

// Encode returns the row's value.
func (v DeviceStream) Encode() []byte { return dcbor.AppendText(head(2), v.Name) }

// Encode returns the row's value.
func (v Gap) Encode() []byte { return dcbor.AppendUint(head(2), v.Last) }

func head(n int) []byte {
	return dcbor.AppendUint(dcbor.AppendArray(make([]byte, 0, 64), n), version)
}

func encodeOwned(organisation crypto.ID, s Status) []byte {
	return dcbor.AppendUint(dcbor.AppendBytes(head(3), organisation[:]), uint64(s))
}

// ParseParameters decodes the value of a parameters row.
func ParseParameters(b []byte) (v Parameters, err error) {
	r := open(b, 2)
	list := ledger.ReadParameters(r)
	if r.Err() == nil && len(list) != ledger.NumParameters {
		r.Fail(dcbor.ErrRange)
	}
	return v.With(list), done(r, FamilyParameters)
}

// ParseBlock decodes the value of a block row.
func ParseBlock(b []byte) (v Block, err error) {
	r := open(b, 4)
	v.First = number(r)
	v.Count = number(r)
	v.Time = r.Int()
	if v.Count == 0 || v.First > MaxNumber-v.Count {
		r.Fail(dcbor.ErrRange)
	}
	return v, done(r, FamilyBlock)
}

// ParseOperation decodes the value of an operation row.
func ParseOperation(b []byte) (v Operation, err error) {
	r := open(b, 3)
	v.Height = number(r)
	v.Index = number(r)
	return v, done(r, FamilyOperation)
}

// ParseOrganisation decodes the value of an organisation row.
func ParseOrganisation(b []byte) (v Organisation, err error) {
	r := open(b, 4)
	v.Name = r.Text(MaxText)
	v.Threshold = number(r)
	v.Status = Status(number(r))
	return v, done(r, FamilyOrganisation)
}

// ParseKey decodes the value of a key row.
func ParseKey(b []byte) (v Key, err error) {
	r := open(b, 5)
	r.Fixed(v.Public[:])
	v.Opens = number(r)
	v.Closes = number(r)
	v.Doubtful = number(r)
	return v, done(r, FamilyKey)
}

// ParseBridge decodes the value of a bridge row.
func ParseBridge(b []byte) (v Bridge, err error) {
	r := open(b, 3)
	r.Fixed(v.Organisation[:])
	v.Status = Status(number(r))
	return v, done(r, FamilyBridge)
}

// ParseDevice decodes the value of a device row.
func ParseDevice(b []byte) (v Device, err error) {
	r := open(b, 3)
	r.Fixed(v.Organisation[:])
	v.Status = Status(number(r))
	return v, done(r, FamilyDevice)
}

// ParseSince decodes the value of a list row.
func ParseSince(b []byte) (v Since, err error) {
	r := open(b, 2)
	v.Height = number(r)
	return v, done(r, "list")
}

// ParseStreamHead decodes the value of a stream row.
func ParseStreamHead(b []byte) (v StreamHead, err error) {
	r := open(b, 5)
	r.Fixed(v.Device[:])
	v.Mark = number(r)
	v.Gaps = number(r)
	v.Status = Status(number(r))
	return v, done(r, FamilyStream)
}

// ParseOwner decodes the value of an owner row.
func ParseOwner(b []byte) (v Owner, err error) {
	r := open(b, 3)
	r.Fixed(v.Organisation[:])
	v.Since = number(r)
	return v, done(r, FamilyOwner)
}

// ParseDeviceStream decodes the value of a device-stream row.
func ParseDeviceStream(b []byte) (v DeviceStream, err error) {
	r := open(b, 2)
	v.Name = r.Text(MaxText)
	return v, done(r, FamilyDeviceStream)
}

// ParseGap decodes the value of a gap row.
func ParseGap(b []byte) (v Gap, err error) {
	r := open(b, 2)
	v.Last = number(r)
	return v, done(r, FamilyGap)
}

func open(b []byte, n int) *dcbor.Reader {
	r := dcbor.NewReader(b)
	r.ExpectArray(n)
	r.ExpectUint(version)
	return r
}

func number(r *dcbor.Reader) uint64 {
	v := r.Uint()
	if v > MaxNumber {
		r.Fail(dcbor.ErrRange)
		return 0
	}
	return v
}

func done(r *dcbor.Reader, what any) error {
	if err := r.Done(); err != nil {
		return fmt.Errorf("%w: %v row: %w", ErrMalformed, what, err)
	}
	return nil
}
