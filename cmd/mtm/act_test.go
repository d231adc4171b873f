package main

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mtmledger/ledger"
)

// forgetful is a node whose pool loses transactions: the first submission is taken and
// never committed, what happens to later ones is told by again.
type forgetful struct {
	actClient
	again     error
	submitted int
}

func (f *forgetful) Submit(context.Context, []byte) error {
	if f.submitted++; f.submitted > 1 {
		return f.again
	}
	return nil
}

func (f *forgetful) Wait(ctx context.Context, _ [32]byte) (ledger.TxResult, error) {
	if f.submitted > 1 {
		return ledger.TxResult{Height: 7}, nil
	}
	<-ctx.Done()
	return ledger.TxResult{}, ctx.Err()
}

// TestCommitAgain: what left the pool is submitted again, and the command ends with what
// the ledger then says.
func TestCommitAgain(t *testing.T) {
	for name, again := range map[string]error{"committed then": nil, "refused then": ledger.CodeRetired.Err()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &forgetful{again: again}
				s := &session{ctx: t.Context(), c: f}
				began := time.Now()
				r, err := s.commit([]byte("tx"))
				if !errors.Is(err, again) || again == nil && r.Height != 7 {
					t.Errorf("%+v, %v", r, err)
				}
				if took := time.Since(began); f.submitted != 2 || took != commitPatience {
					t.Errorf("%d times, %v", f.submitted, took)
				}
			})
		})
	}
}

// TestCommitEnds: an interrupted command doesn't submit again.
func TestCommitEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &forgetful{}
	s := &session{ctx: ctx, c: f}
	cancel()
	if _, err := s.commit([]byte("tx")); !errors.Is(err, context.Canceled) || f.submitted != 1 {
		t.Errorf("%v, %d times", err, f.submitted)
	}
}
