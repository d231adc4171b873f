package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
	"mtmledger/testnet"
)

// answerClient is what mtm query asks a node; both clients are one.
type answerClient interface {
	Answer(ctx context.Context, q client.AnswerRequest) ([]byte, error)
	Pin(ctx context.Context) (client.Pin, error)
	Unpin(ctx context.Context, pin crypto.ID) error
}

// asking is a parsed mtm query command.
type asking struct {
	target
	trust, out  string
	json, pin   bool
	of          string // what --org, --stream ... named
	at          uint64
	first, last uint64
	entries     []uint
	patience    time.Duration
	file        []byte // of the last answer
}

// subject is one thing that can be asked about.
type subject struct {
	use, short, example string
	of                  string // flag that names what it belongs to: org, stream, device, id; "" = none
	at                  bool   // takes --at
	ask                 func(a *asking, id crypto.ID) client.Question
}

// children asks for all children of a family, and about each if follow is not 0.
func children(f, follow record.Family, history bool) func(*asking, crypto.ID) client.Question {
	return func(a *asking, id crypto.ID) client.Question {
		return client.Question{Query: proof.ListQuery(record.Range(f, id)), Follow: follow, History: history, At: a.at}
	}
}

// every asks for all rows of a family.
func every(f record.Family) func(*asking, crypto.ID) client.Question {
	return func(*asking, crypto.ID) client.Question {
		return client.Question{Query: proof.ListQuery(record.FamilyRange(f))}
	}
}

// history asks for all rows of one thing, or with --at for the one in force then.
func history(f record.Family) func(*asking, crypto.ID) client.Question {
	return func(a *asking, id crypto.ID) client.Question {
		if a.at != 0 {
			return client.Question{Query: proof.AtQuery(f, id, a.at)}
		}
		return client.Question{Query: proof.ListQuery(record.Range(f, id))}
	}
}

// row asks for one row.
func row(key func(crypto.ID) [33]byte) func(*asking, crypto.ID) client.Question {
	return func(_ *asking, id crypto.ID) client.Question { return client.Question{Query: proof.RowQuery(key(id))} }
}

var subjects = []subject{
	{"organisations", "All organisations, with their history", "", "", false, every(record.FamilyOrganisation)},
	{"members", "Who the members are and were", "--at 40", "", true, history(record.FamilyMembers)},
	{"validators", "Validators with organisation and power, and their history", "", "", false, every(record.FamilyValidator)},
	{"parameters", "The parameters in force, and their history", "", "", true, history(record.FamilyParameters)},
	{"devices", "The devices that an organisation has or had", "--org ID", "org", true, children(record.FamilyOrganisationDevice, record.FamilyDevice, true)},
	{"streams", "The streams that an organisation owns or owned", "--org ID --at 120", "org", true, children(record.FamilyOrganisationStream, 0, false)},
	{"bridges", "The bridges of an organisation", "--org ID", "org", true, children(record.FamilyOrganisationBridge, record.FamilyBridge, true)},
	{"keys", "The keys of an organisation, device or bridge, and when they are valid", "--id ID", "id", false, children(record.FamilyKey, 0, false)},
	{"device", "Who owned a device when", "--device press-3", "device", true, history(record.FamilyDevice)},
	{"descriptions", "How something was described when", "--id ID", "id", true, history(record.FamilyDescription)},
	{"owner", "Who owned a stream when", "--stream cpu --at 120", "stream", true, history(record.FamilyOwner)},
	{"parts", "Whose readings are whose, in a stream sold from now on; no row: all are the owner's", "--stream cpu", "stream", true, history(record.FamilyParts)},
	{"stream", "A stream's device, mark and number of gaps", "--stream cpu", "stream", false, row(func(id crypto.ID) [33]byte { return record.StreamRow(id) })},
	{"gaps", "Exactly which numbers below the mark are missing", "--stream cpu", "stream", false, children(record.FamilyGap, 0, false)},
	{"grants", "All grants that were ever given on a stream", "--stream cpu", "stream", false, children(record.FamilyStreamGrant, record.FamilyGrant, false)},
	{"granted", "All grants that an organisation or device was ever given", "--id ID", "id", false, children(record.FamilyGranteeGrant, record.FamilyGrant, false)},
	{"deliveries", "The deliveries of a stream's readings", "--stream cpu", "stream", false, children(record.FamilyStreamDelivery, record.FamilyDelivery, false)},
	{"inputs", "What a derived stream was computed from", "--stream mean", "stream", false, children(record.FamilyDerived, 0, false)},
	{"uses", "What was computed from a stream", "--stream cpu", "stream", false, children(record.FamilyUse, 0, false)},
	{"evidence", "Evidence of two statements for one number", "--device press-3", "device", false, children(record.FamilyEvidence, 0, false)},
	{"proposals", "Everything that was ever proposed, open and decided", "", "", false, every(record.FamilyProposal)},
	{"approvals", "Who approved a proposal, with which keys", "--id ID", "id", false, children(record.FamilyApproval, 0, false)},
	{"proposal", "What a proposal says and what became of it", "--id ID", "id", false, row(func(id crypto.ID) [33]byte { return record.ProposalRow(id) })},
}

