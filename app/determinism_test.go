package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	abci "github.com/cometbft/cometbft/abci/types"
	cmtproto "github.com/cometbft/cometbft/proto/tendermint/types"

	"mtmledger/app/store"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

// Environment of TestDeterminism.
const (
	replicaEnv = "MTM_DETERMINISM_REPLICA" // settings of a replica, in its own process
	seedEnv    = "MTM_DETERMINISM_SEED"    // another seed, as the test prints it
)

// determinismSeed is the seed unless seedEnv says another.
const determinismSeed = 20_260_101

// replica is how one process applies the blocks of a scenario.
type replica struct {
	Name     string
	Scenario string // file
	Outcomes string // file to write
	Blocks   int    // how many
	Procs    int    // GOMAXPROCS
	Workers  int    // that verify signatures
	Cache    int64  // bytes of Pebble's block cache
	MemTable uint64 // bytes
	Restarts int    // one in this many blocks follows a restart; 0: none
	Pool     int    // one in this many blocks was seen in pool and proposal before; 0: none
	Crashes  int    // one in this many restarts is a crash, which loses what was not synced; 0: none
	Seed     uint64 // of the restarts
	Drop     uint64 // height at which the last transaction is left out; 0: none
}

// outcome is what a replica says about a height.
type outcome struct {
	AppHash  [32]byte
	Response [32]byte // of the whole response: results, validators, app hash
	Results  []state.Result
}

// outcomes are all that a replica says.
type outcomes struct {
	Heights  []outcome           // the genesis first
	Applied  map[ledger.Kind]int // operations, proposed ones where they were decided
	Database [32]byte            // of every key and value at the end
	Keys     int
	Families map[record.Family]bool // of which there were rows at the end, or at some height
	Restarts int
	Repeated int // blocks that were lost by crashes and applied again
}

// TestDeterminism: two processes that apply the same 10,000 random blocks, on databases
// in memory, with other numbers of processors, other caches, with and without restarts
// and pools, have the same app hash and the same results at every height, and the same
// databases at the end. A third one, which leaves a transaction out, differs from there
// on: the comparison can fail.
func TestDeterminism(t *testing.T) {
	if settings := os.Getenv(replicaEnv); settings != "" {
		runReplica(t, settings)
		return
	}
	blocks, seed := 10_000, uint64(determinismSeed)
	if testing.Short() {
		blocks = 500
	}
	if text := os.Getenv(seedEnv); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d (%s chooses another)", seed, seedEnv)
	begin := time.Now()
	s := makeScenario(t, seed, blocks)
	dir := t.TempDir()
	file := filepath.Join(dir, "scenario")
	writeGob(t, file, s)
	t.Logf("%d blocks made in %v", blocks, time.Since(begin).Round(time.Millisecond))

	begin = time.Now()
	plain := replica{Name: "plain", Procs: 1, Workers: 1, Cache: 64 << 20, MemTable: 32 << 20}
	busy := replica{Name: "busy", Procs: 4, Workers: 3, Cache: 64 << 10, MemTable: 512 << 10, Restarts: 100, Crashes: 10, Pool: 8}
	got := runReplicas(t, dir, file, blocks, seed, plain, busy)
	t.Logf("applied in %v; %d and %d restarts, %d blocks repeated; %d rows in the database",
		time.Since(begin).Round(time.Millisecond), got[0].Restarts, got[1].Restarts, got[1].Repeated, got[0].Keys)
	if h := firstDifference(got[0].Heights, got[1].Heights); h >= 0 {
		a, b := got[0].Heights[h], got[1].Heights[h]
		t.Fatalf("seed %d: height %d differs: app hashes %x and %x, results %v and %v", seed, h, a.AppHash, b.AppHash, a.Results, b.Results)
	}
	if got[0].Database != got[1].Database || got[0].Keys != got[1].Keys {
		t.Fatalf("seed %d: same app hashes, but databases of %d and %d rows differ", seed, got[0].Keys, got[1].Keys)
	}
	if n := len(got[0].Heights); n != blocks+1 {
		t.Fatalf("%d heights compared, want %d", n, blocks+1)
	}
	if got[0].Restarts != 0 || got[1].Restarts < blocks/200 || (!testing.Short() && got[1].Repeated == 0) {
		t.Errorf("%d and %d restarts, %d blocks repeated", got[0].Restarts, got[1].Restarts, got[1].Repeated)
	}
	requireEverything(t, got[0])
	requireDifference(t, dir, file, seed, s, got[0].Heights)
}

