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
}

type naivePrincipal struct {
	org   string
	since uint64
}

type naiveStream struct {
	device, owner string
	used          []uint64 // sorted
}

// intent is what a transaction or statement of the test is meant to be, by names.
type intent struct {
	kind     string // enrol_device, enrol_bridge, open_stream, batch
	actor    string // organisation or device; the bridge of a batch
	signer   string // whose key signs
	subject  string // device, bridge or stream
	device   string // of the stream
	notAfter int64
	forged   bool // a signature that must be the subject's is not
	replay   int  // 0, or which earlier operation to repeat
	items    []item
}

// item is a statement of a batch.
type item struct {
	device, signer, stream string
	first                  uint64
	count                  int
	ahead, broken, garbage bool
	inputs                 bool
}

func (n *naive) knownBefore(m map[string]naivePrincipal, name string) bool {
	p, ok := m[name]
	return ok && p.since < n.height
}

// batch returns the code of the whole, or the codes of the statements.
func (n *naive) batch(i intent) (ledger.Code, []ledger.Code) {
	switch {
	case !n.knownBefore(n.bridges, i.actor):
		return ledger.CodeUnknownBridge, nil
	case i.signer != i.actor:
		return ledger.CodeUnknownKey, nil
	case i.forged:
		return ledger.CodeBadSignature, nil
	}
	var codes []ledger.Code
	for _, s := range i.items {
		codes = append(codes, n.statement(s))
	}
	return ledger.CodeOK, codes
}

func (n *naive) statement(s item) ledger.Code {
	switch {
	case s.garbage:
		return ledger.CodeMalformed
	case !n.knownBefore(n.devices, s.device):
		return ledger.CodeUnknownDevice
	case s.signer != s.device:
		return ledger.CodeUnknownKey
	case s.broken:
		return ledger.CodeBadSignature
	case s.inputs:
		return ledger.CodeInputsDisabled
	}
	stream := n.streams[s.stream]
	switch {
	case stream == nil:
		return ledger.CodeUnknownStream
	case stream.device != s.device:
		return ledger.CodeWrongDevice
	case s.ahead:
		return ledger.CodeClockAhead
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
	switch {
	case !isOrg && !n.knownBefore(n.devices, i.actor):
		return ledger.CodeUnknownActor
	case i.signer != i.actor:
		return ledger.CodeUnknownKey
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
	}
	device, known := n.devices[i.device]
	switch {
	case !known:
		return ledger.CodeUnknownDevice
	case i.actor != device.org && i.actor != i.device:
		return ledger.CodeNotOwner
	case n.streams[i.subject] != nil:
		return ledger.CodeExists
	}
	n.streams[i.subject] = &naiveStream{device: i.device, owner: device.org}
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
	m[i.subject] = naivePrincipal{org: i.actor, since: n.height}
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
