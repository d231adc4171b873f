package ledger

import (
	"errors"
	"fmt"
	"strings"
)

// Code says why something was refused. Codes are part of the protocol: they
// stand in acknowledgements and in transaction results. Numbers and names never
// change; new ones are added at the end.
type Code uint32

// The codes.
const (
	CodeOK                  Code = 0
	CodeMalformed           Code = 1
	CodeTooLarge            Code = 2
	CodeWrongChain          Code = 3
	CodeBadSignature        Code = 4
	CodeUnknownBridge       Code = 5
	CodeUnknownDevice       Code = 6
	CodeUnknownStream       Code = 7
	CodeUnknownKey          Code = 8
	CodeKeyClosed           Code = 9
	CodeUsed                Code = 10
	CodeTooManyGaps         Code = 11
	CodeClockAhead          Code = 12
	CodeInputsDisabled      Code = 13
	CodeCommittedDisabled   Code = 14
	CodeNotOwner            Code = 15
	CodeExists              Code = 16
	CodeReplayed            Code = 17
	CodeExpired             Code = 18
	CodeWrongDevice         Code = 19
	CodeUnknownActor        Code = 20
	CodeNotAfterTooFar      Code = 21
	CodeSuspended           Code = 22
	CodeQuota               Code = 23
	CodeFutureHeight        Code = 24
	CodeNotFound            Code = 25
	CodePruned              Code = 26
	CodeOverloaded          Code = 27
	CodeUnknownOrganisation Code = 28
	CodeBadPossession       Code = 29
	CodeBadKey              Code = 30
	CodeRetired             Code = 31
	CodeNeedsProposal       Code = 32
	CodeNoGrant             Code = 33
	CodeGrantExpired        Code = 34
	CodeGrantRevoked        Code = 35
	CodeOutOfRange          Code = 36
	CodeProposalClosed      Code = 37
	CodeAlreadyApproved     Code = 38
	CodeClosed              Code = 39
	CodeNotLive             Code = 40
	CodeUnknownGrant        Code = 41
	CodeUnknownProposal     Code = 42
	CodeNotEquivocation     Code = 43
	CodeTooMany             Code = 44
	CodeNotMember           Code = 45
	CodeUnknownValidator    Code = 46
	CodeBadParameter        Code = 47
	CodeSeveralOwners       Code = 48
	CodeUnknownManifest     Code = 49
	CodeManifestClosed      Code = 50
	CodeNotListed           Code = 51
)

type codeInfo struct {
	name      string
	advice    string
	retryable bool
}

