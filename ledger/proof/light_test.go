package proof

import (
	"errors"
	"slices"
	"strconv"
	"testing"
)

func TestTotalPower(t *testing.T) {
	set := func(powers ...int64) []Validator { return validators(newSigners("validator", powers...)) }
	unsorted := set(10, 10)
	slices.Reverse(unsorted)
	twice := set(10, 9)
	twice[1].Key = twice[0].Key
	many := make([]Validator, 0, MaxValidators+1)
	for i := range MaxValidators + 1 {
		many = append(many, Validator{Key: [32]byte{byte(i), byte(i >> 8)}, Power: 1})
	}
	SortValidators(many)
	tests := []struct {
		name string
		set  []Validator
		want int64
		err  error
	}{
		{"one", set(1), 1, nil},
		{"four", set(1, 2, 3, 4), 10, nil},
		{"none", nil, 0, ErrValidatorCount},
		{"most", many[:MaxValidators], MaxValidators, nil},
		{"one too many", many, 0, ErrValidatorCount},
		{"most power", set(MaxTotalPower-1, 1), MaxTotalPower, nil},
		{"too much power", set(MaxTotalPower, 1), 0, ErrTotalPower},
		{"all the power", set(MaxTotalPower), MaxTotalPower, nil},
		{"too much power of one", set(MaxTotalPower + 1), 0, ErrTotalPower},
		{"sum beyond 64 bits", set(1<<62, 1<<62, 1<<62), 0, ErrTotalPower},
		{"no power", set(1, 0), 0, ErrValidatorPower},
		{"negative power", set(1, -1), 0, ErrValidatorPower},
		{"unsorted powers", []Validator{set(1)[0], validators(newSigners("later", 2))[0]}, 0, ErrValidatorOrder},
		{"unsorted addresses", unsorted, 0, ErrValidatorOrder},
		{"twice", twice, 0, ErrValidatorTwice},
	}
	for _, tt := range tests {
		got, err := totalPower(tt.set)
		if got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: %d, %v", tt.name, got, err)
		}
	}
}

func TestMoreThanTwoThirds(t *testing.T) {
	tests := []struct {
		power, total int64
		want         bool
	}{
		{0, 1, false}, {1, 1, true}, {1, 2, false}, {2, 3, false}, {3, 3, true}, {2, 4, false}, {3, 4, true},
		{66, 99, false}, {67, 99, true}, {66, 100, false}, {67, 100, true},
		{MaxTotalPower, MaxTotalPower, true}, {MaxTotalPower / 3 * 2, MaxTotalPower, false},
	}
	for _, tt := range tests {
		if got := moreThanTwoThirds(tt.power, tt.total); got != tt.want {
			t.Errorf("%d of %d: %v", tt.power, tt.total, got)
		}
		if cometBFT := tt.power > tt.total*2/3; cometBFT != tt.want {
			t.Errorf("%d of %d: CometBFT says %v", tt.power, tt.total, cometBFT)
		}
	}
}

