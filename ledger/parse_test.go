package ledger

import (
	"bytes"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// parsers are all decoders of signed messages. Each returns the encoding of
// what it understood, made anew from the fields.
var parsers = map[string]func([]byte) ([]byte, error){
	"statement": func(b []byte) ([]byte, error) {
		s, err := ParseStatement(b)
		if err != nil {
			return nil, err
		}
		payload, err := s.payload()
		return rebuild(s.Sign1, payload), err
	},
	"operation": func(b []byte) ([]byte, error) {
		o, err := ParseOperation(b)
		if err != nil {
			return nil, err
		}
		return rebuild(o.Sign1, o.payload()), nil
	},
	"transaction": func(b []byte) ([]byte, error) {
		t, err := ParseTransaction(b)
		if err != nil {
			return nil, err
		}
		if t.Operation != nil {
			return rebuild(t.Sign1(), t.Operation.payload()), nil
		}
		return rebuild(t.Sign1(), t.Batch.payload()), nil
	},
	"acknowledgement": func(b []byte) ([]byte, error) {
		a, err := ParseAcknowledgement(b)
		if err != nil {
			return nil, err
		}
		return rebuild(a.Sign1, a.payload()), nil
	},
	"possession": func(b []byte) ([]byte, error) {
		p, err := ParsePossession(b)
		if err != nil {
			return nil, err
		}
		return rebuild(p.Sign1, p.payload()), nil
	},
}

// rebuild encodes a message from its header's fields, a payload and its
// signature.
func rebuild(s *crypto.Sign1, payload []byte) []byte {
	var claims []byte
	if s.Header.HasClaims {
		claims = pairs(num(1), tstr(s.Header.Issuer.String()), num(2), tstr(s.Header.Subject.String()))
	}
	protected := protectedHeader(-8, s.Header.ContentFormat, s.Header.KeyID[:], claims)
	return enc([]byte{0xd2}, arr(bstr(protected), pairs(), bstr(payload), bstr(s.Signature[:])))
}

func TestRefused(t *testing.T) {
	for what, list := range map[string][]refusal{
		"statement": refusedStatements(), "operation": refusedOperations(), "transaction": refusedTransactions(),
		"acknowledgement": refusedAcknowledgements(), "possession": refusedPossessions(),
	} {
		names := map[string]bool{}
		for _, r := range list {
			if names[r.Name] {
				t.Errorf("%s: two cases named %s", what, r.Name)
			}
			names[r.Name] = true
			_, err := parsers[what](r.In)
			if err == nil {
				t.Errorf("%s/%s is accepted", what, r.Name)
			} else if CodeOf(err) != r.Code {
				t.Errorf("%s/%s: %v, want code %v", what, r.Name, err, r.Code)
			}
		}
	}
	for _, r := range refusedOperations() {
		if _, err := ParseTransaction(r.In); err == nil && r.Name != "a_statement" {
			t.Errorf("operation %s is accepted as a transaction", r.Name)
		}
	}
}

func TestStatementRoundTrip(t *testing.T) {
	base := Statement{Device: testDevice, Stream: testStream, First: 1, Media: Media{Format: 112}}
	r := func(times ...int64) (list []Reading) {
		for _, v := range times {
			list = append(list, Reading{Time: v, Content: []byte{byte(v)}})
		}
		return list
	}
	tests := map[string]func(s *Statement){
		"one":            func(s *Statement) { s.Readings = r(testTime) },
		"no clock":       func(s *Statement) { s.Readings = r(0, 0, 0) },
		"before 1970":    func(s *Statement) { s.Readings = r(-5, -7, 3) },
		"extreme times":  func(s *Statement) { s.Readings = r(0, math.MaxInt64, math.MinInt64) },
		"last number":    func(s *Statement) { s.First, s.Readings = math.MaxInt64-1, r(1, 2) },
		"media text":     func(s *Statement) { s.Media, s.Readings = Media{Text: "a/" + strings.Repeat("b", 62)}, r(1) },
		"media most":     func(s *Statement) { s.Media, s.Readings = Media{Format: 65535}, r(1) },
		"empty content":  func(s *Statement) { s.Readings = []Reading{{Time: 1}} },
		"most content":   func(s *Statement) { s.Readings = []Reading{{Time: 1, Content: make([]byte, MaxContent)}} },
		"most readings":  func(s *Statement) { s.Readings = make([]Reading, MaxReadings) },
		"one input":      func(s *Statement) { s.Readings, s.Inputs = r(1), make([]Input, 1) },
		"most inputs":    func(s *Statement) { s.Readings, s.Inputs = r(1), make([]Input, MaxInputs) },
		"input to limit": func(s *Statement) { s.Readings, s.Inputs = r(1), []Input{{First: math.MaxInt64, Last: math.MaxInt64}} },
	}
	for name, set := range tests {
		want := base
		set(&want)
		for i := range want.Inputs {
			want.Inputs[i].First = max(want.Inputs[i].First, 1)
			want.Inputs[i].Last = max(want.Inputs[i].Last, 9)
		}
		s, err := SignStatement(deviceKey, want)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Device != want.Device || s.Stream != want.Stream || s.First != want.First || s.Media != want.Media ||
			s.Last() != want.First+uint64(len(want.Readings))-1 || s.KeyID() != deviceKey.Public().KeyID() {
			t.Errorf("%s: %+v", name, s)
		}
		for i, r := range s.Readings {
			if r.Time != want.Readings[i].Time || !bytes.Equal(r.Content, want.Readings[i].Content) {
				t.Errorf("%s: reading %d is %+v", name, i, r)
			}
		}
		if len(s.Inputs) != len(want.Inputs) || len(s.Inputs) > 0 && s.Inputs[0] != want.Inputs[0] {
			t.Errorf("%s: inputs %+v", name, s.Inputs)
		}
		if !s.Sign1.Verify(deviceKey.Public()) || s.Sign1.Verify(adminKey.Public()) {
			t.Errorf("%s: signature", name)
		}
	}
}

func TestSignStatementRefuses(t *testing.T) {
	good := Statement{Device: testDevice, Stream: testStream, First: 1, Readings: []Reading{{Time: 1}}}
	tests := map[string]struct {
		set  func(s *Statement)
		code Code
	}{
		"no reading":     {func(s *Statement) { s.Readings = nil }, CodeMalformed},
		"readings":       {func(s *Statement) { s.Readings = make([]Reading, MaxReadings+1) }, CodeTooLarge},
		"number 0":       {func(s *Statement) { s.First = 0 }, CodeMalformed},
		"number 2^63":    {func(s *Statement) { s.First = 1 << 63 }, CodeMalformed},
		"both media":     {func(s *Statement) { s.Media = Media{Format: 1, Text: "a/b"} }, CodeMalformed},
		"format":         {func(s *Statement) { s.Media = Media{Format: 65536} }, CodeMalformed},
		"far apart up":   {func(s *Statement) { s.Readings = []Reading{{Time: -2}, {Time: math.MaxInt64}} }, CodeMalformed},
		"far apart down": {func(s *Statement) { s.Readings = []Reading{{Time: 1}, {Time: math.MinInt64}} }, CodeMalformed},
		"content":        {func(s *Statement) { s.Readings[0].Content = make([]byte, MaxContent+1) }, CodeTooLarge},
		"inputs":         {func(s *Statement) { s.Inputs = make([]Input, 1) }, CodeMalformed},
	}
	for name, tt := range tests {
		s := good
		s.Readings = []Reading{{Time: 1}}
		tt.set(&s)
		if _, err := SignStatement(deviceKey, s); err == nil || CodeOf(err) != tt.code {
			t.Errorf("%s: %v, want %v", name, err, tt.code)
		}
	}
}

// TestSizes has every limit at its value; TestRefused has them one above.
func TestSizes(t *testing.T) {
	if b := sizedStatement(MaxStatement); len(b) != MaxStatement {
		t.Fatalf("made %d bytes", len(b))
	} else if _, err := ParseStatement(b); err != nil {
		t.Error(err)
	}
	if b := sizedBatch(MaxTransaction); len(b) != MaxTransaction {
		t.Fatalf("made %d bytes", len(b))
	} else if _, err := ParseTransaction(b); err != nil {
		t.Error(err)
	}
	raws := make([][]byte, MaxStatements)
	if b, err := SignBatch(bridgeKey, testChain, testBridge, 1, 2, raws); err != nil || b.Len() != MaxStatements {
		t.Error(err)
	}
	if _, err := SignBatch(bridgeKey, testChain, testBridge, 1, 2, append(raws, nil)); CodeOf(err) != CodeTooLarge {
		t.Error(err)
	}
	chain := strings.Repeat("c", MaxChain)
	p, err := SignPossession(deviceKey, chain, testOrg)
	if err != nil || len(p.Bytes()) > MaxPossession {
		t.Fatalf("%v", err)
	}
	o, err := SignOperation(adminKey, Operation{Chain: chain, Actor: testOrg, NotAfter: math.MaxInt64, Body: EnrolDevice{p}})
	if err != nil || len(o.Bytes()) > MaxOperation {
		t.Errorf("%v", err)
	}
	a := goodAck(t, func(a *Acknowledgement) {
		a.Chain = chain
		o := &a.Outcomes[0]
		o.First, o.Count, o.Height, o.Index = math.MaxInt64-999, 1000, math.MaxInt64, math.MaxInt64
		a.Outcomes = slices.Repeat(a.Outcomes, MaxOutcomes)
	})
	if len(a.Bytes()) > MaxAcknowledgement {
		t.Errorf("acknowledgement of %d bytes", len(a.Bytes()))
	}
	name := strings.Repeat("é", MaxName/2)
	if o := goodOperation(t, OpenStream{testDevice, name}); o.Body.(OpenStream).Name != name {
		t.Error("longest name")
	}
}

// TestRoomyLimits: limits that no good message reaches. At the limit a message
// is looked into, above it is not.
func TestRoomyLimits(t *testing.T) {
	for what, max := range map[string]int{"operation": MaxOperation, "possession": MaxPossession, "acknowledgement": MaxAcknowledgement} {
		if _, err := parsers[what](make([]byte, max)); CodeOf(err) != CodeMalformed {
			t.Errorf("%s of %d bytes: %v", what, max, err)
		}
		if _, err := parsers[what](make([]byte, max+1)); CodeOf(err) != CodeTooLarge {
			t.Errorf("%s of %d bytes: %v", what, max+1, err)
		}
	}
}

// TestSmallStatement holds the promise of docs/spec/statement.md.
func TestSmallStatement(t *testing.T) {
	s, err := SignStatement(deviceKey, Statement{Device: testDevice, Stream: testStream, First: math.MaxUint32 + 1,
		Media: Media{Format: 65535}, Readings: []Reading{{testTime, make([]byte, 40)}}})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(s.Bytes()); n >= 220 {
		t.Errorf("one reading of 40 bytes takes %d bytes", n)
	}
}

func TestCommittedForm(t *testing.T) {
	b := signPayload(deviceKey, FormatStatement, arr(num(2), num(1), tstr("a/b"), num(3), num(1), num(2), bstr(make([]byte, 32))))
	if _, err := ParseStatement(b); err != ErrCommittedForm || !errors.Is(err, &Error{Code: CodeCommittedDisabled}) {
		t.Error(err)
	}
}

func TestOperations(t *testing.T) {
	for _, body := range []Body{
		EnrolDevice{goodPossession(t, deviceKey)}, EnrolBridge{goodPossession(t, bridgeKey)}, OpenStream{testDevice, "temperature"},
		Rotate{Device: testDevice, Closes: MaxNumber, Possession: goodPossession(t, bridgeKey)},
		Suspend{testDevice}, Resume{testDevice}, Retire{testDevice}, RemoveBridge{testBridge},
	} {
		o := goodOperation(t, body)
		if o.Body.Kind() != body.Kind() || o.Chain != testChain || o.Actor != testOrg || o.NotAfter != 1_790_000_600 {
			t.Errorf("%+v", o)
		}
		if !o.Sign1.Verify(adminKey.Public()) || o.KeyID() != adminKey.Public().KeyID() {
			t.Error("signature")
		}
		tx, err := ParseTransaction(o.Bytes())
		if err != nil || tx.Batch != nil || tx.Operation.Digest() != o.Digest() || tx.Chain() != testChain || tx.Sign1().Verify(adminKey.Public()) != true {
			t.Errorf("%v: %v", body.Kind(), err)
		}
		list := Possessions(o.Body)
		_, carries := map[Kind]bool{KindEnrolDevice: true, KindEnrolBridge: true, KindRotate: true}[body.Kind()]
		if (len(list) == 1) != carries || carries && !list[0].Verify() {
			t.Errorf("%v: possession", body.Kind())
		}
	}
	if e := (EnrolDevice{goodPossession(t, deviceKey)}); e.DeviceID() != testDevice {
		t.Error("device id")
	}
	if e := (EnrolBridge{goodPossession(t, bridgeKey)}); e.BridgeID() != testBridge {
		t.Error("bridge id")
	}
	for _, body := range []Body{nil, EnrolDevice{}, EnrolBridge{&Possession{}}, OpenStream{}, Rotate{}, Rotate{Closes: MaxNumber + 1}} {
		if _, err := SignOperation(adminKey, Operation{Chain: testChain, Actor: testOrg, Body: body}); CodeOf(err) != CodeMalformed {
			t.Errorf("%v: %v", body, err)
		}
	}
	if KindEnrolBridge.String() != "enrol_bridge" || Kind(99).String() != "kind_99" {
		t.Error("names of kinds")
	}
}

func TestBatch(t *testing.T) {
	b := goodBatch(t)
	if b.Chain != testChain || b.Bridge != testBridge || b.Attempt != 0 || b.Received != testTime || b.Len() != 2 {
		t.Errorf("%+v", b)
	}
	if !b.Sign1.Verify(bridgeKey.Public()) || b.KeyID() != bridgeKey.Public().KeyID() {
		t.Error("signature")
	}
	if s, err := b.Parse(0); err != nil || s.First != 7 {
		t.Errorf("good statement: %v", err)
	}
	if _, err := b.Parse(1); CodeOf(err) != CodeMalformed {
		t.Errorf("bad statement: %v", err)
	}
	tx, err := ParseTransaction(b.Bytes())
	if err != nil || tx.Operation != nil || tx.Chain() != testChain || tx.Sign1().Digest() != b.Sign1.Digest() {
		t.Error(err)
	}
	if _, err := SignBatch(bridgeKey, testChain, testBridge, 0, 0, nil); CodeOf(err) != CodeMalformed {
		t.Errorf("no statement: %v", err)
	}
	overhead := len(b.Bytes()) - len(b.Raw[0]) - len(b.Raw[1])
	if overhead > BatchOverhead {
		t.Errorf("overhead %d", overhead)
	}
}

func TestAcknowledgement(t *testing.T) {
	s := goodStatement(t)
	a := goodAck(t, nil)
	if a.Chain != testChain || !a.Outcomes[0].Answers(s) || !a.Sign1.Verify(bridgeKey.Public()) || a.KeyID() != bridgeKey.Public().KeyID() {
		t.Error("good acknowledgement")
	}
	for name, change := range map[string]func(*Outcome){
		"stream": func(o *Outcome) { o.Stream[0]++ },
		"first":  func(o *Outcome) { o.First++ },
		"count":  func(o *Outcome) { o.Count++ },
		"digest": func(o *Outcome) { o.Digest[31]++ },
	} {
		o := goodOutcome(s)
		if change(&o); o.Answers(s) {
			t.Errorf("an outcome with another %s answers", name)
		}
	}
	several := goodAck(t, func(a *Acknowledgement) {
		a.Outcomes = append(a.Outcomes, a.Outcomes[0], a.Outcomes[0])
		refused := &a.Outcomes[1]
		refused.Height, refused.Index, refused.Code = 0, 0, CodeUsed
		unknown := &a.Outcomes[2]
		unknown.First, unknown.Height, unknown.Index, unknown.Code = 5, 0, 0, math.MaxUint32
	})
	if o := several.Outcomes; len(o) != 3 || o[0] != a.Outcomes[0] || o[1].Code != CodeUsed || !o[1].Answers(s) ||
		o[2].First != 5 || o[2].Code.String() != "code_4294967295" {
		t.Errorf("%+v", o)
	}
}

func TestCommitted(t *testing.T) {
	c := Committed{Height: 1, Index: math.MaxInt64, Time: -3, Statement: make([]byte, MaxStatement)}
	got, err := ParseCommitted(c.Encode())
	if err != nil || got.Height != 1 || got.Index != c.Index || got.Time != -3 || len(got.Statement) != MaxStatement {
		t.Error(err)
	}
	good := Committed{Height: 1, Index: 2, Time: 3}.Encode()
	for name, tt := range map[string]struct {
		in   []byte
		code Code
	}{
		"trailing":  {enc(good, []byte{0}), CodeMalformed},
		"truncated": {good[:len(good)-1], CodeMalformed},
		"version":   {arr(num(2), num(1), num(2), num(3), bstr(nil)), CodeMalformed},
		"height":    {arr(num(1), unum(1<<63), num(2), num(3), bstr(nil)), CodeMalformed},
		"large":     {Committed{Statement: make([]byte, MaxStatement+1)}.Encode(), CodeTooLarge},
	} {
		if _, err := ParseCommitted(tt.in); CodeOf(err) != tt.code {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestAllocations keeps parsing cheap: the message, the statement and its
// readings.
func TestAllocations(t *testing.T) {
	b := goodStatement(t).Bytes()
	n := testing.AllocsPerRun(100, func() {
		if _, err := ParseStatement(b); err != nil {
			t.Fatal(err)
		}
	})
	if n > 4 { // the fourth is the media type's text
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkParseStatement(b *testing.B) {
	s, err := SignStatement(deviceKey, Statement{Device: testDevice, Stream: testStream, First: 1, Media: Media{Format: 42},
		Readings: []Reading{{testTime, make([]byte, 40)}}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseStatement(s.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseTransaction(b *testing.B) {
	raws := make([][]byte, 20)
	for i := range raws {
		raws[i] = goodStatement(b).Bytes()
	}
	batch, err := SignBatch(bridgeKey, testChain, testBridge, 0, 0, raws)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseTransaction(batch.Bytes()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSignStatement(b *testing.B) {
	s := Statement{Device: testDevice, Stream: testStream, First: 1, Media: Media{Format: 42}, Readings: []Reading{{testTime, make([]byte, 40)}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := SignStatement(deviceKey, s); err != nil {
			b.Fatal(err)
		}
	}
}

// checkMalleable fails when something parses but does not re-encode identically.
func checkMalleable(t *testing.T, what string, b []byte) {
	again, err := parsers[what](bytes.Clone(b))
	if err != nil {
		return
	}
	if !bytes.Equal(b, again) {
		t.Fatalf("%s %x re-encodes as %x", what, b, again)
	}
	if err := dcbor.Check(b); err != nil {
		t.Fatalf("%s %x is not deterministic CBOR: %v", what, b, err)
	}
}

func seed(f *testing.F, good [][]byte, refused []refusal) {
	for _, b := range good {
		f.Add(b)
	}
	for _, r := range refused {
		if len(r.In) < 4096 {
			f.Add(r.In)
		}
	}
}

func FuzzStatement(f *testing.F) {
	seed(f, [][]byte{goodStatement(f).Bytes(), signPayload(deviceKey, FormatStatement, statementPayload(map[int][]byte{5: arr(input(1, 2))}))}, refusedStatements())
	f.Fuzz(func(t *testing.T, b []byte) { checkMalleable(t, "statement", b) })
}

func FuzzOperation(f *testing.F) {
	good := [][]byte{goodOperation(f, OpenStream{testDevice, "t"}).Bytes(), goodOperation(f, Suspend{testDevice}).Bytes(),
		goodOperation(f, EnrolDevice{goodPossession(f, deviceKey)}).Bytes(), goodOperation(f, Rotate{Device: testDevice, Closes: 9, Possession: goodPossession(f, bridgeKey)}).Bytes()}
	for _, n := range goodOwnership(f) {
		good = append(good, goodOperation(f, n.body).Bytes())
	}
	seed(f, good, refusedOperations())
	f.Fuzz(func(t *testing.T, b []byte) { checkMalleable(t, "operation", b) })
}

func FuzzTransaction(f *testing.F) {
	seed(f, [][]byte{goodBatch(f).Bytes(), goodOperation(f, OpenStream{testDevice, "t"}).Bytes()}, refusedTransactions())
	f.Fuzz(func(t *testing.T, b []byte) { checkMalleable(t, "transaction", b) })
}

func FuzzAcknowledgement(f *testing.F) {
	seed(f, [][]byte{goodAck(f, nil).Bytes()}, refusedAcknowledgements())
	f.Fuzz(func(t *testing.T, b []byte) { checkMalleable(t, "acknowledgement", b) })
}

func FuzzPossession(f *testing.F) {
	seed(f, [][]byte{goodPossession(f, deviceKey).Bytes()}, refusedPossessions())
	f.Fuzz(func(t *testing.T, b []byte) { checkMalleable(t, "possession", b) })
}

// FuzzStatementPayload spares the fuzzer the message around the payload.
func FuzzStatementPayload(f *testing.F) {
	f.Add(statementPayload(nil))
	f.Add(statementPayload(map[int][]byte{5: arr(input(1, 2))}))
	f.Fuzz(func(t *testing.T, payload []byte) {
		sig := make([]byte, 64)
		checkMalleable(t, "statement", enc([]byte{0xd2}, arr(bstr(statementHeader()), pairs(), bstr(payload), bstr(sig))))
	})
}

func FuzzCommitted(f *testing.F) {
	f.Add(Committed{Height: 1, Index: 2, Time: 3, Statement: []byte("s")}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCommitted(b)
		if err == nil && !bytes.Equal(c.Encode(), b) {
			t.Fatalf("%x re-encodes as %x", b, c.Encode())
		}
	})
}
