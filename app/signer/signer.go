// Package signer keeps the consensus key of a validator apart from its node: in a
// process of its own, on the same machine or on another.
//
// The node listens and the signer dials. Each knows the other beforehand:
//
//	unix:///run/mtm/signer.sock          whoever may enter the socket's folder, which must
//	                                     be closed to others, may be the signer
//	noise://PEER-ID@192.0.2.7:26659      Noise over TCP; at the node the peer id of the one
//	                                     signer it lets in, at the signer that of its node
//
// A peer id is libp2p's of an ed25519 key (12D3KooW...): the node's is that of its
// node_key.json, the signer's that of its own signer_key.json. tcp:// is refused: it
// authenticates nobody.
//
// What is said is CometBFT's protocol for remote signers, length-delimited messages of
// tendermint.privval: the node asks, the signer answers. So either side may be another
// program. CometBFT's own two sides are not used. Its node waits three seconds for the
// signer at its start and up to 155 s under the lock of consensus for each vote, shakes
// hands with one caller after the other, so that a silent stranger keeps the signer out,
// and takes any key; its signer spins when the node has hung up and gives up after ten
// attempts.
//
// A [Client], at the node:
//
//   - lets one signer in at a time, and only the one that holds the validator's key;
//   - checks every signature that it gets;
//   - waits for a signer that went away as long as its patience lasts, once. Then it
//     fails at once until a signer is back, so that the node follows the ledger without
//     voting.
//
// [Folder.Run], at the signer, never signs two different things for one height, round
// and step: what it signed last is on disk, file and folder synced, before the signature
// leaves, and a folder is used by one process at a time. A signer whose disk fails ends.
// It holds no more than that: a copy of the folder is a second signer, and signs twice.
package signer

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	cmtcrypto "github.com/cometbft/cometbft/crypto"
	"github.com/cometbft/cometbft/lp2p"
	"github.com/cometbft/cometbft/privval"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2pnoise "github.com/libp2p/go-libp2p/p2p/security/noise"
)

// Errors of the package.
var (
	// ErrAddress: not an address at which a signer can be known.
	ErrAddress = errors.New("signer: bad address")
	// ErrFolder: a signer's folder that is not fit for use.
	ErrFolder = errors.New("signer: bad folder")
	// ErrNoSigner: no signer was there in time.
	ErrNoSigner = errors.New("signer: no signer")
	// ErrSignature: the signer gave something else than it was asked for.
	ErrSignature = errors.New("signer: bad signature")
	// ErrState: what was signed could not be made durable, so it must not leave.
	ErrState = errors.New("signer: what was signed last could not be saved")
	// ErrClosed: the node is ending.
	ErrClosed = errors.New("signer: closed")

	errHungUp  = errors.New("signer: the node hung up: it ended, has a signer already, or names another peer id or key")
	errRequest = errors.New("signer: bad request")
	errKey     = errors.New("signer: holds another key than the validator's")
	errSecond  = errors.New("signer: another one is connected")
)

// Times and sizes of the protocol.
const (
	handshakeTime = 5 * time.Second  // to know who is calling
	answerTime    = 5 * time.Second  // for one answer, and for writing one
	pingEvery     = 2 * time.Second  // of an idle connection
	silence       = 15 * time.Second // after which a signer takes its node for gone
	maxMessage    = 16 << 10         // a vote needs 300 bytes
	maxHandshakes = 8                // at once
)

// Limits of an address.
const maxSocketPath = 103 // bytes; what every Unix takes

const (
	schemeUnix  = "unix://"
	schemeNoise = "noise://"
)

// address is a parsed one.
type address struct {
	network string // unix or tcp
	where   string // path or host:port
	peer    peer.ID
}

// parse reads an address.
func parse(s string) (a address, err error) {
	switch {
	case strings.HasPrefix(s, schemeUnix):
		a = address{network: "unix", where: strings.TrimPrefix(s, schemeUnix)}
		if !filepath.IsAbs(a.where) || len(a.where) > maxSocketPath {
			return a, fmt.Errorf("%w: %s: want an absolute path of at most %d bytes, unix:///run/mtm/signer.sock", ErrAddress, s, maxSocketPath)
		}
		return a, nil
	case strings.HasPrefix(s, schemeNoise):
		a.network = "tcp"
		if a.peer, a.where, err = privval.ParseNoiseAddr(s); err != nil {
			return a, fmt.Errorf("%w: %s: want noise://PEER-ID@IP:PORT: %w", ErrAddress, s, err)
		}
		return a, nil
	case strings.HasPrefix(s, "tcp://"):
		return a, fmt.Errorf("%w: %s: tcp:// authenticates nobody; use noise://PEER-ID@IP:PORT, or unix:///PATH on one machine", ErrAddress, s)
	}
	return a, fmt.Errorf("%w: %q: want unix:///PATH or noise://PEER-ID@IP:PORT", ErrAddress, s)
}

// CheckAddress checks an address of either side. Errors wrap [ErrAddress].
func CheckAddress(s string) error {
	_, err := parse(s)
	return err
}

// PeerID returns the name by which the holder of an ed25519 key is known in noise
// addresses.
func PeerID(key cmtcrypto.PrivKey) (string, error) {
	id, err := lp2p.IDFromPrivateKey(key)
	if err != nil {
		return "", fmt.Errorf("signer: peer id: %w", err)
	}
	return id.String(), nil
}

// DialAddress is what the signer dials to reach a node that listens at listen and has
// the key.
func DialAddress(listen string, key cmtcrypto.PrivKey) (string, error) {
	a, err := parse(listen)
	if err != nil || a.network == "unix" {
		return listen, err
	}
	id, err := PeerID(key)
	return schemeNoise + id + "@" + a.where, err
}

// noise returns the transport of the holder of a key.
func noise(key cmtcrypto.PrivKey) (*libp2pnoise.Transport, error) {
	k, err := lp2p.PrivateKeyFromCosmosKey(key)
	if err != nil {
		return nil, fmt.Errorf("signer: noise identity: %w", err)
	}
	return libp2pnoise.New(libp2pnoise.ID, k, nil)
}

// deadline gives a connection so long for what follows.
func deadline(c net.Conn, d time.Duration) error { return c.SetDeadline(time.Now().Add(d)) }