// requireDifference leaves a transaction out that changed something.
func requireDifference(t *testing.T, dir, file string, seed uint64, s *scenario, want []outcome) {
	t.Helper()
	drop := 0
	for h := 200; h < len(want) && drop == 0; h++ {
		if n := len(want[h].Results); n > 0 && want[h].Results[n-1].Code == ledger.CodeOK && len(want[h].Results[n-1].Indexes) > 0 {
			drop = h
		}
	}
	if drop == 0 {
		t.Fatal("no transaction to leave out")
	}
	blocks := min(drop+100, len(s.Blocks))
	other := runReplicas(t, dir, file, blocks, seed, replica{Name: "drop", Procs: 2, Workers: 2, Cache: 1 << 20, MemTable: 1 << 20, Drop: uint64(drop)})[0]
	if h := firstDifference(want[:blocks+1], other.Heights); h != drop {
		t.Fatalf("a transaction left out at height %d shows at height %d", drop, h)
	}
	for h := drop; h <= blocks; h++ {
		if want[h].AppHash == other.Heights[h].AppHash {
			t.Errorf("a transaction left out at height %d does not show at height %d", drop, h)
		}
	}
}

// firstDifference is the first height at which replicas differ, -1 if there is none.
func firstDifference(a, b []outcome) int {
	for h := range max(len(a), len(b)) {
		if h >= len(a) || h >= len(b) || a[h].AppHash != b[h].AppHash || a[h].Response != b[h].Response {
			return h
		}
	}
	return -1
}

// requireEverything: every kind of operation was applied at times, and there were the
// refusals that a ledger knows.
func requireEverything(t *testing.T, got outcomes) {
	t.Helper()
	codes := make(map[ledger.Code]int)
	txs, statements := 0, 0
	for _, o := range got.Heights {
		for _, res := range o.Results {
			codes[res.Code]++
			for _, code := range res.Codes {
				codes[code]++
			}
			txs, statements = txs+1, statements+len(res.Codes)
		}
	}
	t.Logf("%d transactions, %d statements; codes %v; operations applied %v", txs, statements, codes, got.Applied)
	if testing.Short() {
		return // too few for all
	}
	for kind := ledger.Kind(1); !strings.HasPrefix(kind.String(), "kind_"); kind++ {
		if got.Applied[kind] < 5 {
			t.Errorf("%v was applied %d times: the test does not test it", kind, got.Applied[kind])
		}
	}
	for f := record.Family(0); f < 255; f++ {
		if !strings.HasPrefix(f.String(), "family_") && !got.Families[f] {
			t.Errorf("there is no row of %v: the test does not test it", f)
		}
	}
	for _, code := range expectedCodes {
		if codes[code] == 0 {
			t.Errorf("%v never happened: the test does not test it", code)
		}
	}
}

var expectedCodes = []ledger.Code{
	ledger.CodeOK, ledger.CodeMalformed, ledger.CodeBadSignature, ledger.CodeUnknownKey, ledger.CodeKeyClosed,
	ledger.CodeUsed, ledger.CodeTooManyGaps, ledger.CodeClockAhead, ledger.CodeNotOwner, ledger.CodeExists,
	ledger.CodeReplayed, ledger.CodeSuspended, ledger.CodeRetired, ledger.CodeNeedsProposal, ledger.CodeNoGrant,
	ledger.CodeGrantExpired, ledger.CodeOutOfRange, ledger.CodeProposalClosed, ledger.CodeAlreadyApproved,
	ledger.CodeClosed, ledger.CodeUnknownGrant, ledger.CodeQuota, ledger.CodeUnknownBridge, ledger.CodeUnknownDevice,
	ledger.CodeUnknownStream, ledger.CodeUnknownActor, ledger.CodeNotFound,
	ledger.CodeGrantRevoked, ledger.CodeUnknownProposal, ledger.CodeUnknownValidator, ledger.CodeSeveralOwners,
}

// runReplicas runs replicas at the same time, each in a process of its own.
func runReplicas(t *testing.T, dir, file string, blocks int, seed uint64, list ...replica) []outcomes {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	printed := make([]bytes.Buffer, len(list))
	processes := make([]*exec.Cmd, len(list))
	for i := range list {
		r := &list[i]
		r.Scenario, r.Outcomes, r.Blocks, r.Seed = file, filepath.Join(dir, r.Name), blocks, seed
		settings, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(ctx, binary, "-test.run=^TestDeterminism$", "-test.count=1")
		cmd.Env = append(os.Environ(), replicaEnv+"="+string(settings), fmt.Sprintf("GOMAXPROCS=%d", r.Procs))
		cmd.Stdout, cmd.Stderr = &printed[i], &printed[i]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		processes[i] = cmd
	}
	all := make([]outcomes, len(list))
	for i, cmd := range processes {
		if err := cmd.Wait(); err != nil {
			t.Fatalf("seed %d: replica %s: %v\n%s", seed, list[i].Name, err, printed[i].Bytes())
		}
		readGob(t, list[i].Outcomes, &all[i])
	}
	return all
}

