package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"mtmledger/app/signer"
	"mtmledger/crypto"

	"github.com/cometbft/cometbft/p2p"
	"github.com/cometbft/cometbft/types"
)

// Errors about a key that is with a signer.
var (
	// ErrSigner ends a node whose consensus stands still for a vote that was lost while
	// the signer was away.
	ErrSigner = errors.New("node: a vote was lost while the signer was away")
	// ErrRemoteKey: the consensus key of the home is with its signer.
	ErrRemoteKey = errors.New("node: the consensus key is with the signer")
)

// signerBack is how long a signer must be back before a lost vote ends the node: the
// others may decide without it.
const signerBack = 10 * time.Second

// maxSignerWait bounds Config.SignerWait.
const maxSignerWait = time.Hour

func (c Config) validateSigner() error {
	if c.SignerListen == "" {
		if c.SignerKey != (crypto.PublicKey{}) {
			return fmt.Errorf("%w: a signer's key without signer_listen", ErrConfig)
		}
		return nil
	}
	if err := signer.CheckAddress(c.SignerListen); err != nil {
		return fmt.Errorf("%w: signer_listen: %w", ErrConfig, err)
	}
	switch {
	case c.SignerKey == (crypto.PublicKey{}):
		return fmt.Errorf("%w: signer_listen without signer_key, the validator's public key", ErrConfig)
	case c.SignerWait < 0 || c.SignerWait > maxSignerWait:
		return fmt.Errorf("%w: waiting %v for the signer is not in 0..%v", ErrConfig, c.SignerWait, maxSignerWait)
	}
	return nil
}

// checkNoKey refuses a home that has a consensus key beside its signer's: nobody could
// tell which of the two votes.
func (c Config) checkNoKey() error {
	file := cometConfig(c.withDefaults()).PrivValidatorKeyFile()
	if _, err := os.Lstat(file); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %s is there, but signer_listen says that a signer has the key; move it away", ErrHome, file)
	}
	return nil
}

// InitRemote makes the directories and the p2p identity of a home whose consensus key is
// with a signer, as c says.
func InitRemote(c Config) (Identity, error) {
	if err := c.Validate(); err != nil {
		return Identity{}, err
	}
	if err := initNode(c.Home, cometConfig(c.withDefaults())); err != nil {
		return Identity{}, err
	}
	return c.identity()
}

// SignerAddress is what the signer of a home dials, empty if it has none.
func SignerAddress(home string) (string, error) {
	c, err := LoadConfig(home)
	if err != nil || c.SignerListen == "" {
		return "", err
	}
	key, err := p2p.LoadNodeKey(cometConfig(c.withDefaults()).NodeKeyFile())
	if err != nil {
		return "", fmt.Errorf("%w: node key: %w", ErrHome, err)
	}
	return signer.DialAddress(c.SignerListen, key.PrivKey)
}

// privValidator is what signs for the node: the key of its home, or the signer, which is
// waited for.
func (n *Node) privValidator(ctx context.Context, chain string, nodeKey *p2p.NodeKey) (types.PrivValidator, error) {
	if n.cfg.SignerListen == "" {
		cc := cometConfig(n.cfg)
		pv, err := signer.LoadKey(cc.PrivValidatorKeyFile(), cc.PrivValidatorStateFile())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrHome, err)
		}
		return pv, nil
	}
	var err error
	n.signer, err = signer.Listen(signer.Config{
		Listen: n.cfg.SignerListen, Chain: chain, Key: n.cfg.SignerKey,
		Identity: nodeKey.PrivKey, Patience: n.cfg.SignerWait, Log: n.log.With("part", "signer"),
	})
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	if err := n.signer.Ready(ctx); err != nil {
		return nil, fmt.Errorf("node: %w; start the signer there and the node again", err)
	}
	return n.signer, nil
}

// checkSigner ends the node when its consensus waits for a vote that was lost: it never
// asks for it again, and a restart does.
func (n *Node) checkSigner(height uint64) {
	if n.signer == nil {
		return
	}
	if lost, back := n.signer.Lost(); lost > height && back >= signerBack {
		n.fail(fmt.Errorf("%w, and height %d needs it; start the node again", ErrSigner, lost))
	}
}

// closeSigner hangs up. CometBFT does it too when it stops, before it waits for its
// consensus, which may be waiting for the signer; but not when it never ran.
func (n *Node) closeSigner() error {
	if n.signer == nil {
		return nil
	}
	return n.signer.Close()
}
