package proof

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"
)

// answerVector is one case of answer.json.
type answerVector struct {
	Name     string          `json:"name"`
	Why      string          `json:"why,omitempty"`
	Trust    TrustRoot       `json:"trust"`
	Answer   []byte          `json:"answer"` // base64
	Accepted bool            `json:"accepted"`
	Check    Check           `json:"check,omitempty"`
	Finding  json.RawMessage `json:"finding,omitempty"`
}

// joinedVector says what cases of answer.json are together.
type joinedVector struct {
	Name     string          `json:"name"`
	Pages    []string        `json:"pages"` // names of cases, which have one trust root
	Accepted bool            `json:"accepted"`
	Check    Check           `json:"check,omitempty"`
	Finding  json.RawMessage `json:"finding,omitempty"` // without the pages
}

type answerVectors struct {
	About  string         `json:"about"`
	Cases  []answerVector `json:"cases"`
	Joined []joinedVector `json:"joined"`
}

func joinedVariants() []joinedVector {
	accepted := func(name string, pages ...string) joinedVector {
		return joinedVector{Name: name, Pages: pages, Accepted: true}
	}
	refused := func(name string, pages ...string) joinedVector {
		return joinedVector{Name: name, Pages: pages, Check: CheckPages}
	}
	return []joinedVector{
		accepted("whole list", "first page", "second page", "last page"),
		accepted("beginning of a list", "first page", "second page"),
		accepted("list at two heights", "first page", "second page, later", "last page"),
		accepted("whole cover", "first part of a cover", "second part of a cover", "last part of a cover"),
		refused("page missing", "first page", "last page"),
		refused("page twice", "first page", "second page", "second page", "last page"),
		refused("pages out of order", "second page", "first page", "last page"),
		refused("whole list and a page", "rows only", "last page"),
		refused("page of a fork", "first page", "second page, forked", "last page"),
		refused("cover after a list", "first page", "last part of a cover"),
		refused("list after a cover", "first part of a cover", "second page"),
		refused("part of a cover missing", "first part of a cover", "last part of a cover"),
		refused("no list", "entries only", "first page"),
		refused("nothing asked", "nothing asked", "first page"),
		{Name: "page unsound", Pages: []string{"first page", "two of four"}, Check: CheckPower},
	}
}

// join verifies the cases that a vector names together.
func (v *joinedVector) join(t *testing.T, cases []answerVector) {
	var files [][]byte
	var root TrustRoot
	for _, name := range v.Pages {
		for _, c := range cases {
			if c.Name == name {
				files, root = append(files, c.Answer), c.Trust
			}
		}
	}
	if len(files) != len(v.Pages) {
		t.Fatalf("%s: %d files", v.Name, len(files))
	}
	p, err := VerifyFiles(root, files...)
	var r *Refusal
	switch {
	case err == nil && v.Accepted:
		var members map[string]json.RawMessage
		if err := json.Unmarshal(must(json.Marshal(p)), &members); err != nil {
			t.Fatal(err)
		}
		delete(members, "pages")
		v.Finding = must(json.Marshal(members))
	case err == nil || !errors.As(err, &r) || r.Check != v.Check:
		t.Errorf("%s: %v", v.Name, err)
	}
}

// TestAnswerVectors makes the vectors, which must be those in the file, and
// verifies those in the file.
func TestAnswerVectors(t *testing.T) {
	made := answerVectors{About: "Answers (docs/spec/answer.md), each with the trust root to check it against: accepted with " +
		"this finding, or refused; check names the check that fails in the order of the specification."}
	for _, v := range answerVariants() {
		file, root := v.build(t)
		out := answerVector{Name: v.name, Why: v.why, Trust: root, Answer: file, Check: v.check, Accepted: v.check == ""}
		if out.Accepted {
			out.Finding = must(json.Marshal(must(VerifyAnswer(file, root))))
		}
		made.Cases = append(made.Cases, out)
	}
	for _, v := range joinedVariants() {
		v.join(t, made.Cases)
		made.Joined = append(made.Joined, v)
	}
	var stored answerVectors
	checkVectors(t, "answer.json", made, &stored)
	for _, v := range stored.Cases {
		if got := answerFails(t, v.Answer, v.Trust); got != v.Check || v.Accepted != (got == "") {
			t.Errorf("%s: check %q, want %q", v.Name, got, v.Check)
		}
		if !v.Accepted {
			continue
		}
		var want bytes.Buffer
		if err := json.Compact(&want, v.Finding); err != nil {
			t.Fatal(err)
		}
		if got := must(json.Marshal(must(VerifyAnswer(v.Answer, v.Trust)))); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%s: finding\n%s, want\n%s", v.Name, got, want.Bytes())
		}
	}
}
