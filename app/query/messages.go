// Package query answers the reads of auditors, bridges and tools on committed
// state, and assembles certificates.
//
// A query is an ABCI query: a path of this package and a request message, both
// answered by Handler. Messages are deterministic CBOR arrays; their fields, in
// order, are those of the Go types below. A refusal has a ledger.Code and a
// text. Answers name the height they were true at; every list is bounded.
//
//	path           request         reply
//	/tip           Empty           Tip
//	/status        Empty           Status
//	/results       ResultsRequest  Results       what became of transactions
//	/key           KeyRequest      KeyInfo
//	/find          FindRequest     Statement     the one that holds a number
//	/statements    StatementsRequest Statements    in order of number
//	/entries       EntriesRequest  Entries       in order of log index
//	/stream        IDRequest       StreamInfo    with its open gaps
//	/streams       ListRequest     StreamList    of a device, or all
//	/devices       ListRequest     DeviceList    of an organisation, or all
//	/organisations ListRequest     OrganisationList
//	/app-hash      HeightRequest   HeightInfo
//	/certificate   CertificateRequest File          a .mtmcert file
//	/answer        AnswerRequest   File          a .mtmanswer file
//	/pin           Empty           Pin           holds a height for 10 minutes
//	/unpin         IDRequest       Empty         ends that
//
// Reads answer at the last committed height. A certificate or an answer proves
// the state one block before, because that is the last whose header is signed;
// an answer can prove the state of a pin instead.
package query

import (
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
)

// Paths of the queries.
const (
	PathTip           = "/tip"
	PathStatus        = "/status"
	PathResults       = "/results"
	PathKey           = "/key"
	PathFind          = "/find"
	PathStatements    = "/statements"
	PathEntries       = "/entries"
	PathStream        = "/stream"
	PathStreams       = "/streams"
	PathDevices       = "/devices"
	PathOrganisations = "/organisations"
	PathAppHash       = "/app-hash"
	PathCertificate   = "/certificate"
)

// Limits of a query.
const (
	// MaxPage bounds the items of a reply.
	MaxPage = 1_000
	// MaxPageBytes bounds the entries in a reply; one entry always fits.
	MaxPageBytes = 4 << 20
	// MaxHashes bounds the transactions asked about at once.
	MaxHashes = 4_096
	// MaxRequest bounds a request.
	MaxRequest = 256 << 10
	// MaxCertificate bounds a certificate in a reply.
	MaxCertificate = 8 << 20
	maxText        = 256
	maxResult      = 16 << 10
)

// Empty is a request without fields.
type Empty struct{}

// Tip is the last committed block.
type Tip struct{ Height uint64 }

// Status is what a node says of itself.
type Status struct {
	Chain        string
	Height       uint64           // last committed block
	AppHash      [32]byte         // after it
	LogSize      uint64           // entries in the log
	Time         int64            // of that block, µs since the Unix epoch
	BaseHeight   uint64           // oldest block kept, 0 when none
	NodeID       string           // p2p id
	Key          crypto.PublicKey // consensus key
	CatchingUp   bool             // still fetching blocks from others
	Peers        uint64
	PoolCount    uint64 // transactions waiting
	PoolBytes    uint64
	DiskBytes    uint64
	SignedHeight uint64 // greatest height whose state certificates can prove
	Refused      Refused
}

// ResultsRequest asks what became of transactions, by their TxHash.
type ResultsRequest struct{ Hashes [][32]byte }

// Results answers for the committed ones among the transactions asked about.
type Results struct {
	Height uint64
	List   []TxOutcome
}

// TxOutcome is the outcome of one transaction.
type TxOutcome struct {
	Place  uint64 // in ResultsRequest.Hashes
	Height uint64
	Time   int64
	Data   []byte // state.Result, encoded
}

// KeyRequest asks for a key of a device, bridge or organisation.
type KeyRequest struct {
	Principal crypto.ID
	KeyID     crypto.KeyID
}

// KeyInfo is a public key and the heights at which it may sign.
type KeyInfo struct {
	Height uint64 // of the answer
	Key    crypto.PublicKey
	Opens  uint64
	Closes uint64 // 0: open
}

// FindRequest asks for the statement that holds a number of a stream, of a node that
// has reached a height: "not found" says nothing about blocks that it lacks. One that
// is behind refuses, CodeFutureHeight.
type FindRequest struct {
	Stream crypto.ID
	Number uint64
	Height uint64 // 0: any
}

