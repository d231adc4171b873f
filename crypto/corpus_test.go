package crypto

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"filippo.io/edwards25519"
	"filippo.io/edwards25519/field"
	"github.com/hdevalence/ed25519consensus"
)

// vectorsDir holds public vectors that are not part of this repository.
const vectorsDir = "../../shared/vectors/ed25519"

// sigCase is a signature and its verdict.
type sigCase struct {
	name string
	item Item
	want bool
}

func reference(it Item) bool {
	return ed25519consensus.Verify(it.Key[:], it.Message, it.Signature[:])
}

func readJSON(t testing.TB, path string, v any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

type rfcVector struct{ Name, Secret, Public, Message, Signature string }

func rfcVectors(t testing.TB) (vs []rfcVector) {
	readJSON(t, "testdata/rfc8032.json", &vs)
	if len(vs) != 5 {
		t.Fatalf("%d vectors of RFC 8032, want 5", len(vs))
	}
	return vs
}

func (v rfcVector) item(t testing.TB) Item {
	return Item{PublicKey(unhex(t, v.Public)), unhex(t, v.Message), Signature(unhex(t, v.Signature))}
}

// rfcCases are the vectors of RFC 8032 section 7.1 and damaged copies of them.
func rfcCases(t testing.TB) (cases []sigCase) {
	for _, v := range rfcVectors(t) {
		good := v.item(t)
		cases = append(cases, sigCase{v.Name, good, true})
		for _, at := range []int{0, 31, 32, 62, 63} {
			bad := good
			bad.Signature[at] ^= 0x20
			cases = append(cases, sigCase{fmt.Sprintf("%s, signature byte %d", v.Name, at), bad, false})
		}
		bad := good
		bad.Message = append(slices.Clone(good.Message), 0)
		cases = append(cases, sigCase{v.Name + ", longer message", bad, false})
		bad = good
		bad.Key[0] ^= 1
		cases = append(cases, sigCase{v.Name + ", another key", bad, false})
		bad = good
		addOrder(bad.Signature[32:])
		cases = append(cases, sigCase{v.Name + ", s + L", bad, false})
	}
	return cases
}

// addOrder adds the group order L to a little-endian number.
func addOrder(s []byte) {
	carry := 1 // L = minusOne + 1
	for i := range s {
		carry += int(s[i]) + int(minusOne[i])
		s[i], carry = byte(carry), carry>>8
	}
}

// torsion returns the eight points of small order: [i]T for a T of order 8.
func torsion(t testing.TB) (points [8]*edwards25519.Point) {
	last, err := new(edwards25519.Scalar).SetCanonicalBytes(minusOne[:])
	if err != nil {
		t.Fatal(err)
	}
	for y := byte(2); ; y++ {
		p, err := new(edwards25519.Point).SetBytes([]byte{31: 0, 0: y})
		if err != nil {
			continue
		}
		small := new(edwards25519.Point).ScalarMultSlow(last, p)
		small.Add(small, p) // [L]P
		points[0] = edwards25519.NewIdentityPoint()
		for i := 1; i < 8; i++ {
			points[i] = new(edwards25519.Point).Add(points[i-1], small)
		}
		if points[4].Equal(points[0]) == 0 {
			return points
		}
	}
}

// smallEncodings returns every encoding that decodes to a point of small order.
func smallEncodings(t testing.TB) (all [][32]byte) {
	seen := map[[32]byte]bool{}
	add := func(b [32]byte) {
		if !seen[b] {
			seen[b] = true
			all = append(all, b)
		}
	}
	points := torsion(t)
	for _, p := range points {
		add([32]byte(p.Bytes()))
	}
	for _, p := range points {
		x, _, _, _ := p.ExtendedCoordinates()
		canonical := [32]byte(p.Bytes())
		canonical[31] &= 0x7f
		for _, sign := range []byte{0, 0x80} {
			if x.Equal(new(field.Element)) == 1 { // both signs mean x = 0
				b := canonical
				b[31] |= sign
				add(b)
			}
			if slices.Max(canonical[1:]) == 0 && canonical[0] < 19 { // y + p < 2^255
				b := [32]byte{0: 0xed + canonical[0], 31: 0x7f | sign}
				for i := 1; i < 31; i++ {
					b[i] = 0xff
				}
				add(b)
			}
		}
	}
	return all
}

// matrixCases are the 196 cases of ZIP-215: 14 encodings of A times 14 of R, and
// s = 0. All are accepted.
func matrixCases(t testing.TB) (cases []sigCase) {
	encodings := smallEncodings(t)
	if len(encodings) != 14 {
		t.Fatalf("%d encodings of points of small order, want 14", len(encodings))
	}
	for _, a := range encodings {
		for _, r := range encodings {
			it := Item{Key: a, Message: []byte("Zcash")}
			copy(it.Signature[:], r[:])
			cases = append(cases, sigCase{fmt.Sprintf("A=%x R=%x", a, r), it, true})
		}
	}
	return cases
}

// cofactorCases are signatures whose A or R have a component of small order:
// accepted, because the rule multiplies by the cofactor.
func cofactorCases(t testing.TB) (cases []sigCase) {
	for i, ta := range torsion(t) {
		for j, tr := range torsion(t) {
			it := craft(t, ta, tr, []byte("cofactor"))
			cases = append(cases, sigCase{fmt.Sprintf("A+[%d]T R+[%d]T", i, j), it, true})
			it.Signature[32] ^= 1
			cases = append(cases, sigCase{fmt.Sprintf("A+[%d]T R+[%d]T damaged", i, j), it, false})
		}
	}
	return cases
}

// craft signs msg with a fixed key and nonce, moved by ta and tr.
func craft(t testing.TB, ta, tr *edwards25519.Point, msg []byte) Item {
	t.Helper()
	a, r := Sum("a"), Sum("r", msg)
	a[31], r[31] = 0, 0
	sa, err := new(edwards25519.Scalar).SetCanonicalBytes(a[:])
	if err != nil {
		t.Fatal(err)
	}
	sr, err := new(edwards25519.Scalar).SetCanonicalBytes(r[:])
	if err != nil {
		t.Fatal(err)
	}
	pa := new(edwards25519.Point).ScalarBaseMult(sa)
	pr := new(edwards25519.Point).ScalarBaseMult(sr)
	it := Item{Key: PublicKey(pa.Add(pa, ta).Bytes()), Message: msg}
	copy(it.Signature[:], pr.Add(pr, tr).Bytes())
	digest := challenge(&it.Key, msg, &it.Signature)
	k, err := new(edwards25519.Scalar).SetUniformBytes(digest[:])
	if err != nil {
		t.Fatal(err)
	}
	copy(it.Signature[32:], k.MultiplyAdd(k, sa, sr).Bytes())
	return it
}

// undecodableCases have an A or R that is no point.
func undecodableCases(t testing.TB) (cases []sigCase) {
	var none [32]byte
	for none[0] = 2; ; none[0]++ {
		if _, err := new(edwards25519.Point).SetBytes(none[:]); err != nil {
			break
		}
	}
	it := craft(t, edwards25519.NewIdentityPoint(), edwards25519.NewIdentityPoint(), []byte("m"))
	badA, badR := it, it
	badA.Key = none
	copy(badR.Signature[:], none[:])
	return []sigCase{{"A is no point", badA, false}, {"R is no point", badR, false}}
}

// sharedCases are the vectors of Wycheproof, CCTV and speccheck, nil where they
// are absent. The verdict of each is pinned or explained in loadShared.
func sharedCases(t testing.TB) []sigCase {
	t.Helper()
	if _, err := os.Stat(vectorsDir); errors.Is(err, fs.ErrNotExist) {
		t.Logf("SKIPPED LOUDLY: no %s: Wycheproof, CCTV and speccheck vectors are not tested", vectorsDir)
		return nil
	}
	cases := slices.Concat(wycheproofCases(t), cctvCases(t), speccheckCases(t))
	for _, c := range cases {
		if ref := reference(c.item); ref != c.want {
			t.Fatalf("%s: the reference says %v, expected is %v", c.name, ref, c.want)
		}
	}
	return cases
}

// wycheproofLenient is the one vector on which ZIP-215 differs from RFC 8032: its
// R has y = 1 and the sign bit set.
const wycheproofLenient = 151

func wycheproofCases(t testing.TB) (cases []sigCase) {
	var file struct {
		NumberOfTests int
		TestGroups    []struct {
			PublicKey struct{ PK string }
			Tests     []struct {
				TCID             int
				Msg, Sig, Result string
			}
		}
	}
	readJSON(t, filepath.Join(vectorsDir, "wycheproof-ed25519.json"), &file)
	seen := 0
	for _, g := range file.TestGroups {
		for _, v := range g.Tests {
			seen++
			name := fmt.Sprintf("wycheproof %d", v.TCID)
			sig, valid := unhex(t, v.Sig), v.Result == "valid" || v.TCID == wycheproofLenient
			if len(sig) != len(Signature{}) {
				if valid {
					t.Fatalf("%s: valid with %d bytes", name, len(sig))
				}
				continue // can't be a Signature
			}
			cases = append(cases, sigCase{name, Item{PublicKey(unhex(t, g.PublicKey.PK)), unhex(t, v.Msg), Signature(sig)}, valid})
		}
	}
	if seen != file.NumberOfTests || seen != 151 {
		t.Fatalf("%d Wycheproof vectors, want 151", seen)
	}
	return cases
}

func cctvCases(t testing.TB) (cases []sigCase) {
	var file []struct {
		Number        int
		Key, Sig, Msg string
		Flags         []string
	}
	readJSON(t, filepath.Join(vectorsDir, "cctv-ed25519.json"), &file)
	if len(file) != 914 {
		t.Fatalf("%d CCTV vectors, want 914", len(file))
	}
	for _, v := range file {
		it := Item{PublicKey(unhex(t, v.Key)), []byte(v.Msg), Signature(unhex(t, v.Sig))}
		// reencoded_k: k was hashed over canonical re-encodings of A and R, so
		// these are wrong unless the challenge happens not to matter.
		want := !slices.Contains(v.Flags, "reencoded_k") || reference(it)
		cases = append(cases, sigCase{fmt.Sprintf("cctv %d %v", v.Number, v.Flags), it, want})
	}
	return cases
}

func speccheckCases(t testing.TB) (cases []sigCase) {
	var file []struct {
		Message, Signature string
		PubKey             string `json:"pub_key"`
	}
	readJSON(t, filepath.Join(vectorsDir, "speccheck-cases.json"), &file)
	// The row of ZIP-215 implementations in speccheck's table.
	const want = "VVVVVVXXXVVV"
	if len(file) != len(want) {
		t.Fatalf("%d speccheck vectors, want %d", len(file), len(want))
	}
	for i, v := range file {
		it := Item{PublicKey(unhex(t, v.PubKey)), unhex(t, v.Message), Signature(unhex(t, v.Signature))}
		cases = append(cases, sigCase{fmt.Sprintf("speccheck %d", i), it, want[i] == 'V'})
	}
	return cases
}

var corpus struct {
	once  sync.Once
	cases []sigCase
}

// corpusCases returns every known signature with its verdict.
func corpusCases(t testing.TB) []sigCase {
	corpus.once.Do(func() {
		corpus.cases = slices.Concat(rfcCases(t), matrixCases(t), cofactorCases(t), undecodableCases(t), sharedCases(t))
	})
	return corpus.cases
}
