// Package load makes load for a ledger: devices that publish signed statements
// over MQTT as fast as asked, with a bounded number of them under way, and
// measure until the ledger's acknowledgement comes back.
//
// It runs as a process of its own, so that its CPU time is told apart from that
// of what it measures.
package load

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// Plan says what the load is. Keys and ids follow from the seed, so that the
// one who enrols and the one who sends need to share nothing else.
type Plan struct {
	Chain   string        `json:"chain"`
	MQTT    string        `json:"mqtt"` // host:port
	Seed    [32]byte      `json:"seed"`
	Devices int           `json:"devices"`
	Streams int           `json:"streams"`
	Count   int           `json:"readings_per_statement"`
	Bytes   int           `json:"reading_bytes"`
	Rate    float64       `json:"rate"`    // readings a second; 0: as fast as the window allows
	Window  int           `json:"window"`  // statements under way
	Presign int           `json:"presign"` // statements signed before the start
	Warm    time.Duration `json:"warm"`    // sent but not measured
	For     time.Duration `json:"for"`     // measured
}

// ErrPlan is wrapped by errors of Check.
var ErrPlan = errors.New("load: bad plan")

// Check reports what is wrong with a plan.
func (p Plan) Check() error {
	switch {
	case p.Devices < 1 || p.Streams < p.Devices:
		return fmt.Errorf("%w: %d streams on %d devices", ErrPlan, p.Streams, p.Devices)
	case p.Count < 1 || p.Count > ledger.MaxReadings:
		return fmt.Errorf("%w: %d readings a statement, want 1 to %d", ErrPlan, p.Count, ledger.MaxReadings)
	case p.Bytes < 0 || p.Count*(p.Bytes+12)+256 > ledger.MaxStatement:
		return fmt.Errorf("%w: %d readings of %d bytes exceed a statement of %d bytes", ErrPlan, p.Count, p.Bytes, ledger.MaxStatement)
	case p.Rate < 0 || p.Window < 1 || p.For <= 0 || p.Warm < 0:
		return fmt.Errorf("%w: rate, window and time must be positive", ErrPlan)
	}
	return nil
}

// Key is the key of device i.
func (p Plan) Key(i int) crypto.PrivateKey {
	return crypto.KeyFromSeed(sha256.Sum256(binary.BigEndian.AppendUint32(p.Seed[:], uint32(i))))
}

// DeviceOf is the number of the device that writes stream j.
func (p Plan) DeviceOf(j int) int { return j % p.Devices }

// StreamName is the name of stream j.
func StreamName(j int) string { return fmt.Sprintf("load-%d", j) }

// Ledger is what the plan's devices and streams are recorded with.
type Ledger interface {
	Submit(ctx context.Context, tx []byte) error
	Wait(ctx context.Context, txHash [32]byte) (ledger.TxResult, error)
}

// operationsUnderWay bounds the operations that wait for a block.
const operationsUnderWay = 500

// Record enrols the plan's devices and opens its streams, many in one block.
func (p Plan) Record(ctx context.Context, l Ledger, admin crypto.PrivateKey, organisation crypto.ID) error {
	notAfter := time.Now().Add(time.Hour).Unix()
	sign := func(body ledger.Body) ([]byte, error) {
		o, err := ledger.SignOperation(admin, ledger.Operation{Chain: p.Chain, Actor: organisation, NotAfter: notAfter, Body: body})
		if err != nil {
			return nil, err
		}
		return o.Bytes(), nil
	}
	ids := make([]crypto.ID, p.Devices)
	err := many(p.Devices, func(i int) error {
		key := p.Key(i)
		ids[i] = ledger.DeviceID(key.Public())
		possession, err := ledger.SignPossession(key, p.Chain, organisation)
		if err != nil {
			return err
		}
		return commit(ctx, l, sign, ledger.EnrolDevice{Possession: possession})
	})
	if err != nil {
		return fmt.Errorf("load: enrol: %w", err)
	}
	err = many(p.Streams, func(j int) error {
		return commit(ctx, l, sign, ledger.OpenStream{Device: ids[p.DeviceOf(j)], Name: StreamName(j)})
	})
	if err != nil {
		return fmt.Errorf("load: open stream: %w", err)
	}
	return nil
}

func commit(ctx context.Context, l Ledger, sign func(ledger.Body) ([]byte, error), body ledger.Body) error {
	tx, err := sign(body)
	if err != nil {
		return err
	}
	if err := l.Submit(ctx, tx); err != nil {
		return err
	}
	result, err := l.Wait(ctx, ledger.TxHash(tx))
	if err != nil {
		return err
	}
	return result.Code.Err()
}

// many runs n tasks, operationsUnderWay at once, and returns the first error.
func many(n int, task func(int) error) error {
	slots := make(chan struct{}, operationsUnderWay)
	errs := make(chan error, n)
	for i := range n {
		slots <- struct{}{}
		go func() {
			errs <- task(i)
			<-slots
		}()
	}
	var first error
	for range n {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}