func newQuery() *cobra.Command {
	cmd := group("query", "Ask a ledger and check the proof of every answer")
	cmd.Long = `Asks a node, which need not be trusted: only what the trust root proves is printed,
with the height it was true at. Lists are complete. --out keeps the proof as a
file, which mtm verify and mtm-verify check offline.`
	for _, s := range subjects {
		cmd.AddCommand(newSubject(s))
	}
	cmd.AddCommand(newCover(), newEntries(), newLineage())
	return cmd
}

func newSubject(s subject) *cobra.Command {
	a := new(asking)
	cmd := &cobra.Command{
		Use: s.use, Short: s.short, Example: "  mtm query " + s.use + " --home ledger " + s.example,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.run(cmd, func(m *testnet.Manifest) (client.AnswerRequest, error) {
				id, err := a.resolve(m, s.of)
				return client.AnswerRequest{Questions: []client.Question{s.ask(a, id)}}, err
			})
		},
	}
	a.flags(cmd)
	switch s.of {
	case "org", "device":
		cmd.Flags().StringVar(&a.of, s.of, "", "name in --home or id (required)")
	case "stream":
		cmd.Flags().StringVar(&a.of, s.of, "", "name or id of the stream (required)")
	case "id":
		cmd.Flags().StringVar(&a.of, s.of, "", "its id (required)")
	}
	if s.at {
		cmd.Flags().Uint64Var(&a.at, "at", 0, "height to ask about (default: now, with the history)")
	}
	return cmd
}

func newCover() *cobra.Command {
	a, times := new(asking), new(timeRange)
	cmd := &cobra.Command{
		Use: "cover", Short: "The statements of a range of a stream, and what is missing, proven complete",
		Long: `With --first and --last, every number of a range. With times, the statements that
were committed from --from-time to --to-time, both included: every number that the
stream uses is verified, at one height, and statements are chosen by the proven time
of their block. --declared-from and --declared-to then choose among their readings
by the time that the device declared, which is its word: nobody proved it.`,
		Example: `  mtm query cover --home ledger --stream cpu --first 1 --last 500
  mtm query cover --home ledger --stream cpu --from-time 2027-01-01T00:00:00Z --to-time 2027-01-02T00:00:00Z`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if times.given() {
				return times.run(cmd, a)
			}
			return a.run(cmd, func(m *testnet.Manifest) (client.AnswerRequest, error) {
				id, err := a.resolve(m, "stream")
				if err == nil && (a.first == 0 || a.last < a.first) {
					err = usagef("--first and --last are required, or times; numbers begin at 1")
				}
				return client.AnswerRequest{Cover: &client.RangeRequest{Stream: id, First: a.first, Last: a.last}}, err
			})
		},
	}
	a.flags(cmd)
	cmd.Flags().StringVar(&a.of, "stream", "", "name or id of the stream (required)")
	cmd.Flags().Uint64Var(&a.first, "first", 1, "first number")
	cmd.Flags().Uint64Var(&a.last, "last", 0, "last number (required without times; with them: the last one used)")
	times.flags(cmd)
	return cmd
}

func newEntries() *cobra.Command {
	a := new(asking)
	cmd := &cobra.Command{
		Use: "entries", Short: "Entries of the log, with signer, height and time",
		Example: "  mtm query entries --home ledger --index 0,7",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.run(cmd, func(*testnet.Manifest) (q client.AnswerRequest, err error) {
				for _, i := range a.entries {
					q.Entries = append(q.Entries, uint64(i))
				}
				if len(q.Entries) == 0 {
					err = usagef("--index is required")
				}
				return q, err
			})
		},
	}
	a.flags(cmd)
	cmd.Flags().UintSliceVar(&a.entries, "index", nil, "indexes in the log, separated by commas (required)")
	return cmd
}

func (a *asking) flags(cmd *cobra.Command) {
	a.readFlags(cmd)
	cmd.Flags().BoolVar(&a.pin, "pin", false, "let the node hold the height until all pages are read")
}

func (a *asking) readFlags(cmd *cobra.Command) {
	a.target.flags(cmd)
	jsonFlag(cmd, &a.json)
	cmd.Flags().StringVar(&a.trust, "trust", "", "file with the trust root (default: trust.json in --home)")
	cmd.Flags().StringVar(&a.out, "out", "", "file to keep the proof in; further pages get .2, .3 ... appended")
	cmd.Flags().DurationVar(&a.patience, "wait", 10*time.Second, "how long to wait for a signed state")
}

// resolve finds the id of what a flag named.
func (a *asking) resolve(m *testnet.Manifest, flag string) (crypto.ID, error) {
	if flag == "" {
		return crypto.ID{}, nil
	}
	if a.of == "" {
		return crypto.ID{}, usagef("--%s is required", flag)
	}
	if flag == "stream" {
		return resolveStream(m, a.of)
	}
	if m != nil && flag == "device" {
		if d, err := m.Device(a.of); err == nil {
			return d.ID, nil
		}
	}
	id, err := crypto.ParseID(a.of)
	if err != nil {
		return id, usagef("--%s: %w", flag, err)
	}
	return id, nil
}

