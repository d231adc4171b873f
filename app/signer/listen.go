package signer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"mtmledger/internal/disk"

	cryptoenc "github.com/cometbft/cometbft/crypto/encoding"
	"github.com/cometbft/cometbft/libs/protoio"
	privvalproto "github.com/cometbft/cometbft/proto/tendermint/privval"
)

// listen opens the socket of an address.
func listen(a address) (net.Listener, error) {
	if a.network == "unix" {
		return listenUnix(a.where)
	}
	return net.Listen(a.network, a.where)
}

// listenUnix opens a socket in a folder that is closed to others: who may enter it is who
// may sign. A socket that nobody listens at is left from a node that was killed.
func listenUnix(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := disk.EnsureDir(disk.OS{}, dir); err != nil {
		return nil, err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("%w: folder %s of the socket is open to others (mode %#o), who could sign; run chmod o-rwx on it", ErrAddress, dir, info.Mode().Perm())
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o660); err != nil { // the folder's group too: the signer may be another user
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%w: %s is there and no socket", ErrAddress, path)
	}
	if conn, err := net.DialTimeout("unix", path, time.Second); err == nil {
		conn.Close()
		return fmt.Errorf("%w: another node listens at %s", ErrAddress, path)
	}
	return os.Remove(path)
}

// accept takes callers until the listener is closed. Each is received on its own, so that
// one who says nothing keeps nobody out.
func (c *Client) accept() {
	free := make(chan struct{}, maxHandshakes)
	for {
		conn, err := c.net.Accept()
		if err != nil {
			if c.life.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			c.cfg.Log.Warn("accepting a signer", "error", err)
			select {
			case <-c.life.Done():
				return
			case <-time.After(minBackoff):
			}
			continue
		}
		select {
		case free <- struct{}{}:
		default: // too many strangers; the signer dials again
			conn.Close()
			continue
		}
		c.work.Go(func() {
			defer func() { <-free }()
			if err := c.receive(conn); err != nil && c.life.Err() == nil {
				c.cfg.Log.Warn("a signer was turned away", "from", conn.RemoteAddr(), "error", err)
			}
		})
	}
}

// receive makes a caller the signer, or hangs up.
func (c *Client) receive(conn net.Conn) (err error) {
	defer func() {
		if err != nil {
			conn.Close()
			c.turnAway(err)
		}
	}()
	if c.connected() {
		return errSecond
	}
	defer context.AfterFunc(c.life, func() { conn.Close() })()
	secured, err := c.secure(conn)
	if err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if err := c.checkKey(secured); err != nil {
		return err
	}
	return c.adopt(secured)
}

// turnAway notes why the signer that is waited for didn't get in.
func (c *Client) turnAway(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn == nil {
		c.refused = err
	}
}

func (c *Client) secure(conn net.Conn) (net.Conn, error) {
	if c.from.network == "unix" {
		return conn, nil
	}
	tr, err := noise(c.cfg.Identity)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(c.life, handshakeTime)
	defer cancel()
	secured, err := tr.SecureInbound(ctx, conn, c.from.peer)
	if err != nil {
		return nil, err
	}
	return secured, nil
}

// checkKey asks a caller for its key.
func (c *Client) checkKey(conn net.Conn) error {
	res, err := exchange(conn, privvalproto.Message{Sum: &privvalproto.Message_PubKeyRequest{
		PubKeyRequest: &privvalproto.PubKeyRequest{ChainId: c.cfg.Chain}}})
	if err != nil {
		return err
	}
	answer := res.GetPubKeyResponse()
	switch {
	case answer == nil:
		return fmt.Errorf("%w: no key in the answer", ErrSignature)
	case answer.Error != nil:
		return fmt.Errorf("for ledger %s: %w", c.cfg.Chain, refusal(answer.Error))
	}
	key, err := cryptoenc.PubKeyFromProto(answer.PubKey)
	if err != nil {
		return err
	}
	if !key.Equals(c.key) {
		return errKey
	}
	return nil
}

func (c *Client) connected() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.conn != nil
}

// adopt makes a caller that proved itself the one signer.
func (c *Client) adopt(conn net.Conn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.life.Err() != nil:
		return ErrClosed
	case c.conn != nil:
		return errSecond
	}
	c.conn, c.back, c.waited, c.refused = conn, time.Now(), false, nil
	close(c.changed)
	c.changed = make(chan struct{})
	c.cfg.Log.Info("the signer is here")
	return nil
}

// exchange asks one question.
func exchange(conn net.Conn, req privvalproto.Message) (res privvalproto.Message, err error) {
	if err := deadline(conn, answerTime); err != nil {
		return res, err
	}
	if _, err := protoio.NewDelimitedWriter(conn).WriteMsg(&req); err != nil {
		return res, err
	}
	_, err = protoio.NewDelimitedReader(conn, maxMessage).ReadMsg(&res)
	return res, err
}

func pinged(conn net.Conn) error {
	res, err := exchange(conn, privvalproto.Message{Sum: &privvalproto.Message_PingRequest{PingRequest: &privvalproto.PingRequest{}}})
	if err == nil && res.GetPingResponse() == nil {
		err = fmt.Errorf("%w: no answer to a ping", ErrSignature)
	}
	return err
}
