package testnet_test

import (
	"time"

	"mtmledger/app/client"
	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/ledger/proof"
	"mtmledger/ledger/record"
)

// The acts of the story, in their order. What the auditor asks about later is noted in
// s.at, s.id, s.index and s.sent.

// transferred gives a device with its stream from A to B while it reports.
func (s *story) transferred() {
	s.t.Helper()
	press := s.fleet["press"]
	stop, done := make(chan struct{}), make(chan struct{})
	started := make(chan struct{})
	go func() { // the device reports all the time
		defer close(done)
		for n := 0; ; n++ {
			st := s.statement(press, press.next, 2)
			if _, code := s.bring("A", st); code != ledger.CodeOK {
				s.t.Errorf("a reading during the transfer: %v", code)
			}
			press.next += 2
			if n == 1 {
				close(started)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	select {
	case <-started:
	case <-done:
		s.t.FailNow()
	}
	body := ledger.TransferDevice{Device: press.id, To: s.orgs["B"].id, WithStreams: true}
	if _, code := s.try(s.orgs["A"].key, s.orgs["A"].id, body); code != ledger.CodeNeedsProposal {
		s.t.Errorf("a transfer without the receiver: %v", code)
	}
	s.agreed("transfer", body, "A", "B")
	close(stop)
	<-done
	s.report("press after", "press", 2)
}

// lossy loses messages.
func (s *story) lossy() {
	for _, first := range []uint64{1, 8, 15} {
		s.fleet["lossy"].next = first
		s.report("lossy", "lossy", 3)
	}
}

// sold sells a stream from now on.
func (s *story) sold() {
	s.report("meter before", "meter", 10)
	s.agreed("sale", ledger.TransferStream{Stream: s.fleet["meter"].stream, To: s.orgs["B"].id, FromNow: true}, "A", "B")
	s.report("meter after", "meter", 5)
	// What was reported before is A's to grant, what came later B's.
	old := ledger.Grant{Stream: s.fleet["meter"].stream, Grantee: s.orgs["C"].id, Rights: ledger.RightRead, First: 1, Last: 10}
	across := old
	across.Last = 15
	_, code := s.try(s.orgs["B"].key, s.orgs["B"].id, old)
	s.refused(ledger.CodeNotOwner, code)
	_, code = s.try(s.orgs["B"].key, s.orgs["B"].id, across)
	s.refused(ledger.CodeSeveralOwners, code)
	s.org("old readings", "A", old)
}

// granted grants, delivers, derives and revokes.
func (s *story) granted() {
	pump, model, b := s.fleet["pump"], s.fleet["model"], s.orgs["B"]
	s.report("pump", "pump", 10)
	s.report("pump more", "pump", 10)
	inputs := []ledger.Input{{Stream: pump.stream, First: 1, Last: 10, Digest: s.sent["pump"].Digest()}}
	_, code := s.bring("B", s.statement(model, 1, 3, inputs...))
	s.refused(ledger.CodeNoGrant, code)
	s.org("grant", "A", ledger.Grant{Stream: pump.stream, Grantee: model.id, Rights: ledger.RightReadDerive, First: 1, Last: 15, Purpose: "forecast"})
	s.org("other grant", "A", ledger.Grant{Stream: pump.stream, Grantee: b.id, Rights: ledger.RightRead, First: 1, Last: 5})
	deliver := ledger.Deliver{Grant: s.id["grant"], First: 1, Last: 10, Digest: ledger.DeliveryDigest(s.sent["pump"].Digest())}
	s.must("delivery", model.key, model.id, deliver)
	s.report("derived", "model", 3, inputs...)
	s.org("revoked", "A", ledger.Revoke{Grant: s.id["other grant"]})
	deliver.Grant, deliver.Last = s.id["other grant"], 5
	_, code = s.try(b.key, b.id, deliver)
	s.refused(ledger.CodeGrantRevoked, code)
}

// rotated loses a device's key; its owner gives it another.
func (s *story) rotated() {
	rotor := s.fleet["rotor"]
	s.report("rotor before", "rotor", 5)
	old := *rotor
	rotor.key = newKey(s.t)
	s.org("rotation", "A", ledger.Rotate{Device: rotor.id, Old: old.key.Public().KeyID(), Possession: s.possession(rotor.key, "A")})
	s.report("rotor after", "rotor", 5)
	_, code := s.bring("A", s.statement(&old, rotor.next, 1))
	s.refused(ledger.CodeKeyClosed, code)
}

// compromised declares that a key was in wrong hands since a height.
func (s *story) compromised() {
	leaky := s.fleet["leaky"]
	s.report("leaky sound", "leaky", 4)
	s.report("leaky doubtful", "leaky", 4)
	s.org("compromise", "A", ledger.Compromise{Principal: leaky.id, Key: leaky.key.Public().KeyID(), From: s.at["leaky doubtful"]})
	_, code := s.bring("A", s.statement(leaky, leaky.next, 1))
	s.refused(ledger.CodeKeyClosed, code)
}

// twice shows two statements for one number.
func (s *story) twice() {
	twin := s.fleet["twin"]
	s.report("twin", "twin", 3)
	lies := *twin
	lies.name = "not twin"
	other := s.statement(&lies, 2, 3)
	s.sent["twin other"] = other
	_, code := s.bring("B", other)
	s.refused(ledger.CodeUsed, code)
	s.org("evidence", "C", ledger.Equivocation{A: s.sent["twin"], B: other})
}

// joined votes D in, with its validator.
func (s *story) joined() {
	s.t.Helper()
	d := s.orgs["D"]
	admit := ledger.Admit{Name: "D", Keys: []crypto.PublicKey{d.key.Public()}, Threshold: 1, Possession: s.possession(d.key, "D")}
	s.agreed("admission", admit, "A", "B")
	s.start("D")
	until(s.t, s.ctx, "D's node has caught up", func() bool {
		h, err := s.nodes["D"].Client().Height(s.ctx)
		return err == nil && h >= s.at["admission decided"]
	})
	s.agreed("validator", ledger.SetValidator{Organisation: d.id, Key: d.validator.Key, Power: storyPower}, "D", "A", "B")
	s.advance(s.at["validator decided"] + 2)
	s.signs("D")
}

// signs waits until a block has shown a signature of a member's validator: votes count on
// it from then on.
func (s *story) signs(name string) {
	s.t.Helper()
	untried := row(record.UntriedRow(ledger.ValidatorID(s.orgs[name].validator.Key)))
	until(s.t, s.ctx, name+" has signed a block", func() bool {
		s.report("pulse", "pulse", 1)
		file, err := s.c.Answer(s.ctx, client.AnswerRequest{Questions: []client.Question{untried}})
		if ledger.CodeOf(err) == ledger.CodeFutureHeight {
			return false
		}
		if err != nil {
			s.t.Fatal(err)
		}
		out, err := proof.VerifyAnswer(file, s.root)
		if err != nil {
			s.t.Fatal(err)
		}
		return out.AsOfHeight > s.at["validator decided"] && len(out.Results[0].Rows) == 0
	})
}

// left votes C out; its validator leaves with it.
func (s *story) left() {
	s.t.Helper()
	c := s.orgs["C"]
	s.agreed("removal", ledger.Remove{Organisation: c.id}, "A", "B", "D")
	s.advance(s.at["removal decided"] + 2)
	if err := s.nodes["C"].Stop(); err != nil {
		s.t.Errorf("C's node: %v", err)
	}
	_, code := s.try(c.key, c.id, ledger.Describe{Subject: c.id})
	if code == ledger.CodeOK {
		s.t.Error("C acts after its removal")
	}
}

// limited changes a limit by vote.
func (s *story) limited() {
	s.agreed("limit", ledger.SetParameters{Values: []ledger.Parameter{{ID: ledger.ParameterOpenGaps, Value: 100}}}, "B", "D")
	s.report("the end", "press", 1)
}

// advance lets the ledger reach a height: blocks are made when there is something to say.
func (s *story) advance(height uint64) {
	s.t.Helper()
	for {
		h, err := s.c.Height(s.ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		if h > height {
			return
		}
		s.report("pulse", "pulse", 1)
		select {
		case <-s.ctx.Done():
			s.t.Fatal(s.ctx.Err())
		case <-time.After(pollEvery):
		}
	}
}
