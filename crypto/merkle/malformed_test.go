package merkle

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"mtmledger/internal/dcbor"
)

// Parts of hand-made encodings: each is a run of items.
func encOpaque(h Hash) []byte { return dcbor.AppendBytes(nil, h[:]) }
func encLeaf(k Key, v string) []byte {
	return dcbor.AppendBytes(dcbor.AppendBytes(nil, k[:]), []byte(v))
}
func encHashLeaf(k Key, h Hash) []byte {
	return dcbor.AppendBytes(dcbor.AppendArray(dcbor.AppendBytes(nil, k[:]), 1), h[:])
}
func encBranch(skip uint64, left, right []byte) []byte {
	return slices.Concat(dcbor.AppendUint(nil, skip), left, right)
}

// encTree puts the head of an array of n items before them.
func encTree(n int, items ...[]byte) []byte {
	return append(dcbor.AppendArray(nil, n), slices.Concat(items...)...)
}

// malformedPartials names encodings that ParsePartial refuses, with the reason.
// The vectors carry them too.
func malformedPartials() []malformed {
	a, b, c := encLeaf(Key{0x00}, "a"), encLeaf(Key{0x40}, "b"), encLeaf(Key{0x80}, "c")
	o := encOpaque(Hash{1})
	bytesOf := func(n int) []byte { return dcbor.AppendBytes(nil, make([]byte, n)) }
	key := a[:2+KeySize]
	return []malformed{
		{"no bytes", nil, dcbor.ErrTruncated},
		{"trailing byte", append(encTree(2, a), 0), dcbor.ErrTrailing},
		{"empty trie with a trailing byte", []byte{0x80, 0x80}, dcbor.ErrTrailing},
		{"no array", o, dcbor.ErrType},
		{"array of indefinite length", slices.Concat([]byte{0x9f}, o, []byte{0xff}), dcbor.ErrIndefinite},
		{"array length not shortest", slices.Concat([]byte{0x98, 1}, o), dcbor.ErrNotShortest},
		{"array of one item for a leaf", append(encTree(1, a[:2+KeySize]), a[2+KeySize:]...), errPartCount},
		{"array of one item too many", encTree(3, a, o), errPartCount},
		{"array of one item too few", encTree(4, encBranch(0, a, c)), errPartCount},
		{"array of more items than bytes", encTree(200, a), dcbor.ErrTruncated},
		{"two trees", encTree(2, o, o), errPartCount},
		{"opaque of 31 bytes", encTree(1, bytesOf(31)), errPartKind},
		{"opaque of no bytes", encTree(1, bytesOf(0)), errPartKind},
		{"key of 34 bytes", encTree(2, bytesOf(34), []byte{0x41, 'a'}), dcbor.ErrTooLong},
		{"opaque with a length that is not shortest", encTree(1, []byte{0x59, 0, 32}, make([]byte, 32)), dcbor.ErrNotShortest},
		{"opaque of indefinite length", encTree(1, []byte{0x5f}, bytesOf(32), []byte{0xff}), dcbor.ErrIndefinite},
		{"text instead of a part", encTree(1, dcbor.AppendText(nil, "part")), dcbor.ErrType},
		{"null instead of a part", encTree(1, dcbor.AppendNull(nil)), dcbor.ErrType},
		{"array instead of a part", encTree(1, encTree(1, o)), dcbor.ErrType},
		{"empty array under a branch", encTree(4, encBranch(0, a, []byte{0x80})), dcbor.ErrType},
		{"key without a value", encTree(1, key), errPartCount},
		{"empty value", encTree(2, encLeaf(Key{}, "")), errPartEmpty},
		{"value too large", encTree(2, encLeaf(Key{}, string(make([]byte, MaxValueSize+1)))), dcbor.ErrTooLong},
		{"value that is text", encTree(2, key, dcbor.AppendText(nil, "a")), dcbor.ErrType},
		{"value hash of 31 bytes", encTree(2, key, []byte{0x81}, bytesOf(31)), dcbor.ErrLength},
		{"value hash of 33 bytes", encTree(2, key, []byte{0x81}, bytesOf(33)), dcbor.ErrLength},
		{"empty array for a value", encTree(2, key, []byte{0x80}), errPartKind},
		{"two value hashes", encTree(2, key, []byte{0x82}, o, o), dcbor.ErrTooLong},
		{"branch without a leaf", encTree(3, encBranch(0, o, o)), errPartWitness},
		{"lower branch without a leaf", encTree(6, encBranch(0, encBranch(0, o, o), c)), errPartWitness},
		{"children swapped", encTree(5, encBranch(0, c, a)), errPartSide},
		{"left leaf on the wrong side", encTree(4, encBranch(0, c, o)), errPartSide},
		{"right leaf on the wrong side", encTree(4, encBranch(0, o, a)), errPartSide},
		{"leaf twice", encTree(5, encBranch(0, a, a)), errPartSide},
		{"leaves differ before the depth", encTree(5, encBranch(1, a, encLeaf(Key{0xc0}, "d"))), errPartPrefix},
		{"lower leaves differ before the depth", encTree(8, encBranch(0, encBranch(1, encLeaf(Key{0x00}, "a"), encLeaf(Key{0x60}, "b")), c)), errPartPrefix},
		{"lower branch on the wrong side", encTree(7, encBranch(0, o, encBranch(0, a, b))), errPartSide},
		{"depth 264", encTree(4, encBranch(KeyBits, a, o)), errPartDepth},
		{"depth 264 by two skips", encTree(6, encBranch(200, encBranch(63, a, o), o)), errPartDepth},
		{"branch below the last bit", encTree(6, encBranch(263, encBranch(0, a, o), o)), errPartDepth},
		{"skip of 65536", encTree(4, encBranch(1<<16, a, o)), errPartDepth},
		{"skip of 2^64-1", encTree(4, encBranch(1<<64-1, a, o)), errPartDepth},
		{"negative skip", encTree(5, []byte{0x20}, a, c), dcbor.ErrType},
		{"skip not shortest", encTree(5, []byte{0x18, 0}, a, c), dcbor.ErrNotShortest},
		{"branch cut off", encTree(5, encBranch(0, a, nil)), dcbor.ErrTruncated},
		{"branch with one child", encTree(3, encBranch(0, a, nil)), errPartCount},
		{"last bit on the wrong side", encTree(4, encBranch(MaxDepth, encLeaf(Key{}.last(0), "x"), o)), errPartSide},
	}
}

