package query

import (
	"errors"
	"math"
	"sync/atomic"

	"mtmledger/ledger"
)

// maxCodes bounds the codes that are counted; a test checks that all have room.
const maxCodes = 128

// Counter counts refusals by code. The zero Counter is ready, and safe for concurrent
// use.
type Counter [maxCodes]atomic.Uint64

// Add counts one refusal; CodeOK is none.
func (c *Counter) Add(code ledger.Code) {
	if code != ledger.CodeOK && code < maxCodes {
		c[code].Add(1)
	}
}

// Counts returns how often each code was counted, without those that never were.
func (c *Counter) Counts() (list []CodeCount) {
	for code := range c {
		if n := c[code].Load(); n > 0 {
			list = append(list, CodeCount{ledger.Code(code), n})
		}
	}
	return list
}

// Counters count what a node refuses, from its start on: nothing of it is in the state,
// so nodes may differ.
type Counters struct {
	Transactions Counter // before they were in the pool
	Committed    Counter // statements, and transactions as a whole, in blocks
	Queries      Counter
}

// Counts returns what was counted until now.
func (c *Counters) Counts() Refused {
	return Refused{c.Transactions.Counts(), c.Committed.Counts(), c.Queries.Counts()}
}

// Refused says what a node has refused since its start.
type Refused struct {
	Transactions []CodeCount `json:"transactions,omitempty"` // before they were in the pool
	Committed    []CodeCount `json:"committed,omitempty"`    // statements, and transactions as a whole, in blocks
	Queries      []CodeCount `json:"queries,omitempty"`
}

// CodeCount says how often a code was given.
type CodeCount struct {
	Code  ledger.Code `json:"code"`
	Count uint64      `json:"count"`
}

func (r *Refused) fields(x *coder) {
	x.array(3)
	for _, l := range []*[]CodeCount{&r.Transactions, &r.Committed, &r.Queries} {
		list(x, l, maxCodes, func(c *CodeCount) {
			x.array(2)
			code := uint64(c.Code)
			x.uint(&code)
			if x.r != nil && code > math.MaxUint32 {
				x.r.Fail(errors.New("no such code"))
			}
			c.Code = ledger.Code(code)
			x.uint(&c.Count)
		})
	}
}
