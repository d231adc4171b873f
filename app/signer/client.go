package signer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"mtmledger/crypto"

	cmtcrypto "github.com/cometbft/cometbft/crypto"
	cmted25519 "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/privval"
	privvalproto "github.com/cometbft/cometbft/proto/tendermint/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

// Config says who may sign for a node.
type Config struct {
	Listen   string            // address, see the package comment
	Chain    string            // chain id
	Key      crypto.PublicKey  // the validator's, which the signer holds
	Identity cmtcrypto.PrivKey // of the node, for noise
	Patience time.Duration     // how long a missing signer is waited for
	Log      *slog.Logger
}

// Client is the node's side: a private validator whose key is elsewhere.
type Client struct {
	cfg  Config
	key  cmted25519.PubKey
	from address
	net  net.Listener

	life context.Context // ends with Close
	end  context.CancelFunc
	work sync.WaitGroup

	asking sync.Mutex // one question at a time

	mu      sync.Mutex
	conn    net.Conn      // of the one signer, nil while it is away
	changed chan struct{} // closed, and replaced, when conn changes
	back    time.Time     // when conn was made
	open    bool          // a question is
	waited  bool          // waited for the absent signer in vain
	lost    uint64        // height of the last vote that nobody signed
	refused error         // why the last caller was turned away
}

var _ types.PrivValidator = (*Client)(nil)

// Listen waits for signers in the background. Close ends it.
func Listen(cfg Config) (*Client, error) {
	a, err := parse(cfg.Listen)
	if err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{cfg: cfg, key: cmted25519.PubKey(cfg.Key[:]), from: a, changed: make(chan struct{})}
	if c.net, err = listen(a); err != nil {
		return nil, fmt.Errorf("signer: listen: %w", err)
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.work.Go(c.accept)
	c.work.Go(c.ping)
	return c, nil
}

// Address is where the signer dials, with the port that was given out for port 0.
func (c *Client) Address() string {
	a := c.cfg.Listen
	if c.from.network == "tcp" {
		a = schemeNoise + c.from.peer.String() + "@" + c.net.Addr().String()
	}
	if d, err := DialAddress(a, c.cfg.Identity); err == nil {
		return d
	}
	return a
}

// Close hangs up. Whoever waits for a signature gets an error: CometBFT closes its
// private validator first when it stops, or its consensus would wait for the signer.
func (c *Client) Close() error {
	c.end()
	err := c.net.Close()
	c.drop(nil)
	c.work.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Ready waits for the signer, as long as the patience lasts.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	if _, err := c.connection(ctx); err != nil {
		return err
	}
	return nil
}

// Lost is the height of the last vote that nobody signed because the signer was away, 0
// for none, and how long a signer has been back since, 0 while it is away. Consensus does
// not ask again for a vote: when it needed this one, it stands still.
func (c *Client) Lost() (height uint64, back time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		back = time.Since(c.back)
	}
	return c.lost, back
}

// connection waits for the signer until ctx or the client ends.
func (c *Client) connection(ctx context.Context) (net.Conn, error) {
	for {
		c.mu.Lock()
		conn, changed, refused := c.conn, c.changed, c.refused
		c.mu.Unlock()
		if conn != nil {
			return conn, nil
		}
		select {
		case <-changed:
		case <-c.life.Done():
			return nil, ErrClosed
		case <-ctx.Done():
			return nil, c.absent(ctx, refused)
		}
	}
}

func (c *Client) absent(ctx context.Context, refused error) error {
	err := fmt.Errorf("%w within %v: none dialled %s", ErrNoSigner, c.cfg.Patience, c.Address())
	if refused != nil {
		err = fmt.Errorf("%w; the last one was turned away: %w", err, refused)
	}
	if ctx.Err() == context.Canceled {
		err = errors.Join(err, ctx.Err())
	}
	return err
}

// drop forgets a connection; nil means whichever there is.
func (c *Client) drop(conn net.Conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil || conn != nil && c.conn != conn {
		return
	}
	c.conn.Close()
	c.conn = nil
	close(c.changed)
	c.changed = make(chan struct{})
}

