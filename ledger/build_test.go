package ledger

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// The actors of the tests and of the vectors. Their seeds are published.
const testChain = "mtm-vectors"

var (
	deviceKey = crypto.KeyFromSeed(sha256.Sum256([]byte("mtm vector device")))
	adminKey  = crypto.KeyFromSeed(sha256.Sum256([]byte("mtm vector admin")))
	bridgeKey = crypto.KeyFromSeed(sha256.Sum256([]byte("mtm vector bridge")))

	testDevice = DeviceID(deviceKey.Public())
	testOrg    = OrganisationID(adminKey.Public())
	testBridge = BridgeID(bridgeKey.Public())
	testStream = StreamID(testChain, testDevice, "temperature")
)

const testTime = 1_790_000_000_123_456 // microseconds

// enc concatenates encoded parts.
func enc(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func arr(items ...[]byte) []byte { return enc(dcbor.AppendArray(nil, len(items)), enc(items...)) }
func num(v int64) []byte         { return dcbor.AppendInt(nil, v) }
func unum(v uint64) []byte       { return dcbor.AppendUint(nil, v) }
func bstr(v []byte) []byte       { return dcbor.AppendBytes(nil, v) }
func tstr(s string) []byte       { return dcbor.AppendText(nil, s) }
func pairs(kv ...[]byte) []byte  { return enc(dcbor.AppendMap(nil, len(kv)/2), enc(kv...)) }

// protectedHeader builds a protected header from its pairs.
func protectedHeader(alg int64, format uint64, kid []byte, claims []byte) []byte {
	kv := [][]byte{num(1), num(alg), num(3), unum(format), num(4), bstr(kid)}
	if claims != nil {
		kv = append(kv, num(15), claims)
	}
	return pairs(kv...)
}

func kidOf(k crypto.PrivateKey) []byte {
	kid := k.Public().KeyID()
	return kid[:]
}

func statementClaims() []byte {
	return pairs(num(1), tstr(testDevice.String()), num(2), tstr(testStream.String()))
}

func statementHeader() []byte {
	return protectedHeader(-8, FormatStatement, kidOf(deviceKey), statementClaims())
}

// assemble signs whatever it is given as RFC 9052 says, well formed or not.
func assemble(k crypto.PrivateKey, protected, unprotected, payload []byte) []byte {
	toSign := arr(tstr("Signature1"), bstr(protected), bstr(nil), bstr(payload))
	sig := k.Sign(toSign)
	return enc([]byte{0xd2}, arr(bstr(protected), unprotected, bstr(payload), bstr(sig[:])))
}

// signPayload makes a well-formed message with the given payload.
func signPayload(k crypto.PrivateKey, format uint64, payload []byte) []byte {
	h := crypto.Header{ContentFormat: format}
	if format == FormatStatement {
		h.HasClaims, h.Issuer, h.Subject = true, testDevice, testStream
	}
	return crypto.NewSign1(k, h, payload).Bytes()
}

func reading(dt int64, content string) []byte { return arr(num(dt), bstr([]byte(content))) }

// statementPayload is the payload of a small good statement, with parts put in
// place of the good ones: first, media, time, readings, inputs.
func statementPayload(change map[int][]byte) []byte {
	parts := [][]byte{num(1), num(7), tstr("text/plain"), num(testTime), arr(reading(0, "21.5"), reading(1000000, "21.6"))}
	for i := range 7 {
		if p, ok := change[i]; ok {
			if i < len(parts) {
				parts[i] = p
			} else {
				parts = append(parts, p)
			}
		}
	}
	return arr(parts...)
}

func input(first, last uint64) []byte {
	return arr(bstr(testStream[:]), unum(first), unum(last), bstr(make([]byte, 32)))
}

func goodStatement(t testing.TB) *Statement {
	t.Helper()
	s, err := SignStatement(deviceKey, Statement{
		Device: testDevice, Stream: testStream, First: 7, Media: Media{Text: "text/plain"},
		Readings: []Reading{{testTime, []byte("21.5")}, {testTime + 1_000_000, []byte("21.6")}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func goodPossession(t testing.TB, k crypto.PrivateKey) *Possession {
	t.Helper()
	p, err := SignPossession(k, testChain, testOrg)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func goodOperation(t testing.TB, body Body) *Operation {
	t.Helper()
	o, err := SignOperation(adminKey, Operation{Chain: testChain, Actor: testOrg, NotAfter: 1_790_000_600, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func goodBatch(t testing.TB) *Batch {
	t.Helper()
	b, err := SignBatch(bridgeKey, testChain, testBridge, 0, testTime, [][]byte{goodStatement(t).Bytes(), []byte("not a statement")})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func goodOutcome(s *Statement) Outcome {
	return Outcome{Stream: s.Stream, First: s.First, Count: uint64(len(s.Readings)), Digest: s.Digest(), Height: 12, Index: 345}
}

func goodAck(t testing.TB, change func(*Acknowledgement)) *Acknowledgement {
	t.Helper()
	s := goodStatement(t)
	a := Acknowledgement{Chain: testChain, Bridge: testBridge, Outcomes: []Outcome{goodOutcome(s)}}
	if change != nil {
		change(&a)
	}
	got, err := SignAcknowledgement(bridgeKey, a)
	if err != nil {
		t.Fatal(err)
	}
	return got
}
