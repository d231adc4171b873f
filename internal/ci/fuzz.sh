#!/usr/bin/env bash
# Runs every fuzz target for FUZZTIME each: a number of inputs ("2000x", the default:
# the same work on every machine) or a time ("30m"). A target of whole signature
# batches gets a fiftieth of the number.
#
# go test can take the end of a fuzzing time for a failure ("context deadline
# exceeded", golang/go#75804), so a run by time is judged by whether it left an input
# that fails.
set -euo pipefail

: "${FUZZTIME:=2000x}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# amount TARGET prints what go test gets as -fuzztime.
amount() {
  case "$1/$FUZZTIME" in
  FuzzVerify/*x) n=$(("${FUZZTIME%x}" / 50)); echo "$((n > 0 ? n : 1))x" ;;
  *) echo "$FUZZTIME" ;;
  esac
}

count=0
while IFS=: read -r file target; do
  time=$(amount "$target")
  echo "fuzz $(dirname "$file") $target: $time"
  if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 5x "./$(dirname "$file")" >"$log" 2>&1; then
    if [[ $time == *x ]] || ! grep -q 'context deadline exceeded' "$log" || grep -q 'Failing input' "$log"; then
      cat "$log"
      exit 1
    fi
  fi
  count=$((count + 1))
done < <(git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | sed -E 's/:func /:/')
echo "fuzz: $count targets, no failure"
