package interop

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// question is one input for both implementations.
type question struct {
	kind  string
	data  []byte
	trust []byte // of a proof
}

// sealed tells whether the input ends with a checksum and needs a trust root.
func (q question) sealed() bool {
	return q.kind == "certificate" || q.kind == "answer" || q.kind == "lineage"
}

func (q question) String() string {
	s := fmt.Sprintf("%s %x", q.kind, q.data)
	if q.sealed() {
		s += fmt.Sprintf(" %x", q.trust)
	}
	return s
}

// answer is what the Go implementation says, in the words of verdicts.py.
func (q question) answer() string {
	var err error
	switch q.kind {
	case "statement":
		_, err = ledger.ParseStatement(q.data)
	case "acknowledgement":
		_, err = ledger.ParseAcknowledgement(q.data)
	case "transaction":
		_, err = ledger.ParseTransaction(q.data)
	case "operation":
		_, err = ledger.ParseOperation(q.data)
	case "possession":
		_, err = ledger.ParsePossession(q.data)
	case "committed":
		_, err = ledger.ParseCommitted(q.data)
	case "partial":
		if _, err := merkle.ParsePartial(q.data); err != nil {
			return "malformed"
		}
	case "trust":
		if _, err := proof.ParseTrustRoot(q.data); err != nil {
			return "trust"
		}
	case "certificate", "answer", "lineage":
		if err = q.verify(); err != nil {
			return err.Error()
		}
	default:
		return "no such kind: " + q.kind
	}
	return ledger.CodeOf(err).String()
}

// verify returns nil for an accepted file, otherwise the name of the check as an error.
func (q question) verify() error {
	root, err := proof.ParseTrustRoot(q.trust)
	if err != nil {
		return errors.New(string(proof.CheckTrust))
	}
	switch q.kind {
	case "answer":
		_, err = proof.VerifyAnswer(q.data, root)
	case "lineage":
		_, err = proof.VerifyLineage(q.data, root)
	default:
		_, err = proof.Verify(q.data, root)
	}
	var refusal *proof.Refusal
	if errors.As(err, &refusal) {
		return errors.New(string(refusal.Check))
	}
	return err
}

// vectors reads a file of vectors.
func vectors(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../../testdata/vectors", name))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

// seeds are the vectors that mutants are made of.
func seeds(t *testing.T) (seeds []question) {
	add := func(kind, data string) {
		b, err := hex.DecodeString(data)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) < 4096 {
			seeds = append(seeds, question{kind: kind, data: b})
		}
	}
	for _, kind := range []string{"statement", "acknowledgement", "transaction", "operation"} {
		var file struct {
			Valid, Invalid []struct {
				Bytes      string
				Possession struct{ Bytes string }
			}
		}
		vectors(t, kind+".json", &file)
		for _, v := range append(file.Valid, file.Invalid...) {
			add(kind, v.Bytes)
			if v.Possession.Bytes != "" {
				add("possession", v.Possession.Bytes)
			}
		}
	}
	var identifiers struct {
		Valid []struct{ Name, Bytes string }
	}
	vectors(t, "identifiers.json", &identifiers)
	for _, v := range identifiers.Valid {
		if v.Name == "committed" {
			add("committed", v.Bytes)
		}
	}
	var records struct{ Partial, Malformed []struct{ Bytes string } }
	vectors(t, "merkle-records.json", &records)
	for _, v := range append(records.Partial, records.Malformed...) {
		add("partial", v.Bytes)
	}
	for _, kind := range []string{"certificate", "answer", "lineage"} {
		var file struct {
			Cases []struct {
				Trust                        json.RawMessage
				Certificate, Answer, Lineage []byte
			}
		}
		vectors(t, kind+".json", &file)
		for _, v := range file.Cases {
			seeds = append(seeds, question{kind, slices.Concat(v.Certificate, v.Answer, v.Lineage), v.Trust})
		}
		if kind == "certificate" {
			seeds = append(seeds, trustRoots(file.Cases[0].Trust)...)
		}
	}
	return seeds
}

// trustRoots returns a trust root, and some like it.
func trustRoots(file []byte) (out []question) {
	for _, change := range [][2]string{
		{"", ""}, {`"chain"`, `"Chain"`}, {`"chain"`, `"chain":"x","chain"`}, {`"power"`, `"power":1,"power"`}, {`"key"`, `"note":[{}],"key"`},
		{`"power": 10`, `"power": 1e1`}, {`{`, ` [{`}, {`"chain"`, `"\u0063hain"`}, {`]`, `],`}, {`"validators"`, `"validators":[],"validators"`},
	} {
		out = append(out, question{kind: "trust", data: bytes.Replace(file, []byte(change[0]), []byte(change[1]), 1)})
	}
	return out
}

