#!/usr/bin/env bash
# gofmt, go vet, staticcheck and, where its database can be reached, govulncheck.
set -euo pipefail

staticcheck=honnef.co/go/tools/cmd/staticcheck@v0.8.2
govulncheck=golang.org/x/vuln/cmd/govulncheck@v1.9.0

unformatted=$(git ls-files '*.go' | xargs -r gofmt -l)
if [ -n "$unformatted" ]; then
  echo "gofmt: run gofmt -w on:" && echo "$unformatted"
  exit 1
fi
go vet ./...
go run "$staticcheck" ./...

out=$(mktemp)
trap 'rm -f "$out"' EXIT
if go run "$govulncheck" ./... >"$out" 2>&1; then
  tail -3 "$out"
elif grep -q 'Vulnerability #' "$out"; then
  cat "$out"
  echo "govulncheck: the code calls something with a known vulnerability"
  exit 1
else
  tail -3 "$out"
  echo "SKIPPED LOUDLY: govulncheck could not run here (its database is on the network)"
fi
echo "lint: ok"
