package ledger

import (
	"bytes"
	"encoding/json"
	"io"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

const (
	genesisLabel   = "mtm.genesis"
	genesisVersion = 1
	genesisDomain  = "mtm/genesis/1"
)

// Genesis is the app_state of CometBFT's genesis file: the organisations and
// bridges that exist before the first block. See docs/spec/operation.md.
type Genesis struct {
	Organisations []GenesisOrganisation `json:"organisations"`
	Parameters    GenesisParameters     `json:"parameters,omitzero"`
}

// GenesisOrganisation is one founding member.
type GenesisOrganisation struct {
	Name      string             `json:"name"`
	AdminKeys []crypto.PublicKey `json:"admin_keys"`
	Threshold uint64             `json:"threshold"` // how many admin keys must sign, 1..len(AdminKeys)
	Bridges   []GenesisBridge    `json:"bridges,omitempty"`

	// Validators are the organisation's among the validators of CometBFT's genesis.
	Validators []GenesisValidator `json:"validators,omitempty"`
}

// ID is the organisation's id, derived from its first admin key.
func (o GenesisOrganisation) ID() crypto.ID { return OrganisationID(o.AdminKeys[0]) }

// GenesisBridge is a bridge of a founding member.
type GenesisBridge struct {
	Key crypto.PublicKey `json:"key"`
}

// GenesisValidator is a validator of a founding member.
type GenesisValidator struct {
	Key   crypto.PublicKey `json:"key"`
	Power uint64           `json:"power"` // 1..MaxPower
}

// GenesisParameters changes limits of this ledger; 0 stands for the default. See
// ParameterInfos for what values they may have.
type GenesisParameters struct {
	ClockAhead int64  `json:"clock_ahead_seconds,omitempty"` // default MaxClockAhead
	NotAfter   int64  `json:"not_after_seconds,omitempty"`   // default MaxNotAfter
	OpenGaps   uint64 `json:"open_gaps,omitempty"`           // default MaxOpenGaps

	VoteNum uint64 `json:"vote_num,omitempty"` // a vote needs VoteNum/VoteDen of the members; default 2/3
	VoteDen uint64 `json:"vote_den,omitempty"`

	StatementsPerBridge       uint64 `json:"statements_per_bridge,omitempty"` // in a block; default DefaultQuotaStatements
	BytesPerBridge            uint64 `json:"bytes_per_bridge,omitempty"`      // of statements in a block; default DefaultQuotaBytes
	StatementsPerOrganisation uint64 `json:"statements_per_organisation,omitempty"`
	BytesPerOrganisation      uint64 `json:"bytes_per_organisation,omitempty"`

	AppVersion uint64 `json:"app_version,omitempty"` // of the rules; default 1
}

// Values returns the parameters by ascending id.
func (p GenesisParameters) Values() []Parameter {
	values := [NumParameters]uint64{
		uint64(p.ClockAhead), uint64(p.NotAfter), p.OpenGaps, p.VoteNum, p.VoteDen,
		p.StatementsPerBridge, p.BytesPerBridge, p.StatementsPerOrganisation, p.BytesPerOrganisation, p.AppVersion,
	}
	list := make([]Parameter, NumParameters)
	for i, v := range values {
		list[i] = Parameter{ID: ParameterID(i + 1), Value: v}
	}
	return list
}

// ParseGenesis decodes and checks app_state. Parameters that were left out have
// their defaults in the result.
func ParseGenesis(appState []byte) (*Genesis, error) {
	d := json.NewDecoder(bytes.NewReader(appState))
	d.DisallowUnknownFields()
	var g Genesis
	if err := d.Decode(&g); err != nil {
		return nil, Errorf(CodeMalformed, "genesis: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, Errorf(CodeMalformed, "genesis: something follows the JSON object")
	}
	g.Parameters.setDefaults()
	return &g, g.Check()
}

func (p *GenesisParameters) setDefaults() {
	if p.ClockAhead == 0 {
		p.ClockAhead = MaxClockAhead
	}
	if p.NotAfter == 0 {
		p.NotAfter = MaxNotAfter
	}
	for i, field := range []*uint64{
		&p.OpenGaps, &p.VoteNum, &p.VoteDen, &p.StatementsPerBridge, &p.BytesPerBridge,
		&p.StatementsPerOrganisation, &p.BytesPerOrganisation, &p.AppVersion,
	} {
		if *field == 0 {
			*field = parameterInfos[i+2].Default
		}
	}
}

func (p GenesisParameters) check() error {
	if p.ClockAhead < 0 || p.NotAfter < 0 {
		return Errorf(CodeMalformed, "genesis: a parameter is negative")
	}
	for _, v := range p.Values() {
		if err := v.Check(); err != nil {
			return Errorf(CodeMalformed, "genesis: %v", err)
		}
	}
	if !VoteShare(p.VoteNum, p.VoteDen) {
		return Errorf(CodeMalformed, "genesis: a vote by %d/%d of the members", p.VoteNum, p.VoteDen)
	}
	return nil
}

// VoteShare tells whether num/den of the members is a share that may decide: more than
// half of them, and not more than all.
func VoteShare(num, den uint64) bool { return num <= den && 2*num > den }

// Check checks the rules of a genesis: names and keys are valid, and none stands
// twice.
func (g *Genesis) Check() error {
	if n := len(g.Organisations); n == 0 || n > MaxGenesisOrganisations {
		return Errorf(CodeMalformed, "genesis: %d organisations, must be 1 to %d", n, MaxGenesisOrganisations)
	}
	p := g.Parameters
	p.setDefaults()
	if err := p.check(); err != nil {
		return err
	}
	if n := g.NumValidators(); n > MaxValidators {
		return Errorf(CodeMalformed, "genesis: %d validators, at most %d", n, MaxValidators)
	}
	names := make(map[string]bool)
	keys := make(map[crypto.PublicKey]bool)
	for i := range g.Organisations {
		o := &g.Organisations[i]
		if names[o.Name] {
			return Errorf(CodeMalformed, "genesis: organisation %q stands twice", o.Name)
		}
		names[o.Name] = true
		if err := o.check(keys); err != nil {
			return err
		}
	}
	return nil
}

// NumValidators is how many validators the organisations have.
func (g *Genesis) NumValidators() (n int) {
	for i := range g.Organisations {
		n += len(g.Organisations[i].Validators)
	}
	return n
}

func (o *GenesisOrganisation) check(keys map[crypto.PublicKey]bool) error {
	if err := CheckName(o.Name); err != nil {
		return Errorf(CodeOf(err), "genesis: organisation: %w", err)
	}
	if n := len(o.AdminKeys); n == 0 || n > MaxAdminKeys {
		return Errorf(CodeMalformed, "genesis: %q has %d admin keys, must be 1 to %d", o.Name, n, MaxAdminKeys)
	}
	if o.Threshold < 1 || o.Threshold > uint64(len(o.AdminKeys)) {
		return Errorf(CodeMalformed, "genesis: %q has threshold %d of %d keys", o.Name, o.Threshold, len(o.AdminKeys))
	}
	if n := len(o.Bridges); n > MaxGenesisBridges {
		return Errorf(CodeMalformed, "genesis: %q has %d bridges, at most %d", o.Name, n, MaxGenesisBridges)
	}
	if err := o.checkValidators(keys); err != nil {
		return err
	}
	all := append([]crypto.PublicKey(nil), o.AdminKeys...)
	for _, b := range o.Bridges {
		all = append(all, b.Key)
	}
	for _, k := range all {
		if err := crypto.CheckEnrolment(k); err != nil {
			return Errorf(CodeBadKey, "genesis: %q: key %v: %w", o.Name, k, err)
		}
		if keys[k] {
			return Errorf(CodeMalformed, "genesis: key %v stands twice", k)
		}
		keys[k] = true
	}
	return nil
}

func (o *GenesisOrganisation) checkValidators(keys map[crypto.PublicKey]bool) error {
	for _, v := range o.Validators {
		if err := crypto.CheckEnrolment(v.Key); err != nil {
			return Errorf(CodeBadKey, "genesis: %q: key %v: %w", o.Name, v.Key, err)
		}
		if keys[v.Key] {
			return Errorf(CodeMalformed, "genesis: key %v stands twice", v.Key)
		}
		keys[v.Key] = true
		if v.Power < 1 || v.Power > MaxPower {
			return Errorf(CodeMalformed, "genesis: %q has a validator of power %d, must be 1 to %d", o.Name, v.Power, int64(MaxPower))
		}
	}
	return nil
}

// Encode returns the content of a genesis in the one form that is hashed:
//
//	[1, [[name, [admin key bstr32...], threshold, [bridge key bstr32...],
//	      [[validator key bstr32, power]...]]...],
//	 [[parameter id, value]...]]
//
// JSON would not do: CometBFT may rewrite the text of app_state.
func (g *Genesis) Encode() []byte {
	p := g.Parameters
	p.setDefaults()
	b := dcbor.AppendArray(nil, 3)
	b = dcbor.AppendUint(b, genesisVersion)
	b = dcbor.AppendArray(b, len(g.Organisations))
	for _, o := range g.Organisations {
		b = dcbor.AppendArray(b, 5)
		b = dcbor.AppendText(b, o.Name)
		b = dcbor.AppendArray(b, len(o.AdminKeys))
		for _, k := range o.AdminKeys {
			b = dcbor.AppendBytes(b, k[:])
		}
		b = dcbor.AppendUint(b, o.Threshold)
		b = dcbor.AppendArray(b, len(o.Bridges))
		for _, bridge := range o.Bridges {
			b = dcbor.AppendBytes(b, bridge.Key[:])
		}
		b = dcbor.AppendArray(b, len(o.Validators))
		for _, v := range o.Validators {
			b = dcbor.AppendBytes(dcbor.AppendArray(b, 2), v.Key[:])
			b = dcbor.AppendUint(b, v.Power)
		}
	}
	return AppendParameters(b, p.Values())
}

// Entry returns entry 0 of a chain's log:
//
//	["mtm.genesis", 1, chain, Sum("mtm/genesis/1", Encode())]
func (g *Genesis) Entry(chain string) []byte {
	digest := crypto.Sum(genesisDomain, g.Encode())
	b := dcbor.AppendArray(nil, 4)
	b = dcbor.AppendText(b, genesisLabel)
	b = dcbor.AppendUint(b, genesisVersion)
	b = dcbor.AppendText(b, chain)
	return dcbor.AppendBytes(b, digest[:])
}

// GenesisEntry returns entry 0 of the log of a chain with this app_state.
func GenesisEntry(chain string, appState []byte) ([]byte, error) {
	g, err := ParseGenesis(appState)
	if err != nil {
		return nil, err
	}
	return g.Entry(chain), nil
}
