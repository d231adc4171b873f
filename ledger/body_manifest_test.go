package ledger

import (
	"encoding/binary"
	"slices"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/dcbor"
)

// fleetKeys are keys that differ from all others of the tests.
func fleetKeys(n int) (list []crypto.PrivateKey) {
	for i := range n {
		seed := [32]byte{0xf1}
		binary.BigEndian.PutUint32(seed[1:], uint32(i))
		list = append(list, crypto.KeyFromSeed(seed))
	}
	return list
}

func fleetOf(t testing.TB, keys []crypto.PrivateKey) *Fleet {
	t.Helper()
	var list []crypto.PublicKey
	for _, k := range keys {
		list = append(list, k.Public())
	}
	f, err := NewFleet(list)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// goodListed enrols the devices at some places of a list of five.
func goodListed(t testing.TB, places ...uint64) EnrolListed {
	t.Helper()
	keys := append(fleetKeys(3), deviceKey, bridgeKey)
	var list []ListedDevice
	for _, place := range places {
		list = append(list, ListedDevice{place, goodPossession(t, keys[place])})
	}
	body, err := fleetOf(t, keys).Enrol(crypto.ID{3}, list)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// goodManifests has a body of every kind that is about manifests.
func goodManifests(t testing.TB) []namedBody {
	f := fleetOf(t, append(fleetKeys(3), deviceKey, bridgeKey))
	return []namedBody{
		{"manifest", testOrg, Manifest{f.Root(), 5, testTime}},
		{"manifest_without_end", testOrg, Manifest{f.Root(), MaxFleet, 0}},
		{"enrol_listed", testDevice, goodListed(t, 3)},
		{"enrol_listed_two", testOrg, goodListed(t, 3, 4)},
		{"close_manifest", testOrg, CloseManifest{crypto.ID{3}}},
	}
}

// refusedManifests lists operations of these kinds that ParseOperation must refuse.
func refusedManifests(p func(...[]byte) []byte) []refusal {
	possession := func(change map[int][]byte) []byte {
		return bstr(signPayload(deviceKey, FormatPossession, possessionPayload(change)))
	}
	one := arr(num(0), possession(nil))
	listed := func(devices ...[]byte) []byte { return p(num(28), bstr(testDevice[:]), arr(devices...), arr()) }
	root := bstr(make([]byte, 32))
	many := dcbor.AppendArray(nil, MaxEnrolled+1)
	for i := range MaxEnrolled + 1 {
		many = append(many, arr(num(int64(i)), possession(nil))...)
	}
	return []refusal{
		{"manifest_root", "a root of 31 bytes", CodeMalformed, p(num(27), bstr(make([]byte, 31)), num(1), num(0))},
		{"manifest_none", "a list of no devices", CodeMalformed, p(num(27), root, num(0), num(0))},
		{"manifest_large", "a list of 1,048,577 devices", CodeTooLarge, p(num(27), root, num(MaxFleet+1), num(0))},
		{"manifest_until_negative", "a manifest that ends before 1970", CodeMalformed, p(num(27), root, num(1), num(-1))},
		{"manifest_short", "a manifest without an end", CodeMalformed, p(num(27), root, num(1))},
		{"enrol_listed_none", "no devices", CodeMalformed, listed()},
		{"enrol_listed_many", "257 devices", CodeTooLarge, p(num(28), bstr(testDevice[:]), many, arr())},
		{"enrol_listed_beyond", "a place that no list has", CodeMalformed, listed(arr(num(MaxFleet), possession(nil)))},
		{"enrol_listed_place_twice", "a place twice", CodeMalformed, listed(one, one)},
		{"enrol_listed_falls", "places that fall", CodeMalformed, listed(arr(num(1), possession(nil)), one)},
		{"enrol_listed_key_twice", "a device twice", CodeExists, listed(one, arr(num(1), possession(nil)))},
		{"enrol_listed_chain", "a proof for another chain", CodeBadPossession, listed(arr(num(0), possession(map[int][]byte{1: tstr("another")})))},
		{"enrol_listed_hash", "a hash of 31 bytes", CodeMalformed, p(num(28), bstr(testDevice[:]), arr(one), arr(bstr(make([]byte, 31))))},
		{"enrol_listed_path", "no path", CodeMalformed, p(num(28), bstr(testDevice[:]), arr(one))},
		{"enrol_listed_proposed", "a proposal of what needs none", CodeMalformed, p(num(17), num(9), bstr(arr(num(28), bstr(testDevice[:]), arr(one), arr())))},
		{"close_manifest_short", "a manifest of 15 bytes", CodeMalformed, p(num(29), bstr(testDevice[:15]))},
	}
}

// TestFleet: every choice of places has a proof that leads to the root, for lists of many
// lengths, and no other key or place has.
func TestFleet(t *testing.T) {
	keys := fleetKeys(300)
	var proofs []*Possession
	for _, k := range keys {
		proofs = append(proofs, goodPossession(t, k))
	}
	for _, n := range []int{1, 2, 3, 5, 8, 255, 256, 257, 300} {
		f := fleetOf(t, keys[:n])
		for _, step := range []int{1, 2, 7, 100, 299} {
			var list []ListedDevice
			for i := n % step; i < n && len(list) < MaxEnrolled; i += step {
				list = append(list, ListedDevice{uint64(i), proofs[i]})
			}
			if list == nil {
				continue
			}
			body, err := f.Enrol(crypto.ID{1}, list)
			if err != nil {
				t.Fatal(err)
			}
			if len(body.Path) > MaxFleetPath {
				t.Errorf("%d hashes", len(body.Path))
			}
			leads := func(o EnrolListed, count int) bool {
				root, err := o.Root(uint64(count))
				return err == nil && root == f.Root()
			}
			if !leads(body, n) {
				t.Errorf("%d of %d keys are not proven", len(list), n)
			}
			other := body
			other.Devices = slices.Clone(list)
			other.Devices[len(list)-1].Possession = goodPossession(t, adminKey)
			if leads(other, n) {
				t.Errorf("a key that is not in the list of %d is proven", n)
			}
			other.Devices = slices.Clone(list)
			other.Devices[len(list)-1].Index++
			if leads(other, n) || leads(EnrolListed{Devices: list, Path: append(slices.Clone(body.Path), merkle.Hash{})}, n) {
				t.Errorf("another place in the list of %d, or another path, is proven", n)
			}
		}
	}
}

// TestFleetRefused: a list that can't be signed, and a place that is another's.
func TestFleetRefused(t *testing.T) {
	a, b := deviceKey.Public(), adminKey.Public()
	for _, tt := range []struct {
		name string
		want Code
		keys []crypto.PublicKey
	}{
		{"none", CodeMalformed, nil},
		{"a key twice", CodeExists, []crypto.PublicKey{a, b, a}},
		{"too many", CodeTooLarge, make([]crypto.PublicKey, MaxFleet+1)},
	} {
		if _, err := NewFleet(tt.keys); CodeOf(err) != tt.want {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	f, err := NewFleet([]crypto.PublicKey{a, b})
	if err != nil {
		t.Fatal(err)
	}
	for _, place := range []uint64{1, 2} {
		if _, err := f.Enrol(crypto.ID{}, []ListedDevice{{place, goodPossession(t, deviceKey)}}); CodeOf(err) != CodeNotListed {
			t.Errorf("place %d: %v", place, err)
		}
	}
}

// TestLargestFleet: a list as long as may be has proofs of 20 hashes.
func TestLargestFleet(t *testing.T) {
	keys := make([]crypto.PublicKey, MaxFleet) // no points: nobody looks at them here
	for i := range keys {
		binary.BigEndian.PutUint32(keys[i][:], uint32(i))
	}
	const place = 777_777
	keys[place] = deviceKey.Public()
	f, err := NewFleet(keys)
	if err != nil {
		t.Fatal(err)
	}
	body, err := f.Enrol(crypto.ID{1}, []ListedDevice{{place, goodPossession(t, deviceKey)}})
	if err != nil || len(body.Path) != 20 {
		t.Fatalf("%d hashes, %v", len(body.Path), err)
	}
	if root, err := goodOperation(t, body).Body.(EnrolListed).Root(MaxFleet); err != nil || root != f.Root() {
		t.Errorf("%v leads to %v, %v", f.Root(), root, err)
	}
}

// TestListedSizes: as many devices as one operation may enrol fit into it, at places side by
// side and, of a list as long as may be, with the longest path.
func TestListedSizes(t *testing.T) {
	keys := fleetKeys(MaxEnrolled)
	body := EnrolListed{Manifest: crypto.ID{1}}
	for i, k := range keys {
		body.Devices = append(body.Devices, ListedDevice{MaxFleet - MaxEnrolled + uint64(i), goodPossession(t, k)})
	}
	body.Path = make([]merkle.Hash, 20)
	if got := goodOperation(t, body); len(got.Body.(EnrolListed).Devices) != MaxEnrolled {
		t.Errorf("%d devices", len(got.Body.(EnrolListed).Devices))
	}
	body.Devices = body.Devices[:1]
	body.Path = make([]merkle.Hash, 1_700)
	if got := goodOperation(t, body); len(got.Body.(EnrolListed).Path) != len(body.Path) {
		t.Errorf("%d hashes", len(got.Body.(EnrolListed).Path))
	}
}