// runReplica is what the process of a replica does.
func runReplica(t *testing.T, settings string) {
	p := &process{t: t, fs: vfs.NewCrashableMem()}
	if err := json.Unmarshal([]byte(settings), &p.replica); err != nil {
		t.Fatal(err)
	}
	readGob(t, p.Scenario, &p.s)
	p.rng = rand.New(rand.NewPCG(p.Seed, 2))
	p.open()
	p.genesis()
	for h := 1; h <= p.Blocks; h++ {
		if h > 1 && p.oneIn(p.Restarts) {
			p.restart(h)
		}
		p.block(h)
	}
	p.count()
	p.close()
	p.digest()
	writeGob(t, p.Outcomes, &p.out)
}

// process is a replica at work.
type process struct {
	replica
	t   *testing.T
	s   scenario
	rng *rand.Rand
	fs  *vfs.MemFS
	e   *store.Engine
	st  *store.State
	app *App
	out outcomes
}

func (p *process) must(err error) {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) oneIn(n int) bool { return n > 0 && p.rng.IntN(n) == 0 }

func (p *process) open() {
	p.t.Helper()
	var err error
	p.e, err = store.Open("db", store.Options{FS: p.fs, CacheBytes: p.Cache, MemTableBytes: p.MemTable})
	p.must(err)
	p.st, err = store.OpenState(p.e)
	p.must(err)
	p.app, err = New(Config{State: p.st, Workers: p.Workers})
	p.must(err)
	p.app.SetChain(p.s.Chain)
}

func (p *process) close() {
	p.t.Helper()
	p.app.Close()
	p.st.Close()
	p.must(p.e.Close())
}

func (p *process) genesis() {
	p.t.Helper()
	req := &abci.RequestInitChain{
		ChainId: p.s.Chain, AppStateBytes: p.s.AppState, InitialHeight: 1,
		Time: time.UnixMicro(simtest.GenesisTime).UTC(),
	}
	for _, v := range p.s.Validators {
		req.Validators = append(req.Validators, abci.Ed25519ValidatorUpdate(v.Key[:], int64(v.Power)))
	}
	res, err := p.app.InitChain(p.t.Context(), req)
	p.must(err)
	p.out.Heights = []outcome{{AppHash: [32]byte(res.AppHash)}}
}

// restart ends the application before a height, half the time after it executed the
// block without committing it, and opens it again on what is stored. After a crash the
// blocks that were lost are applied again, as CometBFT does.
func (p *process) restart(h int) {
	p.t.Helper()
	if p.oneIn(2) {
		_, err := p.app.FinalizeBlock(p.t.Context(), p.request(h))
		p.must(err)
	}
	disk := p.fs
	if p.oneIn(p.Crashes) {
		disk = p.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: p.rng.IntN(100), RNG: p.rng})
	}
	crashed := disk != p.fs
	p.close()
	p.fs = disk
	p.open()
	p.out.Restarts++
	info, err := p.app.Info(p.t.Context(), &abci.RequestInfo{})
	p.must(err)
	at, before := int(info.LastBlockHeight), p.out.Heights
	if at >= h || at < h-1 && !crashed || at > 0 && [32]byte(info.LastBlockAppHash) != before[at].AppHash {
		p.t.Fatalf("restarted before height %d at height %d with app hash %x", h, at, info.LastBlockAppHash)
	}
	if at == 0 {
		p.genesis() // CometBFT repeats it then
	} else {
		p.out.Heights = slices.Clone(before[:at+1])
	}
	for again := at + 1; again < h; again++ {
		p.block(again)
		p.out.Repeated++
	}
	if d := firstDifference(before, p.out.Heights); d >= 0 {
		p.t.Fatalf("applied again after a crash, height %d differs", d)
	}
}

// request is the block at a height.
func (p *process) request(h int) *abci.RequestFinalizeBlock {
	b := p.s.Blocks[h-1]
	req := &abci.RequestFinalizeBlock{
		Height: int64(h), Time: time.UnixMicro(simtest.GenesisTime + int64(h)*simtest.BlockTime).UTC(), Txs: b.Txs,
	}
	if b.Offender != nil {
		req.Misbehavior = []abci.Misbehavior{{
			Type: abci.MisbehaviorType_DUPLICATE_VOTE, Height: int64(h), Validator: abci.Validator{Address: b.Offender, Power: 10},
		}}
	}
	req.DecidedLastCommit = p.commit(h)
	if uint64(h) == p.Drop {
		req.Txs = req.Txs[:len(req.Txs)-1]
	}
	return req
}

