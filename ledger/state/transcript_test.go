package state_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"mtmledger/crypto"
	"mtmledger/crypto/merkle"
	"mtmledger/internal/simtest"
	"mtmledger/ledger"
	"mtmledger/ledger/record"
	"mtmledger/ledger/state"
)

var rewrite = flag.Bool("rewrite", false, "write what the transcripts in testdata give")

// TestTranscripts runs the blocks of testdata/*.txt and compares what they give. A file is
// a list of parts: input lines, a line "----", what it gives, an empty line. Input:
//
//	genesis KEY=N ...                    org0, org1 with bridge0, bridge1, and parameters;
//	                                     validators=N of each
//	block                                the next lines are its transactions:
//	  enrol_device NAME by ORG           flags for all but batches: as=SIGNER not_after=+SECONDS
//	  enrol_bridge NAME by ORG
//	  open DEVICE/NAME by ORG|DEVICE
//	  rotate DEVICE by ORG|DEVICE to=KEY of=KEY closes=HEIGHT
//	  suspend|resume|retire DEVICE by ORG
//	  propose LINE                       what LINE does, in a proposal
//	  admit NAME by ORG                  remove ORG by ORG
//	  validator KEY by ORG of=ORG power=N
//	  set_parameter ID by ORG value=N
//	  approve NAME by ORG                the proposal that got this name by name=NAME
//	  batch BRIDGE DEVICE/NAME A..B ...  statements; "!" before one breaks its
//	                                     signature; as=KEY signs those after it with another key
//	  again N                            transaction N of all before, from 0
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts (%v)", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			old, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			now := runTranscript(t, string(old))
			if *rewrite {
				if err := os.WriteFile(file, []byte(now), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if now != string(old) {
				t.Errorf("%s has changed; look at the difference after go test -run Transcripts -rewrite\n%s", file, now)
			}
		})
	}
}

type transcript struct {
	t       *testing.T
	c       *simtest.Chain
	txs     [][]byte
	names   map[crypto.ID]string
	devices map[string]*simtest.Device
	fleets  map[string]*ledger.Fleet
}

