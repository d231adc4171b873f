package testnet_test

import (
	"context"
	"testing"
	"time"
)

// TestFourValidators runs four validators as processes, kills one with SIGKILL,
// and checks that it catches up and that all have the same app hash at every
// height.
func TestFourValidators(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	n := start(t, ctx, 4)
	m := n.Manifest
	file := lines(t, 4000)
	if _, err := n.StartDevice(deviceName, "--replay", file, "--readings-per-statement", "5", "--every", "20ms"); err != nil {
		t.Fatal(err)
	}
	victim := len(m.Validators) - 1
	until(t, ctx, "readings are committed", func() bool { return mark(ctx, m) > 100 })
	n.Process("validator-" + m.Validators[victim].Name).Kill()
	killedAt, before := height(ctx, m.Validators[0]), mark(ctx, m)
	until(t, ctx, "three go on without the fourth", func() bool {
		return height(ctx, m.Validators[0]) > killedAt+5 && mark(ctx, m) > before+100
	})
	if _, err := n.StartValidator(victim); err != nil {
		t.Fatal(err)
	}
	until(t, ctx, "the fourth has caught up", func() bool {
		h := height(ctx, m.Validators[victim])
		return h > killedAt+5 && h+1 >= height(ctx, m.Validators[0])
	})
	caughtUp := height(ctx, m.Validators[victim])
	until(t, ctx, "all go on together", func() bool { return height(ctx, m.Validators[victim]) > caughtUp+3 })
	c, err := m.Compare(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Agree || len(c.DifferAt) > 0 || c.From != 1 || c.To <= caughtUp {
		t.Errorf("app hashes: agree %v from %d to %d, differ at %v", c.Agree, c.From, c.To, c.DifferAt)
	}
	for _, v := range c.Validators {
		if !v.Running {
			t.Errorf("validator %s does not answer: %s", v.Name, v.Error)
		}
	}
}