// commit is the signatures for the block before a height: one validator in five is absent,
// each in its turn, and some always are.
func (p *process) commit(h int) (commit abci.CommitInfo) {
	p.t.Helper()
	if h == 1 {
		return commit
	}
	tip := p.app.st.Tip()
	defer tip.Release()
	_, value, err := tip.Predecessor(record.ValidatorSetRow(0), record.ValidatorSetRow(uint64(h-1)))
	if err != nil {
		p.t.Fatal(err)
	}
	set, err := record.ParseValidatorSet(value)
	if err != nil {
		p.t.Fatal(err)
	}
	for i, v := range set.Validators {
		vote := abci.VoteInfo{Validator: abci.Validator{Address: address(v.Key), Power: int64(v.Power)}, BlockIdFlag: cmtproto.BlockIDFlagCommit}
		if (h+i)%5 == 0 || v.Key[0]%2 == 0 {
			vote.BlockIdFlag = cmtproto.BlockIDFlagAbsent
		}
		commit.Votes = append(commit.Votes, vote)
	}
	return commit
}

// pool shows the application the transactions of a block before their block, which
// leaves them in its caches.
func (p *process) pool(req *abci.RequestFinalizeBlock) {
	p.t.Helper()
	for _, tx := range req.Txs {
		_, err := p.app.CheckTx(p.t.Context(), &abci.RequestCheckTx{Tx: tx})
		p.must(err)
	}
	_, err := p.app.ProcessProposal(p.t.Context(), &abci.RequestProcessProposal{Height: req.Height, Time: req.Time, Txs: req.Txs})
	p.must(err)
}

func (p *process) block(h int) {
	p.t.Helper()
	req := p.request(h)
	if p.oneIn(p.Pool) {
		p.pool(req)
	}
	res, err := p.app.FinalizeBlock(p.t.Context(), req)
	p.must(err)
	_, err = p.app.Commit(p.t.Context(), &abci.RequestCommit{})
	p.must(err)
	raw, err := res.Marshal()
	p.must(err)
	o := outcome{AppHash: [32]byte(res.AppHash), Response: sha256.Sum256(raw)}
	for _, r := range res.TxResults {
		result, err := state.DecodeResult(r.Data)
		p.must(err)
		o.Results = append(o.Results, result)
	}
	p.out.Heights = append(p.out.Heights, o)
	if h%20 == 0 {
		p.families()
	}
}

// families notes which families have rows now.
func (p *process) families() {
	p.t.Helper()
	if p.out.Families == nil {
		p.out.Families = make(map[record.Family]bool)
	}
	tip := p.st.Tip()
	defer tip.Release()
	for f := record.Family(0); f < 255; f++ {
		if p.out.Families[f] {
			continue
		}
		_, value, err := tip.Predecessor(record.FamilyRange(f))
		p.must(err)
		p.out.Families[f] = value != nil
	}
}

// count counts the operations that were applied, by kind.
func (p *process) count() {
	p.t.Helper()
	p.out.Applied = make(map[ledger.Kind]int)
	p.families()
	tip := p.st.Tip()
	defer tip.Release()
	for h := 1; h <= p.Blocks; h++ {
		for i, res := range p.out.Heights[h].Results {
			tx, err := ledger.ParseTransaction(p.s.Blocks[h-1].Txs[i])
			if err != nil || tx.Operation == nil || res.Code != ledger.CodeOK {
				continue
			}
			p.out.Applied[tx.Operation.Body.Kind()]++
			body, ok := tx.Operation.Body.(ledger.Propose)
			if !ok {
				continue
			}
			row, err := tip.Get(record.ProposalRow(ledger.MadeID(tx.Operation.Digest())))
			p.must(err)
			proposal, err := record.ParseProposal(row)
			p.must(err)
			if proposal.Status == record.ProposalApplied {
				p.out.Applied[body.Body.Kind()]++
			}
		}
	}
}

// digest reads the closed database: entries, tiles, trie, rows, results, undo records.
func (p *process) digest() {
	p.t.Helper()
	db, err := pebble.Open("db", &pebble.Options{FS: p.fs, ReadOnly: true})
	p.must(err)
	it, err := db.NewIter(nil)
	p.must(err)
	sum := sha256.New()
	for ok := it.First(); ok; ok = it.Next() {
		fmt.Fprintf(sum, "%d,%d,", len(it.Key()), len(it.Value()))
		sum.Write(it.Key())
		sum.Write(it.Value())
		p.out.Keys++
	}
	p.must(errors.Join(it.Error(), it.Close(), db.Close()))
	sum.Sum(p.out.Database[:0])
}

func writeGob(t *testing.T, path string, v any) {
	t.Helper()
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}

func readGob(t *testing.T, path string, v any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := gob.NewDecoder(bytes.NewReader(raw)).Decode(v); err != nil {
		t.Fatal(err)
	}
}
