#!/usr/bin/env bash
# The table of figures for this machine: 1, 10 and 100 readings a statement with
# one and with four validators, and one reading a statement on 10, 1,000 and
# 10,000 streams. Each run's JSON goes to dist/bench.
set -euo pipefail

out=dist/bench
mkdir -p "$out"
one() {
  local name=$1
  shift
  echo "== $name"
  bin/mtm bench --for "${BENCHTIME:=20s}" --rate max --json "$@" >"$out/$name.json"
  bin/mtm bench show "$out/$name.json"
}
for validators in 1 4; do
  for count in 1 10 100; do
    one "v$validators-k$count" --validators "$validators" --readings-per-statement "$count" --streams 50 \
      --baseline="$([ "$count" = 1 ] && echo true || echo false)"
  done
done
for streams in 10 1000 10000; do
  one "v1-k1-s$streams" --streams "$streams" --baseline=false
done
