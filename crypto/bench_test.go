package crypto

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/hdevalence/ed25519consensus"
	voi "github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"mtmledger/crypto/internal/group"
)

// benchItems are n signatures of 160-byte messages by a number of keys in turn.
func benchItems(n, keys int) []Item {
	private := make([]PrivateKey, keys)
	for i := range private {
		private[i] = testKey(i)
	}
	items := make([]Item, n)
	for i := range items {
		k := private[i%keys]
		msg := make([]byte, 160)
		copy(msg, fmt.Sprint("message ", i))
		items[i] = Item{k.Public(), msg, k.Sign(msg)}
	}
	return items
}

// verifyImpls are the ways to verify all of some items, prepared for their keys.
// Several goroutines may call what prepare returns.
var verifyImpls = []struct {
	name    string
	prepare func([]Item) func() bool
}{
	{"std", func(items []Item) func() bool {
		return func() bool {
			ok := true
			for i := range items {
				ok = ed25519.Verify(items[i].Key[:], items[i].Message, items[i].Signature[:]) && ok
			}
			return ok
		}
	}},
	{"consensus", func(items []Item) func() bool {
		return func() bool {
			v := ed25519consensus.NewPreallocatedBatchVerifier(len(items))
			for i := range items {
				v.Add(items[i].Key[:], items[i].Message, items[i].Signature[:])
			}
			return v.Verify()
		}
	}},
	{"voi", func(items []Item) func() bool {
		expanded := map[PublicKey]*voi.ExpandedPublicKey{}
		for i := range items {
			if expanded[items[i].Key] != nil {
				continue
			}
			k, err := voi.NewExpandedPublicKey(items[i].Key[:])
			if err != nil {
				panic(err)
			}
			expanded[items[i].Key] = k
		}
		opts := &voi.Options{Verify: voi.VerifyOptionsZIP_215}
		idle := make(chan *voi.BatchVerifier, runtime.GOMAXPROCS(0)) // for each caller one, with its memory
		for range cap(idle) {
			idle <- voi.NewBatchVerifierWithCapacity(len(items))
		}
		return func() bool {
			v := <-idle
			defer func() { idle <- v.Reset() }()
			for i := range items {
				v.AddExpandedWithOptions(expanded[items[i].Key], items[i].Message, items[i].Signature[:], opts)
			}
			return v.VerifyBatchOnly(rand.Reader)
		}
	}},
	{"ours", func(items []Item) func() bool {
		v := NewVerifier(VerifierConfig{})
		v.Verify(items) // fills the cache of keys; none of signatures is asked for
		return func() bool { return !slices.Contains(v.Verify(items), false) }
	}},
}

// forSizes runs a benchmark for each number of signatures and keys.
func forSizes(b *testing.B, name string, run func(b *testing.B, n, keys int)) {
	for _, n := range []int{64, 256, 1024, 4096} {
		for _, keys := range slices.Compact([]int{1, 8, 64, n}) {
			b.Run(fmt.Sprintf("%sn=%d/keys=%d", name, n, keys), func(b *testing.B) {
				b.ReportAllocs()
				run(b, n, keys)
			})
		}
	}
}

// reportRate reports how many signatures were verified a second, and a second of
// processor time.
func reportRate(b *testing.B, sigs int, cpuBefore time.Duration) {
	b.ReportMetric(float64(sigs)/b.Elapsed().Seconds(), "sigs/s")
	if used := cpuTime() - cpuBefore; used > 0 {
		b.ReportMetric(float64(sigs)/used.Seconds(), "sigs/cpu-s")
	}
}