// malformed is an encoding that is refused.
type malformed struct {
	name string
	b    []byte
	want error
}

func TestParsePartialRefuses(t *testing.T) {
	for _, c := range malformedPartials() {
		if _, err := ParsePartial(c.b); !errors.Is(err, c.want) || !errors.Is(err, ErrMalformedPartial) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	for name, b := range map[string][]byte{ // the same parts, put together well
		"empty":         encTree(0),
		"opaque":        encTree(1, encOpaque(Hash{1})),
		"leaf":          encTree(2, encLeaf(Key{}, "a")),
		"hash leaf":     encTree(2, encHashLeaf(Key{}, Hash{1})),
		"largest value": encTree(2, encLeaf(Key{}, string(make([]byte, MaxValueSize)))),
		"branch":        encTree(5, encBranch(0, encLeaf(Key{0x00}, "a"), encLeaf(Key{0x80}, "c"))),
		"two branches":  encTree(6, encBranch(0, encBranch(0, encLeaf(Key{0x00}, "a"), encOpaque(Hash{1})), encOpaque(Hash{2}))),
		"depth 263":     encTree(4, encBranch(MaxDepth, encOpaque(Hash{1}), encHashLeaf(Key{}.last(0), Hash{1}))),
	} {
		if p, err := ParsePartial(b); err != nil || !bytes.Equal(p.Encode(), b) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
