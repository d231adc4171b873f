package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mtmledger/crypto"
)

var update = flag.Bool("update", false, "write testdata/vectors anew")

// vectorFile is a file of testdata/vectors. Byte strings are hexadecimal, ids
// are in their text form, 64-bit numbers are decimal texts.
type vectorFile struct {
	Spec    string           `json:"spec"`
	About   string           `json:"about"`
	Chain   string           `json:"chain,omitempty"`
	Keys    []vectorKey      `json:"keys,omitempty"`
	Valid   []map[string]any `json:"valid"`
	Invalid []vectorRefusal  `json:"invalid,omitempty"`
}

type vectorKey struct {
	Name   string `json:"name"`
	Seed   string `json:"seed"`
	Public string `json:"public"`
	KeyID  string `json:"kid"`
	ID     string `json:"id"`
}

type vectorRefusal struct {
	Name  string `json:"name"`
	Why   string `json:"why"`
	Code  string `json:"code"`
	Bytes string `json:"bytes"`
}

func vectorKeys() []vectorKey {
	key := func(name string, k crypto.PrivateKey, id crypto.ID) vectorKey {
		seed, pub := sha256.Sum256([]byte("mtm vector "+name)), k.Public()
		return vectorKey{name, hex.EncodeToString(seed[:]), hex.EncodeToString(pub[:]), pub.KeyID().String(), id.String()}
	}
	return []vectorKey{key("device", deviceKey, testDevice), key("admin", adminKey, testOrg), key("bridge", bridgeKey, testBridge)}
}

func vectorRefusals(list []refusal) (out []vectorRefusal) {
	for _, r := range list {
		out = append(out, vectorRefusal{r.Name, r.Why, r.Code.String(), hex.EncodeToString(r.In)})
	}
	return out
}

