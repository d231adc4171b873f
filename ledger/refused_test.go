package ledger

import (
	"bytes"
	"math"
	"slices"
	"strings"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

// refusal is a message that must be refused with a code. All are signed
// correctly over what they contain, so that only the named fault can be the
// reason. They are tests here and vectors for others.
type refusal struct {
	Name string
	Why  string
	Code Code
	In   []byte
}

// refusedSign1 lists faults of the signed message itself, for any format.
func refusedSign1(k crypto.PrivateKey, format uint64, payload []byte) []refusal {
	good := signPayload(k, format, payload)
	var claims []byte
	if format == FormatStatement {
		claims = statementClaims()
	}
	head := func(alg int64, f uint64, kid []byte) []byte { return protectedHeader(alg, f, kid, claims) }
	kid := kidOf(k)
	ok := head(-8, format, kid)
	with := func(protected, unprotected []byte) []byte { return assemble(k, protected, unprotected, payload) }
	none := pairs()
	long := func(b []byte, at int) []byte { // rewrites the one-byte head at an offset in two bytes
		return enc(b[:at], []byte{b[at]&0xe0 | 24, b[at] & 0x1f}, b[at+1:])
	}
	list := []refusal{
		{"empty", "no byte at all", CodeMalformed, nil},
		{"truncated", "the last byte is missing", CodeMalformed, good[:len(good)-1]},
		{"trailing_byte", "a byte follows the message", CodeMalformed, enc(good, []byte{0})},
		{"untagged", "tag 18 is missing", CodeMalformed, good[1:]},
		{"wrong_tag", "tag 17 (COSE_Mac0)", CodeMalformed, enc([]byte{0xd1}, good[1:])},
		{"long_tag", "tag 18 in two bytes", CodeMalformed, enc([]byte{0xd8, 18}, good[1:])},
		{"five_elements", "a fifth element, null", CodeMalformed, enc([]byte{0xd2, 0x85}, good[2:], []byte{0xf6})},
		{"indefinite_array", "the outer array has indefinite length", CodeMalformed, enc([]byte{0xd2, 0x9f}, good[2:], []byte{0xff})},
		{"unprotected_not_empty", "the unprotected map has a key id", CodeMalformed, with(ok, pairs(num(4), bstr(kid)))},
		{"unprotected_long_head", "the empty unprotected map in two bytes", CodeMalformed, with(ok, []byte{0xb8, 0})},
		{"alg_es256", "algorithm -7 (ES256)", CodeMalformed, with(head(-7, format, kid), none)},
		{"alg_ed25519", "algorithm -19 (Ed25519, RFC 9864)", CodeMalformed, with(head(-19, format, kid), none)},
		{"alg_long", "algorithm -8 in two bytes", CodeMalformed, with(long(ok, 2), none)},
		{"wrong_content_format", "content format 0", CodeMalformed, with(head(-8, 0, kid), none)},
		{"content_format_too_big", "content format 65536", CodeMalformed, with(head(-8, 65536, kid), none)},
		{"kid_short", "a key id of 7 bytes", CodeMalformed, with(head(-8, format, kid[:7]), none)},
		{"kid_long", "a key id of 9 bytes", CodeMalformed, with(head(-8, format, enc(kid, []byte{0})), none)},
		{"header_unsorted", "content format before algorithm", CodeMalformed, with(swapHeader(format, kid, claims), none)},
		{"header_twice", "algorithm twice", CodeMalformed, with(doubleHeader(format, kid, claims), none)},
		{"header_extra", "an additional header 5", CodeMalformed, with(extraHeader(format, kid, claims), none)},
		{"header_without_kid", "no key id", CodeMalformed, with(pairs(num(1), num(-8), num(3), unum(format)), none)},
		{"header_trailing", "a byte follows the protected map inside its byte string", CodeMalformed, with(enc(ok, []byte{0}), none)},
		{"header_empty", "the protected header is an empty byte string", CodeMalformed, with(nil, none)},
		{"payload_detached", "the payload is null", CodeMalformed, enc([]byte{0xd2, 0x84}, bstr(ok), none, []byte{0xf6}, bstr(make([]byte, 64)))},
		{"payload_empty", "the payload is an empty byte string", CodeMalformed, assemble(k, ok, none, nil)},
		{"payload_trailing", "a byte follows the array inside the payload", CodeMalformed, assemble(k, ok, none, enc(payload, []byte{0}))},
		{"signature_short", "a signature of 63 bytes", CodeMalformed, enc([]byte{0xd2, 0x84}, bstr(ok), none, bstr(payload), bstr(make([]byte, 63)))},
		{"signature_long", "a signature of 65 bytes", CodeMalformed, enc([]byte{0xd2, 0x84}, bstr(ok), none, bstr(payload), bstr(make([]byte, 65)))},
	}
	if claims == nil {
		list = append(list, refusal{"claims", "CWT claims, which only statements have", CodeMalformed,
			with(protectedHeader(-8, format, kid, statementClaims()), none)})
	}
	return list
}

func swapHeader(format uint64, kid, claims []byte) []byte {
	kv := [][]byte{num(3), unum(format), num(1), num(-8), num(4), bstr(kid)}
	if claims != nil {
		kv = append(kv, num(15), claims)
	}
	return pairs(kv...)
}

func doubleHeader(format uint64, kid, claims []byte) []byte {
	kv := [][]byte{num(1), num(-8), num(1), num(-8), num(3), unum(format), num(4), bstr(kid)}
	if claims != nil {
		kv = append(kv, num(15), claims)
	}
	return pairs(kv...)
}

func extraHeader(format uint64, kid, claims []byte) []byte {
	kv := [][]byte{num(1), num(-8), num(3), unum(format), num(4), bstr(kid), num(5), bstr([]byte{1})}
	if claims != nil {
		kv = append(kv, num(15), claims)
	}
	return pairs(kv...)
}

// refusedStatements lists messages that ParseStatement must refuse.
func refusedStatements() []refusal {
	p := func(change map[int][]byte) []byte {
		return signPayload(deviceKey, FormatStatement, statementPayload(change))
	}
	committed := func(first uint64, count uint64, root int) []byte {
		return signPayload(deviceKey, FormatStatement, arr(num(2), unum(first), num(0), unum(count), num(1), num(2), bstr(make([]byte, root))))
	}
	readings := func(n int) []byte {
		r := make([][]byte, n)
		for i := range r {
			r[i] = reading(0, "")
		}
		return arr(r...)
	}
	inputs := func(n int) []byte { return enc(dcbor.AppendArray(nil, n), bytes.Repeat(input(1, 2), n)) }
	content := func(n int) []byte { return arr(arr(num(0), bstr(make([]byte, n)))) }
	const last = math.MaxInt64
	list := []refusal{
		{"form_3", "an unknown form", CodeMalformed, p(map[int][]byte{0: num(3)})},
		{"form_0", "an unknown form", CodeMalformed, p(map[int][]byte{0: num(0)})},
		{"form_text", "the form is a text", CodeMalformed, p(map[int][]byte{0: tstr("1")})},
		{"number_zero", "the first number is 0", CodeMalformed, p(map[int][]byte{1: num(0)})},
		{"number_negative", "the first number is negative", CodeMalformed, p(map[int][]byte{1: num(-1)})},
		{"number_too_big", "the first number is 2^63", CodeMalformed, p(map[int][]byte{1: unum(1 << 63)})},
		{"number_overflow", "the first number is 2^63-1 and there are two readings", CodeMalformed, p(map[int][]byte{1: num(last)})},
		{"number_long", "the first number is in two bytes where one would do", CodeMalformed, p(map[int][]byte{1: {0x18, 7}})},
		{"number_float", "the first number is a float", CodeMalformed, p(map[int][]byte{1: {0xf9, 0x47, 0}})},
		{"media_too_big", "content format 65536", CodeMalformed, p(map[int][]byte{2: num(65536)})},
		{"media_empty", "an empty media type", CodeMalformed, p(map[int][]byte{2: tstr("")})},
		{"media_no_slash", "a media type without a slash", CodeMalformed, p(map[int][]byte{2: tstr("text")})},
		{"media_slash_first", "a media type without a type", CodeMalformed, p(map[int][]byte{2: tstr("/plain")})},
		{"media_slash_last", "a media type without a subtype", CodeMalformed, p(map[int][]byte{2: tstr("text/")})},
		{"media_not_ascii", "a media type that is not ASCII", CodeMalformed, p(map[int][]byte{2: tstr("text/plän")})},
		{"media_space", "a media type that ends with a space", CodeMalformed, p(map[int][]byte{2: tstr("text/plain ")})},
		{"media_digit", "a media type that begins with a digit", CodeMalformed, p(map[int][]byte{2: tstr("1/plain")})},
		{"media_too_long", "a media type of 65 bytes", CodeTooLarge, p(map[int][]byte{2: tstr("a/" + strings.Repeat("b", 63))})},
		{"media_bytes", "the media type is a byte string", CodeMalformed, p(map[int][]byte{2: bstr([]byte("text/plain"))})},
		{"media_bad_utf8", "a text that is not UTF-8", CodeMalformed, p(map[int][]byte{2: {0x63, 'a', '/', 0xff}})},
		{"time_too_big", "the time is 2^63", CodeMalformed, p(map[int][]byte{3: unum(1 << 63)})},
		{"time_null", "the time is null", CodeMalformed, p(map[int][]byte{3: {0xf6}})},
		{"no_readings", "an empty list of readings", CodeMalformed, p(map[int][]byte{4: arr()})},
		{"readings_missing", "the payload ends before the readings", CodeMalformed,
			signPayload(deviceKey, FormatStatement, arr(num(1), num(7), tstr("text/plain"), num(testTime)))},
		{"payload_eight", "a payload of eight elements", CodeMalformed, signPayload(deviceKey, FormatStatement,
			arr(num(1), num(7), tstr("text/plain"), num(testTime), arr(reading(0, "21.5")), num(0), num(0), num(0)))},
		{"readings_too_many", "1,001 readings", CodeTooLarge, p(map[int][]byte{4: readings(MaxReadings + 1)})},
		{"readings_map", "the readings are a map", CodeMalformed, p(map[int][]byte{4: pairs(num(0), bstr(nil))})},
		{"first_offset", "the first reading's time offset is 1", CodeMalformed, p(map[int][]byte{4: arr(reading(1, "x"))})},
		{"time_overflow", "time plus offset is 2^63", CodeMalformed,
			p(map[int][]byte{3: num(last), 4: arr(reading(0, "x"), reading(1, "y"))})},
		{"time_underflow", "time plus offset is -2^63-1", CodeMalformed,
			p(map[int][]byte{3: num(math.MinInt64), 4: arr(reading(0, "x"), reading(-1, "y"))})},
		{"reading_of_three", "a reading with three elements", CodeMalformed, p(map[int][]byte{4: arr(arr(num(0), bstr(nil), num(0)))})},
		{"reading_text", "a content that is a text", CodeMalformed, p(map[int][]byte{4: arr(arr(num(0), tstr("x")))})},
		{"content_too_long", "a content of 32,769 bytes", CodeTooLarge, p(map[int][]byte{4: content(MaxContent + 1)})},
		{"content_indefinite", "a content of indefinite length", CodeMalformed,
			p(map[int][]byte{4: arr(arr(num(0), []byte{0x5f, 0x41, 'x', 0xff}))})},
		{"inputs_empty", "an empty list of inputs, which must be left out", CodeMalformed, p(map[int][]byte{5: arr()})},
		{"inputs_too_many", "65 inputs", CodeTooLarge, p(map[int][]byte{5: inputs(MaxInputs + 1)})},
		{"input_zero", "an input that begins at 0", CodeMalformed, p(map[int][]byte{5: arr(input(0, 2))})},
		{"input_reversed", "an input that ends before it begins", CodeMalformed, p(map[int][]byte{5: arr(input(3, 2))})},
		{"input_last_too_big", "an input that ends at 2^63", CodeMalformed, p(map[int][]byte{5: arr(input(3, 1<<63))})},
		{"seven_elements", "an element after the inputs", CodeMalformed, p(map[int][]byte{5: inputs(1), 6: num(0)})},
		{"iss_bytes", "the issuer is a byte string", CodeMalformed, withClaims(pairs(num(1), bstr(testDevice[:]), num(2), tstr(testStream.String())))},
		{"iss_padding", "the issuer is padded", CodeMalformed, withClaims(pairs(num(1), tstr(testDevice.String()+"=="), num(2), tstr(testStream.String())))},
		{"iss_base64", "the issuer is in the other base64 alphabet", CodeMalformed, withClaims(pairs(num(1), tstr(strings.Repeat("+", 22)), num(2), tstr(testStream.String())))},
		{"iss_spare_bits", "the issuer's last character has unused bits set", CodeMalformed, withClaims(pairs(num(1), tstr(strings.Repeat("_", 22)), num(2), tstr(testStream.String())))},
		{"sub_missing", "no subject", CodeMalformed, withClaims(pairs(num(1), tstr(testDevice.String())))},
		{"sub_short", "the subject has 21 characters", CodeMalformed, withClaims(pairs(num(1), tstr(testDevice.String()), num(2), tstr(testStream.String()[:21])))},
		{"claims_unsorted", "subject before issuer", CodeMalformed, withClaims(pairs(num(2), tstr(testStream.String()), num(1), tstr(testDevice.String())))},
		{"claims_extra", "an additional claim 6", CodeMalformed, withClaims(pairs(num(1), tstr(testDevice.String()), num(2), tstr(testStream.String()), num(6), num(1)))},
		{"claims_missing", "no claims", CodeMalformed, assemble(deviceKey, protectedHeader(-8, FormatStatement, kidOf(deviceKey), nil), pairs(), statementPayload(nil))},
		{"an_operation", "an operation where a statement is expected", CodeMalformed, signPayload(adminKey, FormatOperation, operationPayload(nil))},
		{"too_large", "a statement of 60,001 bytes", CodeTooLarge, sizedStatement(MaxStatement + 1)},
		{"committed_form", "a well-formed statement in the committed form, which is not accepted yet", CodeCommittedDisabled, committed(1, 1000, 32)},
		{"committed_form_long", "the committed form for 1,001 readings", CodeMalformed, committed(1, 1001, 32)},
		{"committed_form_empty", "the committed form for no reading", CodeMalformed, committed(1, 0, 32)},
		{"committed_form_overflow", "the committed form beyond the last number", CodeMalformed, committed(last, 2, 32)},
		{"committed_form_root", "the committed form with a root of 31 bytes", CodeMalformed, committed(1, 1, 31)},
	}
	return append(refusedSign1(deviceKey, FormatStatement, statementPayload(nil)), list...)
}

func withClaims(claims []byte) []byte {
	return assemble(deviceKey, protectedHeader(-8, FormatStatement, kidOf(deviceKey), claims), pairs(), statementPayload(nil))
}

// sizedStatement makes a statement of exactly size bytes out of two readings.
func sizedStatement(size int) []byte {
	build := func(n int) []byte {
		half := make([]byte, n/2)
		return signPayload(deviceKey, FormatStatement, statementPayload(map[int][]byte{
			4: arr(arr(num(0), bstr(half)), arr(num(0), bstr(make([]byte, n-len(half)))))}))
	}
	n := size - (len(build(30_000)) - 30_000)
	return build(n)
}

// operationPayload is the payload of a good open_stream, with changes.
func operationPayload(change map[int][]byte) []byte {
	parts := [][]byte{num(1), tstr(testChain), bstr(testOrg[:]), num(1_790_000_600),
		arr(num(2), bstr(testDevice[:]), tstr("temperature"))}
	for i, p := range change {
		parts[i] = p
	}
	return arr(parts...)
}

func possessionPayload(change map[int][]byte) []byte {
	key := deviceKey.Public()
	parts := [][]byte{num(1), tstr(testChain), bstr(testOrg[:]), bstr(key[:])}
	for i, p := range change {
		parts[i] = p
	}
	return arr(parts...)
}

// refusedOperations lists messages that ParseOperation must refuse.
func refusedOperations() []refusal {
	p := func(change map[int][]byte) []byte {
		return signPayload(adminKey, FormatOperation, operationPayload(change))
	}
	name := func(s string) []byte { return p(map[int][]byte{4: arr(num(2), bstr(testDevice[:]), tstr(s))}) }
	enrol := func(possession []byte) []byte { return p(map[int][]byte{4: arr(num(1), bstr(possession))}) }
	poss := func(change map[int][]byte) []byte {
		return enrol(signPayload(deviceKey, FormatPossession, possessionPayload(change)))
	}
	good := signPayload(deviceKey, FormatPossession, possessionPayload(nil))
	other, kid := adminKey.Public(), deviceKey.Public().KeyID()
	rotate := func(rest ...[]byte) []byte {
		return arr(append([][]byte{num(4), bstr(testDevice[:]), bstr(kid[:])}, rest...)...)
	}
	list := []refusal{
		{"version_2", "an unknown version", CodeMalformed, p(map[int][]byte{0: num(2)})},
		{"chain_empty", "an empty chain id", CodeMalformed, p(map[int][]byte{1: tstr("")})},
		{"chain_long", "a chain id of 51 bytes", CodeTooLarge, p(map[int][]byte{1: tstr(strings.Repeat("c", MaxChain+1))})},
		{"chain_space", "a chain id with a space", CodeMalformed, p(map[int][]byte{1: tstr("a b")})},
		{"actor_short", "an actor of 15 bytes", CodeMalformed, p(map[int][]byte{2: bstr(testOrg[:15])})},
		{"not_after_negative", "a negative not_after", CodeMalformed, p(map[int][]byte{3: num(-1)})},
		{"not_after_big", "a not_after of 2^63", CodeMalformed, p(map[int][]byte{3: unum(1 << 63)})},
		{"kind_0", "kind 0", CodeMalformed, p(map[int][]byte{4: arr(num(0))})},
		{"kind_short", "a compromise of nothing", CodeMalformed, p(map[int][]byte{4: arr(num(8), bstr(testDevice[:]))})},
		{"kind_unknown", "a kind that does not exist", CodeMalformed, p(map[int][]byte{4: arr(num(99), bstr(testDevice[:]))})},
		{"suspend_extra", "an additional element in a suspension", CodeMalformed, p(map[int][]byte{4: arr(num(5), bstr(testDevice[:]), num(0))})},
		{"retire_short", "a device of 15 bytes", CodeMalformed, p(map[int][]byte{4: arr(num(7), bstr(testDevice[:15]))})},
		{"remove_bridge_short", "a bridge of 15 bytes", CodeMalformed, p(map[int][]byte{4: arr(num(26), bstr(testBridge[:15]))})},
		{"remove_bridge_extra", "an additional element", CodeMalformed, p(map[int][]byte{4: arr(num(26), bstr(testBridge[:]), num(0))})},
		{"rotate_short", "a rotation without a proof of possession", CodeMalformed, p(map[int][]byte{4: rotate(num(0))})},
		{"rotate_kid", "a rotation of a key id of 7 bytes", CodeMalformed, p(map[int][]byte{4: arr(num(4), bstr(testDevice[:]), bstr(kid[:7]), num(0), bstr(good))})},
		{"rotate_closes", "a closing height of 2^63", CodeMalformed, p(map[int][]byte{4: rotate(unum(1<<63), bstr(good))})},
		{"rotate_chain", "a rotation with a proof for another chain", CodeBadPossession, p(map[int][]byte{4: rotate(num(0),
			bstr(signPayload(deviceKey, FormatPossession, possessionPayload(map[int][]byte{1: tstr("another")}))))})},
		{"body_empty", "an empty body", CodeMalformed, p(map[int][]byte{4: arr()})},
		{"body_many", "a body of 17 elements", CodeMalformed, p(map[int][]byte{4: arr(num(7), num(0), num(0), num(0), num(0), num(0), num(0), num(0),
			num(0), num(0), num(0), num(0), num(0), num(0), num(0), num(0), num(0))})},
		{"body_extra", "an additional element in the body", CodeMalformed, p(map[int][]byte{4: arr(num(2), bstr(testDevice[:]), tstr("a"), num(0))})},
		{"body_short", "an element is missing in the body", CodeMalformed, p(map[int][]byte{4: arr(num(2), bstr(testDevice[:]))})},
		{"name_empty", "an empty stream name", CodeMalformed, name("")},
		{"name_long", "a stream name of 65 bytes", CodeTooLarge, name(strings.Repeat("n", MaxName+1))},
		{"name_control", "a stream name with a line end", CodeMalformed, name("a\nb")},
		{"name_bidi", "a stream name with a right-to-left override", CodeMalformed, name("a\u202eb")},
		{"name_space", "a stream name that begins with a space", CodeMalformed, name(" a")},
		{"possession_empty", "an empty proof of possession", CodeMalformed, enrol(nil)},
		{"possession_trailing", "a byte follows the proof of possession", CodeMalformed, enrol(enc(good, []byte{0}))},
		{"possession_long", "a proof of possession of 513 bytes", CodeTooLarge, enrol(make([]byte, MaxPossession+1))},
		{"possession_version", "a proof of possession of version 2", CodeMalformed, poss(map[int][]byte{0: num(2)})},
		{"possession_chain", "a proof of possession for another chain", CodeBadPossession, poss(map[int][]byte{1: tstr("another")})},
		{"possession_organisation", "a proof of possession for another organisation", CodeBadPossession, poss(map[int][]byte{2: bstr(testDevice[:])})},
		{"possession_kid", "a proof of possession whose key id is not that of the key", CodeBadPossession, poss(map[int][]byte{3: bstr(other[:])})},
		{"possession_small_order", "a key of small order", CodeBadKey, enrol(smallOrderPossession())},
		{"possession_format", "a statement where a proof of possession is expected", CodeMalformed, enrol(signPayload(deviceKey, FormatStatement, statementPayload(nil)))},
		{"a_statement", "a statement where an operation is expected", CodeMalformed, signPayload(deviceKey, FormatStatement, statementPayload(nil))},
	}
	list = append(list, refusedOwnership()...)
	list = append(list, refusedMembers()...)
	return append(refusedSign1(adminKey, FormatOperation, operationPayload(nil)), list...)
}

// smallOrderPossession is for the neutral point. Anyone can sign for that key,
// here with R = neutral point and s = 0.
func smallOrderPossession() []byte {
	key := crypto.PublicKey{1}
	kid := key.KeyID()
	payload := possessionPayload(map[int][]byte{3: bstr(key[:])})
	sig := make([]byte, 64)
	sig[0] = 1
	return enc([]byte{0xd2}, arr(bstr(protectedHeader(-8, FormatPossession, kid[:], nil)), pairs(), bstr(payload), bstr(sig)))
}

func batchPayload(change map[int][]byte) []byte {
	parts := [][]byte{num(1), tstr(testChain), bstr(testBridge[:]), num(0), num(testTime), arr(bstr([]byte("one")), bstr(nil))}
	for i, p := range change {
		parts[i] = p
	}
	return arr(parts...)
}

// refusedTransactions lists batches that ParseTransaction must refuse; an
// operation that is refused is refused as a transaction too.
func refusedTransactions() []refusal {
	p := func(change map[int][]byte) []byte {
		return signPayload(bridgeKey, FormatBatch, batchPayload(change))
	}
	list := []refusal{
		{"version_2", "an unknown version", CodeMalformed, p(map[int][]byte{0: num(2)})},
		{"chain_long", "a chain id of 51 bytes", CodeTooLarge, p(map[int][]byte{1: tstr(strings.Repeat("c", MaxChain+1))})},
		{"bridge_long", "a bridge id of 17 bytes", CodeMalformed, p(map[int][]byte{2: bstr(make([]byte, 17))})},
		{"attempt_negative", "a negative attempt", CodeMalformed, p(map[int][]byte{3: num(-1)})},
		{"attempt_big", "attempt 2^63", CodeMalformed, p(map[int][]byte{3: unum(1 << 63)})},
		{"received_big", "received at 2^63", CodeMalformed, p(map[int][]byte{4: unum(1 << 63)})},
		{"statements_none", "no statement", CodeMalformed, p(map[int][]byte{5: arr()})},
		{"statements_many", "2,001 statements", CodeTooLarge, p(map[int][]byte{5: enc(dcbor.AppendArray(nil, MaxStatements+1), make([]byte, 0), bytes.Repeat([]byte{0x40}, MaxStatements+1))})},
		{"statement_text", "a statement that is a text", CodeMalformed, p(map[int][]byte{5: arr(tstr("x"))})},
		{"a_statement", "a statement outside a batch", CodeMalformed, signPayload(deviceKey, FormatStatement, statementPayload(nil))},
		{"an_acknowledgement", "an acknowledgement", CodeMalformed, signPayload(bridgeKey, FormatAcknowledgement, ackPayload(ackOutcome(nil)))},
		{"operation_large", "an operation of 60,001 bytes", CodeTooLarge, signPayload(adminKey, FormatOperation, make([]byte, MaxOperation+1-len(signPayload(adminKey, FormatOperation, make([]byte, 30_000)))+30_000))},
		{"too_large", "a transaction of 524,289 bytes", CodeTooLarge, sizedBatch(MaxTransaction + 1)},
	}
	return append(refusedSign1(bridgeKey, FormatBatch, batchPayload(nil)), list...)
}

// sizedBatch makes a transaction of exactly size bytes with one long statement.
func sizedBatch(size int) []byte {
	build := func(n int) []byte {
		return signPayload(bridgeKey, FormatBatch, batchPayload(map[int][]byte{5: arr(bstr(make([]byte, n)))}))
	}
	return build(size - (len(build(100_000)) - 100_000))
}

func ackPayload(outcomes ...[]byte) []byte {
	return arr(num(1), tstr(testChain), bstr(testBridge[:]), arr(outcomes...))
}

func ackOutcome(change map[int][]byte) []byte {
	parts := [][]byte{bstr(testStream[:]), num(7), num(2), bstr(make([]byte, 32)), num(12), num(345), num(0)}
	for i, p := range change {
		parts[i] = p
	}
	return arr(parts...)
}

// refusedAcknowledgements lists messages that ParseAcknowledgement must refuse.
func refusedAcknowledgements() []refusal {
	sign := func(payload []byte) []byte { return signPayload(bridgeKey, FormatAcknowledgement, payload) }
	good := ackOutcome(nil)
	p := func(change map[int][]byte) []byte { return sign(ackPayload(good, ackOutcome(change))) }
	many := slices.Repeat([][]byte{good}, MaxOutcomes+1)
	list := []refusal{
		{"version_2", "an unknown version", CodeMalformed, sign(arr(num(2), tstr(testChain), bstr(testBridge[:]), arr(good)))},
		{"chain_empty", "an empty chain id", CodeMalformed, sign(arr(num(1), tstr(""), bstr(testBridge[:]), arr(good)))},
		{"bridge_long", "a bridge id of 17 bytes", CodeMalformed, sign(arr(num(1), tstr(testChain), bstr(make([]byte, 17)), arr(good)))},
		{"outcomes_none", "no outcome", CodeMalformed, sign(ackPayload())},
		{"outcomes_many", "33 outcomes", CodeTooLarge, sign(ackPayload(many...))},
		{"outcomes_no_list", "an outcome that is in no list", CodeMalformed, sign(arr(num(1), tstr(testChain), bstr(testBridge[:]), good))},
		{"outcome_short", "an outcome of 6 elements", CodeMalformed, sign(ackPayload(good, arr(bstr(testStream[:]), num(7), num(2), bstr(make([]byte, 32)), num(12), num(345))))},
		{"stream_short", "a stream id of 15 bytes", CodeMalformed, p(map[int][]byte{0: bstr(make([]byte, 15))})},
		{"first_zero", "the first number is 0", CodeMalformed, p(map[int][]byte{1: num(0)})},
		{"count_zero", "no reading", CodeMalformed, p(map[int][]byte{2: num(0)})},
		{"count_big", "1,001 readings", CodeMalformed, p(map[int][]byte{2: num(1001)})},
		{"number_overflow", "numbers beyond 2^63-1", CodeMalformed, p(map[int][]byte{1: num(math.MaxInt64)})},
		{"digest_short", "a digest of 31 bytes", CodeMalformed, p(map[int][]byte{3: bstr(make([]byte, 31))})},
		{"committed_height_zero", "code 0 with height 0", CodeMalformed, p(map[int][]byte{4: num(0)})},
		{"committed_index_zero", "code 0 with index 0", CodeMalformed, p(map[int][]byte{5: num(0)})},
		{"refused_height", "code 10 with a height", CodeMalformed, p(map[int][]byte{5: num(0), 6: num(10)})},
		{"refused_index", "code 10 with an index", CodeMalformed, p(map[int][]byte{4: num(0), 6: num(10)})},
		{"code_big", "code 2^32", CodeMalformed, p(map[int][]byte{4: num(0), 5: num(0), 6: num(1 << 32)})},
		{"code_long", "code 0 in two bytes", CodeMalformed, p(map[int][]byte{6: {0x18, 0}})},
	}
	return append(refusedSign1(bridgeKey, FormatAcknowledgement, ackPayload(good)), list...)
}

// refusedPossessions lists faults of a proof of possession as a message.
func refusedPossessions() []refusal {
	return refusedSign1(deviceKey, FormatPossession, possessionPayload(nil))
}
