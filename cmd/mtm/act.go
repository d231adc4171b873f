package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

// Lives of what a command signs. A day of jitter makes the same operation, signed
// twice, two operations.
const (
	actLife         = time.Hour
	actJitter       = 24 * time.Hour
	proposalLife    = 7 * 24 * time.Hour
	provenPatience  = 45 * time.Second // more than the time between blocks of an idle ledger
	settlePatience  = 5 * time.Second
	sendPatience    = 20 * time.Second
	commitPatience  = 20 * time.Second
	lagPatience     = 3 * time.Second // a node is seldom further behind the others
	provenPollEvery = 50 * time.Millisecond
)

// act is what all commands that record something share: the ledger, who signs, and
// whether others must agree.
type act struct {
	target
	key, as string
	trust   string
	propose bool
	expires time.Duration
	save    string
	asJSON  bool
	fresh   recency
}

// session is a command's connection to the ledger, with who acts.
type session struct {
	*act
	ctx   context.Context
	m     *testnet.Manifest // nil without a folder
	c     actClient
	chain string
	actor crypto.ID
	signs crypto.PrivateKey

	verifier *proof.Verifier // nil until something is proven
	from     [32]byte        // hash of the pinned validator set, with verifier
}

// actClient is what the commands that record something ask beside ledgerClient.
type actClient interface {
	ledgerClient
	Answer(ctx context.Context, q client.AnswerRequest) ([]byte, error)
	KeyInfo(ctx context.Context, principal crypto.ID, kid crypto.KeyID) (client.KeyInfo, error)
}

// operation makes cmd record the body that build returns. need names the flags that
// must be given.
func operation(cmd *cobra.Command, need string, build func(*session) (ledger.Body, error)) *cobra.Command {
	a := new(act)
	a.flags(cmd)
	a.proposeFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		return a.session(cmd, need, func(s *session) error {
			body, err := build(s)
			if err != nil {
				return err
			}
			return s.put(cmd, body, func() error { return s.record(cmd, body) })
		})
	}
	return cmd
}

// proposeFlags adds the flags of what several may have to agree to.
func (a *act) proposeFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&a.propose, "propose", false, "put it to those who must agree, and be the first to agree")
	f.DurationVar(&a.expires, "expires", proposalLife, "with --propose: how long the others may approve it")
	f.StringVar(&a.save, "save-body", "", "write what would be proposed to this file and record nothing (see mtm vote propose)")
}

// put writes a body to a file or proposes it, if the flags say so; otherwise record
// records it.
func (s *session) put(cmd *cobra.Command, body ledger.Body, record func() error) error {
	switch {
	case s.save != "":
		return s.saveBody(cmd, body)
	case s.propose:
		return s.proposeBody(cmd, body)
	}
	return record()
}

// flags adds the flags of everybody who signs.
func (a *act) flags(cmd *cobra.Command) {
	a.target.flags(cmd)
	jsonFlag(cmd, &a.asJSON)
	f := cmd.Flags()
	f.StringVar(&a.as, "as", "", "who acts: name or id of an organisation or device (default: the organisation of --home)")
	f.StringVar(&a.key, "key", "", "file with the private key that signs (default: the actor's in --home)")
	f.StringVar(&a.trust, "trust", "", "file with the trust root (default: that of --home)")
}

// session connects, finds out who acts and calls f.
func (a *act) session(cmd *cobra.Command, need string, f func(*session) error) error {
	return a.reading(cmd, need, func(s *session) error {
		if err := s.findActor(); err != nil {
			return err
		}
		return f(s)
	})
}

