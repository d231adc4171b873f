package merkle_test

import (
	"errors"
	"fmt"

	"mtmledger/crypto/merkle"
)

// store keeps a trie and its rows in memory.
type store struct {
	nodes  map[merkle.NodeID]merkle.Node
	values map[merkle.Key][]byte
}

func (s store) Node(id merkle.NodeID) (merkle.Node, error) { return s.nodes[id], nil }
func (s store) Value(k merkle.Key) ([]byte, error)         { return s.values[k], nil }

// A prover updates the records, and proves who owned something at height 7. A
// verifier that has only the root and the proof asks for it.
func Example_records() {
	row := func(height byte) merkle.Key { return merkle.Key{0: 0x31, 24: height} }
	s := store{map[merkle.NodeID]merkle.Node{}, map[merkle.Key][]byte{}}
	changes := []merkle.Change{{Key: row(1), Value: []byte("anna")}, {Key: row(5), Value: []byte("bert")}, {Key: row(9), Value: []byte("carl")}}
	root, writes, err := merkle.Update(s, merkle.Ref{}, changes)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, w := range writes {
		s.nodes[w.ID] = *w.Node
	}
	for _, c := range changes {
		s.values[c.Key] = c.Value
	}
	proof, err := merkle.Prove(s, s, root, merkle.PredecessorQuery(row(0), row(7)))
	if err != nil {
		fmt.Println(err)
		return
	}

	p, err := merkle.ParsePartial(proof)
	if err != nil || p.Root() != root.RootHash() {
		fmt.Println("refused:", err)
		return
	}
	_, owner, found, err := p.Predecessor(row(0), row(7))
	fmt.Printf("%s %v %v\n", owner, found, err)
	_, _, err = p.Get(row(1))
	fmt.Println(errors.Is(err, merkle.ErrNotRevealed))
	// Output:
	// bert true <nil>
	// true
}

// tiles keeps the tiles of a log in memory.
type tiles map[string][]merkle.Hash

func (t tiles) Tile(level uint8, index uint64) ([]merkle.Hash, error) {
	return t[fmt.Sprint(level, "/", index)], nil
}

// A log of three entries, and the proof that the second is in it.
func Example_log() {
	var leaves []merkle.Hash
	log := new(merkle.Frontier)
	for _, entry := range []string{"first", "second", "third"} {
		leaf := merkle.LeafHash([]byte(entry))
		leaves = append(leaves, leaf)
		log.Append(leaf)
	}
	stored := tiles{}
	changed, err := merkle.NewTiles(0, stored, leaves)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, tile := range changed {
		stored[fmt.Sprint(tile.Level, "/", tile.Index)] = tile.Hashes
	}
	path, err := merkle.InclusionProof(stored, log.Size(), 1)
	if err != nil {
		fmt.Println(err)
		return
	}
	root, err := merkle.VerifyInclusion(merkle.LeafHash([]byte("second")), 1, log.Size(), path)
	fmt.Println(len(path), root == log.Root(), err)
	// Output: 2 true <nil>
}
