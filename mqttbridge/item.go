package mqttbridge

import (
	"errors"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
	"mtmledger/mqttbridge/spool"
)

// item is a message on its way from the spool to a decision. One goroutine at a
// time has it; it passes from one to the next under queue.mu.
type item struct {
	seq      uint64 // in the spool
	received int64  // microseconds since the Unix epoch
	topic    string
	raw      []byte

	statement *ledger.Statement // nil until parsed
	digest    [32]byte
	key       crypto.PublicKey
	verified  bool // the signature is by a key of the device
	sent      int  // transactions it was part of
	alone     bool // goes into a transaction of its own
	same      []*item

	retry retry
}

// retry is an item's state after a refusal that may pass. The zero value: never
// refused.
type retry struct {
	code  ledger.Code
	text  string
	since time.Time     // of the first refusal
	due   time.Time     // when to try again
	pause time.Duration // before due
	index int           // in queue.retries, or -1
}

// refuse notes why the item can't be accepted now.
func (it *item) refuse(err error) {
	it.retry.code, it.retry.text, _ = refusal(err)
}

func newItem(e spool.Entry) *item {
	return &item{seq: e.Seq, received: e.Time, topic: e.Topic, raw: e.Payload, retry: retry{index: -1}}
}

// itemCost is what an item costs in memory beyond its payload.
const itemCost = 512

func (it *item) cost() int { return itemCost + len(it.raw) }

// parse decodes the statement and checks that it stands on its own topic.
func (it *item) parse() error {
	s, err := ledger.ParseStatement(it.raw)
	if err != nil {
		return err
	}
	device, stream, err := ledger.ParseUpTopic(it.topic)
	if err != nil {
		return err
	}
	if device != s.Device || stream != s.Stream {
		return ledger.Errorf(ledger.CodeWrongDevice,
			"published on the topic of device %v, stream %v, but signed for device %v, stream %v",
			device, stream, s.Device, s.Stream)
	}
	it.statement, it.digest = s, s.Digest()
	return nil
}

// refusal returns the code and text of an error that the ledger decided on; false
// for one that only says that the ledger was not reached: its node is away, has no
// time, or has not got as far as the question.
func refusal(err error) (ledger.Code, string, bool) {
	var e *ledger.Error
	if !errors.As(err, &e) || e.Code == ledger.CodeOverloaded || e.Code == ledger.CodeFutureHeight {
		return 0, "", false
	}
	return e.Code, e.Text, true
}
