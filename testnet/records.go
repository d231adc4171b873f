package testnet

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"mtmledger/crypto"
	"mtmledger/ledger"
)

// Ledger is what operations are sent to; both clients of app/client are one.
type Ledger interface {
	Submit(ctx context.Context, tx []byte) error
	Wait(ctx context.Context, txHash [32]byte) (ledger.TxResult, error)
}

// operationLife is how long a signed operation may wait to be committed, at
// least. Up to operationJitter is added at random: the same operation signed
// twice in one second would be one and the same.
const (
	operationLife   = time.Hour
	operationJitter = 24 * time.Hour
)

// Operate signs an operation, submits it and waits until it is committed. A
// refusal is an error with its code.
func Operate(ctx context.Context, l Ledger, key crypto.PrivateKey, o ledger.Operation) (ledger.TxResult, error) {
	if o.NotAfter == 0 {
		o.NotAfter = time.Now().Add(operationLife + rand.N(operationJitter)).Unix()
	}
	signed, err := ledger.SignOperation(key, o)
	if err != nil {
		return ledger.TxResult{}, fmt.Errorf("sign: %w", err)
	}
	if err := l.Submit(ctx, signed.Bytes()); err != nil {
		return ledger.TxResult{}, err
	}
	result, err := l.Wait(ctx, ledger.TxHash(signed.Bytes()))
	if err != nil {
		return result, err
	}
	return result, result.Code.Err()
}

// Enrol enrols a device of the manifest with the organisation's key. created is
// false when the device was enrolled before.
func (m *Manifest) Enrol(ctx context.Context, l Ledger, d *Device) (result ledger.TxResult, created bool, err error) {
	admin, err := m.AdminKey()
	if err != nil {
		return result, false, err
	}
	key, err := m.DeviceKey(d)
	if err != nil {
		return result, false, err
	}
	possession, err := ledger.SignPossession(key, m.Chain, m.Organisation.ID)
	if err != nil {
		return result, false, fmt.Errorf("enrol %s: %w", d.Name, err)
	}
	result, err = Operate(ctx, l, admin, ledger.Operation{
		Chain: m.Chain, Actor: m.Organisation.ID, Body: ledger.EnrolDevice{Possession: possession},
	})
	return result, err == nil, known(err, "enrol "+d.Name)
}

// Open opens a stream of an enrolled device with the organisation's key.
// created is false when it was opened before.
func (m *Manifest) Open(ctx context.Context, l Ledger, d *Device, name string) (result ledger.TxResult, created bool, err error) {
	admin, err := m.AdminKey()
	if err != nil {
		return result, false, err
	}
	result, err = Operate(ctx, l, admin, ledger.Operation{
		Chain: m.Chain, Actor: m.Organisation.ID, Body: ledger.OpenStream{Device: d.ID, Name: name},
	})
	return result, err == nil, known(err, "open stream "+name)
}

// known makes nothing of "exists", which is what was wanted.
func known(err error, what string) error {
	if err == nil || ledger.CodeOf(err) == ledger.CodeExists {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// AdminKey loads the organisation's key.
func (m *Manifest) AdminKey() (crypto.PrivateKey, error) {
	return crypto.LoadKey(m.Path(m.Organisation.Key))
}

// DeviceKey loads the key of a device.
func (m *Manifest) DeviceKey(d *Device) (crypto.PrivateKey, error) {
	return crypto.LoadKey(m.Path(d.Home, "key.pem"))
}

// BridgeKey loads the key of the bridge.
func (m *Manifest) BridgeKey() (crypto.PrivateKey, error) {
	return crypto.LoadKey(m.Path(m.Bridge.Home, "key.pem"))
}

// Establish makes, enrols and opens everything that the named streams of a
// device need.
func (m *Manifest) Establish(ctx context.Context, l Ledger, device string, streams ...string) (*Device, error) {
	d, err := m.AddDevice(device)
	if err != nil {
		return nil, err
	}
	if _, _, err := m.Enrol(ctx, l, d); err != nil {
		return nil, err
	}
	for _, name := range streams {
		if _, _, err := m.Open(ctx, l, d, name); err != nil {
			return nil, err
		}
		if _, err := m.AddStream(device, name); err != nil {
			return nil, err
		}
	}
	return m.Device(device)
}
