#!/usr/bin/env bash
# Runs all tests, and the strangers' device and verifier in Python where Debian's
# packages for them are installed. The last line counts the Go tests.
set -euo pipefail

status=0
reporter=$(mktemp)
trap 'rm -f "$reporter"' EXIT
go build -o "$reporter" ./internal/ci/report

for script in internal/interop/run.sh; do
  [ -e "$script" ] || continue
  if /usr/bin/python3 -c 'import cbor2, cryptography, paho.mqtt.client' 2>/dev/null; then
    bash "$script" || status=1
  else
    echo "SKIPPED LOUDLY: $script needs python3-cbor2, python3-cryptography, python3-paho-mqtt"
  fi
done

go test -timeout 20m -json "$@" ./... 2>&1 | "$reporter" || status=1
exit $status
