package mqttbridge

import (
	"context"
	"fmt"

	"mtmledger/ledger"
	"mtmledger/mqttbridge/spool"
)

// decision collects what became of the statements of one transaction.
type decision struct {
	committed, duplicate []*item
	later                []*item
	letters              []letter
}

// checkResult checks that a result fits the transaction: a code for each statement, or
// none when all are accepted, and a log index for each that is.
func checkResult(items []*item, r ledger.TxResult) error {
	accepted := len(items)
	if len(r.Codes) > 0 {
		accepted = 0
		for _, code := range r.Codes {
			if code == ledger.CodeOK {
				accepted++
			}
		}
	}
	if r.Code != ledger.CodeOK {
		return nil
	}
	if (len(r.Codes) != 0 && len(r.Codes) != len(items)) || len(r.Indexes) != accepted {
		return fmt.Errorf("mqttbridge: a result of %d codes and %d indexes for %d statements", len(r.Codes), len(r.Indexes), len(items))
	}
	return nil
}

// decide handles a checked result, statement by statement.
func (b *Bridge) decide(ctx context.Context, items []*item, r ledger.TxResult) {
	var d decision
	indexes := r.Indexes
	for i, it := range items {
		code := ledger.CodeOK
		if len(r.Codes) > 0 {
			code = r.Codes[i]
		}
		switch {
		case code == ledger.CodeOK:
			d.committed = append(d.committed, it)
			b.answers.committed(it, ledger.Found{Height: r.Height, Index: indexes[0], Time: r.Time})
			indexes = indexes[1:]
		case code == ledger.CodeUsed:
			if b.used(ctx, it, r.Height, &d) != nil {
				return // ctx has ended
			}
		case code.Retryable():
			it.retry.code, it.retry.text = code, code.Advice()
			d.later = append(d.later, it)
		default:
			d.letters = append(d.letters, letter{item: it, code: code, text: code.Advice(), answer: true})
		}
	}
	b.settle(d)
	b.bury(ctx, append(d.letters, b.postpone(d.later)...))
}

// used tells whether a statement whose numbers are taken, by the ledger at a height,
// is itself what took them. The device is told so for good, so only what the ledger
// knew at that height or later counts: a node that is away or behind is asked again.
func (b *Bridge) used(ctx context.Context, it *item, height uint64, d *decision) error {
	var found ledger.Found
	var code ledger.Code
	err := b.insist(ctx, "find", func() (err error) {
		found, err = b.cfg.Ledger.Find(ctx, it.statement.Stream, it.statement.First, height)
		var ok bool
		if code, _, ok = refusal(err); ok && !code.Retryable() {
			return nil
		}
		return err
	})
	if err != nil {
		return err
	}
	l := letter{item: it, code: ledger.CodeUsed, text: ledger.CodeUsed.Advice(), answer: true}
	if code == ledger.CodeOK {
		other, err := ledger.ParseStatement(found.Statement)
		if err == nil && other.Digest() == it.digest {
			b.answers.duplicate(it, found)
			d.duplicate = append(d.duplicate, it)
			return nil
		}
		l.text = fmt.Sprintf("number %d was used by another statement, committed at height %d, index %d", it.statement.First, found.Height, found.Index)
	} else if code != ledger.CodeNotFound {
		l.text = fmt.Sprintf("a number is used; by which statement can't be said: %v", code)
		l.answer = false
	}
	d.letters = append(d.letters, l)
	return nil
}

// settle marks decided items in the spool. Those that carried the same statement are
// duplicates.
func (b *Bridge) settle(d decision) {
	same := b.queue.finish(d.committed)
	same = append(same, b.queue.finish(d.duplicate)...)
	b.spool.Done(spool.Committed, seqs(d.committed)...)
	b.spool.Done(spool.Duplicate, seqs(d.duplicate)...)
	b.spool.Done(spool.Duplicate, seqs(same)...)
}

func seqs(items []*item) []uint64 {
	list := make([]uint64, len(items))
	for i, it := range items {
		list[i] = it.seq
	}
	return list
}
