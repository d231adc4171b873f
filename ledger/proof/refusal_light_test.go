package proof

import "slices"

func lightVariants() []variant {
	return slices.Concat(rootVariants(), voteVariants(), []variant{
		{name: "header before the block", why: "the state after height 3 cannot hold block 4", check: CheckHeader,
			world: func(f *fixture) { f.header = f.headerAt(4) }},
		{name: "header right after the block", why: "sound: the first header that can", check: "", world: func(f *fixture) {
			f.header = f.headerAt(5)
		}},
		{name: "block protocol", why: "12 is unknown", check: CheckHeader, world: func(f *fixture) { f.header.BlockVersion = 12 }},
		{name: "app version changed", why: "", check: CheckCommit, cert: func(f *fixture, c *Certificate) { c.Light.Header.AppVersion++ }},
		{name: "header height changed", why: "", check: CheckCommit, cert: func(f *fixture, c *Certificate) { c.Light.Header.Height++ }},
		{name: "header time changed", why: "", check: CheckCommit, cert: func(f *fixture, c *Certificate) { c.Light.Header.Time++ }},
		{name: "header hashes swapped", why: "data and last commit", check: CheckCommit, cert: func(f *fixture, c *Certificate) {
			h := &c.Light.Header
			h.DataHash, h.LastCommitHash = h.LastCommitHash, h.DataHash
		}},
		{name: "next validators changed", why: "", check: CheckCommit, cert: func(f *fixture, c *Certificate) {
			c.Light.Header.NextValidatorsHash[0] ^= 1
		}},
		{name: "proposer changed", why: "to another validator", check: CheckCommit, cert: func(f *fixture, c *Certificate) {
			c.Light.Header.Proposer = f.signers[2].validator().Address()
		}},
		{name: "proposer unknown", why: "signed by the validators, who would not", check: CheckTrust, world: func(f *fixture) {
			f.header.Proposer = Validator{Key: other().Public()}.Address()
		}},
	})
}

func rootVariants() []variant {
	return []variant{
		{name: "root of strangers", why: "another ledger's validators", check: CheckTrust, root: func(r *TrustRoot) {
			r.Validators = validators(newSigners("stranger", 10, 10, 10, 10))
		}},
		{name: "root with another chain", why: "and the same validators", check: CheckCommit, root: func(r *TrustRoot) {
			r.Chain = "mtm-test-2"
		}},
		{name: "root with another power", why: "", check: CheckCommit, root: func(r *TrustRoot) { r.Validators[3].Power = 9 }},
		{name: "root with one more", why: "", check: CheckCommit, root: func(r *TrustRoot) {
			r.Validators = append(r.Validators, Validator{other().Public(), 1})
		}},
		{name: "root without validators", why: "", check: CheckTrust, root: func(r *TrustRoot) { r.Validators = nil }},
		{name: "root with a validator twice", why: "", check: CheckTrust, root: func(r *TrustRoot) {
			r.Validators = append(r.Validators, r.Validators[0])
		}},
		{name: "root without power", why: "", check: CheckTrust, root: func(r *TrustRoot) { r.Validators[0].Power = 0 }},
		{name: "root without chain", why: "", check: CheckTrust, root: func(r *TrustRoot) { r.Chain = "" }},
	}
}