// StatementsRequest asks for Count statements of a stream, in order of their
// numbers, from the one that holds or follows number From.
type StatementsRequest struct {
	Stream crypto.ID
	From   uint64
	Count  uint64
}

// RangeRequest asks about numbers First..Last of a stream.
type RangeRequest struct {
	Stream      crypto.ID
	First, Last uint64
}

// CertificateRequest asks for the certificate of numbers First..Last of a stream, which
// one statement holds, for those who pinned the validator set with the hash From.
type CertificateRequest struct {
	RangeRequest
	From merkle.Hash // proof.ValidatorsHash; zero: the genesis's set
}

// Statement is a committed statement.
type Statement struct {
	First, Last uint64 // numbers
	Index       uint64 // in the log
	Height      uint64
	Time        int64  // committed, µs since the Unix epoch
	Bytes       []byte // as signed
}

// Statements are statements of one stream in order of their numbers. Next is
// the number to go on from, 0 when there are no more.
type Statements struct {
	Height uint64
	Next   uint64
	List   []Statement
}

// EntriesRequest asks for Count entries from log index From.
type EntriesRequest struct{ From, Count uint64 }

// Entry is an entry of the log.
type Entry struct {
	Index  uint64
	Height uint64
	Time   int64 // committed, µs since the Unix epoch
	Bytes  []byte
}

// Entries are consecutive entries, perhaps fewer than asked for.
type Entries struct {
	Height  uint64
	LogSize uint64
	List    []Entry
}

// IDRequest asks about one thing.
type IDRequest struct{ ID crypto.ID }

// Gap is a run of numbers below a stream's mark that are missing.
type Gap struct{ First, Last uint64 }

// StreamInfo is the state of a stream.
type StreamInfo struct {
	Height   uint64 // of the answer
	Stream   crypto.ID
	Device   crypto.ID
	Name     string
	Owner    crypto.ID // organisation
	Mark     uint64    // greatest number used, 0: none
	GapCount uint64
	Gaps     []Gap // of /stream only; at most 1,024
}

// ListRequest asks for what belongs to Of, or for all when it is zero: up to
// Count items with ids above After.
type ListRequest struct {
	Of    crypto.ID
	After crypto.ID
	Count uint64
}

// StreamList is a page of streams; More tells whether there are others.
type StreamList struct {
	Height uint64
	More   bool
	List   []StreamInfo
}

// DeviceInfo is the state of a device.
type DeviceInfo struct {
	Device       crypto.ID
	Organisation crypto.ID
	Status       uint64 // record.Status
	Since        uint64 // height of its last change
}

// DeviceList is a page of devices.
type DeviceList struct {
	Height uint64
	More   bool
	List   []DeviceInfo
}

// OrganisationInfo is the state of an organisation.
type OrganisationInfo struct {
	Organisation crypto.ID
	Name         string
	Threshold    uint64
	Status       uint64 // record.Status
}

// OrganisationList is a page of organisations.
type OrganisationList struct {
	Height uint64
	More   bool
	List   []OrganisationInfo
}

// HeightRequest asks about one block; 0 means the last.
type HeightRequest struct{ Height uint64 }

// HeightInfo is what the application computed at a height.
type HeightInfo struct {
	Height  uint64
	AppHash [32]byte
	LogSize uint64
	Time    int64
	Count   uint64 // transactions
}

// File is the bytes of a file.
type File struct{ Bytes []byte }

func (m *Empty) fields(x *coder) { x.array(0) }

func (m *Tip) fields(x *coder) {
	x.array(1)
	x.uint(&m.Height)
}

func (m *Status) fields(x *coder) {
	x.array(15)
	x.text(&m.Chain, ledger.MaxChain)
	x.uint(&m.Height)
	x.hash(&m.AppHash)
	x.uint(&m.LogSize)
	x.int(&m.Time)
	x.uint(&m.BaseHeight)
	x.text(&m.NodeID, maxText)
	x.fixed(m.Key[:])
	x.bool(&m.CatchingUp)
	x.uint(&m.Peers)
	x.uint(&m.PoolCount)
	x.uint(&m.PoolBytes)
	x.uint(&m.DiskBytes)
	x.uint(&m.SignedHeight)
	m.Refused.fields(x)
}

func (m *ResultsRequest) fields(x *coder) {
	x.array(1)
	list(x, &m.Hashes, MaxHashes, x.hash)
}

func (m *Results) fields(x *coder) {
	x.array(2)
	x.uint(&m.Height)
	list(x, &m.List, MaxHashes, func(o *TxOutcome) {
		x.array(4)
		x.uint(&o.Place)
		x.uint(&o.Height)
		x.int(&o.Time)
		x.bytes(&o.Data, maxResult)
	})
}

