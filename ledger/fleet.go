package ledger

import (
	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
)

// Fleet is the list of public keys behind a Manifest. The list is a tree of RFC 9162
// section 2.1 with the 32 bytes of each key as an entry; see docs/spec/operation.md.
type Fleet struct {
	keys  []crypto.PublicKey
	root  merkle.Hash
	tiles fleetTiles
}

type fleetTiles map[[2]uint64][]merkle.Hash

// Tile returns a tile of the tree.
func (t fleetTiles) Tile(level uint8, index uint64) ([]merkle.Hash, error) {
	return t[[2]uint64{uint64(level), index}], nil
}

// NewFleet lists 1..MaxFleet keys, in this order, each once. Whether they are fit for
// enrolment is for who signs to look at (crypto.CheckEnrolment), and for the ledger once
// they are enrolled.
func NewFleet(keys []crypto.PublicKey) (*Fleet, error) {
	if err := checkFleetSize(uint64(len(keys))); err != nil {
		return nil, err
	}
	f := &Fleet{keys: keys, tiles: fleetTiles{}}
	var tip merkle.Frontier
	leaves := make([]merkle.Hash, len(keys))
	places := make(map[crypto.PublicKey]int, len(keys))
	for i := range keys {
		if first, twice := places[keys[i]]; twice {
			return nil, Errorf(CodeExists, "key %d of the list stands at %d already", i, first)
		}
		places[keys[i]] = i
		leaves[i] = merkle.LeafHash(keys[i][:])
		tip.Append(leaves[i])
	}
	f.root = tip.Root()
	tiles, err := merkle.NewTiles(0, nil, leaves)
	if err != nil {
		return nil, err
	}
	for _, t := range tiles {
		f.tiles[[2]uint64{uint64(t.Level), t.Index}] = t.Hashes
	}
	return f, nil
}

// Root is the root of the list.
func (f *Fleet) Root() merkle.Hash { return f.root }

// Keys are the keys in the list's order; not to be changed.
func (f *Fleet) Keys() []crypto.PublicKey { return f.keys }

// Enrol returns the body that enrols devices of the list, by strictly ascending places.
// One that is not the key at its place is an error with CodeNotListed.
func (f *Fleet) Enrol(manifest crypto.ID, devices []ListedDevice) (EnrolListed, error) {
	body := EnrolListed{Manifest: manifest, Devices: devices}
	indexes := make([]uint64, len(devices))
	for i, d := range devices {
		if d.Index >= uint64(len(f.keys)) || f.keys[d.Index] != d.Possession.Key {
			return body, Errorf(CodeNotListed, "key %v is not at place %d of the list", d.Possession.Key, d.Index)
		}
		indexes[i] = d.Index
	}
	var err error
	body.Path, err = merkle.MultiProof(f.tiles, uint64(len(f.keys)), indexes)
	return body, err
}
