#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME each (default 10s).
set -euo pipefail

count=0
while IFS=: read -r file target; do
  echo "fuzz $(dirname "$file") $target for ${FUZZTIME:=10s}"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$FUZZTIME" -fuzzminimizetime 5x "./$(dirname "$file")" >/tmp/mtm-fuzz.$$ 2>&1 ||
    { cat /tmp/mtm-fuzz.$$; rm -f /tmp/mtm-fuzz.$$; exit 1; }
  rm -f /tmp/mtm-fuzz.$$
  count=$((count + 1))
done < <(git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | sed -E 's/:func /:/')
echo "fuzz: $count targets, no failure"