// ping finds out that an idle signer has gone, so that the next may come.
func (c *Client) ping() {
	tick := time.NewTicker(pingEvery)
	defer tick.Stop()
	for {
		select {
		case <-c.life.Done():
			return
		case <-tick.C:
		}
		c.mu.Lock()
		conn := c.conn
		c.mu.Unlock()
		if conn == nil || !c.asking.TryLock() {
			continue
		}
		if err := pinged(conn); err != nil {
			c.gone(conn, err)
		}
		c.asking.Unlock()
	}
}

func (c *Client) gone(conn net.Conn, err error) {
	if c.life.Err() == nil {
		c.cfg.Log.Warn("the signer has gone", "error", err)
	}
	c.drop(conn)
}

// ask asks the signer, again after it came back, as long as the patience lasts. Asking
// again is safe: a signer gives the signature it gave.
func (c *Client) ask(req privvalproto.Message) (res privvalproto.Message, err error) {
	c.asking.Lock()
	defer c.asking.Unlock()
	c.opened(true)
	defer c.opened(false)
	ctx, cancel := context.WithTimeout(c.life, c.patience())
	defer cancel()
	for {
		conn, err := c.connection(ctx)
		if err != nil {
			c.mu.Lock()
			c.waited = true
			c.mu.Unlock()
			return res, err
		}
		if res, err = exchange(conn, req); err == nil {
			return res, nil
		}
		c.gone(conn, err)
	}
}

func (c *Client) opened(open bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = open
}

// Waiting tells whether a question waits for the signer to come.
func (c *Client) Waiting() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open && c.conn == nil
}

// patience is how long to wait now: not again for a signer that didn't come.
func (c *Client) patience() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waited && c.conn == nil {
		return 0
	}
	return c.cfg.Patience
}

// GetPubKey implements types.PrivValidator.
func (c *Client) GetPubKey() (cmtcrypto.PubKey, error) { return c.key, nil }

// SignVote implements types.PrivValidator.
func (c *Client) SignVote(chain string, v *cmtproto.Vote) error {
	res, err := c.ask(privvalproto.Message{Sum: &privvalproto.Message_SignVoteRequest{
		SignVoteRequest: &privvalproto.SignVoteRequest{Vote: v, ChainId: chain}}})
	if err != nil {
		if errors.Is(err, ErrNoSigner) {
			c.mu.Lock()
			c.lost = uint64(v.Height)
			c.mu.Unlock()
		}
		return err
	}
	answer := res.GetSignedVoteResponse()
	if answer == nil {
		return fmt.Errorf("%w: no vote in the answer", ErrSignature)
	}
	if answer.Error != nil {
		return refusal(answer.Error)
	}
	got := *v // only what a signer may set is taken over
	got.Timestamp, got.Signature, got.ExtensionSignature = answer.Vote.Timestamp, answer.Vote.Signature, answer.Vote.ExtensionSignature
	if !c.key.VerifySignature(types.VoteSignBytes(chain, &got), got.Signature) {
		return fmt.Errorf("%w of a vote at height %d", ErrSignature, v.Height)
	}
	*v = got
	return nil
}

// SignProposal implements types.PrivValidator.
func (c *Client) SignProposal(chain string, p *cmtproto.Proposal) error {
	res, err := c.ask(privvalproto.Message{Sum: &privvalproto.Message_SignProposalRequest{
		SignProposalRequest: &privvalproto.SignProposalRequest{Proposal: p, ChainId: chain}}})
	if err != nil {
		return err
	}
	answer := res.GetSignedProposalResponse()
	if answer == nil {
		return fmt.Errorf("%w: no proposal in the answer", ErrSignature)
	}
	if answer.Error != nil {
		return refusal(answer.Error)
	}
	got := *p
	got.Timestamp, got.Signature = answer.Proposal.Timestamp, answer.Proposal.Signature
	if !c.key.VerifySignature(types.ProposalSignBytes(chain, &got), got.Signature) {
		return fmt.Errorf("%w of a proposal at height %d", ErrSignature, p.Height)
	}
	*p = got
	return nil
}

// refusal is what the signer says against signing.
func refusal(e *privvalproto.RemoteSignerError) error {
	return &privval.RemoteSignerError{Code: int(e.Code), Description: e.Description}
}
