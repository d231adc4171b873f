package proof

import (
	"bytes"
	"encoding/json"
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

type answerVectors struct {
	About string         `json:"about"`
	Cases []answerVector `json:"cases"`
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
