package query

import (
	"reflect"
	"strings"
	"sync"
	"testing"

	"mtmledger/ledger"
)

// TestCounter: every code that the ledger has is counted, and nothing is lost between
// those who count at once.
func TestCounter(t *testing.T) {
	last := ledger.Code(1)
	for !strings.HasPrefix((last + 1).String(), "code_") {
		last++
	}
	var c Counter
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			for code := range last + 1 {
				c.Add(code)
			}
		})
	}
	group.Wait()
	c.Add(maxCodes) // nobody gives it
	var want []CodeCount
	for code := ledger.CodeMalformed; code <= last; code++ {
		want = append(want, CodeCount{code, 4})
	}
	if got := c.Counts(); !reflect.DeepEqual(got, want) {
		t.Errorf("counted %v, want %v", got, want)
	}
}