func voteVariants() []variant {
	sigs := func(change func(s []CommitSig) []CommitSig) func(f *fixture, c *Certificate) {
		return func(f *fixture, c *Certificate) { c.Light.Commit.Signatures = change(c.Light.Commit.Signatures) }
	}
	return []variant{
		{name: "exactly two thirds", why: "2 of 3 equal validators are not more than 2/3", check: CheckPower, world: func(f *fixture) {
			f.signers = newSigners("validator", 10, 10, 10)
			f.pinned = f.signers
			f.header = f.headerAt(7)
		}, cert: sigs(func(s []CommitSig) []CommitSig { return s[:2] })},
		{name: "too little power", why: "2 of 4", check: CheckPower, cert: sigs(func(s []CommitSig) []CommitSig { return s[1:] })},
		{name: "no signatures", why: "", check: CheckPower, cert: sigs(func([]CommitSig) []CommitSig { return nil })},
		{name: "a signature twice", why: "to make up for a missing one", check: CheckCommit, cert: sigs(func(s []CommitSig) []CommitSig {
			return []CommitSig{s[0], s[0], s[1]}
		})},
		{name: "signatures unsorted", why: "", check: CheckCommit, cert: sigs(func(s []CommitSig) []CommitSig {
			return []CommitSig{s[1], s[0], s[2]}
		})},
		{name: "signature under another index", why: "", check: CheckCommit, cert: sigs(func(s []CommitSig) []CommitSig {
			s[2].Index = 3
			return s
		})},
		{name: "index outside the set", why: "", check: CheckCommit, cert: sigs(func(s []CommitSig) []CommitSig {
			s[2].Index = 4
			return s
		})},
		{name: "signature changed", why: "", check: CheckCommit, cert: sigs(func(s []CommitSig) []CommitSig {
			s[0].Signature[0] ^= 1
			return s
		})},
		{name: "vote time changed", why: "by a nanosecond", check: CheckCommit, cert: sigs(func(s []CommitSig) []CommitSig {
			s[1].Time++
			return s
		})},
		{name: "needless signature wrong", why: "three are enough, the fourth is wrong", check: CheckCommit,
			cert: sigs(func(s []CommitSig) []CommitSig { return append(s, CommitSig{3, s[2].Time, s[2].Signature}) })},
		{name: "round changed", why: "", check: CheckCommit, cert: func(f *fixture, c *Certificate) { c.Light.Commit.Round++ }},
		{name: "parts changed", why: "", check: CheckCommit, cert: func(f *fixture, c *Certificate) { c.Light.Commit.PartsTotal++ }},
		{name: "parts hash changed", why: "", check: CheckCommit, cert: func(f *fixture, c *Certificate) { c.Light.Commit.PartsHash[0] ^= 1 }},
		{name: "votes for nothing", why: "validators signed that they saw no valid block", check: CheckCommit, cert: voteNil},
		{name: "prevotes", why: "votes of the first phase", check: CheckCommit, cert: prevote},
	}
}

// voteNil lets the validators vote for no block, in place of the block.
func voteNil(f *fixture, c *Certificate) {
	h := c.Light.Header
	vote := appendVarintField(nil, 1, precommit)
	vote = appendFixed64Field(vote, 2, h.Height)
	vote = appendMessageField(vote, 5, appendTime(nil, h.Time))
	vote = appendBytesField(vote, 6, []byte(h.Chain))
	signBytes(f, c, append([]byte{byte(len(vote))}, vote...))
}

// prevote lets the validators vote for the block in the phase before.
func prevote(f *fixture, c *Certificate) {
	h := c.Light.Header
	msg := c.Light.Commit.SignBytes(h.Chain, h.Height, h.Hash(), h.Time)
	at := 2 + bytesBefore(len(msg)) // the type
	if msg[at] != precommit {
		f.t.Fatalf("no precommit: %x", msg)
	}
	msg[at] = 1
	signBytes(f, c, msg)
}

// bytesBefore is how long the length prefix of a message of n bytes in all is,
// less one.
func bytesBefore(n int) int {
	if n > 128 {
		return 1
	}
	return 0
}

func signBytes(f *fixture, c *Certificate, msg []byte) {
	for i := range c.Light.Commit.Signatures {
		s := &c.Light.Commit.Signatures[i]
		s.Time, s.Signature = c.Light.Header.Time, f.signers[s.Index].key.Sign(msg)
	}
}

