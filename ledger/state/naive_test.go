package state_test

import (
	"slices"

	"mtmledger/ledger"
	"mtmledger/ledger/record"
)

// naive is a ledger that remembers everything in the simplest way and shares no code with
// the rules: who was enrolled when, and for each stream the list of all numbers it has.
type naive struct {
	height  uint64
	now     int64 // seconds
	gaps    int   // that a stream may have
	orgs    []string
	devices map[string]naivePrincipal
	bridges map[string]naivePrincipal
	streams map[string]*naiveStream
	done    map[string]bool // operations, by what they say
	log     []string
	ownership
}

type naivePrincipal struct {
	org    string // in the next block
	owners []naiveOwner
	since  uint64
	keys   []naiveKey
	status []naiveStatus // changes, oldest first
}

type naiveKey struct {
	name          string
	opens, closes uint64 // closes 0: never
	doubtful      uint64
}

type naiveStatus struct {
	from uint64
	code ledger.Code // OK, suspended or retired
}

type naiveStream struct {
	device, owner string // the owner in the next block
	owners        []naiveOwner
	used          []uint64 // sorted
}

// intent is what a transaction or statement of the test is meant to be, by names.
type intent struct {
	kind     string // of the operation, or batch
	actor    string // organisation or device; the bridge of a batch
	signer   string // the key that signs
	org      string // that a possession is for
	key, old string // of a rotation
	closes   uint64
	subject  string // device, bridge or stream
	device   string // of the stream
	notAfter int64
	forged   bool // a signature that must be the subject's is not
	replay   int  // 0, or which earlier operation to repeat
	items    []item
	claim
}

// item is a statement of a batch.
type item struct {
	device, signer, stream string
	first                  uint64
	count                  int
	ahead, broken, garbage bool
	input                  string // stream it was computed from; none if empty
	inFirst, inLast        uint64
}

// signer is the code of a signature by a key of a principal of m, whatever its bytes.
func (n *naive) signer(m map[string]naivePrincipal, name, key string, unknown ledger.Code) ledger.Code {
	p, ok := m[name]
	if !ok || p.since >= n.height {
		return unknown
	}
	if code := p.statusAt(n.height); code != ledger.CodeOK {
		return code
	}
	for _, k := range p.keys {
		switch {
		case k.name != key || k.opens > n.height:
		case k.closes != 0 && k.closes <= n.height:
			return ledger.CodeKeyClosed
		default:
			return ledger.CodeOK
		}
	}
	return ledger.CodeUnknownKey
}

func (p naivePrincipal) statusAt(height uint64) (code ledger.Code) {
	for _, s := range p.status {
		if s.from <= height {
			code = s.code
		}
	}
	return code
}

// batch returns the code of the whole, or the codes of the statements.
func (n *naive) batch(i intent) (ledger.Code, []ledger.Code) {
	if code := n.signer(n.bridges, i.actor, i.signer, ledger.CodeUnknownBridge); code != ledger.CodeOK {
		return code, nil
	}
	if i.forged {
		return ledger.CodeBadSignature, nil
	}
	var codes []ledger.Code
	for _, s := range i.items {
		codes = append(codes, n.statement(s))
	}
	return ledger.CodeOK, codes
}

func (n *naive) statement(s item) ledger.Code {
	if s.garbage {
		return ledger.CodeMalformed
	}
	if code := n.signer(n.devices, s.device, s.signer, ledger.CodeUnknownDevice); code != ledger.CodeOK {
		return code
	}
	if s.broken {
		return ledger.CodeBadSignature
	}
	stream := n.streams[s.stream]
	switch {
	case stream == nil:
		return ledger.CodeUnknownStream
	case stream.device != s.device:
		return ledger.CodeWrongDevice
	case n.isClosed(s.stream):
		return ledger.CodeClosed
	case s.ahead:
		return ledger.CodeClockAhead
	}
	if s.input != "" {
		if code := n.mayDerive(s); code != ledger.CodeOK {
			return code
		}
	}
	used := slices.Clone(stream.used)
	for k := range s.count {
		number := s.first + uint64(k)
		if slices.Contains(used, number) {
			return ledger.CodeUsed
		}
		used = append(used, number)
	}
	slices.Sort(used)
	if len(gapsOf(used)) > n.gaps {
		return ledger.CodeTooManyGaps
	}
	stream.used = used
	if s.input != "" {
		n.derived = append(n.derived, s)
	}
	return ledger.CodeOK
}

// gapsOf lists the runs of missing numbers below the greatest used one.
func gapsOf(used []uint64) (gaps [][2]uint64) {
	last := uint64(0)
	for _, number := range used {
		if number != last+1 {
			gaps = append(gaps, [2]uint64{last + 1, number - 1})
		}
		last = number
	}
	return gaps
}