// mutate changes a few places of the input. A proof is sealed again, or the checksum would always be the
// reason; and half of them change in what they say, not in their bytes, or the shape nearly always would be.
func (q question) mutate(r *rand.Rand) question {
	b := bytes.Clone(q.data)
	if q.sealed() && r.IntN(2) == 0 {
		if changed, ok := mutateCBOR(b, r); ok {
			return question{q.kind, sealAgain(changed), q.trust}
		}
	}
	for range 1 + r.IntN(3) {
		if len(b) == 0 {
			break
		}
		i := r.IntN(len(b))
		switch r.IntN(8) {
		case 0, 1:
			b[i] ^= 1 << r.IntN(8)
		case 2, 3:
			b[i] = byte(r.IntN(256))
		case 4:
			b[i] = []byte{0, 1, 0x17, 0x18, 0x1b, 0x20, 0x3b, 0x40, 0x60, 0x80, 0xa0, 0xf4, 0xf6, 0xf9, 0xff}[r.IntN(15)]
		case 5: // the largest and smallest integers
			b = bytes.Join([][]byte{b[:i], {0x1b - byte(r.IntN(2))*0xe0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, b[i+1:]}, nil)
		case 6:
			b = append(b[:i], b[i+1:]...)
		case 7:
			b = bytes.Join([][]byte{b[:i], {byte(r.IntN(256))}, b[i:]}, nil)
		}
	}
	if q.sealed() {
		b = sealAgain(b)
	}
	return question{q.kind, b, q.trust}
}

// sealAgain makes the last 32 bytes the checksum of the others.
func sealAgain(b []byte) []byte {
	if len(b) >= 32 {
		sum := sha256.Sum256(b[:len(b)-32])
		copy(b[len(b)-32:], sum[:])
	}
	return b
}

// mutateCBOR changes one element of a file that is an array, and encodes it again.
func mutateCBOR(b []byte, r *rand.Rand) ([]byte, bool) {
	var file []any
	if cbor.Unmarshal(b, &file) != nil || len(file) < 3 {
		return nil, false
	}
	at := 2 + r.IntN(min(7, len(file)-2)) // from the claim or the queries on
	file[at] = mutateItem(file[at], r)
	mode, err := cbor.CoreDetEncOptions().EncMode()
	if err != nil {
		return nil, false
	}
	b, err = mode.Marshal(file)
	return b, err == nil
}

// mutateItem changes an element, or one within it.
func mutateItem(v any, r *rand.Rand) any {
	switch v := v.(type) {
	case uint64:
		return []uint64{v + 1, v - 1, 0, 1, v ^ 1<<r.IntN(64), math.MaxInt64}[r.IntN(6)]
	case []byte:
		if len(v) > 0 && v[0]&0xe0 == 0x80 && r.IntN(4) > 0 { // an array in bytes: a partial tree, or the answer in a lineage
			if changed, ok := mutateArray(v, r); ok && proof.IsAnswer(v) {
				return sealAgain(changed)
			} else if ok {
				return changed
			}
		}
		v = bytes.Clone(v)
		if len(v) > 0 {
			v[r.IntN(len(v))] ^= 1 << r.IntN(8)
		}
		return v
	case []any:
		if len(v) == 0 {
			return v
		}
		i, j := r.IntN(len(v)), r.IntN(len(v))
		switch r.IntN(8) {
		case 0:
			return slices.Delete(v, i, i+1)
		case 1:
			return slices.Insert(v, i, v[j])
		case 2:
			v[i], v[j] = v[j], v[i]
		default:
			v[i] = mutateItem(v[i], r)
		}
		return v
	}
	return v
}

// mutateArray changes an element of an encoded array.
func mutateArray(b []byte, r *rand.Rand) ([]byte, bool) {
	var items []any
	if cbor.Unmarshal(b, &items) != nil || len(items) == 0 {
		return nil, false
	}
	b, err := cbor.Marshal(mutateItem(items, r))
	return b, err == nil
}

// either: where a message breaks several rules, Go's reader names the first, and Python's, which decodes all of it before it
// looks at limits and proofs, may name another. Both refuse.
var either = map[string]bool{
	"malformed": true, "too_large": true, "bad_possession": true,
	"bad_key": true, "bad_parameter": true, "not_equivocation": true, "exists": true,
}

// TestDifferential asks both implementations about vectors that were changed at random: the same answer, code or check.
func TestDifferential(t *testing.T) {
	needPython(t)
	const perSeed = 60
	r := rand.New(rand.NewPCG(1, 2))
	var questions []question
	for _, s := range seeds(t) {
		questions = append(questions, s)
		for range perSeed {
			questions = append(questions, s.mutate(r))
		}
	}
	var input bytes.Buffer
	for _, q := range questions {
		fmt.Fprintln(&input, q)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := python(ctx, "verdicts.py")
	cmd.Stdin = &input
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.Bytes())
	}
	verdicts := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(verdicts) != len(questions) {
		t.Fatalf("%d answers to %d questions", len(verdicts), len(questions))
	}
	count, wrong := map[string]int{}, 0
	for i, q := range questions {
		got := q.answer()
		count[q.kind+" "+got]++
		if got != verdicts[i] && (!either[got] || !either[verdicts[i]]) {
			if wrong++; wrong <= 10 {
				t.Errorf("Go says %s, Python %s: %.3000s", got, verdicts[i], q)
			}
		}
	}
	t.Logf("%d questions, %d different answers: %v", len(questions), wrong, count)
}
