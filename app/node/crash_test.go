package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"mtmledger/app/internal/ledgertest"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
)

// childHome names the home that a test binary run as a node is to use.
const childHome = "NODE_TEST_CHILD_HOME"

func TestMain(m *testing.M) {
	if home := os.Getenv(childHome); home != "" {
		os.Exit(runChild(home))
	}
	os.Exit(m.Run())
}

// childBatches is how many batches a child commits before it ends by itself.
const childBatches = 4

// runChild runs a node in this process, commits batches and prints each as it
// is committed, until CometBFT's crash point ends the process.
func runChild(home string) int {
	if err := child(home); err != nil {
		fmt.Println("error", err)
		return 3
	}
	return 0
}

func child(home string) error {
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	defer cancel()
	cfg := Config{Home: home, BlockInterval: time.Millisecond, RPCListen: Off}
	n, err := Start(ctx, cfg, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	defer n.Stop()
	l := ledgertest.New(fatal{})
	d := l.Device("press")
	now := time.Now().Unix()
	for _, tx := range [][]byte{d.Enrol(now), d.Open(now)} {
		if _, err := childCommit(ctx, n, tx); err != nil {
			return err
		}
	}
	for done := 0; done < childBatches; {
		s, err := n.Client().Stream(ctx, d.Stream)
		if err != nil {
			return err
		}
		first := s.Mark + 1
		res, err := childCommit(ctx, n, l.Batch(d.StatementAt(first, 2)))
		if err != nil {
			return err
		}
		if len(res.Indexes) == 0 {
			continue // used: by what the crashed process had under way
		}
		h, err := n.Client().AppHash(ctx, res.Height)
		if err != nil {
			return err
		}
		fmt.Println("committed", first, res.Height, res.Indexes[0], hex.EncodeToString(h.AppHash[:]))
		done++
	}
	return n.Stop()
}

// childCommit commits a transaction; what is there already is fine. A block that
// the crashed process had under way may be decided between Submit and the block
// of this transaction, which is then refused in the block.
func childCommit(ctx context.Context, n *Node, tx []byte) (ledger.TxResult, error) {
	err := n.Client().Submit(ctx, tx)
	var res ledger.TxResult
	if err == nil {
		if res, err = n.Client().Wait(ctx, ledger.TxHash(tx)); err == nil {
			err = res.Code.Err()
		}
	}
	if code := ledger.CodeOf(err); err != nil && (code == ledger.CodeExists || code == ledger.CodeReplayed) {
		return ledger.TxResult{}, nil
	}
	return res, err
}

// fatal is a testing.TB for a process that is no test.
type fatal struct{ testing.TB }

func (fatal) Helper()           {}
func (fatal) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// line is one that a child printed.
type line struct {
	first, height, index uint64
	appHash              string
}

// runNode runs a child that crashes at a crash point, -1 for none.
func runNode(t *testing.T, home string, point int) ([]line, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childHome+"="+home)
	if point >= 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("FAIL_TEST_INDEX=%d", point))
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	runErr := cmd.Run()
	var lines []line
	for in := bufio.NewScanner(&stdout); in.Scan(); {
		if strings.HasPrefix(in.Text(), "error") {
			t.Fatalf("%s\n%s", in.Text(), stderr.String())
		}
		var l line
		if _, err := fmt.Sscanf(in.Text(), "committed %d %d %d %s", &l.first, &l.height, &l.index, &l.appHash); err == nil {
			lines = append(lines, l)
		}
	}
	return lines, runErr
}

// TestCrashPoints crashes a node at each of the ten points that CometBFT offers
// between saving a block and saving its state, in its first block and again
// when it recovers from that, and later. Nothing that was committed is lost, and
// the application goes on from the same app hash.
func TestCrashPoints(t *testing.T) {
	for point := range 10 {
		t.Run(fmt.Sprint("point ", point), func(t *testing.T) {
			l := ledgertest.New(t)
			home := newHome(t, l)
			var all []line
			for _, at := range []int{point, point, 20 + point} {
				lines, err := runNode(t, home, at)
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 1 {
					t.Fatalf("crash point %d: the node ended with %v", at, err)
				}
				all = append(all, lines...)
			}
			lines, err := runNode(t, home, -1)
			if err != nil || len(lines) != childBatches {
				t.Fatalf("after the crashes: %v, %d batches", err, len(lines))
			}
			afterCrashes(t, l, home, append(all, lines...))
		})
	}
}

// afterCrashes checks everything that was ever reported as committed.
func afterCrashes(t *testing.T, l *ledgertest.Ledger, home string, lines []line) {
	t.Helper()
	root, err := TrustRoot(home)
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, home, nil)
	d := l.Device("press")
	for _, want := range lines {
		f, err := n.Client().Find(t.Context(), d.Stream, want.first, 0)
		if err != nil || f.Index != want.index || f.Height != want.height {
			t.Fatalf("%+v: found %+v, %v", want, f, err)
		}
		h, err := n.Client().AppHash(t.Context(), want.height)
		if err != nil || hex.EncodeToString(h.AppHash[:]) != want.appHash {
			t.Fatalf("%+v: app hash %x, %v", want, h.AppHash, err)
		}
		if _, err := proof.Verify(certificate(t, n.Client(), d.Stream, want.first, want.first+1), root); err != nil {
			t.Fatal(err)
		}
	}
	s, err := n.Client().Stream(t.Context(), d.Stream)
	if err != nil || s.GapCount != 0 || s.Mark < 2*childBatches {
		t.Fatalf("stream %+v, %v", s, err)
	}
}
