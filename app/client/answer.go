package client

import (
	"context"

	"mtmledger/app/query"
	"mtmledger/crypto"
)

// Questions for provable answers.
type (
	AnswerRequest      = query.AnswerRequest
	CertificateRequest = query.CertificateRequest
	Question           = query.Question
	RangeRequest       = query.RangeRequest
	Pin                = query.Pin
)

// MaxQuestions bounds the questions of one request.
const MaxQuestions = query.MaxQuestions

// Answer returns an answer file (docs/spec/answer.md) that proves rows, their
// absence, whole lists, log entries or a cover. The caller verifies it with
// package proof; a long list or cover comes in pages, of which each says what it
// proves. CodeFutureHeight: the state is not signed for yet; ask again after the
// next block.
func (r reads) Answer(ctx context.Context, q AnswerRequest) ([]byte, error) {
	var f query.File
	err := r.ask(ctx, query.PathAnswer, &q, &f)
	return f.Bytes, err
}

// Pin lets the node hold the state that it can prove now, for at most
// query.PinTime, so that several answers are about one height. CodeOverloaded:
// it holds query.MaxPinnedHeights others already.
func (r reads) Pin(ctx context.Context) (p Pin, err error) {
	err = r.ask(ctx, query.PathPin, &query.Empty{}, &p)
	return p, err
}

// Unpin ends a pin before its time.
func (r reads) Unpin(ctx context.Context, pin crypto.ID) error {
	return r.ask(ctx, query.PathUnpin, &query.IDRequest{ID: pin}, &query.Empty{})
}