// BenchmarkVerify has as many callers as cores, each of which verifies one batch of n
// signatures after the other. An op is a batch of each. Ours share a Verifier, as the
// callers of a node do.
func BenchmarkVerify(b *testing.B) {
	for _, impl := range verifyImpls {
		forSizes(b, impl.name+"/", func(b *testing.B, n, keys int) {
			verify := impl.prepare(benchItems(n, keys))
			callers := runtime.GOMAXPROCS(0)
			verifyTimes := func(times int) {
				var wg sync.WaitGroup
				for range callers {
					wg.Go(func() {
						for range times {
							if !verify() {
								b.Error("refused")
							}
						}
					})
				}
				wg.Wait()
			}
			verifyTimes(1) // so that every caller has its scratch memory
			before := cpuTime()
			b.ResetTimer()
			verifyTimes(b.N)
			b.StopTimer()
			reportRate(b, callers*b.N*n, before)
		})
	}
}

// BenchmarkOneCall has one caller, whatever the cores: compared with one core, it is
// what a call gains from cores that are idle.
func BenchmarkOneCall(b *testing.B) {
	forSizes(b, "", func(b *testing.B, n, keys int) {
		items := benchItems(n, keys)
		v := NewVerifier(VerifierConfig{})
		v.Verify(items)
		before := cpuTime()
		for b.Loop() {
			if slices.Contains(v.Verify(items), false) {
				b.Fatal("refused")
			}
		}
		reportRate(b, b.N*n, before)
	})
}

// BenchmarkNaming measures what naming the bad signatures costs, by 64 keys that
// are cached, and by keys never seen before: compare with clean, and with n times
// BenchmarkVerifyOne.
func BenchmarkNaming(b *testing.B) {
	for _, n := range []int{1, 2, 4, 8, 16, 64, 1024} {
		for _, pattern := range []struct {
			name string
			bad  func(i int) bool
		}{
			{"clean", func(int) bool { return false }},
			{"first", func(i int) bool { return i == 0 }},
			{"last", func(i int) bool { return i == n-1 }},
			{"eighths", func(i int) bool { return i%8 == 0 }},
			{"halves", func(i int) bool { return i%2 == 0 }},
			{"all", func(int) bool { return true }},
		} {
			items := benchItems(n, min(n, 64))
			fresh := benchItems(n, n)
			for i := range items {
				if pattern.bad(i) {
					items[i].Signature[33] ^= 1
					fresh[i].Signature[33] ^= 1
				}
			}
			v := NewVerifier(VerifierConfig{Workers: 1})
			v.Verify(items)
			b.Run(fmt.Sprintf("cached/%s/n=%d", pattern.name, n), func(b *testing.B) {
				for b.Loop() {
					v.Verify(items)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/sig")
			})
			b.Run(fmt.Sprintf("fresh/%s/n=%d", pattern.name, n), func(b *testing.B) {
				for b.Loop() {
					v.keys.forget()
					v.Verify(fresh)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/sig")
			})
		}
	}
}

// BenchmarkStep measures the steps of batches on one core, for each signature.
// "decode" includes "decompress" and the challenge.
func BenchmarkStep(b *testing.B) {
	for _, size := range [][2]int{{64, 1}, {64, 64}, {256, 256}, {1024, 64}, {1024, 1024}} {
		items := benchItems(size[0], size[1])
		batch := newTestBatch(newRecent[PublicKey, *keyPoints](keyCacheSize))
		steps := []struct {
			name string
			run  func()
		}{
			{"keys", func() {
				batch.reset(items, make([]bool, len(items)))
				batch.findKeys()
				batch.decodeKeys()
			}},
			{"decompress", func() {
				var r group.Affine
				for i := range items {
					r.SetBytes((*[32]byte)(items[i].Signature[:32]))
				}
			}},
			{"decode", func() {
				batch.decode()
			}},
			{"randomise", batch.randomise},
			{"scalars+sum", func() { batch.holds(0, len(batch.sigs)) }},
		}
		for _, s := range steps {
			b.Run(fmt.Sprintf("n=%d/keys=%d/%s", size[0], size[1], s.name), func(b *testing.B) {
				before := cpuTime()
				for b.Loop() {
					s.run()
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(items)), "ns/sig")
				b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N*len(items)), "cpu-ns/sig")
			})
		}
	}
}
