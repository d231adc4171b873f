// Package interop holds a second implementation of the public formats: a device and a verifier in Python, written from
// docs/spec and testdata/vectors alone. Its tests run all vectors through it, and the device and the verifier against a
// real ledger.
//
//	check_vectors.py    all vectors, made and read (with check_proofs.py, vectors.py)
//	verify.py           checks a certificate or an answer
//	verdicts.py         says of any input what it is refused for
//	device.py           an MQTT device
//	mtm_*.py            the formats
//
// They need the Debian packages python3-cbor2, python3-cryptography and python3-paho-mqtt.
package interop
