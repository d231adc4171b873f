package testnet

import (
	"context"
	"encoding/hex"
	"fmt"
	"sync"
	"time"

	"mtmledger/app/client"
	"mtmledger/ledger"
)

// Comparison says whether the validators of a ledger agree.
type Comparison struct {
	Chain      string            `json:"chain"`
	Validators []ValidatorStatus `json:"validators"`
	From       uint64            `json:"compared_from"` // heights that all answering validators still know
	To         uint64            `json:"compared_to"`
	Agree      bool              `json:"agree"` // same app hash at every height From..To, by at least one validator
	DifferAt   []uint64          `json:"differ_at,omitempty"`
}

// ValidatorStatus is what one validator answered.
type ValidatorStatus struct {
	Name       string `json:"name"`
	RPC        string `json:"rpc"`
	Running    bool   `json:"running"`
	Error      string `json:"error,omitempty"`
	Height     uint64 `json:"height,omitempty"`
	AppHash    string `json:"app_hash,omitempty"`
	LogSize    uint64 `json:"log_size,omitempty"`
	Peers      uint64 `json:"peers"`
	CatchingUp bool   `json:"catching_up,omitempty"`
	DiskBytes  uint64 `json:"disk_bytes,omitempty"`
	// Refused counts, by code, what the validator refused since its start.
	Refused client.Refused `json:"refused,omitzero"`
}

// answerTime bounds how long one validator may take to answer.
const answerTime = 5 * time.Second

// Compare asks every validator for its state and compares the app hashes of all
// that answer at every height they share.
func (m *Manifest) Compare(ctx context.Context) (Comparison, error) {
	c := Comparison{Chain: m.Chain, Validators: m.Ask(ctx), From: 1}
	var live []*client.Remote
	for _, s := range c.Validators {
		if !s.Running {
			continue
		}
		if len(live) == 0 || s.Height < c.To {
			c.To = s.Height
		}
		node := client.NewRemote(s.RPC)
		defer node.Close()
		live = append(live, node)
	}
	return c, c.compareHeights(ctx, live)
}

// Ask asks every validator for its state, all at once.
func (m *Manifest) Ask(ctx context.Context) []ValidatorStatus {
	list := make([]ValidatorStatus, len(m.Validators))
	var group sync.WaitGroup
	for i, v := range m.Validators {
		group.Go(func() {
			c := client.NewRemote(v.RPC)
			defer c.Close()
			list[i] = ask(ctx, c, v)
		})
	}
	group.Wait()
	return list
}

func ask(ctx context.Context, c *client.Remote, v Validator) ValidatorStatus {
	out := ValidatorStatus{Name: v.Name, RPC: v.RPC}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	s, err := c.Status(ctx)
	if err != nil {
		out.Error = err.Error()
		return out
	}
	out.Running, out.Height, out.AppHash = true, s.Height, hex.EncodeToString(s.AppHash[:])
	out.LogSize, out.Peers, out.CatchingUp, out.DiskBytes = s.LogSize, s.Peers, s.CatchingUp, s.DiskBytes
	out.Refused = s.Refused
	return out
}

// compareHeights walks down from the greatest common height to the first, or
// to where a node has pruned.
func (c *Comparison) compareHeights(ctx context.Context, live []*client.Remote) error {
	if len(live) == 0 {
		return nil
	}
	c.Agree = true
	for h := c.To; h >= 1; h-- {
		hashes, err := hashesAt(ctx, live, h)
		if ledger.CodeOf(err) == ledger.CodePruned {
			c.From = h + 1
			return nil
		}
		if err != nil {
			return fmt.Errorf("testnet: app hash at height %d: %w", h, err)
		}
		for _, hash := range hashes[1:] {
			if hash != hashes[0] {
				c.Agree = false
				c.DifferAt = append(c.DifferAt, h)
				break
			}
		}
	}
	return nil
}

// hashesAt asks all nodes at once for their app hash at a height.
func hashesAt(ctx context.Context, live []*client.Remote, height uint64) ([][32]byte, error) {
	hashes, errs := make([][32]byte, len(live)), make([]error, len(live))
	var group sync.WaitGroup
	for i, c := range live {
		group.Go(func() {
			info, err := c.AppHash(ctx, height)
			hashes[i], errs[i] = info.AppHash, err
		})
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return hashes, nil
}
