// Package client talks to a ledger node: Local to one in this process, Remote to
// one over CometBFT's RPC. Both have the same methods.
//
//	err := c.Submit(ctx, tx)                    // nil: in the node's pool
//	result, err := c.Wait(ctx, ledger.TxHash(tx)) // committed
//
// Every error carries a ledger.Code (ledger.CodeOf). A failure on the way, such
// as a node that can't be reached or a context that ended, is CodeOverloaded:
// the same call may succeed later.
package client

import (
	"context"
	"errors"
	"fmt"

	"mtmledger/app/query"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/state"
)

// The answers of a node.
type (
	Status           = query.Status
	Entry            = query.Entry
	StreamInfo       = query.StreamInfo
	DeviceInfo       = query.DeviceInfo
	OrganisationInfo = query.OrganisationInfo
	Statement        = query.Statement
	HeightInfo       = query.HeightInfo
	KeyInfo          = query.KeyInfo
	Gap              = query.Gap
	Refused          = query.Refused
	CodeCount        = query.CodeCount
)

// transport carries a query to a node and its answer back. Refusals are
// *ledger.Error.
type transport interface {
	query(ctx context.Context, path string, request []byte) ([]byte, error)
}

// reads are the questions that both clients ask the same way.
type reads struct{ t transport }

func (r reads) ask(ctx context.Context, path string, request, reply query.Message) error {
	b, err := r.t.query(ctx, path, query.Encode(request))
	if err != nil {
		return fmt.Errorf("client: %s: %w", path, coded(err))
	}
	if err := query.Decode(b, reply); err != nil {
		return fmt.Errorf("client: answer to %s: %w", path, err)
	}
	return nil
}

// Status returns what the node says of itself.
func (r reads) Status(ctx context.Context) (s Status, err error) {
	err = r.ask(ctx, query.PathStatus, &query.Empty{}, &s)
	return s, err
}

// Height returns the last committed height. It is the cheapest question.
func (r reads) Height(ctx context.Context) (uint64, error) {
	var tip query.Tip
	err := r.ask(ctx, query.PathTip, &query.Empty{}, &tip)
	return tip.Height, err
}

// Key returns the public key of a device (or another principal) with the given
// key id. CodeUnknownKey: there is none.
func (r reads) Key(ctx context.Context, principal crypto.ID, kid crypto.KeyID) (crypto.PublicKey, error) {
	info, err := r.KeyInfo(ctx, principal, kid)
	return info.Key, err
}

// KeyInfo is Key with the heights at which the key may sign.
func (r reads) KeyInfo(ctx context.Context, principal crypto.ID, kid crypto.KeyID) (k KeyInfo, err error) {
	err = r.ask(ctx, query.PathKey, &query.KeyRequest{Principal: principal, KeyID: kid}, &k)
	return k, err
}

// Find returns the committed statement that holds a number of a stream, as of a
// height or later. CodeNotFound: there is none. CodeFutureHeight: the node has not
// reached the height, so it can't tell.
func (r reads) Find(ctx context.Context, stream crypto.ID, number, height uint64) (ledger.Found, error) {
	var s Statement
	err := r.ask(ctx, query.PathFind, &query.FindRequest{Stream: stream, Number: number, Height: height}, &s)
	return ledger.Found{Statement: s.Bytes, Height: s.Height, Index: s.Index, Time: s.Time}, err
}

// Entry returns one entry of the log.
func (r reads) Entry(ctx context.Context, index uint64) (Entry, error) {
	list, err := r.Entries(ctx, index, 1)
	if err != nil {
		return Entry{}, err
	}
	if len(list) != 1 {
		return Entry{}, ledger.Errorf(ledger.CodeNotFound, "client: no entry %d", index)
	}
	return list[0], nil
}

// Entries returns up to n entries from a log index on, fewer at the end of the
// log or when they are large.
func (r reads) Entries(ctx context.Context, from uint64, n int) ([]Entry, error) {
	var e query.Entries
	err := r.ask(ctx, query.PathEntries, &query.EntriesRequest{From: from, Count: count(n)}, &e)
	return e.List, err
}