// run asks, verifies every page and prints what is proven.
func (a *asking) run(cmd *cobra.Command, request func(*testnet.Manifest) (client.AnswerRequest, error)) error {
	pages, err := a.read(cmd, request)
	if err != nil {
		return err
	}
	return a.print(cmd, pages)
}

// read asks and verifies every page.
func (a *asking) read(cmd *cobra.Command, request func(*testnet.Manifest) (client.AnswerRequest, error)) ([]*proof.Answered, error) {
	root, err := a.root()
	if err != nil {
		return nil, err
	}
	m, c, done, err := a.connect(cmd.Context())
	if err != nil {
		return nil, err
	}
	defer done()
	q, err := request(m)
	if err != nil {
		return nil, err
	}
	asker, ok := c.(answerClient)
	if !ok {
		return nil, fmt.Errorf("this client can't ask for answers")
	}
	return a.pages(cmd.Context(), asker, q, root)
}

func (a *asking) root() (proof.TrustRoot, error) {
	name := a.trust
	if name == "" {
		name = filepath.Join(a.home, "trust.json")
	}
	pinned, err := readAtMost(name, proof.MaxTrustRoot)
	if err != nil {
		return proof.TrustRoot{}, withHint(err, "give the trust root that you pinned with --trust FILE")
	}
	return proof.ParseTrustRoot(pinned)
}

// asker asks one question and verifies that the answer is sound and one to it.
type asker func(ctx context.Context, q client.AnswerRequest) (*proof.Answered, error)

// asker returns what asks a node.
func (a *asking) asker(c answerClient, root proof.TrustRoot) (asker, error) {
	v, err := proof.NewVerifier(root)
	if err != nil {
		return nil, err
	}
	kept, from := 0, proof.ValidatorsHash(root.Validators)
	return func(ctx context.Context, q client.AnswerRequest) (*proof.Answered, error) {
		q.From = from
		ctx, cancel := context.WithTimeout(ctx, max(a.patience, time.Second))
		defer cancel()
		file, err := patiently(ctx, func() ([]byte, error) { return c.Answer(ctx, q) })
		if err != nil {
			return nil, err
		}
		page, err := v.VerifyAnswer(file)
		if err != nil {
			return nil, withHint(fmt.Errorf("the node's answer is refused: %w", err), "ask another node, and check the trust root")
		}
		if err := answersTo(q, page); err != nil {
			return nil, err
		}
		kept++
		a.file = file
		return page, a.keep(file, kept-1)
	}, nil
}

// hold lets the node hold a height; end lets it go.
func (a *asking) hold(ctx context.Context, c answerClient) (pin crypto.ID, end func(), err error) {
	waiting, cancel := context.WithTimeout(ctx, max(a.patience, time.Second))
	defer cancel()
	p, err := patiently(waiting, func() (client.Pin, error) { return c.Pin(waiting) })
	return p.ID, func() { _ = c.Unpin(context.WithoutCancel(ctx), p.ID) }, err
}

// pinned runs do with an asker whose answers are all about one height.
func (a *asking) pinned(cmd *cobra.Command, do func(*testnet.Manifest, asker) error) error {
	root, err := a.root()
	if err != nil {
		return err
	}
	m, c, done, err := a.connect(cmd.Context())
	if err != nil {
		return err
	}
	defer done()
	node, ok := c.(answerClient)
	if !ok {
		return fmt.Errorf("this client can't ask for answers")
	}
	ask, err := a.asker(node, root)
	if err != nil {
		return err
	}
	pin, end, err := a.hold(cmd.Context(), node)
	if err != nil {
		return err
	}
	defer end()
	return do(m, func(ctx context.Context, q client.AnswerRequest) (*proof.Answered, error) {
		q.Pin = pin
		return ask(ctx, q)
	})
}

// pages asks until nothing is left, and checks that the pages join.
func (a *asking) pages(ctx context.Context, c answerClient, q client.AnswerRequest, root proof.TrustRoot) ([]*proof.Answered, error) {
	ask, err := a.asker(c, root)
	if err != nil {
		return nil, err
	}
	if a.pin {
		pin, end, err := a.hold(ctx, c)
		if err != nil {
			return nil, err
		}
		defer end()
		q.Pin = pin
	}
	whole := q
	var pages []*proof.Answered
	for more := true; more; {
		page, err := ask(ctx, q)
		if err != nil {
			return nil, err
		}
		pages = append(pages, page)
		q, more = rest(q, page)
	}
	return pages, joined(whole, pages)
}

// patiently asks again while the state is not signed for yet.
func patiently[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		v, err := ask()
		if err == nil || ledger.CodeOf(err) != ledger.CodeFutureHeight {
			return v, err
		}
		select {
		case <-ctx.Done():
			return v, err
		case <-tick.C:
		}
	}
}

// keep writes a page to --out.
func (a *asking) keep(file []byte, page int) error {
	if a.out == "" {
		return nil
	}
	name := a.out
	if page > 0 {
		name = fmt.Sprintf("%s.%d", a.out, page+1)
	}
	return writeFile(name, file)
}
