package query

import (
	"fmt"

	"mtmledger/app/store"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// certificate assembles the certificate file for readings of one statement. It
// proves the state one block before the last: the last header is over it, and
// the node has the votes for that header.
func (h *Handler) certificate(tip *store.View, q *CertificateRequest) (*File, error) {
	prev := h.st.Previous()
	if prev == nil {
		return nil, ledger.Errorf(ledger.CodeFutureHeight, "no state is signed for yet")
	}
	defer prev.Release()
	chain := h.chain.Load()
	if chain == nil {
		return nil, ledger.Errorf(ledger.CodeFutureHeight, "the node is starting")
	}
	s, parsed, err := provable(prev, tip, &q.RangeRequest)
	if err != nil {
		return nil, err
	}
	c := &proof.Certificate{
		Claim:  proof.Claim{Stream: q.Stream, First: q.First, Last: q.Last},
		Entry:  s.Bytes,
		Height: s.Height,
		Index:  s.Index,
		Size:   prev.LogSize(),
	}
	if c.LogPath, err = merkle.InclusionProof(prev, c.Size, c.Index); err != nil {
		return nil, fmt.Errorf("query: log path: %w", err)
	}
	questions := proof.RecordQueries(parsed.Device, parsed.KeyID(), q.Stream, s.Height)
	if c.Records, err = merkle.Prove(prev, prev, prev.Trie, questions...); err != nil {
		return nil, fmt.Errorf("query: records: %w", err)
	}
	signed, err := h.signedHeader(chain, prev.Height+1)
	if err != nil {
		return nil, fmt.Errorf("query: header: %w", err)
	}
	c.Light = signed.Light
	if c.Path, err = h.path(q.From, prev.Height+1); err != nil {
		return nil, err
	}
	file := c.Encode()
	if len(file) > proof.MaxSize {
		return nil, ledger.Errorf(ledger.CodeTooLarge, "the certificate would have %d bytes, at most %d: %s", len(file), proof.MaxSize, pinLater)
	}
	return &File{Bytes: file}, nil
}

// pinLater is what helps when too much lies between the pinned set and the present one.
const pinLater = "pin a later validator set as the trust root, and ask with it"

// path returns the changes of the validator set from a pinned one, as many as a verifier
// takes.
func (h *Handler) path(from merkle.Hash, height uint64) ([]proof.PathStep, error) {
	path, err := h.chain.Load().Path(from, height)
	if err != nil {
		return nil, fmt.Errorf("query: validator path: %w", err)
	}
	if len(path) > proof.MaxPathSteps {
		return nil, ledger.Errorf(ledger.CodeTooLarge, "the validators changed %d times since the pinned set, and verifiers take at most %d changes: %s",
			len(path), proof.MaxPathSteps, pinLater)
	}
	return path, nil
}

// provable finds the statement that holds the range in the state to prove.
func provable(prev, tip *store.View, q *RangeRequest) (Statement, *ledger.Statement, error) {
	if q.First == 0 || q.Last < q.First {
		return Statement{}, nil, ledger.Errorf(ledger.CodeMalformed, "numbers %d to %d are no range", q.First, q.Last)
	}
	s, parsed, found, err := holder(prev, q.Stream, q.First)
	if err != nil {
		return Statement{}, nil, err
	}
	if !found {
		if _, _, there, err := holder(tip, q.Stream, q.First); err != nil {
			return Statement{}, nil, err
		} else if there {
			return Statement{}, nil, ledger.Errorf(ledger.CodeFutureHeight, "number %d is committed, but its state is not signed for yet; ask again after the next block", q.First)
		}
		return Statement{}, nil, ledger.Errorf(ledger.CodeNotFound, "stream %s has no number %d", q.Stream, q.First)
	}
	if q.Last > s.Last {
		return Statement{}, nil, ledger.Errorf(ledger.CodeNotFound, "number %d is not in the statement of number %d, which ends with %d; ask for each statement", q.Last, q.First, s.Last)
	}
	return s, parsed, nil
}

// signedHeader returns a header with the fewest votes above 2/3, from memory
// when it was the last one used.
func (h *Handler) signedHeader(chain Chain, height uint64) (*SignedHeader, error) {
	if s := h.signed.Load(); s != nil && s.Light.Header.Height == height {
		return s, nil
	}
	s, err := chain.Signed(height)
	if err != nil {
		return nil, err
	}
	s.Light.Commit.Signatures, err = proof.SelectSignatures(s.Validators, s.Light.Commit.Signatures)
	if err != nil {
		return nil, err
	}
	h.signed.Store(&s)
	return &s, nil
}
