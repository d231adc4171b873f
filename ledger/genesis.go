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
}

// ID is the organisation's id, derived from its first admin key.
func (o GenesisOrganisation) ID() crypto.ID { return OrganisationID(o.AdminKeys[0]) }

// GenesisBridge is a bridge of a founding member.
type GenesisBridge struct {
	Key crypto.PublicKey `json:"key"`
}

// GenesisParameters changes limits of this ledger; 0 stands for the default,
// which is also the greatest value.
type GenesisParameters struct {
	ClockAhead int64  `json:"clock_ahead_seconds,omitempty"` // default MaxClockAhead
	NotAfter   int64  `json:"not_after_seconds,omitempty"`   // default MaxNotAfter
	OpenGaps   uint64 `json:"open_gaps,omitempty"`           // default MaxOpenGaps
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
	if p.OpenGaps == 0 {
		p.OpenGaps = MaxOpenGaps
	}
}

func (p GenesisParameters) check() error {
	if p.ClockAhead < 1 || p.ClockAhead > MaxClockAhead || p.NotAfter < 1 || p.NotAfter > MaxNotAfter ||
		p.OpenGaps < 1 || p.OpenGaps > MaxOpenGaps {
		return Errorf(CodeMalformed, "genesis: a parameter is out of range")
	}
	return nil
}

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

// Encode returns the content of a genesis in the one form that is hashed:
//
//	[1, [[name, [admin key bstr32...], threshold, [bridge key bstr32...]]...],
//	 [clock_ahead, not_after, open_gaps]]
//
// JSON would not do: CometBFT may rewrite the text of app_state.
func (g *Genesis) Encode() []byte {
	p := g.Parameters
	p.setDefaults()
	b := dcbor.AppendArray(nil, 3)
	b = dcbor.AppendUint(b, genesisVersion)
	b = dcbor.AppendArray(b, len(g.Organisations))
	for _, o := range g.Organisations {
		b = dcbor.AppendArray(b, 4)
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
	}
	b = dcbor.AppendArray(b, 3)
	b = dcbor.AppendInt(b, p.ClockAhead)
	b = dcbor.AppendInt(b, p.NotAfter)
	return dcbor.AppendUint(b, p.OpenGaps)
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