func runTranscript(t *testing.T, text string) string {
	r := &transcript{t: t, names: make(map[crypto.ID]string), devices: make(map[string]*simtest.Device), fleets: make(map[string]*ledger.Fleet)}
	var out strings.Builder
	for part := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		input, _, _ := strings.Cut(part, "\n----")
		fmt.Fprintf(&out, "%s\n", input)
		var lines []string
		for line := range strings.SplitSeq(input, "\n") {
			if !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
		if len(lines) > 0 {
			fmt.Fprintf(&out, "----\n%s", r.run(lines))
		}
		out.WriteByte('\n')
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func (r *transcript) run(lines []string) string {
	head := strings.Fields(lines[0])
	switch head[0] {
	case "genesis":
		r.genesis(head[1:])
		return r.describe(r.c.Blocks[0])
	case "block":
		var txs [][]byte
		for _, line := range lines[1:] {
			txs = append(txs, r.transaction(strings.Fields(line)))
		}
		r.txs = append(r.txs, txs...)
		return r.describe(r.c.Block(txs...))
	}
	r.t.Fatalf("no command %q", lines[0])
	return ""
}

func (r *transcript) genesis(flags []string) {
	var p ledger.GenesisParameters
	validators := 0
	for _, f := range flags {
		name, value, _ := strings.Cut(f, "=")
		n := r.number(value)
		switch name {
		case "validators":
			validators = int(n)
		case "open_gaps":
			p.OpenGaps = n
		case "clock_ahead":
			p.ClockAhead = int64(n)
		case "not_after":
			p.NotAfter = int64(n)
		default:
			r.t.Fatalf("no parameter %q", name)
		}
	}
	r.c = simtest.New(r.t, simtest.Config{ID: "transcript", Organisations: 2, Validators: validators, Parameters: p})
	for i, o := range r.c.Organisations {
		r.names[o.ID] = fmt.Sprint("org", i)
		r.names[r.c.Bridges[i].ID] = fmt.Sprint("bridge", i)
		for k, v := range o.Validators {
			r.names[ledger.ValidatorID(v.Key.Public())] = fmt.Sprintf("validator%d.%d", i, k)
		}
	}
}

func (r *transcript) number(s string) uint64 {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// key is the key of whoever has the name, and id their id.
func (r *transcript) key(name string) crypto.PrivateKey {
	for i, o := range r.c.Organisations {
		switch name {
		case fmt.Sprint("org", i):
			return o.Key
		case fmt.Sprint("bridge", i):
			return r.c.Bridges[i].Key
		}
	}
	return simtest.Key(name)
}

func (r *transcript) id(name string) (id crypto.ID) {
	key := r.key(name).Public()
	switch {
	case strings.HasPrefix(name, "org"):
		id = ledger.OrganisationID(key)
	case strings.HasPrefix(name, "bridge"):
		id = ledger.BridgeID(key)
	default:
		id = ledger.DeviceID(key)
	}
	r.names[id] = name
	return id
}

func (r *transcript) stream(name string) *simtest.Stream {
	device, label, _ := strings.Cut(name, "/")
	d := r.devices[device]
	if d == nil {
		r.id(device)
		d = r.c.Organisations[0].NewDevice(r.c, device)
		r.devices[device] = d
	}
	s := d.NewStream(label)
	r.names[s.ID] = name
	return s
}

func (r *transcript) transaction(words []string) []byte {
	switch words[0] {
	case "batch":
		return r.batch(words[1], words[2:])
	case "again":
		return r.txs[r.number(words[1])]
	}
	proposed := words[0] == "propose"
	if proposed {
		words = words[1:]
	}
	actor := words[3]
	op := ledger.Operation{Chain: r.c.ID, Actor: r.id(actor), NotAfter: r.c.Time/1e6 + 60}
	flags := map[string]string{"as": actor}
	for _, f := range words[4:] {
		name, value, _ := strings.Cut(f, "=")
		flags[name] = value
	}
	if after, ok := flags["not_after"]; ok {
		op.NotAfter = r.c.Time/1e6 + int64(r.number(strings.TrimPrefix(after, "+")))
	}
	op.Body = r.body(words[0], words[1], op.Actor, flags)
	if proposed {
		op.Body = ledger.Propose{Expires: op.NotAfter, Body: op.Body}
	}
	raw := r.c.SignOperation(r.key(flags["as"]), op)
	if name := flags["name"]; name != "" {
		r.nameMade(raw, name)
	}
	return raw
}

func (r *transcript) body(kind, subject string, actor crypto.ID, flags map[string]string) ledger.Body {
	switch kind {
	case "open":
		s := r.stream(subject)
		return ledger.OpenStream{Device: s.Device.ID, Name: s.Name}
	case "rotate":
		p := r.c.Possession(r.key(flags["to"]), r.id("org0"))
		return ledger.Rotate{Device: r.id(subject), Old: r.key(flags["of"]).Public().KeyID(), Closes: r.number(flags["closes"]), Possession: p}
	case "approve":
		return ledger.Approve{Proposal: r.named(subject)}
	}
	if body := r.ownershipBody(kind, subject, actor, flags); body != nil {
		return body
	}
	if body := r.memberBody(kind, subject, flags); body != nil {
		return body
	}
	id := r.id(subject)
	switch kind {
	case "enrol_device":
		return ledger.EnrolDevice{Possession: r.c.Possession(r.key(subject), actor)}
	case "enrol_bridge":
		return ledger.EnrolBridge{Possession: r.c.Possession(r.key(subject), actor)}
	case "suspend":
		return ledger.Suspend{Device: id}
	case "resume":
		return ledger.Resume{Device: id}
	case "retire":
		return ledger.Retire{Device: id}
	}
	r.t.Fatalf("no transaction %q", kind)
	return nil
}

func (r *transcript) batch(bridge string, words []string) []byte {
	var raws [][]byte
	signer, input := "", ""
	for i := 0; i+1 < len(words); i += 2 {
		if of, ok := strings.CutPrefix(words[i], "of="); ok {
			input = of
			i--
			continue
		}
		if key, ok := strings.CutPrefix(words[i], "as="); ok {
			signer = key
			i--
			continue
		}
		name, broken := strings.CutPrefix(words[i], "!")
		from, to, _ := strings.Cut(words[i+1], "..")
		first, last := r.number(from), r.number(to)
		stream := r.stream(name)
		if signer != "" {
			device := *stream.Device
			device.Key, stream.Device = r.key(signer), &device
		}
		raw := stream.At(first, int(last-first+1))
		if input != "" {
			raw = r.derived(stream, first, int(last-first+1), input)
		}
		if broken {
			raw[len(raw)-1] ^= 1
		}
		raws = append(raws, raw)
	}
	b, err := ledger.SignBatch(r.key(bridge), r.c.ID, r.id(bridge), uint64(len(r.txs)), r.c.Time, raws)
	if err != nil {
		r.t.Fatal(err)
	}
	return b.Bytes()
}

// describe writes a block for people: results, changed rows, app hash.
func (r *transcript) describe(b *simtest.Block) string {
	var out strings.Builder
	for i, res := range b.Results {
		fmt.Fprintf(&out, "%d: %s\n", len(r.txs)-len(b.Results)+i, describeResult(res))
	}
	for _, change := range b.Changes {
		fmt.Fprintf(&out, "  %s\n", r.row(change))
	}
	fmt.Fprintf(&out, "height %d, log %d, app hash %.16s\n", b.Height, r.c.Store.LogSize(), b.AppHash)
	return out.String()
}

func describeResult(res state.Result) string {
	if len(res.Codes) == 0 {
		return fmt.Sprint(res.Code, " ", res.Indexes)
	}
	return fmt.Sprint(res.Codes, " ", res.Indexes)
}

func (r *transcript) row(c merkle.Change) string {
	family := record.FamilyOf(c.Key)
	name := r.name(record.IDOf(c.Key))
	if c.Value == nil {
		return fmt.Sprintf("%v %s %d: gone", family, name, record.NumberOf(c.Key))
	}
	switch family {
	case record.FamilyParameters:
		v, err := record.ParseParameters(c.Value)
		return r.line(err, "parameters: %+v", v)
	case record.FamilyBlock:
		v, err := record.ParseBlock(c.Value)
		return r.line(err, "block %d: entries %d..%d", record.NumberOf(c.Key), v.First, v.First+v.Count-1)
	case record.FamilyOperation:
		v, err := record.ParseOperation(c.Value)
		return r.line(err, "operation of height %d: entry %d", v.Height, v.Index)
	case record.FamilyKey:
		v, err := record.ParseKey(c.Value)
		return r.line(err, "key %s: %d..%d%s", name, v.Opens, v.Closes, map[bool]string{true: fmt.Sprint(", doubtful from ", v.Doubtful)}[v.Doubtful != 0])
	case record.FamilyStream:
		v, err := record.ParseStreamHead(c.Value)
		return r.line(err, "stream %s: device %s, mark %d, gaps %d", name, r.name(v.Device), v.Mark, v.Gaps)
	case record.FamilyGap:
		v, err := record.ParseGap(c.Value)
		return r.line(err, "gap %s: %d..%d", name, record.NumberOf(c.Key), v.Last)
	}
	if text, ok := r.memberRow(c, name); ok {
		return text
	}
	if text, ok := r.ownershipRow(c, name); ok {
		return text
	}
	return r.ownership(c, family, name)
}

func (r *transcript) ownership(c merkle.Change, family record.Family, name string) string {
	child := r.name(record.ChildOf(c.Key))
	switch family {
	case record.FamilyOrganisation:
		v, err := record.ParseOrganisation(c.Value)
		return r.line(err, "organisation %s at %d: %v", name, record.NumberOf(c.Key), v.Status)
	case record.FamilyBridge:
		v, err := record.ParseBridge(c.Value)
		return r.line(err, "bridge %s at %d: %s, %v", name, record.NumberOf(c.Key), r.name(v.Organisation), v.Status)
	case record.FamilyDevice:
		v, err := record.ParseDevice(c.Value)
		return r.line(err, "device %s at %d: %s, %v", name, record.NumberOf(c.Key), r.name(v.Organisation), v.Status)
	case record.FamilyOwner:
		v, err := record.ParseOwner(c.Value)
		return r.line(err, "owner of %s at %d: %s, since %d", name, record.NumberOf(c.Key), r.name(v.Organisation), v.Since)
	case record.FamilyParts:
		v, err := record.ParseParts(c.Value)
		var list []string
		for _, p := range v {
			list = append(list, fmt.Sprintf("%d.. %s", p.First, r.name(p.Organisation)))
		}
		return r.line(err, "parts of %s at %d: %s", name, record.NumberOf(c.Key), strings.Join(list, ", "))
	case record.FamilyDeviceStream:
		v, err := record.ParseDeviceStream(c.Value)
		return r.line(err, "%v %s, %s: %q", family, name, child, v.Name)
	}
	v, err := record.ParseSpans(c.Value)
	return r.line(err, "%v %s, %s: %v", family, name, child, v)
}

func (r *transcript) line(err error, format string, args ...any) string {
	if err != nil {
		r.t.Fatal(err)
	}
	return fmt.Sprintf(format, args...)
}

func (r *transcript) name(id crypto.ID) string {
	if name, ok := r.names[id]; ok {
		return name
	}
	return id.String()
}
