package merkle

import "errors"

// Errors of Update.
var (
	ErrChangesOrder = errors.New("changes are not strictly ascending by key")
	ErrValueSize    = errors.New("value size out of range")
)

// Change puts a value under a key, or deletes the key if Value is nil.
type Change struct {
	Key   Key
	Value []byte
}

// NodeWrite is a change of the stored branches: Node is written under ID, or the
// branch ID is deleted if Node is nil. An ID occurs at most once in an update.
type NodeWrite struct {
	ID   NodeID
	Node *Node
}

// Update applies changes.
func Update(nodes NodeReader, root Ref, changes []Change) (Ref, []NodeWrite, error) {
	return Ref{}, nil, errors.New("todo")
}
