package testnet_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"testing"
	"time"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// TestConsortiumStory lets a consortium live through everything that the ledger records,
// and then an auditor, who has the trust root of the genesis and nothing else, answers
// every question of testdata/story/questions.md by proofs.
func TestConsortiumStory(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	s := newStory(t, ctx)
	s.enrol("A", "press", "meter", "lossy", "pump", "rotor", "leaky", "twin", "pulse")
	s.enrol("B", "model")
	for _, act := range []func(){
		s.transferred, s.lossy, s.sold, s.granted, s.rotated, s.compromised, s.twice, s.joined, s.left, s.limited,
	} {
		if act(); t.Failed() {
			t.FailNow()
		}
	}
	s.advance(s.at["the end"])
	a := &auditor{story: s, from: s.nodes["D"].Client(), files: map[int][][]byte{}}
	asked := questionNumbers(t)
	for _, number := range asked {
		answer := a.answers()[number]
		if answer == nil {
			t.Errorf("question %d has no answer", number)
			continue
		}
		t.Run(strconv.Itoa(number), func(t *testing.T) {
			a.t, a.number = t, number
			answer()
			a.changed()
		})
	}
	if len(asked) != len(a.answers()) {
		t.Errorf("%d questions, %d answers", len(asked), len(a.answers()))
	}
}

// questionNumbers reads which questions are asked.
func questionNumbers(t *testing.T) (list []int) {
	t.Helper()
	b, err := os.ReadFile("testdata/story/questions.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^(\d+)\. `).FindAllSubmatch(b, -1) {
		n, err := strconv.Atoi(string(m[1]))
		if err != nil || n != len(list)+1 {
			t.Fatalf("question %q after %d others", m[1], len(list))
		}
		list = append(list, n)
	}
	if len(list) < 12 {
		t.Fatalf("%d questions, want 12 or more", len(list))
	}
	return list
}

// auditor asks a node that it does not trust, and believes only what it verifies.
type auditor struct {
	*story
	t      *testing.T
	from   *client.Local
	number int
	files  map[int][][]byte // the proofs that answer a question
}

// ask gets a proof file and verifies it offline against the trust root of the genesis.
func (a *auditor) ask(q client.AnswerRequest) *proof.Answered {
	a.t.Helper()
	var file []byte
	until(a.t, a.ctx, "the state is signed for", func() bool {
		var err error
		file, err = a.from.Answer(a.ctx, q)
		if err != nil && ledger.CodeOf(err) != ledger.CodeFutureHeight {
			a.t.Fatal(err)
		}
		return err == nil
	})
	out, err := proof.VerifyAnswer(file, a.root)
	if err != nil {
		a.t.Fatal(err)
	}
	if out.AsOfHeight < a.at["the end"] {
		a.t.Fatalf("true at height %d, the story ends at %d", out.AsOfHeight, a.at["the end"])
	}
	if out.Changes < 2 {
		a.t.Errorf("%d changes of the validator set between the root and the proof, want those of D and C", out.Changes)
	}
	a.files[a.number] = append(a.files[a.number], file)
	return out
}

// resealed is how many bytes of a proof are changed with a fresh checksum.
const resealed = 400

// changed checks that every proof of the question is refused when a byte changes; with
// the checksum made anew it may at most prove the same of the same state.
func (a *auditor) changed() {
	a.t.Helper()
	if len(a.files[a.number]) == 0 {
		a.t.Error("answered without a proof")
	}
	for _, file := range a.files[a.number] {
		for i := range file {
			bad := bytes.Clone(file)
			bad[i] ^= 1 << (i % 8)
			if _, err := proof.VerifyAnswer(bad, a.root); err == nil {
				a.t.Fatalf("byte %d changed and accepted", i)
			}
		}
		if _, err := proof.VerifyAnswer(file[:len(file)-1], a.root); err == nil {
			a.t.Error("a proof cut short is accepted")
		}
		good, err := proof.VerifyAnswer(file, a.root)
		if err != nil {
			a.t.Fatal(err)
		}
		end := len(file) - sha256.Size
		for i := 0; i < end; i += 1 + end/resealed {
			bad := bytes.Clone(file[:end])
			bad[i] ^= 1 << (i % 8)
			sum := sha256.Sum256(bad)
			if out, err := proof.VerifyAnswer(append(bad, sum[:]...), a.root); err == nil {
				a.same(i, out, good)
			}
		}
	}
}

// same checks that a proof with another question, or with other votes for the same
// header, says nothing else.
func (a *auditor) same(changed int, out, good *proof.Answered) {
	a.t.Helper()
	if out.AppHash != good.AppHash || out.AsOfHeight != good.AsOfHeight || len(out.Entries) != len(good.Entries) {
		a.t.Fatalf("byte %d changed: another state or other entries are accepted", changed)
	}
	for i := range out.Entries {
		if !bytes.Equal(out.Entries[i].Bytes, good.Entries[i].Bytes) || out.Entries[i].Height != good.Entries[i].Height {
			a.t.Fatalf("byte %d changed: another entry %d is accepted", changed, out.Entries[i].Index)
		}
	}
	for i, r := range out.Results {
		if r.Query == good.Results[i].Query && !reflect.DeepEqual(r.Rows, good.Results[i].Rows) {
			a.t.Fatalf("byte %d changed: other rows are accepted for %s", changed, r.Query)
		}
	}
}

func row(k merkle.Key) client.Question { return client.Question{Query: proof.RowQuery(k)} }
func list(f record.Family, id crypto.ID, follow record.Family) client.Question {
	lo, hi := record.Range(f, id)
	return client.Question{Query: proof.ListQuery(lo, hi), Follow: follow}
}

func at(f record.Family, id crypto.ID, height uint64) client.Question {
	return client.Question{Query: proof.AtQuery(f, id, height)}
}

// only parses the one row of a result.
func only[T any](a *auditor, r proof.Result, parse func([]byte) (T, error)) T {
	a.t.Helper()
	if len(r.Rows) != 1 {
		a.t.Fatalf("%d rows for %s, want 1", len(r.Rows), r.Query)
	}
	v, err := parse(r.Rows[0].Value)
	if err != nil {
		a.t.Fatal(err)
	}
	return v
}

// each parses all rows of a result.
func each[T any](a *auditor, r proof.Result, parse func([]byte) (T, error)) []T {
	a.t.Helper()
	list, err := proof.Parsed(r.Rows, parse)
	if err != nil {
		a.t.Fatal(err)
	}
	return list
}

// is compares what was proven with what happened.
func is[T comparable](a *auditor, what string, got, want T) {
	a.t.Helper()
	if got != want {
		a.t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// owned filters a complete list of what belonged to an organisation by height.
func (a *auditor) owned(r proof.Result, height uint64) map[crypto.ID]bool {
	a.t.Helper()
	out := map[crypto.ID]bool{}
	for i, spans := range each(a, r, record.ParseSpans) {
		if spans.At(height) {
			out[record.ChildOf(r.Rows[i].Key)] = true
		}
	}
	return out
}
