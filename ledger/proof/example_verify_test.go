package proof_test

import (
	"encoding/json"
	"fmt"
	"os"

	"mtmledger/ledger/proof"
)

func ExampleVerify() {
	// The first vector stands for a certificate file and a pinned trust root.
	data, err := os.ReadFile("../../testdata/vectors/certificate.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	var vectors struct {
		Cases []struct {
			Trust       json.RawMessage
			Certificate []byte
		}
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		fmt.Println(err)
		return
	}
	root, err := proof.ParseTrustRoot(vectors.Cases[0].Trust)
	if err != nil {
		fmt.Println(err)
		return
	}
	file := vectors.Cases[0].Certificate
	finding, err := proof.Verify(file, root)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d readings, the first is %q\n", len(finding.Readings), finding.Readings[0].Content)
	fmt.Printf("committed at height %d, signed by %d of %d validators\n", finding.Height, finding.Signed, finding.Validators)

	file[300] ^= 1
	_, err = proof.Verify(file, root)
	fmt.Println("refused:", err)
	// Output:
	// 3 readings, the first is "21.5"
	// committed at height 4, signed by 3 of 4 validators
	// refused: checksum: the file was damaged or changed after it was written
}
