#!/usr/bin/env bash
# Installs the Debian packages that some tests use. What cannot be installed is
# said loudly: the tests that need it skip themselves and say so again.
set -euo pipefail

wanted=(gcc libc6-dev mosquitto python3-cbor2 python3-cryptography python3-paho-mqtt qemu-user)
missing=()
if command -v dpkg-query >/dev/null; then
  for p in "${wanted[@]}"; do
    dpkg-query -W -f='${Status}' "$p" 2>/dev/null | grep -q 'install ok installed' || missing+=("$p")
  done
else
  echo "SKIPPED LOUDLY: not a Debian system; install by hand for all tests: ${wanted[*]}"
  exit 0
fi
[ ${#missing[@]} -eq 0 ] && exit 0

as_root=()
if [ "$(id -u)" != 0 ]; then
  if sudo -n true 2>/dev/null; then
    as_root=(sudo -n)
  else
    echo "SKIPPED LOUDLY: not root; for all tests run: apt-get install ${missing[*]}"
    exit 0
  fi
fi
export DEBIAN_FRONTEND=noninteractive
# Keep Debian from starting a system-wide broker: tests start their own.
install_all() {
  "${as_root[@]}" apt-get -qq update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
      apt-get -qq install -y --no-install-recommends "${missing[@]}"
}
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if install_all >"$log" 2>&1; then
  echo "installed: ${missing[*]}"
else
  tail -5 "$log"
  echo "SKIPPED LOUDLY: could not install ${missing[*]}; tests that need them are skipped"
fi
