#!/usr/bin/env bash
# Runs all tests, among them the device and the verifier in Python
# (internal/interop). The last line counts them.
set -euo pipefail

status=0
reporter=$(mktemp)
trap 'rm -f "$reporter"' EXIT
go build -o "$reporter" ./internal/ci/report

go test -timeout 20m -json "$@" ./... 2>&1 | "$reporter" || status=1
exit $status