// checkVectors writes the file with -update, and otherwise compares.
func checkVectors(t *testing.T, name string, f vectorFile) {
	t.Helper()
	var buf bytes.Buffer
	e := json.NewEncoder(&buf)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(f); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("..", "testdata", "vectors", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, buf.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(have, buf.Bytes()) {
		t.Errorf("%s is not what this code makes; a format changed, or run with -update", path)
	}
}

func u64(v uint64) string { return strconv.FormatUint(v, 10) }
func i64(v int64) string  { return strconv.FormatInt(v, 10) }

// message describes a signed message: the parts in the order of making it.
func message(name, key string, s *crypto.Sign1) map[string]any {
	d := s.Digest()
	return map[string]any{
		"name": name, "signed_by": key,
		"protected": hex.EncodeToString(s.Protected), "payload": hex.EncodeToString(s.Payload),
		"sig_structure": hex.EncodeToString(s.SigStructure()), "digest": hex.EncodeToString(d[:]),
		"signature": hex.EncodeToString(s.Signature[:]), "bytes": hex.EncodeToString(s.Bytes()),
	}
}

func statementVector(t *testing.T, name string, s Statement) map[string]any {
	t.Helper()
	s.Device, s.Stream = testDevice, testStream
	signed, err := SignStatement(deviceKey, s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	v := message(name, "device", signed.Sign1)
	v["device"], v["stream"] = signed.Device.String(), signed.Stream.String()
	v["first"], v["last"], v["media"] = u64(signed.First), u64(signed.Last()), signed.Media.String()
	var readings, inputs []map[string]string
	for i, r := range signed.Readings {
		readings = append(readings, map[string]string{"number": u64(signed.First + uint64(i)), "time": i64(r.Time), "content": hex.EncodeToString(r.Content)})
	}
	v["readings"] = readings
	for _, in := range signed.Inputs {
		inputs = append(inputs, map[string]string{"stream": in.Stream.String(), "first": u64(in.First), "last": u64(in.Last), "digest": hex.EncodeToString(in.Digest[:])})
	}
	if inputs != nil {
		v["inputs"] = inputs
	}
	return v
}

func TestStatementVectors(t *testing.T) {
	in := Input{Stream: testStream, First: 1, Last: 100, Digest: sha256.Sum256([]byte("input"))}
	checkVectors(t, "statement.json", vectorFile{
		Spec:  "docs/spec/statement.md",
		About: "valid: accepted, and made again byte for byte from the fields with the named key's seed. invalid: refused with the code, though each is signed correctly where it has a signature; bad_signature: well formed, but the signature must not verify.",
		Chain: testChain, Keys: vectorKeys(),
		Valid: []map[string]any{
			statementVector(t, "example", Statement{First: 7, Media: Media{Text: "text/plain"},
				Readings: []Reading{{testTime, []byte("21.5")}, {testTime + 1_000_000, []byte("21.6")}}}),
			statementVector(t, "one_reading_of_40_bytes", Statement{First: 1, Media: Media{Format: 42},
				Readings: []Reading{{testTime, bytes.Repeat([]byte{0xa5}, 40)}}}),
			statementVector(t, "no_clock", Statement{First: 24, Media: Media{Format: 0}, Readings: []Reading{{0, []byte("a")}, {0, []byte("a")}}}),
			statementVector(t, "empty_content", Statement{First: 256, Media: Media{Format: 65535}, Readings: []Reading{{testTime, nil}}}),
			statementVector(t, "times_go_back", Statement{First: 65536, Media: Media{Format: 112},
				Readings: []Reading{{testTime, []byte{0}}, {testTime - 24, []byte{1}}, {testTime - 25, []byte{2}}, {testTime + 24, []byte{3}}}}),
			statementVector(t, "extreme_times", Statement{First: 4294967296, Media: Media{Format: 60},
				Readings: []Reading{{0, nil}, {math.MinInt64, nil}, {math.MaxInt64, nil}}}),
			statementVector(t, "last_number", Statement{First: math.MaxInt64, Media: Media{Text: "a/b"}, Readings: []Reading{{1, nil}}}),
			statementVector(t, "with_inputs", Statement{First: 8, Media: Media{Format: 50}, Readings: []Reading{{testTime, []byte("{}")}}, Inputs: []Input{in, in}}),
		},
		Invalid: append(vectorRefusals(refusedStatements()), badSignatures(goodStatement(t).Sign1)...),
	})
}

// badSignatures lists well-formed messages that the key did not sign.
func badSignatures(s *crypto.Sign1) []vectorRefusal {
	flip := func(b []byte, at int) string {
		c := bytes.Clone(b)
		c[at] ^= 1
		return hex.EncodeToString(c)
	}
	n := len(s.Bytes())
	bad := CodeBadSignature.String()
	payload := bytes.LastIndex(s.Bytes(), s.Payload)
	return []vectorRefusal{
		{"signature_r", "a bit of the signature's R is flipped", bad, flip(s.Bytes(), n-64)},
		{"signature_s", "a bit of the signature's s is flipped", bad, flip(s.Bytes(), n-32)},
		{"signature_of_other_content", "the last byte of the payload is changed", bad, flip(s.Bytes(), payload+len(s.Payload)-1)},
		{"signature_of_payload", "the payload alone is signed, not the Sig_structure", bad,
			hex.EncodeToString(enc(s.Bytes()[:n-64], sigBytes(deviceKey, s.Payload)))},
		{"signature_of_other_key", "another key has signed", bad,
			hex.EncodeToString(enc(s.Bytes()[:n-64], sigBytes(adminKey, s.SigStructure())))},
	}
}

func sigBytes(k crypto.PrivateKey, msg []byte) []byte {
	sig := k.Sign(msg)
	return sig[:]
}

// TestBadSignatures keeps the file honest: these parse, and do not verify.
func TestBadSignatures(t *testing.T) {
	for _, v := range badSignatures(goodStatement(t).Sign1) {
		b, err := hex.DecodeString(v.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseStatement(b)
		if err != nil || s.Sign1.Verify(deviceKey.Public()) {
			t.Errorf("%s: %v", v.Name, err)
		}
	}
}

func operationVector(t *testing.T, name string, o Operation) map[string]any {
	t.Helper()
	key, keyName := adminKey, "admin"
	if o.Actor == testDevice {
		key, keyName = deviceKey, "device"
	}
	signed, err := SignOperation(key, o)
	if err != nil {
		t.Fatal(err)
	}
	v := message(name, keyName, signed.Sign1)
	v["chain"], v["actor"], v["not_after"], v["kind"] = signed.Chain, signed.Actor.String(), i64(signed.NotAfter), signed.Body.Kind().String()
	switch body := signed.Body.(type) {
	case OpenStream:
		v["device"], v["stream_name"] = body.Device.String(), body.Name
		v["makes"] = StreamID(signed.Chain, body.Device, body.Name).String()
	case EnrolDevice:
		v["possession"], v["makes"] = message("possession", "device", body.Possession.Sign1), body.DeviceID().String()
	case EnrolBridge:
		v["possession"], v["makes"] = message("possession", "bridge", body.Possession.Sign1), body.BridgeID().String()
	case Rotate: // to the key that other vectors enrol as a bridge's
		v["device"], v["old"], v["closes"] = body.Device.String(), body.Old.String(), u64(body.Closes)
		v["possession"] = message("possession", "bridge", body.Possession.Sign1)
	case Suspend:
		v["device"] = body.Device.String()
	case Resume:
		v["device"] = body.Device.String()
	case Retire:
		v["device"] = body.Device.String()
	case RemoveBridge:
		v["bridge"] = body.Bridge.String()
	}
	return v
}

func TestOperationVectors(t *testing.T) {
	op := func(actor crypto.ID, body Body) Operation {
		return Operation{Chain: testChain, Actor: actor, NotAfter: 1_790_000_600, Body: body}
	}
	rotation := Rotate{Device: testDevice, Old: deviceKey.Public().KeyID(), Closes: 1_000, Possession: goodPossession(t, bridgeKey)}
	checkVectors(t, "operation.json", vectorFile{
		Spec:  "docs/spec/operation.md",
		About: "as in statement.json; makes is the id of what the operation makes.",
		Chain: testChain, Keys: vectorKeys(),
		Valid: append([]map[string]any{
			operationVector(t, "enrol_device", op(testOrg, EnrolDevice{goodPossession(t, deviceKey)})),
			operationVector(t, "enrol_bridge", op(testOrg, EnrolBridge{goodPossession(t, bridgeKey)})),
			operationVector(t, "open_stream_by_organisation", op(testOrg, OpenStream{testDevice, "temperature"})),
			operationVector(t, "open_stream_by_device", op(testDevice, OpenStream{testDevice, "temperature"})),
			operationVector(t, "rotate_by_device", op(testDevice, rotation)),
			operationVector(t, "rotate_by_organisation", op(testOrg, rotation)),
			operationVector(t, "suspend", op(testOrg, Suspend{testDevice})),
			operationVector(t, "resume", op(testOrg, Resume{testDevice})),
			operationVector(t, "retire", op(testOrg, Retire{testDevice})),
			operationVector(t, "remove_bridge", op(testOrg, RemoveBridge{testBridge})),
			operationVector(t, "open_stream_unicode", op(testOrg, OpenStream{testDevice, "Außentemperatur °C 温度"})),
			operationVector(t, "not_after_zero", Operation{Chain: "c", Actor: testOrg, Body: OpenStream{testDevice, strings.Repeat("n", MaxName)}}),
		}, append(ownershipVectors(t), memberVectors(t)...)...),
		Invalid: smallRefusals(refusedOperations(), 50_000),
	})
}

func TestTransactionVectors(t *testing.T) {
	batch := func(name string, attempt uint64, raws ...[]byte) map[string]any {
		b, err := SignBatch(bridgeKey, testChain, testBridge, attempt, testTime, raws)
		if err != nil {
			t.Fatal(err)
		}
		v := message(name, "bridge", b.Sign1)
		hash := TxHash(b.Bytes())
		v["chain"], v["bridge"], v["attempt"], v["received"] = b.Chain, b.Bridge.String(), u64(attempt), i64(testTime)
		v["tx_hash"] = hex.EncodeToString(hash[:])
		var list, codes []string
		for i := range b.Raw {
			list = append(list, hex.EncodeToString(b.Raw[i]))
			_, err := b.Parse(i)
			codes = append(codes, CodeOf(err).String())
		}
		v["statements"], v["codes"] = list, codes
		return v
	}
	good := goodStatement(t).Bytes()
	checkVectors(t, "transaction.json", vectorFile{
		Spec:  "docs/spec/transaction.md",
		About: "as in statement.json; codes says for each statement of a batch what decoding it gives. An operation (operation.json) is a transaction too.",
		Chain: testChain, Keys: vectorKeys(),
		Valid: []map[string]any{
			batch("one_statement", 0, good),
			batch("one_bad_among_good", 1, good, []byte("garbage"), good, nil),
			batch("large_attempt", math.MaxInt64, good),
		},
		Invalid: smallRefusals(refusedTransactions(), 100_000),
	})
}

// smallRefusals leaves out messages of max bytes or more.
func smallRefusals(list []refusal, max int) []vectorRefusal {
	var small []refusal
	for _, r := range list {
		if len(r.In) < max {
			small = append(small, r)
		}
	}
	return vectorRefusals(small)
}

func TestAcknowledgementVectors(t *testing.T) {
	example := goodStatement(t)
	ack := func(name string, change func(*Acknowledgement)) map[string]any {
		a := goodAck(t, change)
		v := message(name, "bridge", a.Sign1)
		v["chain"], v["bridge"] = a.Chain, a.Bridge.String()
		list := []map[string]any{}
		for _, o := range a.Outcomes {
			list = append(list, map[string]any{
				"stream": o.Stream.String(), "first": u64(o.First), "count": u64(o.Count), "statement_digest": hex.EncodeToString(o.Digest[:]),
				"height": u64(o.Height), "index": u64(o.Index), "code": u64(uint64(o.Code)),
				"answers_the_example": a.Chain == testChain && o.Answers(example),
			})
		}
		v["outcomes"] = list
		return v
	}
	one := func(change func(*Outcome)) func(*Acknowledgement) {
		return func(a *Acknowledgement) { change(&a.Outcomes[0]) }
	}
	refused := func(c Code) func(*Outcome) {
		return func(o *Outcome) { o.Height, o.Index, o.Code = 0, 0, c }
	}
	several := func(a *Acknowledgement) {
		for range MaxOutcomes - 1 {
			o := a.Outcomes[len(a.Outcomes)-1]
			o.First, o.Index, o.Digest[0] = o.First+o.Count, o.Index+1, o.Digest[0]+1
			a.Outcomes = append(a.Outcomes, o)
		}
		refused(CodeClockAhead)(&a.Outcomes[1])
	}
	checkVectors(t, "acknowledgement.json", vectorFile{
		Spec:  "docs/spec/mqtt.md",
		About: "as in statement.json; answers_the_example: whether a device that waits for the statement named example in statement.json may take this outcome for its answer.",
		Chain: testChain, Keys: vectorKeys(),
		Valid: []map[string]any{
			ack("committed", nil),
			ack("refused_used", one(refused(CodeUsed))),
			ack("refused_code_to_come", one(refused(1000))),
			ack("as_many_as_may_be", several),
			ack("other_chain", func(a *Acknowledgement) { a.Chain = "another" }),
			ack("other_stream", one(func(o *Outcome) { o.Stream[15]++ })),
			ack("other_first", one(func(o *Outcome) { o.First++ })),
			ack("other_count", one(func(o *Outcome) { o.Count-- })),
			ack("other_digest", one(func(o *Outcome) { o.Digest[0]++ })),
		},
		Invalid: append(vectorRefusals(refusedAcknowledgements()), badAckSignatures(t)...),
	})
}

func badAckSignatures(t *testing.T) []vectorRefusal {
	a := goodAck(t, nil)
	n := len(a.Bytes())
	b := enc(a.Bytes()[:n-64], sigBytes(deviceKey, a.Sign1.SigStructure()))
	if got, err := ParseAcknowledgement(b); err != nil || got.Sign1.Verify(bridgeKey.Public()) {
		t.Fatalf("%v", err)
	}
	return []vectorRefusal{{"signature_of_other_key", "a key that is not the bridge's has signed", CodeBadSignature.String(), hex.EncodeToString(b)}}
}

func TestIdentifierVectors(t *testing.T) {
	pub := deviceKey.Public()
	sum := func(domain string, parts ...[]byte) map[string]any {
		list := []string{}
		for _, p := range parts {
			list = append(list, hex.EncodeToString(p))
		}
		h := crypto.Sum(domain, parts...)
		return map[string]any{"name": "sum", "domain": domain, "parts": list, "sum": hex.EncodeToString(h[:])}
	}
	id := func(name string, id crypto.ID, more map[string]any) map[string]any {
		v := map[string]any{"name": name, "id": hex.EncodeToString(id[:]), "text": id.String()}
		for k, x := range more {
			v[k] = x
		}
		return v
	}
	key := map[string]any{"public": hex.EncodeToString(pub[:])}
	genesis := goodGenesis()
	appState, err := json.Marshal(genesis)
	if err != nil {
		t.Fatal(err)
	}
	committed := Committed{Height: 12, Index: 345, Time: testTime, Statement: goodStatement(t).Bytes()}
	checkVectors(t, "identifiers.json", vectorFile{
		Spec:  "docs/spec/encoding.md, docs/spec/mqtt.md, docs/spec/operation.md",
		About: "hashes, identifiers, topics, the payload of a data topic, and log entry 0 of a genesis.",
		Chain: testChain,
		Valid: []map[string]any{
			sum("d"), sum("mtm/key/1", pub[:]), sum("mtm/stream/1", []byte("a"), []byte("bc")), sum("mtm/stream/1", []byte("ab"), []byte("c"), nil),
			id("device", DeviceID(pub), key), id("bridge", BridgeID(pub), key), id("organisation", OrganisationID(pub), key),
			{"name": "kid", "public": hex.EncodeToString(pub[:]), "kid": pub.KeyID().String()},
			id("stream", testStream, map[string]any{"chain": testChain, "device": testDevice.String(), "stream_name": "temperature"}),
			{"name": "topics", "device": testDevice.String(), "stream": testStream.String(),
				"up": UpTopic(testDevice, testStream), "ack": AckTopic(testDevice), "data": DataTopic(testStream)},
			{"name": "committed", "height": u64(committed.Height), "index": u64(committed.Index), "time": i64(committed.Time),
				"statement": hex.EncodeToString(committed.Statement), "bytes": hex.EncodeToString(committed.Encode())},
			{"name": "genesis", "app_state": string(appState), "content": hex.EncodeToString(genesis.Encode()), "entry": hex.EncodeToString(genesis.Entry(testChain))},
		},
	})
}
