#!/usr/bin/env bash
# Runs the packages that have goroutines of their own under the race detector. It needs
# a C compiler; the rest of the project does not.
set -euo pipefail

if ! command -v gcc >/dev/null && ! command -v clang >/dev/null; then
  echo "SKIPPED LOUDLY: no C compiler, so no race detector; install gcc"
  exit 0
fi
export CGO_ENABLED=1
go test -race -short ./mqttbridge/... ./ledger/device ./app/client ./app/query ./app/signer ./cmd/mtm/internal/... ./testnet/load
go test -race -short -run 'Pool|Check|Turn|Backlog|Stale|Refus|Client|Hung|Metrics' ./app ./app/node
go test -race -short -run 'Verifier|Helper|Leaving|Callers|Workers' ./crypto
echo "race: none found"