func (m *KeyRequest) fields(x *coder) {
	x.array(2)
	x.id(&m.Principal)
	x.fixed(m.KeyID[:])
}

func (m *KeyInfo) fields(x *coder) {
	x.array(4)
	x.uint(&m.Height)
	x.fixed(m.Key[:])
	x.uint(&m.Opens)
	x.uint(&m.Closes)
}

func (m *FindRequest) fields(x *coder) {
	x.array(3)
	x.id(&m.Stream)
	x.uint(&m.Number)
	x.uint(&m.Height)
}

func (m *RangeRequest) fields(x *coder) {
	x.array(3)
	x.id(&m.Stream)
	x.uint(&m.First)
	x.uint(&m.Last)
}

func (m *CertificateRequest) fields(x *coder) {
	x.array(2)
	m.RangeRequest.fields(x)
	x.fixed(m.From[:])
}

func (m *StatementsRequest) fields(x *coder) {
	x.array(3)
	x.id(&m.Stream)
	x.uint(&m.From)
	x.uint(&m.Count)
}

func (m *Statement) fields(x *coder) {
	x.array(6)
	x.uint(&m.First)
	x.uint(&m.Last)
	x.uint(&m.Index)
	x.uint(&m.Height)
	x.int(&m.Time)
	x.bytes(&m.Bytes, ledger.MaxStatement)
}

func (m *Statements) fields(x *coder) {
	x.array(3)
	x.uint(&m.Height)
	x.uint(&m.Next)
	list(x, &m.List, MaxPage, func(s *Statement) { s.fields(x) })
}

func (m *EntriesRequest) fields(x *coder) {
	x.array(2)
	x.uint(&m.From)
	x.uint(&m.Count)
}

func (m *Entries) fields(x *coder) {
	x.array(3)
	x.uint(&m.Height)
	x.uint(&m.LogSize)
	list(x, &m.List, MaxPage, func(e *Entry) {
		x.array(4)
		x.uint(&e.Index)
		x.uint(&e.Height)
		x.int(&e.Time)
		x.bytes(&e.Bytes, ledger.MaxEvidence)
	})
}

func (m *IDRequest) fields(x *coder) {
	x.array(1)
	x.id(&m.ID)
}

func (m *StreamInfo) fields(x *coder) {
	x.array(8)
	x.uint(&m.Height)
	x.id(&m.Stream)
	x.id(&m.Device)
	x.text(&m.Name, ledger.MaxName)
	x.id(&m.Owner)
	x.uint(&m.Mark)
	x.uint(&m.GapCount)
	list(x, &m.Gaps, ledger.MaxOpenGaps, func(g *Gap) {
		x.array(2)
		x.uint(&g.First)
		x.uint(&g.Last)
	})
}

func (m *ListRequest) fields(x *coder) {
	x.array(3)
	x.id(&m.Of)
	x.id(&m.After)
	x.uint(&m.Count)
}

func (m *StreamList) fields(x *coder) {
	x.array(3)
	x.uint(&m.Height)
	x.bool(&m.More)
	list(x, &m.List, MaxPage, func(s *StreamInfo) { s.fields(x) })
}

func (m *DeviceList) fields(x *coder) {
	x.array(3)
	x.uint(&m.Height)
	x.bool(&m.More)
	list(x, &m.List, MaxPage, func(d *DeviceInfo) {
		x.array(4)
		x.id(&d.Device)
		x.id(&d.Organisation)
		x.uint(&d.Status)
		x.uint(&d.Since)
	})
}

func (m *OrganisationList) fields(x *coder) {
	x.array(3)
	x.uint(&m.Height)
	x.bool(&m.More)
	list(x, &m.List, MaxPage, func(o *OrganisationInfo) {
		x.array(4)
		x.id(&o.Organisation)
		x.text(&o.Name, ledger.MaxName)
		x.uint(&o.Threshold)
		x.uint(&o.Status)
	})
}

func (m *HeightRequest) fields(x *coder) {
	x.array(1)
	x.uint(&m.Height)
}

func (m *HeightInfo) fields(x *coder) {
	x.array(5)
	x.uint(&m.Height)
	x.hash(&m.AppHash)
	x.uint(&m.LogSize)
	x.int(&m.Time)
	x.uint(&m.Count)
}

func (m *File) fields(x *coder) {
	x.array(1)
	x.bytes(&m.Bytes, MaxCertificate)
}
