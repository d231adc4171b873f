package app

import (
	"container/heap"
	"slices"

	"mtmledger/crypto"
)

// order returns the places of the chosen transactions in the order to propose
// them: where two hold statements of one stream, the one with the lower numbers
// comes first, so that no gap is opened that the next transaction would fill.
// Otherwise, and where the numbers go both ways, it keeps the order given.
func order(cs []candidate) []int {
	after, waits := dependencies(cs)
	ready := &intHeap{}
	done := make([]bool, len(cs))
	for i, n := range waits {
		if n == 0 {
			heap.Push(ready, i)
		}
	}
	out := make([]int, 0, len(cs))
	oldest := 0 // every one before is done
	for len(out) < len(cs) {
		i := -1
		if ready.Len() > 0 {
			i = heap.Pop(ready).(int)
		} else { // a cycle: the oldest that waits goes
			for done[oldest] {
				oldest++
			}
			i = oldest
		}
		if done[i] {
			continue
		}
		done[i] = true
		out = append(out, cs[i].place)
		for _, next := range after[i] {
			if waits[next]--; waits[next] == 0 {
				heap.Push(ready, next)
			}
		}
	}
	return out
}

// dependencies returns, for each candidate, those that come after it, and for
// how many it waits.
func dependencies(cs []candidate) (after [][]int, waits []int) {
	type run struct {
		first uint64
		tx    int
	}
	streams := make(map[crypto.ID][]run)
	for i, c := range cs {
		if c.tx.Batch == nil {
			continue
		}
		for k := range c.tx.Batch.Len() {
			s, err := c.tx.Batch.Parse(k)
			if err != nil {
				continue // refused when applied
			}
			runs := streams[s.Stream]
			if n := len(runs); n > 0 && runs[n-1].tx == i {
				continue // the batch's own order is its bridge's affair
			}
			streams[s.Stream] = append(runs, run{s.First, i})
		}
	}
	after, waits = make([][]int, len(cs)), make([]int, len(cs))
	for _, runs := range streams {
		slices.SortStableFunc(runs, func(a, b run) int {
			if a.first < b.first {
				return -1
			}
			if a.first > b.first {
				return 1
			}
			return a.tx - b.tx
		})
		for k := 1; k < len(runs); k++ {
			from, to := runs[k-1].tx, runs[k].tx
			if from != to {
				after[from] = append(after[from], to)
				waits[to]++
			}
		}
	}
	return after, waits
}

type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
