package proof

import (
	"crypto/sha256"

	"mtmledger/internal/dcbor"
)

// frame is how a kind of file begins and ends: an array whose first elements are
// its name and its form, and whose last is the SHA-256 of everything before it.
type frame struct {
	magic []byte
	form  byte
	what  string // for messages
	max   int    // bytes
}

// newMagic returns the head of the array and the name.
func newMagic(elements int, name string) []byte {
	return dcbor.AppendText(dcbor.AppendArray(nil, elements), name)
}

// checksumHead is the head of the last element, whose content is the SHA-256 of
// everything before it.
var checksumHead = []byte{0x58, sha256.Size}

const checksumSize = 2 + sha256.Size

// seal ends a file with its checksum.
func seal(b []byte) []byte {
	b = append(b, checksumHead...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// is tells whether a file begins like one of this kind.
func (f frame) is(file []byte) bool {
	return len(file) >= len(f.magic) && string(file[:len(f.magic)]) == string(f.magic)
}

// open checks the first and the last bytes of a file, whether it is of this kind
// at all and whether it is whole, and returns it without the checksum's element.
func (f frame) open(file []byte) ([]byte, error) {
	if len(file) > f.max {
		return nil, refuse(CheckShape, "more than %d bytes", f.max)
	}
	if len(file) < len(f.magic)+1+checksumSize || !f.is(file) {
		return nil, refuse(CheckShape, "not an MTM Ledger %s", f.what)
	}
	if form := file[len(f.magic)]; form != f.form {
		return nil, refuse(CheckShape, "of form %d: this version knows form %d of the %s", form, f.form, f.what)
	}
	body := file[:len(file)-sha256.Size]
	if sum := sha256.Sum256(body); string(sum[:]) != string(file[len(body):]) {
		return nil, refuse(CheckChecksum, "the file was damaged or changed after it was written")
	}
	if string(body[len(body)-len(checksumHead):]) != string(checksumHead) {
		return nil, refuse(CheckShape, "the last element is not a checksum")
	}
	return body[:len(body)-len(checksumHead)], nil
}