func TestSelectSignatures(t *testing.T) {
	set := validators(newSigners("validator", 40, 30, 10, 10, 10))
	sigs := func(indexes ...uint32) (out []CommitSig) {
		for _, i := range indexes {
			out = append(out, CommitSig{Index: i, Time: int64(i)})
		}
		return out
	}
	tests := []struct {
		name       string
		have, want []uint32
		refused    bool
		err        error
	}{
		{name: "all", have: []uint32{0, 1, 2, 3, 4}, want: []uint32{0, 1}},
		{name: "any order", have: []uint32{4, 1, 3, 0}, want: []uint32{0, 1}},
		{name: "second missing", have: []uint32{4, 3, 2, 0}, want: []uint32{0, 2, 3, 4}},
		{name: "first missing", have: []uint32{1, 2, 3, 4}, refused: true, err: ErrNotEnoughPower},
		{name: "none", refused: true, err: ErrNotEnoughPower},
		{name: "twice", have: []uint32{0, 0, 1}, refused: true},
		{name: "outside the set", have: []uint32{0, 1, 5}, refused: true},
	}
	for _, tt := range tests {
		got, err := SelectSignatures(set, sigs(tt.have...))
		if (err != nil) != tt.refused || (tt.err != nil && !errors.Is(err, tt.err)) || !slices.Equal(got, sigs(tt.want...)) {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
	slices.Reverse(set)
	if _, err := SelectSignatures(set, sigs(0, 1, 2, 3, 4)); !errors.Is(err, ErrValidatorOrder) {
		t.Errorf("unsorted set: %v", err)
	}
}

func TestVerifyLightBlock(t *testing.T) {
	f := newFixture(t)
	set := validators(f.signers)
	light := signLight(f.header, f.commit, f.signers)
	weaker := slices.Clone(set)
	weaker[3].Power--
	if err := VerifyLightBlock(set, &light); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		set   []Validator
		light func(l *LightBlock)
		check Check
	}{
		{"another set", validators(newSigners("later", 10, 10, 10, 10)), func(*LightBlock) {}, CheckTrust},
		{"a set with another power", weaker, func(*LightBlock) {}, CheckTrust},
		{"no set", nil, func(*LightBlock) {}, CheckTrust},
		{"header changed", set, func(l *LightBlock) { l.Header.AppHash[0] ^= 1 }, CheckCommit},
		{"too little", set, func(l *LightBlock) { l.Commit.Signatures = l.Commit.Signatures[1:] }, CheckPower},
	}
	for _, tt := range tests {
		changed := light
		tt.light(&changed)
		var r *Refusal
		if err := VerifyLightBlock(tt.set, &changed); !errors.As(err, &r) || r.Check != tt.check {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestTrustRoot(t *testing.T) {
	f := newFixture(t)
	file := f.root().Encode()
	root, err := ParseTrustRoot(file)
	if err != nil || root.Chain != f.chain || !slices.Equal(root.Validators, f.root().Validators) {
		t.Fatalf("%+v %v from\n%s", root, err, file)
	}
	key := f.device.Public().String()
	one := `{"key":"` + key + `","power":1}`
	tests := []struct {
		name, file string
		why        error // nil: any
	}{
		{"empty", "", nil},
		{"not JSON", "trust me", nil},
		{"more after it", string(file) + "{}", errTrailing},
		{"a bracket after it", string(file) + "}", errTrailing},
		{"a zero byte after it", string(file) + "\x00", errTrailing},
		{"chain twice", `{"chain":"a","chain":"a","validators":[` + one + `]}`, errMemberRepeated},
		{"chain twice, once escaped", `{"chain":"a","\u0063hain":"b","validators":[` + one + `]}`, errMemberRepeated},
		{"validators twice", `{"chain":"a","validators":[],"validators":[` + one + `]}`, errMemberRepeated},
		{"key twice", `{"chain":"a","validators":[{"key":"` + key + `","key":"` + key + `","power":1}]}`, errMemberRepeated},
		{"power twice", `{"chain":"a","validators":[{"key":"` + key + `","power":1,"power":2}]}`, errMemberRepeated},
		{"Chain", `{"Chain":"a","validators":[` + one + `]}`, errMemberCase},
		{"chain and CHAIN", `{"chain":"a","CHAIN":"b","validators":[` + one + `]}`, errMemberCase},
		{"validatorſ", `{"chain":"a","validatorſ":[` + one + `]}`, errMemberCase},
		{"Power", `{"chain":"a","validators":[{"key":"` + key + `","Power":1}]}`, errMemberCase},
		{"nothing in it", `{}`, errMemberMissing},
		{"no object", `[]`, errMemberType},
		{"null", `null`, errMemberType},
		{"chain null", `{"chain":null,"validators":[` + one + `]}`, errMemberType},
		{"validators null", `{"chain":"a","validators":null}`, errMemberType},
		{"validator null", `{"chain":"a","validators":[null]}`, errMemberType},
		{"power as text", `{"chain":"a","validators":[{"key":"` + key + `","power":"1"}]}`, errMemberType},
		{"power with an exponent", `{"chain":"a","validators":[{"key":"` + key + `","power":1e1}]}`, strconv.ErrSyntax},
		{"power of 2^63", `{"chain":"a","validators":[{"key":"` + key + `","power":9223372036854775808}]}`, strconv.ErrRange},
		{"a comma too many", `{"chain":"a","validators":[` + one + `,]}`, nil},
		{"a comma too few", `{"chain":"a" "validators":[` + one + `]}`, nil},
		{"cut", `{"chain":"a","validators":[` + one + `]`, nil},
		{"no chain", `{"validators":[{"key":"` + key + `","power":1}]}`, errMemberMissing},
		{"chain with a space", `{"chain":"a b","validators":[{"key":"` + key + `","power":1}]}`, nil},
		{"no validators", `{"chain":"a","validators":[]}`, nil},
		{"unknown member", `{"chain":"a","validators":[{"key":"` + key + `","power":1}],"note":"x"}`, errMemberUnknown},
		{"unknown member of a validator", `{"chain":"a","validators":[{"key":"` + key + `","power":1,"name":"x"}]}`, errMemberUnknown},
		{"no power", `{"chain":"a","validators":[{"key":"` + key + `"}]}`, errMemberMissing},
		{"power not an integer", `{"chain":"a","validators":[{"key":"` + key + `","power":1.5}]}`, strconv.ErrSyntax},
		{"short key", `{"chain":"a","validators":[{"key":"AAAA","power":1}]}`, nil},
		{"twice", `{"chain":"a","validators":[{"key":"` + key + `","power":1},{"key":"` + key + `","power":2}]}`, nil},
	}
	for _, tt := range tests {
		root, err := ParseTrustRoot([]byte(tt.file))
		if !errors.Is(err, ErrTrustRoot) || (tt.why != nil && !errors.Is(err, tt.why)) || root.Chain != "" && tt.why != nil {
			t.Errorf("%s: %+v, %v", tt.name, root, err)
		}
	}
}

func TestTrustRootSize(t *testing.T) {
	file := newFixture(t).root().Encode()
	padded := slices.Concat(file, slices.Repeat([]byte(" "), MaxTrustRoot-len(file)))
	if _, err := ParseTrustRoot(padded); err != nil {
		t.Errorf("%d bytes: %v", len(padded), err)
	}
	if _, err := ParseTrustRoot(append(padded, ' ')); !errors.Is(err, ErrTrustRoot) {
		t.Errorf("%d bytes: %v", len(padded)+1, err)
	}
}

func TestTrustRootOrder(t *testing.T) {
	f := newFixture(t)
	root := f.root()
	slices.Reverse(root.Validators)
	before := slices.Clone(root.Validators)
	if c := failing(t, f.certificate(17, 19).Encode(), root); c != "" {
		t.Errorf("refused: %s", c)
	}
	if !slices.Equal(before, root.Validators) {
		t.Error("the caller's trust root was changed")
	}
}
