package crypto

import (
	"crypto/ed25519"
	"fmt"
	"testing"

	"filippo.io/edwards25519"
	"github.com/hdevalence/ed25519consensus"
)

// forge makes signatures, right and wrong, from the bytes of a fuzzer.
type forge struct {
	secrets [8]*edwards25519.Scalar
	nonces  [8]*edwards25519.Scalar
	keys    [8][8]PublicKey // secret, component of small order
	rs      [8][8][32]byte  // nonce, component of small order
	small   [][32]byte
}

func newForge(t testing.TB) *forge {
	f := &forge{small: smallEncodings(t)}
	points := torsion(t)
	scalar := func(domain string, i int) *edwards25519.Scalar {
		h := Sum(domain, []byte{byte(i)})
		s, err := new(edwards25519.Scalar).SetUniformBytes(append(h[:], h[:]...))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for i := range 8 {
		f.secrets[i], f.nonces[i] = scalar("secret", i), scalar("nonce", i)
		a := new(edwards25519.Point).ScalarBaseMult(f.secrets[i])
		r := new(edwards25519.Point).ScalarBaseMult(f.nonces[i])
		for j, p := range points {
			f.keys[i][j] = PublicKey(new(edwards25519.Point).Add(a, p).Bytes())
			f.rs[i][j] = [32]byte(new(edwards25519.Point).Add(r, p).Bytes())
		}
	}
	return f
}

// forgeBytes is how many bytes one signature is made from.
const forgeBytes = 5

// item makes a signature that is right, whatever the components of small order.
func (f *forge) item(b []byte) Item {
	secret, nonce := b[0]>>4&7, b[1]>>4&7
	it := Item{Key: f.keys[secret][b[0]&7], Message: []byte{b[1]}}
	copy(it.Signature[:32], f.rs[nonce][b[1]&7][:])
	f.finish(&it, f.secrets[secret], f.nonces[nonce])
	return it
}

func (f *forge) finish(it *Item, secret, nonce *edwards25519.Scalar) {
	digest := challenge(&it.Key, it.Message, &it.Signature)
	k, err := new(edwards25519.Scalar).SetUniformBytes(digest[:])
	if err != nil {
		panic(err)
	}
	copy(it.Signature[32:], k.MultiplyAdd(k, secret, nonce).Bytes())
}

// mutate changes a signature in one of many ways; some leave it right.
func (f *forge) mutate(it *Item, b []byte, before []Item) {
	at, bit := int(b[3])%32, byte(1)<<(b[4]%8)
	small := f.small[int(b[3])%len(f.small)]
	switch b[2] % 16 {
	case 1:
		it.Key[at] ^= bit
	case 2:
		it.Signature[at] ^= bit
	case 3:
		it.Signature[32+at] ^= bit
	case 4:
		addOrder(it.Signature[32:])
	case 5:
		it.Key = small
	case 6:
		copy(it.Signature[:32], small[:])
	case 7: // all of small order: right
		it.Key = small
		copy(it.Signature[:32], f.small[int(b[4])%len(f.small)][:])
		clear(it.Signature[32:])
	case 8: // R of small order, and an s that fits: right
		copy(it.Signature[:32], small[:])
		f.finish(it, f.secrets[b[0]>>4&7], edwards25519.NewScalar())
	case 9: // A of small order, and an s that fits: right
		it.Key = small
		f.finish(it, edwards25519.NewScalar(), f.nonces[b[1]>>4&7])
	case 10:
		it.Message = append(it.Message, b[3:]...)
	case 11:
		clear(it.Signature[32:])
	case 12: // -A or -R
		it.Key[31] ^= 0x80
		it.Signature[31] ^= b[4] & 0x80
	case 13: // errors that cancel in a sum
		if n := len(before); n > 0 && it.Signature[32] < 0xff && before[n-1].Signature[32] > 0 {
			it.Signature[32]++
			before[n-1].Signature[32]--
		}
	case 14: // twice, or with parts of the one before
		if n := len(before); n > 0 {
			*it = before[n-1]
			it.Signature[63] ^= b[3] & 0x10
		}
	case 15: // a component of small order less or more
		copy(it.Signature[:32], f.rs[b[1]>>4&7][b[3]&7][:])
	}
}

func (f *forge) items(data []byte) (items []Item) {
	for ; len(data) >= forgeBytes && len(items) < 150; data = data[forgeBytes:] {
		it := f.item(data)
		f.mutate(&it, data, items)
		items = append(items, it)
	}
	return items
}

// FuzzVerify compares three verdicts on each signature: of the single rule, of
// the batch, and of another implementation, single and batch.
func FuzzVerify(f *testing.F) {
	forge := newForge(f)
	for how := range byte(16) {
		var data []byte
		for i := range byte(24) {
			data = append(data, i*37, i*91, how*(i%3&1), i*5, i)
		}
		f.Add(data)
	}
	f.Add([]byte{0, 0, 0, 0, 0})
	v := NewVerifier(VerifierConfig{Workers: 1})
	caching := NewVerifier(VerifierConfig{Workers: 3, CacheSize: 256})
	f.Fuzz(func(t *testing.T, data []byte) {
		if testing.Short() && Sum("mtm/test/short", data)[0] >= 32 {
			return // an eighth of the corpus: a machine that is emulated takes a second for each
		}
		items := forge.items(data)
		got := v.Verify(items)
		all := true
		batch := ed25519consensus.NewBatchVerifier()
		for i := range items {
			it := &items[i]
			want := Verify(it.Key, it.Message, it.Signature)
			if ref := reference(*it); ref != want {
				t.Errorf("%d: single says %v, the reference %v: %v", i, want, ref, describe(it))
			}
			if got[i] != want {
				t.Errorf("%d of %d: single says %v, batch %v: %v", i, len(items), want, got[i], describe(it))
			}
			if ed25519.Verify(it.Key[:], it.Message, it.Signature[:]) && !want {
				t.Errorf("%d: crypto/ed25519 accepts what the rule refuses: %v", i, describe(it))
			}
			batch.Add(it.Key[:], it.Message, it.Signature[:])
			all = all && want
		}
		if len(items) > 0 && batch.Verify() != all {
			t.Errorf("the reference's batch says %v", !all)
		}
		for range 2 {
			for i, ok := range caching.Verify(items) {
				if ok != got[i] {
					t.Errorf("%d: with the cache %v, without %v: %v", i, ok, got[i], describe(&items[i]))
				}
			}
		}
	})
}

func describe(it *Item) string {
	return fmt.Sprintf("key %x message %x signature %x", it.Key, it.Message, it.Signature)
}

// What the fuzzer is fed must be worth it: right and wrong signatures of all kinds.
func TestForge(t *testing.T) {
	forge := newForge(t)
	for how := range byte(16) {
		right := 0
		const n = 20
		for i := range byte(n) {
			items := forge.items([]byte{i * 31, i * 57, 0, 0, 0, i * 17, i * 43, how, i * 3, i * 7})
			if Verify(items[1].Key, items[1].Message, items[1].Signature) {
				right++
			}
		}
		switch how {
		case 0, 7, 8, 9, 15:
			if how != 15 && right != n {
				t.Errorf("mutation %d: %d of %d right, want all", how, right, n)
			}
		default:
			if right == n {
				t.Errorf("mutation %d leaves all right", how)
			}
		}
	}
}