func (n *naive) operation(i intent, digest string) ledger.Code {
	isOrg := slices.Contains(n.orgs, i.actor)
	if isOrg && i.signer != i.actor {
		return ledger.CodeUnknownKey
	}
	if !isOrg {
		if code := n.signer(n.devices, i.actor, i.signer, ledger.CodeUnknownActor); code != ledger.CodeOK {
			return code
		}
	}
	switch {
	case n.done[digest]:
		return ledger.CodeReplayed
	case i.notAfter < n.now:
		return ledger.CodeExpired
	case i.notAfter > n.now+ledger.MaxNotAfter:
		return ledger.CodeNotAfterTooFar
	}
	code := n.change(i, isOrg)
	if code == ledger.CodeOK {
		n.done[digest] = true
	}
	return code
}

func (n *naive) change(i intent, isOrg bool) ledger.Code {
	switch i.kind {
	case "enrol_device":
		return n.enrol(i, isOrg, n.devices)
	case "enrol_bridge":
		return n.enrol(i, isOrg, n.bridges)
	case "rotate":
		return n.rotate(i)
	case "suspend", "resume", "retire":
		return n.setStatus(i)
	case "open_stream":
		return n.openStream(i)
	}
	return n.own(i, isOrg)
}

func (n *naive) openStream(i intent) ledger.Code {
	device, known := n.devices[i.device]
	switch {
	case !known:
		return ledger.CodeUnknownDevice
	case i.actor != device.org && i.actor != i.device:
		return ledger.CodeNotOwner
	case device.statusAt(n.height+1) != ledger.CodeOK:
		return device.statusAt(n.height + 1)
	case n.streams[i.subject] != nil:
		return ledger.CodeExists
	}
	n.streams[i.subject] = newNaiveStream(i.device, device.org, n.height)
	return ledger.CodeOK
}

func (n *naive) enrol(i intent, isOrg bool, m map[string]naivePrincipal) ledger.Code {
	_, exists := m[i.subject]
	switch {
	case i.forged:
		return ledger.CodeBadPossession
	case !isOrg:
		return ledger.CodeUnknownOrganisation
	case exists:
		return ledger.CodeExists
	}
	m[i.subject] = enrolled(i.subject, i.actor, n.height)
	return ledger.CodeOK
}

func newNaiveStream(device, owner string, height uint64) *naiveStream {
	return &naiveStream{device: device, owner: owner, owners: []naiveOwner{{from: height, org: owner, since: height}}}
}

// enrolled is a principal whose first key has its name.
func enrolled(name, org string, height uint64) naivePrincipal {
	return naivePrincipal{org: org, since: height, owners: []naiveOwner{{from: height, org: org}}, keys: []naiveKey{{name: name, opens: height + 1}}}
}

func (n *naive) rotate(i intent) ledger.Code {
	d, known := n.devices[i.subject]
	switch {
	case i.forged:
		return ledger.CodeBadPossession
	case !known:
		return ledger.CodeUnknownDevice
	case i.actor != d.org && i.actor != i.subject:
		return ledger.CodeNotOwner
	case i.org != d.org:
		return ledger.CodeBadPossession
	case d.statusAt(n.height+1) != ledger.CodeOK:
		return d.statusAt(n.height + 1)
	}
	old := slices.IndexFunc(d.keys, func(k naiveKey) bool { return k.name == i.old })
	switch {
	case old < 0:
		return ledger.CodeUnknownKey
	case d.keys[old].closes != 0 && (i.actor != d.org || n.keyless[i.subject] != i.old):
		return ledger.CodeKeyClosed
	case slices.ContainsFunc(d.keys, func(k naiveKey) bool { return k.name == i.key }):
		return ledger.CodeExists
	}
	d.keys = slices.Clone(d.keys)
	if d.keys[old].closes == 0 {
		d.keys[old].closes = max(i.closes, n.height+1)
	}
	delete(n.keyless, i.subject)
	d.keys = append(d.keys, naiveKey{name: i.key, opens: n.height + 1})
	n.devices[i.subject] = d
	return ledger.CodeOK
}

func (n *naive) setStatus(i intent) ledger.Code {
	d, known := n.devices[i.subject]
	now := d.statusAt(n.height + 1)
	to := map[string]ledger.Code{"suspend": ledger.CodeSuspended, "resume": ledger.CodeOK, "retire": ledger.CodeRetired}[i.kind]
	switch {
	case !known:
		return ledger.CodeUnknownDevice
	case i.actor != d.org:
		return ledger.CodeNotOwner
	case now == to:
		return ledger.CodeExists
	case now == ledger.CodeRetired:
		return ledger.CodeRetired
	}
	d.status = slices.DeleteFunc(slices.Clone(d.status), func(s naiveStatus) bool { return s.from == n.height+1 })
	d.status = append(d.status, naiveStatus{from: n.height + 1, code: to})
	n.devices[i.subject] = d
	return ledger.CodeOK
}

// head is the stream's head row as it must be.
func (s *naiveStream) head() (h record.StreamHead) {
	if len(s.used) > 0 {
		h.Mark = s.used[len(s.used)-1]
	}
	h.Gaps = uint64(len(gapsOf(s.used)))
	return h
}