func pathVariants() []variant {
	later := func() []signer { return newSigners("later", laterSet...) }
	oneStep := func(f *fixture) { f.changeSet(5, later()) }
	return []variant{
		{name: "step missing", why: "the new set signed, the pinned one did not", check: CheckTrust, world: oneStep,
			cert: func(f *fixture, c *Certificate) { c.Path = nil }},
		{name: "step by the new set itself", why: "not signed by the set before", check: CheckTrust, world: func(f *fixture) {
			f.changeSet(5, later())
			f.path[0] = f.step(5, later(), later())
		}},
		{name: "step with another set after", why: "one validator replaced", check: CheckCommit, world: oneStep,
			cert: func(f *fixture, c *Certificate) {
				set := slices.Clone(c.Path[0].Validators)
				set[2].Key = other().Public()
				c.Path[0].Validators = set
			}},
		{name: "step with too little power", why: "2 of 4", check: CheckPower, world: oneStep, cert: func(f *fixture, c *Certificate) {
			s := &c.Path[0].Light.Commit.Signatures
			*s = (*s)[:2]
		}},
		{name: "step signature changed", why: "", check: CheckCommit, world: oneStep, cert: func(f *fixture, c *Certificate) {
			c.Path[0].Light.Commit.Signatures[1].Signature[63] ^= 1
		}},
		{name: "step app hash changed", why: "", check: CheckCommit, world: oneStep, cert: func(f *fixture, c *Certificate) {
			c.Path[0].Light.Header.AppHash[0] ^= 1
		}},
		{name: "steps swapped", why: "", check: CheckTrust, world: func(f *fixture) {
			f.changeSet(3, later())
			f.changeSet(5, newSigners("last", 4, 4))
		}, cert: func(f *fixture, c *Certificate) { c.Path[0], c.Path[1] = c.Path[1], c.Path[0] }},
		{name: "steps at falling heights", why: "each signed by the set before", check: CheckPath, world: func(f *fixture) {
			f.changeSet(5, later())
			f.changeSet(3, newSigners("last", 4, 4))
		}},
		{name: "steps at one height", why: "", check: CheckPath, world: func(f *fixture) {
			f.changeSet(5, later())
			f.changeSet(5, newSigners("last", 4, 4))
		}},
		{name: "step at the header's height", why: "the new set signs from the next height on", check: CheckPath,
			world: func(f *fixture) { f.changeSet(7, later()) }},
		{name: "step right before the header", why: "sound", world: func(f *fixture) { f.changeSet(6, later()) }},
		{name: "step to the same set", why: "a step without a change is not needed", check: CheckPath, world: func(f *fixture) {
			f.changeSet(5, f.signers)
		}},
		{name: "step to an unsorted set", why: "", check: CheckPath, world: oneStep, cert: func(f *fixture, c *Certificate) {
			slices.Reverse(c.Path[0].Validators)
		}},
		{name: "step to an empty set", why: "", check: CheckPath, world: oneStep, cert: func(f *fixture, c *Certificate) {
			c.Path[0].Validators = nil
		}},
		{name: "step to a set without power", why: "", check: CheckPath, world: oneStep, cert: func(f *fixture, c *Certificate) {
			c.Path[0].Validators[2].Power = 0
		}},
		{name: "step to a set with a validator twice", why: "with different powers", check: CheckPath, world: oneStep,
			cert: func(f *fixture, c *Certificate) {
				set := slices.Clone(c.Path[0].Validators)
				set[2].Key = set[1].Key
				c.Path[0].Validators = set
			}},
		{name: "step to a set with too much power", why: "more than 2^60 in all", check: CheckPath, world: oneStep,
			cert: func(f *fixture, c *Certificate) { c.Path[0].Validators[0].Power = MaxTotalPower }},
		{name: "old set after a change", why: "the pinned set signs a header after it was replaced: the path leads elsewhere",
			check: CheckTrust, world: func(f *fixture) {
				first := f.signers
				f.changeSet(5, later())
				f.signers = first
				f.header = f.headerAt(7)
			}},
	}
}