// Statements returns up to MaxPage statements of a stream in order of their
// numbers, from the one that holds or follows number from. next is the number
// to go on from, 0 at the end.
func (r reads) Statements(ctx context.Context, stream crypto.ID, from uint64, n int) (list []Statement, next uint64, err error) {
	var s query.Statements
	err = r.ask(ctx, query.PathStatements, &query.StatementsRequest{Stream: stream, From: from, Count: count(n)}, &s)
	return s.List, s.Next, err
}

// Stream returns the state of a stream with its open gaps.
func (r reads) Stream(ctx context.Context, id crypto.ID) (s StreamInfo, err error) {
	err = r.ask(ctx, query.PathStream, &query.IDRequest{ID: id}, &s)
	return s, err
}

// Streams lists the streams of a device, or all when it is zero, with ids above
// after, at most n (1,000). more tells whether there are others.
func (r reads) Streams(ctx context.Context, device, after crypto.ID, n int) (list []StreamInfo, more bool, err error) {
	var l query.StreamList
	err = r.ask(ctx, query.PathStreams, &query.ListRequest{Of: device, After: after, Count: count(n)}, &l)
	return l.List, l.More, err
}

// Devices lists the devices of an organisation, or all when it is zero.
func (r reads) Devices(ctx context.Context, organisation, after crypto.ID, n int) (list []DeviceInfo, more bool, err error) {
	var l query.DeviceList
	err = r.ask(ctx, query.PathDevices, &query.ListRequest{Of: organisation, After: after, Count: count(n)}, &l)
	return l.List, l.More, err
}

// Organisations lists the organisations.
func (r reads) Organisations(ctx context.Context, after crypto.ID, n int) (list []OrganisationInfo, more bool, err error) {
	var l query.OrganisationList
	err = r.ask(ctx, query.PathOrganisations, &query.ListRequest{After: after, Count: count(n)}, &l)
	return l.List, l.More, err
}

// AppHash returns what the node computed at a height, 0 for the last. Nodes of
// one ledger agree at every height. CodePruned: longer ago than the node keeps;
// CodeFutureHeight: not reached.
func (r reads) AppHash(ctx context.Context, height uint64) (h HeightInfo, err error) {
	err = r.ask(ctx, query.PathAppHash, &query.HeightRequest{Height: height}, &h)
	return h, err
}

// Certificate returns the certificate file for readings first..last of a stream,
// which must lie in one statement. CodeFutureHeight: committed, but not signed
// for yet; ask again after the next block.
func (r reads) Certificate(ctx context.Context, stream crypto.ID, first, last uint64) ([]byte, error) {
	return r.CertificateFrom(ctx, CertificateRequest{RangeRequest: RangeRequest{Stream: stream, First: first, Last: last}})
}

// CertificateFrom is Certificate for those who pinned a later validator set than the
// genesis's. CodeNotFound: the node knows no such set.
func (r reads) CertificateFrom(ctx context.Context, q CertificateRequest) ([]byte, error) {
	var f query.File
	err := r.ask(ctx, query.PathCertificate, &q, &f)
	return f.Bytes, err
}

// count bounds what a caller asks for.
func count(n int) uint64 { return uint64(min(max(n, 0), query.MaxPage)) }

// txResult decodes the outcome of a transaction.
func txResult(o query.TxOutcome) (ledger.TxResult, error) {
	res, err := state.DecodeResult(o.Data)
	if err != nil {
		return ledger.TxResult{}, fmt.Errorf("client: result: %w", err)
	}
	return ledger.TxResult{
		Height: o.Height, Time: o.Time, Code: res.Code, Codes: res.Codes, Indexes: res.Indexes,
	}, nil
}

// coded gives an error without a code that of a failure on the way.
func coded(err error) error {
	var e *ledger.Error
	if errors.As(err, &e) {
		return err
	}
	return ledger.Errorf(ledger.CodeOverloaded, "%w", err)
}

// submitted returns nil when a transaction was refused only because this very
// one is committed already: Wait answers for it.
func (r reads) submitted(ctx context.Context, tx []byte, err error) error {
	if err == nil {
		return nil
	}
	if ledger.CodeOf(err) == ledger.CodeReplayed {
		var res query.Results
		q := &query.ResultsRequest{Hashes: [][32]byte{ledger.TxHash(tx)}}
		if r.ask(ctx, query.PathResults, q, &res) == nil && len(res.List) == 1 {
			return nil
		}
	}
	return fmt.Errorf("client: submit: %w", coded(err))
}