var codes = [...]codeInfo{
	CodeOK:                  {"ok", "nothing to do", false},
	CodeMalformed:           {"malformed", "fix the sender's encoding; the text says at which byte it breaks the format of docs/spec", false},
	CodeTooLarge:            {"too_large", "send fewer or smaller readings a statement; docs/spec/statement.md names the limits", false},
	CodeWrongChain:          {"wrong_chain", "this was made for another ledger; give the sender this ledger's chain id", false},
	CodeBadSignature:        {"bad_signature", "the signature is not by the named key; check that the sender signs with the enrolled key and that nothing changes the bytes on the way", false},
	CodeUnknownBridge:       {"unknown_bridge", "have an organisation enrol the bridge's key, then send again", true},
	CodeUnknownDevice:       {"unknown_device", "enrol the device, then send again", true},
	CodeUnknownStream:       {"unknown_stream", "open the stream for this device, then send again", true},
	CodeUnknownKey:          {"unknown_key", "the principal has no key with this id; enrol the key, or sign with the enrolled one", true},
	CodeKeyClosed:           {"key_closed", "the key was not valid in this block; sign with the current key", false},
	CodeUsed:                {"used", "a number in this range is taken; the device repeated a number, or this is a duplicate: compare with the committed statement", false},
	CodeTooManyGaps:         {"too_many_gaps", "the stream has as many open gaps as it may; send the missing statements first, then send again", true},
	CodeClockAhead:          {"clock_ahead", "the declared time is too far in the future; set the device's clock, or send 0 when it has none", false},
	CodeInputsDisabled:      {"inputs_disabled", "this ledger does not accept derived statements yet; send it without inputs", false},
	CodeCommittedDisabled:   {"committed_form_disabled", "this ledger does not accept the committed form yet; send the readings inline", false},
	CodeNotOwner:            {"not_owner", "the actor does not own what it wants to change; let the owner sign", false},
	CodeExists:              {"exists", "this is there already; nothing to do", false},
	CodeReplayed:            {"replayed", "this operation is in the log already; to do it again, sign it with another not_after", false},
	CodeExpired:             {"expired", "not_after has passed; sign the operation again", false},
	CodeWrongDevice:         {"wrong_device", "the stream belongs to another device; check the stream id", false},
	CodeUnknownActor:        {"unknown_actor", "the ledger does not know who acts; check the actor's id", true},
	CodeNotAfterTooFar:      {"not_after_too_far", "sign the operation with a nearer not_after: at most 30 days ahead", false},
	CodeSuspended:           {"suspended", "the principal is suspended; its organisation must resume it", true},
	CodeQuota:               {"quota", "the quota of this bridge, or of its organisation, is used up; send again later", true},
	CodeFutureHeight:        {"future_height", "the ledger has not reached this height; ask again later or for a lower one", true},
	CodeNotFound:            {"not_found", "there is nothing at this place; check id, number and height", false},
	CodePruned:              {"pruned", "this node has deleted it; ask a node that keeps the archive", false},
	CodeOverloaded:          {"overloaded", "too much is under way; send again later", true},
	CodeUnknownOrganisation: {"unknown_organisation", "the ledger does not know this organisation; check its id", true},
	CodeBadPossession:       {"bad_possession", "the proof of possession is not for this chain, organisation or key; make it again", false},
	CodeBadKey:              {"bad_key", "the key is not a canonical ed25519 key of prime order; generate another", false},
	CodeRetired:             {"retired", "this has ended for good; enrol a new one", false},
	CodeNeedsProposal:       {"needs_proposal", "several must agree to this; put it up with propose, and let the others approve it", false},
	CodeNoGrant:             {"no_grant", "no grant gives the actor this right; ask the stream's owner for one", true},
	CodeGrantExpired:        {"grant_expired", "the grant is not in force at the block's time; ask the owner for another", false},
	CodeGrantRevoked:        {"grant_revoked", "the owner revoked the grant; ask for another", false},
	CodeOutOfRange:          {"out_of_range", "these readings are not within the grant, or not all of them are committed; name others, or wait for the missing ones", true},
	CodeProposalClosed:      {"proposal_closed", "the proposal was applied or has expired; propose again if it is still wanted", false},
	CodeAlreadyApproved:     {"already_approved", "this key has approved the proposal already; nothing to do", false},
	CodeClosed:              {"closed", "the stream is closed for good; open another", false},
	CodeNotLive:             {"not_live", "the change would leave too little voting power, or change too much of it in one block, or a new validator has not signed yet; make it in steps", true},
	CodeUnknownGrant:        {"unknown_grant", "the ledger does not know this grant; check its id", true},
	CodeUnknownProposal:     {"unknown_proposal", "the ledger does not know this proposal; check its id", true},
	CodeNotEquivocation:     {"not_equivocation", "the two statements do not contradict each other; nothing to record", false},
	CodeTooMany:             {"too_many", "the list is as long as it may be; end something first, or give a device alone and then its streams one by one", true},
	CodeNotMember:           {"not_member", "only an active member organisation may do this", false},
	CodeUnknownValidator:    {"unknown_validator", "no organisation has this validator; check its key", true},
	CodeBadParameter:        {"bad_parameter", "no such parameter, a value out of its range, or a height too near; docs/spec/operation.md names the ranges", false},
	CodeSeveralOwners:       {"several_owners", "the readings belong to several organisations, because the stream was sold; grant in parts, each by the owner of its numbers (mtm query parts)", false},
	CodeUnknownManifest:     {"unknown_manifest", "the ledger does not know this manifest; check its id", true},
	CodeManifestClosed:      {"manifest_closed", "the manifest was closed or its time is over; have the organisation sign another", false},
	CodeNotListed:           {"not_listed", "these keys do not stand at these places of the manifest's list; use the list, and the order, that was signed", false},
}

// String returns the stable name, e.g. "bad_signature".
func (c Code) String() string {
	if int64(c) < int64(len(codes)) {
		return codes[c].name
	}
	return fmt.Sprintf("code_%d", uint32(c))
}

// Advice says what to do about it, in one sentence.
func (c Code) Advice() string {
	if int64(c) < int64(len(codes)) {
		return codes[c].advice
	}
	return "this program does not know the code; use a newer one"
}

// Retryable tells whether the same bytes may be accepted later.
func (c Code) Retryable() bool {
	return int64(c) < int64(len(codes)) && codes[c].retryable
}

// MarshalText returns the name.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// ParseCode returns the code with the given name.
func ParseCode(name string) (Code, error) {
	for i := range codes {
		if codes[i].name == name {
			return Code(i), nil
		}
	}
	return 0, fmt.Errorf("ledger: no code is named %q", name)
}

// UnmarshalText reads a name.
func (c *Code) UnmarshalText(text []byte) (err error) {
	*c, err = ParseCode(string(text))
	return err
}

// Error is a refusal with its code.
type Error struct {
	Code Code
	Text string // what was wrong, for people; may be empty
	Err  error  // the cause; may be nil
}

// Errorf returns an Error with a code. Its verbs are those of [fmt.Errorf], %w
// included.
func Errorf(c Code, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: c, Text: err.Error(), Err: err}
}

// Err returns nil for CodeOK and otherwise an Error with the code and its advice.
func (c Code) Err() error {
	if c == CodeOK {
		return nil
	}
	return &Error{Code: c, Text: c.Advice()}
}

// Error returns the code's name and the text. A text that has the name already, because
// it is that of another Error, comes as it is.
func (e *Error) Error() string {
	name := e.Code.String()
	switch {
	case e.Text == "":
		return name
	case strings.Contains(": "+e.Text+": ", ": "+name+": "):
		return e.Text
	}
	return name + ": " + e.Text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes errors.Is(err, &Error{Code: c}) true for every error with code c.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code && t.Text == "" && t.Err == nil
}

// CodeOf returns the code that err carries: CodeOK for nil, CodeMalformed for an
// error without one.
func CodeOf(err error) Code {
	if err == nil {
		return CodeOK
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeMalformed
}
