package signer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"mtmledger/internal/disk"

	cmtcrypto "github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/libs/protoio"
	"github.com/cometbft/cometbft/privval"
	privvalproto "github.com/cometbft/cometbft/proto/tendermint/privval"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"
	"github.com/cometbft/cometbft/types"
)

// Waits between attempts to reach the node.
const (
	minBackoff = 50 * time.Millisecond
	maxBackoff = 2 * time.Second
)

// Run signs for the node at an address, on one chain, until ctx ends. It dials for ever:
// a node that is not there is no error. The error is a bad address or [ErrState].
func (f *Folder) Run(ctx context.Context, chain, node string, log *slog.Logger) error {
	return Serve(ctx, chain, node, durable{f.pv, f.dir}, f.identity, log)
}

// Serve is [Folder.Run] with any key, in a device for example, which must see to it itself
// that it never signs twice. identity is for noise.
func Serve(ctx context.Context, chain, node string, key types.PrivValidator, identity cmtcrypto.PrivKey, log *slog.Logger) error {
	return dialer{chain: chain, node: node, key: key, identity: identity, log: log}.run(ctx)
}

// durable is a key whose state is on disk, its name too, before a signature is given out.
type durable struct {
	*privval.FilePV
	dir string
}

// SignVote implements types.PrivValidator.
func (d durable) SignVote(chain string, v *cmtproto.Vote) error {
	return d.saved(func() error { return d.FilePV.SignVote(chain, v) })
}

// SignProposal implements types.PrivValidator.
func (d durable) SignProposal(chain string, p *cmtproto.Proposal) error {
	return d.saved(func() error { return d.FilePV.SignProposal(chain, p) })
}

// saved signs and syncs. CometBFT's key panics when it can't be saved, and would give out
// the unsaved signature when it is asked again.
func (d durable) saved(sign func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrState, r)
		}
	}()
	if err := sign(); err != nil {
		return err
	}
	if err := (disk.OS{}).SyncDir(d.dir); err != nil {
		return fmt.Errorf("%w: %w", ErrState, err)
	}
	return nil
}

// dialer signs for one node.
type dialer struct {
	chain, node string
	key         types.PrivValidator
	identity    cmtcrypto.PrivKey
	log         *slog.Logger
}

func (d dialer) run(ctx context.Context) error {
	a, err := parse(d.node)
	if err != nil {
		return err
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	for backoff := minBackoff; ; backoff = min(2*backoff, maxBackoff) {
		start := time.Now()
		answered, err := d.once(ctx, a)
		switch {
		case ctx.Err() != nil:
			return nil
		case isState(err):
			return err
		case time.Since(start) > maxBackoff:
			backoff = minBackoff
		}
		d.log.Warn("no node to sign for", "node", d.node, "answered", answered, "error", err, "again_in", backoff)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff):
		}
	}
}

// once signs for the node until the connection ends.
func (d dialer) once(ctx context.Context, a address) (answered int, err error) {
	conn, err := d.dial(ctx, a)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	d.log.Info("connected", "node", d.node)
	for {
		if err := d.answer(conn); err != nil {
			return answered, err
		}
		answered++
	}
}

func (d dialer) dial(ctx context.Context, a address) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	var nd net.Dialer
	conn, err := nd.DialContext(ctx, a.network, a.where)
	if err != nil || a.network == "unix" {
		return conn, err
	}
	tr, err := noise(d.identity)
	if err != nil {
		conn.Close()
		return nil, err
	}
	secured, err := tr.SecureOutbound(ctx, conn, a.peer)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("handshake: %w", err)
	}
	return secured, nil
}

// answer reads one question and answers it.
func (d dialer) answer(conn net.Conn) error {
	if err := deadline(conn, silence); err != nil {
		return err
	}
	var req privvalproto.Message
	if _, err := protoio.NewDelimitedReader(conn, maxMessage).ReadMsg(&req); errors.Is(err, io.EOF) {
		return errHungUp
	} else if err != nil {
		return err
	}
	res, err := d.handle(req)
	if err != nil {
		return err
	}
	if err := deadline(conn, answerTime); err != nil {
		return err
	}
	_, err = protoio.NewDelimitedWriter(conn).WriteMsg(&res)
	return err
}

// handle answers a question. What the key refuses to sign is an answer; the error ends
// the connection, or with ErrState the signer.
func (d dialer) handle(req privvalproto.Message) (res privvalproto.Message, err error) {
	if err := check(req); err != nil {
		return res, err
	}
	guarded := &guard{PrivValidator: d.key}
	res, err = privval.DefaultValidationRequestHandler(guarded, req, d.chain)
	if isState(guarded.failed) {
		return res, guarded.failed
	}
	if err != nil {
		d.log.Warn("not signed", "error", err)
	}
	return res, nil
}

// check refuses what CometBFT's handler would panic on.
func check(req privvalproto.Message) error {
	switch r := req.Sum.(type) {
	case *privvalproto.Message_PubKeyRequest, *privvalproto.Message_PingRequest:
		return nil
	case *privvalproto.Message_SignVoteRequest:
		v := r.SignVoteRequest.GetVote()
		if v == nil || v.Type != cmtproto.PrevoteType && v.Type != cmtproto.PrecommitType {
			return fmt.Errorf("%w: no vote to sign", errRequest)
		}
		return nil
	case *privvalproto.Message_SignProposalRequest:
		if r.SignProposalRequest.GetProposal() == nil {
			return fmt.Errorf("%w: no proposal to sign", errRequest)
		}
		return nil
	}
	return fmt.Errorf("%w: unknown question", errRequest)
}
