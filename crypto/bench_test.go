package crypto

import (
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"runtime"
	"slices"
	"testing"

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
var verifyImpls = []struct {
	name    string
	prepare func([]Item) func() bool
}{
	{"std", func(items []Item) func() bool {
		return func() bool {
			return inParallel(items, func(part []Item) bool {
				ok := true
				for i := range part {
					ok = ed25519.Verify(part[i].Key[:], part[i].Message, part[i].Signature[:]) && ok
				}
				return ok
			})
		}
	}},
	{"consensus", func(items []Item) func() bool {
		return func() bool {
			return inParallel(items, func(part []Item) bool {
				v := ed25519consensus.NewPreallocatedBatchVerifier(len(part))
				for i := range part {
					v.Add(part[i].Key[:], part[i].Message, part[i].Signature[:])
				}
				return v.Verify()
			})
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
		return func() bool {
			return inParallel(items, func(part []Item) bool {
				v := voi.NewBatchVerifierWithCapacity(len(part))
				for i := range part {
					v.AddExpandedWithOptions(expanded[part[i].Key], part[i].Message, part[i].Signature[:], opts)
				}
				return v.VerifyBatchOnly(rand.Reader)
			})
		}
	}},
	{"ours", func(items []Item) func() bool {
		v := NewVerifier(VerifierConfig{})
		v.Verify(items) // fills the cache of keys; none of signatures is asked for
		return func() bool { return !slices.Contains(v.Verify(items), false) }
	}},
}

// inParallel gives each core its share, so that all compare on several cores.
func inParallel(items []Item, verify func([]Item) bool) bool {
	workers := runtime.GOMAXPROCS(0)
	if workers == 1 {
		return verify(items)
	}
	share := (len(items) + workers - 1) / workers
	results := make(chan bool, workers)
	parts := 0
	for part := range slices.Chunk(items, share) {
		parts++
		go func() { results <- verify(part) }()
	}
	ok := true
	for range parts {
		ok = <-results && ok
	}
	return ok
}

func BenchmarkVerify(b *testing.B) {
	for _, impl := range verifyImpls {
		for _, n := range []int{64, 256, 1024, 4096} {
			for _, keys := range slices.Compact([]int{1, 8, 64, n}) {
				b.Run(fmt.Sprintf("%s/n=%d/keys=%d", impl.name, n, keys), func(b *testing.B) {
					verify := impl.prepare(benchItems(n, keys))
					b.ReportAllocs()
					before := cpuTime()
					for b.Loop() {
						if !verify() {
							b.Fatal("refused")
						}
					}
					sigs := float64(b.N) * float64(n)
					b.ReportMetric(sigs/b.Elapsed().Seconds(), "sigs/s")
					if used := cpuTime() - before; used > 0 {
						b.ReportMetric(sigs/used.Seconds(), "sigs/cpu-s")
					}
				})
			}
		}
	}
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
