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
	fresh       recency
	file        []byte // of the last answer

	// names asks for what resolves a name; its answers are not kept in out. Set once
	// the ledger is connected.
	names func(client.AnswerRequest) (*proof.Answered, error)
}

func newQuery() *cobra.Command {
	cmd := group("query", "Ask a ledger and check the proof of every answer")
	cmd.Long = `Asks a node, which need not be trusted: only what the trust root proves is printed,
with the height it was true at. Lists are complete. --out keeps the proof as a
file, which mtm verify and mtm-verify check offline.`
	for _, s := range subjects {
		cmd.AddCommand(newSubject(s))
	}
	cmd.AddCommand(newOperationRow(), newCover(), newEntries(), newLineage())
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
	a.fresh.flags(cmd)
}

// resolve finds the id of what a flag named.
func (a *asking) resolve(m *testnet.Manifest, flag string) (crypto.ID, error) {
	if flag == "" {
		return crypto.ID{}, nil
	}
	if a.of == "" {
		return crypto.ID{}, usagef("--%s is required", flag)
	}
	switch flag {
	case "stream":
		return resolveStream(m, a.of)
	case "org":
		return organisationNamed(m, a.of, a.names)
	}
	if m != nil && (flag == "device" || flag == "id") {
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
	if err := a.fresh.begin(cmd); err != nil {
		return nil, err
	}
	root, err := a.root()
	if err != nil {
		return nil, err
	}
	m, c, done, err := a.connect(cmd.Context())
	if err != nil {
		return nil, err
	}
	defer done()
	node, ok := c.(answerClient)
	if !ok {
		return nil, fmt.Errorf("this client can't ask for answers")
	}
	if err := a.resolving(cmd.Context(), node, root); err != nil {
		return nil, err
	}
	q, err := request(m)
	if err != nil {
		return nil, err
	}
	return a.pages(cmd.Context(), node, q, root)
}

// resolving lets names be resolved by proofs of a node.
func (a *asking) resolving(ctx context.Context, node answerClient, root proof.TrustRoot) error {
	ask, err := a.checked(node, root)
	a.names = func(q client.AnswerRequest) (*proof.Answered, error) { return ask(ctx, q) }
	return err
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

// asker returns what asks a node and keeps its answers.
func (a *asking) asker(c answerClient, root proof.TrustRoot) (asker, error) {
	ask, err := a.checked(c, root)
	kept := 0
	return func(ctx context.Context, q client.AnswerRequest) (*proof.Answered, error) {
		page, err := ask(ctx, q)
		if err != nil {
			return nil, err
		}
		kept++
		return page, a.keep(a.file, kept-1)
	}, err
}

// checked returns what asks a node and checks its answers.
func (a *asking) checked(c answerClient, root proof.TrustRoot) (asker, error) {
	v, err := proof.NewVerifier(root)
	if err != nil {
		return nil, err
	}
	from := proof.ValidatorsHash(root.Validators)
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
		a.file = file
		return page, a.fresh.check(page)
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
	if err := a.fresh.begin(cmd); err != nil {
		return err
	}
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