// open connects to the ledger.
func (a *act) open(cmd *cobra.Command, need string) (*session, func(), error) {
	for _, name := range strings.Fields(need) {
		if !cmd.Flags().Changed(name) {
			return nil, nil, usagef("--%s is required", name)
		}
	}
	if err := a.fresh.begin(cmd); err != nil {
		return nil, nil, err
	}
	m, c, done, err := a.connect(cmd.Context())
	if err != nil {
		return nil, nil, err
	}
	s := &session{act: a, ctx: cmd.Context(), m: m, c: c.(actClient)}
	status, err := c.Status(s.ctx)
	if err == nil && m != nil && m.Chain != status.Chain {
		err = withHint(fmt.Errorf("the node is of ledger %s, %s holds %s", status.Chain, m.Dir, m.Chain), "another --home or --node")
	}
	s.chain = status.Chain
	if err == nil && a.trust != "" {
		_, err = s.trusted() // of this chain, before anything is signed for it
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return s, done, nil
}

// findActor finds who acts and its key.
func (s *session) findActor() (err error) {
	file := s.key
	switch d := s.ownDevice(s.as); {
	case d != nil:
		s.actor, file = d.ID, s.or(file, d.Home+"/key.pem")
	case s.as != "" && (s.m == nil || s.as != s.m.Organisation.Name):
		if s.actor, err = s.organisation(s.as); err != nil {
			return err
		}
	case s.m != nil:
		s.actor, file = s.m.Organisation.ID, s.or(file, s.m.Organisation.Key)
	}
	if file == "" && s.m != nil && s.actor == s.m.Organisation.ID {
		file = s.m.Path(s.m.Organisation.Key)
	}
	if file == "" {
		return usagef("--key is required: %s is not of --home", s.or(s.as, "the organisation"))
	}
	if s.signs, err = crypto.LoadKey(file); err != nil {
		return withHint(err, "is --key right? A key file is PEM and readable by its user alone")
	}
	if s.actor.IsZero() {
		s.actor = ledger.OrganisationID(s.signs.Public())
	}
	return nil
}

// or returns file, or else a path of the folder.
func (s *session) or(file, path string) string {
	if file != "" || s.m == nil {
		return file
	}
	return s.m.Path(path)
}

// ownDevice finds a device of the folder by name or id, nil if it is none.
func (s *session) ownDevice(name string) *testnet.Device {
	if s.m == nil || name == "" {
		return nil
	}
	d, err := s.m.Device(name)
	if err != nil {
		return nil
	}
	return d
}

// recordedAs is the JSON form of what a command recorded.
type recordedAs struct {
	Operation string          `json:"operation"`
	Actor     crypto.ID       `json:"actor"`
	ID        crypto.ID       `json:"id"` // of the grant, delivery, manifest or proposal, if it makes one
	Digest    proof.HexDigest `json:"digest"`
	Height    uint64          `json:"height"`
	Index     uint64          `json:"log_index"`
	Proposal  *crypto.ID      `json:"proposal,omitempty"`
	Applied   *bool           `json:"applied,omitempty"` // of a proposal: whether enough agree
	Root      string          `json:"root,omitempty"`    // of a manifest's list
	Devices   uint64          `json:"devices,omitempty"` // in it
}

// record signs and submits an operation, waits and prints.
func (s *session) record(cmd *cobra.Command, body ledger.Body) error {
	r, err := s.submit(body)
	if err != nil {
		return s.explain(err, body)
	}
	line := fmt.Sprintf("%s recorded at height %d", r.Operation, r.Height)
	switch body.(type) {
	case ledger.Grant, ledger.Deliver, ledger.Manifest:
		line = fmt.Sprintf("%s %s recorded at height %d", r.Operation, r.ID, r.Height)
	}
	if r.Root != "" {
		line += fmt.Sprintf("; root %s of %d devices", r.Root, r.Devices)
	}
	if r.Proposal == nil {
		return report(cmd, s.asJSON, r, line)
	}
	row, err := s.proposal(*r.Proposal, r.Height)
	if err != nil {
		return err
	}
	applied := row.Status == record.ProposalApplied
	r.Applied = &applied
	next := "applied: enough agree"
	if !applied {
		next = fmt.Sprintf("open; the others: mtm vote approve --proposal %s", *r.Proposal)
	}
	return report(cmd, s.asJSON, r, fmt.Sprintf("%s, proposal %s", line, *r.Proposal), next)
}

// proposeBody puts a body to those who must agree.
func (s *session) proposeBody(cmd *cobra.Command, body ledger.Body) error {
	return s.record(cmd, ledger.Propose{Expires: time.Now().Add(s.expires).Unix(), Body: body})
}

// submit signs and submits an operation and waits until it is committed.
func (s *session) submit(body ledger.Body) (r recordedAs, err error) {
	signed, err := ledger.SignOperation(s.signs, ledger.Operation{
		Chain: s.chain, Actor: s.actor, Body: body,
		NotAfter: time.Now().Add(actLife + rand.N(actJitter)).Unix(),
	})
	if err != nil {
		return r, fmt.Errorf("sign: %w", err)
	}
	result, err := s.commit(signed.Bytes())
	if err == nil {
		err = result.Code.Err()
	}
	if err != nil {
		return r, err
	}
	r = recordedAs{
		Operation: body.Kind().String(), Actor: s.actor, ID: ledger.MadeID(signed.Digest()),
		Digest: proof.HexDigest(signed.Digest()), Height: result.Height,
	}
	if len(result.Indexes) > 0 {
		r.Index = result.Indexes[0]
	}
	if m, ok := ledger.Proposed(body).(ledger.Manifest); ok {
		r.Root, r.Devices = hex.EncodeToString(m.Root[:]), m.Count
	}
	switch b := body.(type) {
	case ledger.Propose:
		r.Operation, r.Proposal = "propose "+b.Body.Kind().String(), &r.ID
	case ledger.Approve:
		r.Proposal = &b.Proposal
	}
	s.settle(r.Height)
	return r, nil
}

// commit submits a transaction and waits until it is committed. One that may have left
// the pool is submitted again: then the ledger says why.
func (s *session) commit(tx []byte) (ledger.TxResult, error) {
	for {
		if err := s.send(tx); err != nil {
			return ledger.TxResult{}, err
		}
		ctx, cancel := context.WithTimeout(s.ctx, commitPatience)
		result, err := s.c.Wait(ctx, ledger.TxHash(tx))
		late := ctx.Err() != nil
		cancel()
		if err == nil || !late || s.ctx.Err() != nil {
			return result, err
		}
	}
}

// send submits a transaction, and again while the node is busy or catching up, or the
// organisation's quota is used up. What others recorded a moment ago, such as a proposal
// to approve, may not have reached this node: its refusal is final only when it stays.
func (s *session) send(tx []byte) error {
	start := time.Now()
	for {
		err := s.c.Submit(s.ctx, tx)
		if err == nil || time.Since(start) >= patience(ledger.CodeOf(err)) {
			return err
		}
		if err := sleep(s.ctx, provenPollEvery); err != nil {
			return err
		}
	}
}

// patience is how long a refusal is taken for a matter of time.
func patience(c ledger.Code) time.Duration {
	switch {
	case c == ledger.CodeOverloaded || c == ledger.CodeQuota:
		return sendPatience
	case c.Retryable():
		return lagPatience
	}
	return 0
}

// settle waits a moment until the state after a height is signed for, so that the next
// command sees what this one recorded. It is recorded in any case.
func (s *session) settle(height uint64) {
	ctx, cancel := context.WithTimeout(s.ctx, settlePatience)
	defer cancel()
	tick := time.NewTicker(provenPollEvery)
	defer tick.Stop()
	for {
		if status, err := s.c.Status(ctx); err == nil && status.SignedHeight >= height {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// explain adds to a refusal what to try, where the code's advice is not the best.
func (s *session) explain(err error, body ledger.Body) error {
	err = fmt.Errorf("%s: %w", body.Kind(), err)
	if ledger.CodeOf(err) == ledger.CodeNeedsProposal {
		return withHint(err, "the same command with --propose; then the others: mtm vote approve")
	}
	return err
}

func (s *session) saveBody(cmd *cobra.Command, body ledger.Body) error {
	b := ledger.EncodeBody(body)
	if _, err := ledger.ParseBody(b); err != nil {
		return err
	}
	if err := writeFile(s.save, b); err != nil {
		return err
	}
	return report(cmd, s.asJSON, map[string]any{"operation": body.Kind().String(), "file": s.save, "bytes": len(b)},
		fmt.Sprintf("%s, %d bytes in %s; nothing is recorded", body.Kind(), len(b), s.save))
}

// errNoTrust says that there is nothing to check an answer against.
var errNoTrust = errors.New("no trust root: an answer can't be checked")

// trusted returns what checks answers against the trust root.
func (s *session) trusted() (*proof.Verifier, error) {
	if s.verifier != nil {
		return s.verifier, nil
	}
	path := s.trust
	if path == "" && s.m != nil {
		path = s.m.TrustPath()
	}
	if path == "" {
		return nil, withHint(errNoTrust, "--trust FILE, or --home of the ledger's folder")
	}
	root, err := readTrust(path)
	if err != nil {
		return nil, err
	}
	if s.chain != root.Chain {
		return nil, withHint(fmt.Errorf("the node is of ledger %s, %s of %s", s.chain, path, root.Chain), "another --node or --trust")
	}
	s.from = proof.ValidatorsHash(root.Validators)
	s.verifier, err = proof.NewVerifier(root)
	return s.verifier, err
}

// proven asks questions, in a state at or after a height, checks the answer against the
// trust root, and that it is the answer to them: one result for each question, in order. A
// cover may end early, a list may not.
func (s *session) proven(height uint64, q client.AnswerRequest) (*proof.Answered, error) {
	out, err := s.provenPage(height, q)
	if err != nil {
		return nil, err
	}
	return out, answersWhole(q, out)
}

// provenPage is proven, but lists may end early.
func (s *session) provenPage(height uint64, q client.AnswerRequest) (*proof.Answered, error) {
	v, err := s.trusted()
	if err != nil {
		return nil, err
	}
	q.From = s.from
	ctx, cancel := context.WithTimeout(s.ctx, provenPatience)
	defer cancel()
	tick := time.NewTicker(provenPollEvery)
	defer tick.Stop()
	for {
		file, err := s.c.Answer(ctx, q)
		if err == nil {
			out, err := v.VerifyAnswer(file)
			if err != nil {
				return nil, withHint(fmt.Errorf("the node's answer is refused: %w", err), "ask another node, and check the trust root")
			}
			if err := answersTo(q, out); err != nil {
				return nil, err
			}
			if out.AsOfHeight >= height {
				return out, s.fresh.check(out)
			}
		} else if ledger.CodeOf(err) != ledger.CodeFutureHeight {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the state after height %d is not signed for within %v: %w", height, provenPatience, ctx.Err())
		case <-tick.C:
		}
	}
}

// proposal returns the proven row of a proposal.
func (s *session) proposal(id crypto.ID, height uint64) (row record.Proposal, err error) {
	out, err := s.proven(height, client.AnswerRequest{Questions: []client.Question{{Query: proof.RowQuery(record.ProposalRow(id))}}})
	if err != nil {
		return row, err
	}
	if len(out.Results[0].Rows) == 0 {
		return row, ledger.CodeUnknownProposal.Err()
	}
	return record.ParseProposal(out.Results[0].Rows[0].Value)
}

// readFlags adds the flags of commands that only ask.
func (a *act) readFlags(cmd *cobra.Command) {
	a.target.flags(cmd)
	jsonFlag(cmd, &a.asJSON)
	cmd.Flags().StringVar(&a.trust, "trust", "", "file with the trust root (default: that of --home)")
	a.fresh.flags(cmd)
}

// reading is session for a command that signs nothing.
func (a *act) reading(cmd *cobra.Command, need string, f func(*session) error) error {
	s, done, err := a.open(cmd, need)
	if err != nil {
		return err
	}
	defer done()
	return f(s)
}
