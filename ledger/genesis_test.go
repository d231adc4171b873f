package ledger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/internal/dcbor"
)

func goodGenesis() Genesis {
	return Genesis{Organisations: []GenesisOrganisation{
		{Name: "Water & Works", AdminKeys: []crypto.PublicKey{adminKey.Public()}, Threshold: 1, Bridges: []GenesisBridge{{bridgeKey.Public()}},
			Validators: []GenesisValidator{{crypto.KeyFromSeed([32]byte{77}).Public(), 10}}},
		{Name: "Second", AdminKeys: []crypto.PublicKey{deviceKey.Public()}, Threshold: 1},
	}}
}

func TestGenesis(t *testing.T) {
	compact, err := json.Marshal(goodGenesis())
	if err != nil {
		t.Fatal(err)
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.ReplaceAll(compact, []byte(`\u0026`), []byte("&")), "", "  "); err != nil {
		t.Fatal(err)
	}
	g, err := ParseGenesis(compact)
	if err != nil {
		t.Fatal(err)
	}
	var defaultParameters GenesisParameters
	for i, v := range g.Parameters.Values() {
		if info := ParameterInfos()[i]; v.ID != info.ID || v.Value != info.Default {
			t.Errorf("%v is %d, want %d", v.ID, v.Value, info.Default)
		}
	}
	if g.Parameters == defaultParameters || g.Organisations[0].ID() != testOrg {
		t.Errorf("%+v", g)
	}
	one, err := GenesisEntry(testChain, compact)
	if err != nil {
		t.Fatal(err)
	}
	two, err := GenesisEntry(testChain, indented.Bytes())
	if err != nil || !bytes.Equal(one, two) {
		t.Errorf("the text of app_state changes the entry: %v", err)
	}
	three, err := GenesisEntry("another", compact)
	if err != nil || bytes.Equal(one, three) || dcbor.Check(one) != nil {
		t.Errorf("the entry does not depend on the chain: %v", err)
	}
	defaults := goodGenesis()
	defaults.Parameters = g.Parameters
	if !bytes.Equal(defaults.Entry(testChain), one) {
		t.Error("written defaults change the entry")
	}
	defaults.Parameters.OpenGaps--
	if bytes.Equal(defaults.Entry(testChain), one) {
		t.Error("a parameter does not change the entry")
	}
}

func TestGenesisRefuses(t *testing.T) {
	tests := map[string]func(g *Genesis){
		"no organisation": func(g *Genesis) { g.Organisations = nil },
		"no name":         func(g *Genesis) { g.Organisations[0].Name = "" },
		"long name":       func(g *Genesis) { g.Organisations[0].Name = strings.Repeat("n", 65) },
		"name twice":      func(g *Genesis) { g.Organisations[1].Name = g.Organisations[0].Name },
		"no admin key":    func(g *Genesis) { g.Organisations[0].AdminKeys = nil },
		"key twice":       func(g *Genesis) { g.Organisations[1].AdminKeys[0] = adminKey.Public() },
		"bridge key twice": func(g *Genesis) {
			g.Organisations[0].Bridges = append(g.Organisations[0].Bridges, GenesisBridge{bridgeKey.Public()})
		},
		"small order":       func(g *Genesis) { g.Organisations[0].AdminKeys[0] = crypto.PublicKey{1} },
		"threshold 0":       func(g *Genesis) { g.Organisations[0].Threshold = 0 },
		"threshold 2 of 1":  func(g *Genesis) { g.Organisations[0].Threshold = 2 },
		"clock too far":     func(g *Genesis) { g.Parameters.ClockAhead = MaxClockAhead + 1 },
		"clock negative":    func(g *Genesis) { g.Parameters.ClockAhead = -1 },
		"not_after too far": func(g *Genesis) { g.Parameters.NotAfter = MaxNotAfter + 1 },
		"gaps":              func(g *Genesis) { g.Parameters.OpenGaps = MaxOpenGaps + 1 },
		"17 admin keys":     func(g *Genesis) { g.Organisations[0].AdminKeys = manyKeys(MaxAdminKeys + 1) },
		"1001 organisations": func(g *Genesis) {
			g.Organisations = make([]GenesisOrganisation, MaxGenesisOrganisations+1)
		},
		"1001 bridges": func(g *Genesis) { g.Organisations[0].Bridges = make([]GenesisBridge, MaxGenesisBridges+1) },
	}
	for name, change := range tests {
		g := goodGenesis()
		change(&g)
		b, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseGenesis(b); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	g := goodGenesis()
	g.Organisations[0].AdminKeys, g.Organisations[0].Threshold = manyKeys(MaxAdminKeys), MaxAdminKeys
	if err := g.Check(); err != nil {
		t.Errorf("%d admin keys: %v", MaxAdminKeys, err)
	}
	good, err := json.Marshal(goodGenesis())
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "{}", "[]", string(good) + "1", string(good[:len(good)-1]),
		strings.Replace(string(good), `"name"`, `"nom"`, 1), strings.Replace(string(good), `"threshold":1`, `"threshold":-1`, 1)} {
		if _, err := ParseGenesis([]byte(bad)); CodeOf(err) != CodeMalformed {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func manyKeys(n int) (keys []crypto.PublicKey) {
	for i := range n {
		var seed [32]byte
		copy(seed[:], fmt.Sprint("many ", i))
		keys = append(keys, crypto.KeyFromSeed(seed).Public())
	}
	return keys
}

// TestGenesisMost: the numbers of organisations and bridges at their limits.
func TestGenesisMost(t *testing.T) {
	if testing.Short() {
		t.Skip("checks thousands of keys")
	}
	keys := manyKeys(MaxGenesisOrganisations + MaxGenesisBridges)
	var g Genesis
	for i := range MaxGenesisOrganisations {
		g.Organisations = append(g.Organisations, GenesisOrganisation{Name: fmt.Sprint(i), AdminKeys: keys[i : i+1], Threshold: 1})
	}
	for _, k := range keys[MaxGenesisOrganisations:] {
		g.Organisations[0].Bridges = append(g.Organisations[0].Bridges, GenesisBridge{k})
	}
	if err := g.Check(); err != nil {
		t.Error(err)
	}
}
