package ledger

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestParameterLimits: every parameter at both ends of its range and one beyond, in an
// operation and in a genesis, where 0 stands for the default.
func TestParameterLimits(t *testing.T) {
	for _, p := range ParameterInfos() {
		for value, want := range map[uint64]Code{
			p.Least - 1: CodeBadParameter, p.Least: CodeOK, p.Greatest: CodeOK, p.Greatest + 1: CodeBadParameter,
		} {
			body := SetParameters{Values: []Parameter{{p.ID, value}}}
			if _, err := ParseBody(EncodeBody(body)); CodeOf(err) != want {
				t.Errorf("%v = %d: %v, want %v", p.ID, value, err, want)
			}
			if value == 0 || p.ID == ParameterVoteNum || p.ID == ParameterVoteDen {
				continue // the default; or refused for the share that the two make
			}
			var g GenesisParameters
			if err := json.Unmarshal(fmt.Appendf(nil, `{%q: %d}`, p.Name, value), &g); err != nil {
				t.Fatal(err)
			}
			genesis := goodGenesis()
			genesis.Parameters = g
			if err := genesis.Check(); (err == nil) != (want == CodeOK) {
				t.Errorf("genesis with %v = %d: %v, want %v", p.ID, value, err, want)
			}
		}
	}
}

// TestGenesisValidatorsMost: as many validators as may be, and one more.
func TestGenesisValidatorsMost(t *testing.T) {
	keys := manyKeys(MaxValidators + 1)
	for _, n := range []int{MaxValidators, MaxValidators + 1} {
		g := goodGenesis()
		g.Organisations[0].Validators = nil
		for _, key := range keys[:n] {
			g.Organisations[0].Validators = append(g.Organisations[0].Validators, GenesisValidator{Key: key, Power: MaxPower})
		}
		for i := range g.Organisations[1:] {
			g.Organisations[1+i].Validators = nil
		}
		if err := g.Check(); (err == nil) != (n <= MaxValidators) {
			t.Errorf("%d validators: %v", n, err)
		}
	}
}
