package crypto

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"slices"
	"testing"
)

// vectorsFile is read by implementations in other languages, too.
const vectorsFile = "../testdata/vectors/signatures.json"

var updateVectors = flag.Bool("update-vectors", false, "write "+vectorsFile)

// Vectors of docs/spec/signatures.md. Bytes are hexadecimal.
type vectors struct {
	Comment    string
	Sums       []sumVector
	Keys       []keyVector
	Sign1      []sign1Vector
	Malformed  []malformedVector
	Signatures []signatureVector
}

type sumVector struct {
	Domain string
	Parts  []string
	Sum    string
	ID     string // its first 16 bytes as text
}

type keyVector struct{ Seed, Public, Text, KeyID, Enrolment string }

type sign1Vector struct {
	Seed                                   string
	ContentFormat                          uint64
	Issuer, Subject                        string `json:",omitempty"`
	Payload, Message, SigStructure, Digest string
}

type malformedVector struct{ What, Message string }

type signatureVector struct {
	What, Public, Message, Signature string
	Accepted                         bool
}

func makeVectors(t *testing.T) vectors {
	v := vectors{Comment: "docs/spec/signatures.md; bytes in hexadecimal, ids and keys in their text forms"}
	p := testKey(1).Public()
	v.Sums = []sumVector{
		makeSum("mtm/key/1", p[:]),
		makeSum("mtm/device/1", p[:]),
		makeSum("mtm/stream/1", []byte("chain"), make([]byte, 16), []byte("temperature")),
		makeSum("d"), makeSum("d", nil), makeSum("d", nil, []byte("x")),
	}
	for n := range 2 {
		seed := Sum("mtm/test/key/1", []byte{'0' + byte(n)})
		p := KeyFromSeed(seed).Public()
		v.Keys = append(v.Keys, keyVector{hex.EncodeToString(seed[:]), hex.EncodeToString(p[:]), p.String(), p.KeyID().String(), "ok"})
	}
	for _, e := range smallEncodings(t) {
		p := PublicKey(e)
		v.Keys = append(v.Keys, keyVector{"", hex.EncodeToString(e[:]), p.String(), p.KeyID().String(), CheckEnrolment(p).Error()})
	}
	v.Sign1 = []sign1Vector{
		makeSign1(statementHeader, []byte("payload")),
		makeSign1(Header{ContentFormat: 65_102}, nil),
		makeSign1(Header{ContentFormat: 65_103}, bytes.Repeat([]byte{7}, 300)),
		makeSign1(Header{ContentFormat: 0}, []byte{0}),
	}
	for _, c := range malformedSign1(t) {
		v.Malformed = append(v.Malformed, malformedVector{c.what, hex.EncodeToString(c.bytes)})
	}
	for i, c := range slices.Concat(rfcCases(t), matrixCases(t), cofactorCases(t), undecodableCases(t)) {
		if i%5 == 0 || !c.want {
			v.Signatures = append(v.Signatures, signatureVector{c.name, hex.EncodeToString(c.item.Key[:]),
				hex.EncodeToString(c.item.Message), hex.EncodeToString(c.item.Signature[:]), c.want})
		}
	}
	return v
}

func makeSum(domain string, parts ...[]byte) sumVector {
	h := Sum(domain, parts...)
	v := sumVector{Domain: domain, Parts: []string{}, Sum: hex.EncodeToString(h[:]), ID: DeriveID(domain, parts...).String()}
	for _, p := range parts {
		v.Parts = append(v.Parts, hex.EncodeToString(p))
	}
	return v
}

func makeSign1(h Header, payload []byte) sign1Vector {
	seed := Sum("mtm/test/key/1", []byte("1"))
	s := NewSign1(KeyFromSeed(seed), h, payload)
	digest := s.Digest()
	v := sign1Vector{
		Seed: hex.EncodeToString(seed[:]), ContentFormat: h.ContentFormat,
		Payload: hex.EncodeToString(payload), Message: hex.EncodeToString(s.Bytes()),
		SigStructure: hex.EncodeToString(s.SigStructure()), Digest: hex.EncodeToString(digest[:]),
	}
	if h.HasClaims {
		v.Issuer, v.Subject = h.Issuer.String(), h.Subject.String()
	}
	return v
}

// The vectors in the repository are what this code makes, so they can't drift.
func TestVectors(t *testing.T) {
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetIndent("", " ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(makeVectors(t)); err != nil {
		t.Fatal(err)
	}
	if *updateVectors {
		if err := os.WriteFile(vectorsFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(vectorsFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not what the code makes; if that is meant, run go test ./crypto -run TestVectors -update-vectors", vectorsFile)
	}
}
