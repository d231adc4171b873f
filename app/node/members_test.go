package node

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"mtmledger/app/client"
	"mtmledger/app/internal/ledgertest"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// members are organisations with a validator each, all in this process.
type members struct {
	t     *testing.T
	admin []crypto.PrivateKey
	org   []crypto.ID
	key   []crypto.PublicKey // of the validators
	cfg   []Config
	node  []*Node
	root  proof.TrustRoot
	tries int64
}

// newMembers makes the homes of n validators; remote, if any, is the configuration of the
// last one, whose key is with a signer.
func newMembers(t *testing.T, n int, remote *Config) *members {
	t.Helper()
	m := &members{t: t, node: make([]*Node, n)}
	var (
		g     ledger.Genesis
		set   []Validator
		peers []string
	)
	for i := range n {
		c := Config{Home: t.TempDir()}
		if i == n-1 && remote != nil {
			remote.Home = c.Home
			c = *remote
		}
		c.BlockInterval, c.Heartbeat, c.RPCListen = 50*time.Millisecond, time.Second, Off
		initialise := func() (Identity, error) { return InitKeys(c.Home) }
		if c.SignerListen != "" {
			initialise = func() (Identity, error) { return InitRemote(c) }
		}
		id, err := initialise()
		if err != nil {
			t.Fatal(err)
		}
		if c.P2PListen, err = freePort(DefaultListen); err != nil {
			t.Fatal(err)
		}
		admin := ledgertest.Key(fmt.Sprint("member ", i))
		m.admin, m.org, m.key = append(m.admin, admin), append(m.org, ledger.OrganisationID(admin.Public())), append(m.key, id.Key)
		g.Organisations = append(g.Organisations, ledger.GenesisOrganisation{
			Name: fmt.Sprint("Member ", i), AdminKeys: []crypto.PublicKey{admin.Public()}, Threshold: 1,
			Validators: []ledger.GenesisValidator{{Key: id.Key, Power: 10}},
		})
		set = append(set, Validator{Name: fmt.Sprint(i), Key: id.Key, Power: 10})
		peers = append(peers, id.NodeID+"@"+c.P2PListen)
		m.cfg = append(m.cfg, c)
	}
	state, err := json.Marshal(g)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := NewGenesis(InitOptions{Chain: ledgertest.Chain, AppState: state, Validators: set, Time: time.Now().Add(-time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for i := range m.cfg {
		if err := WriteGenesis(m.cfg[i].Home, doc); err != nil {
			t.Fatal(err)
		}
		m.cfg[i].Peers = append(append([]string{}, peers[:i]...), peers[i+1:]...)
		if err := m.cfg[i].Save(); err != nil {
			t.Fatal(err)
		}
	}
	if m.root, err = TrustRoot(m.cfg[0].Home); err != nil {
		t.Fatal(err)
	}
	return m
}

// start starts a member's node as it is configured now.
func (m *members) start(i int) {
	m.t.Helper()
	m.node[i] = startNode(m.t, m.cfg[i].Home, func(to *Config) { *to = m.cfg[i] })
}

// operation submits an operation of a member through its own node. What it made has the
// returned id.
func (m *members) operation(i int, body ledger.Body) (crypto.ID, ledger.TxResult) {
	m.t.Helper()
	op := m.sign(i, body)
	return ledger.MadeID(op.Digest()), commit(m.t, m.node[i].Client(), op.Bytes())
}

// sign signs an operation of a member, no two alike.
func (m *members) sign(i int, body ledger.Body) *ledger.Operation {
	m.t.Helper()
	m.tries++
	op, err := ledger.SignOperation(m.admin[i], ledger.Operation{
		Chain: ledgertest.Chain, Actor: m.org[i], NotAfter: time.Now().Unix() + 3600 + m.tries, Body: body})
	if err != nil {
		m.t.Fatal(err)
	}
	return op
}

// agree lets members decide; it returns the height of the decision.
func (m *members) agree(body ledger.Body, who ...int) (height uint64) {
	m.t.Helper()
	id, res := m.operation(who[0], ledger.Propose{Expires: time.Now().Add(time.Hour).Unix(), Body: body})
	for _, i := range who[1:] {
		_, res = m.operation(i, ledger.Approve{Proposal: id})
	}
	return res.Height
}

// ask gets answers from a node that are true at height or later, and verifies them against
// the trust root of the genesis.
func (m *members) ask(i int, height uint64, queries ...proof.Query) *proof.Answered {
	m.t.Helper()
	var q client.AnswerRequest
	for _, query := range queries {
		q.Questions = append(q.Questions, client.Question{Query: query})
	}
	ctx, cancel := context.WithTimeout(m.t.Context(), testTime)
	defer cancel()
	for {
		file, err := m.node[i].Client().Answer(ctx, q)
		if err == nil {
			out, err := proof.VerifyAnswer(file, m.root)
			if err != nil {
				m.t.Fatal(err)
			}
			if out.AsOfHeight >= height {
				return out
			}
		} else if ledger.CodeOf(err) != ledger.CodeFutureHeight {
			m.t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond) // between polls
	}
}

// agreed waits until every node has a height and compares the app hashes.
func (m *members) agreed(height uint64) {
	m.t.Helper()
	until(m.t, "the first node has the height", func() bool { return m.node[0].height() >= height })
	agree(m.t, m.node, height)
}

// until polls a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(testTime); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}
