#!/usr/bin/python3
"""verify.py CERT --trust ROOT [--json]: checks a certificate offline. Exit code 0: accepted, 1: refused, 2: usage."""

import argparse
import json
import sys

import mtm_certificate


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("certificate")
    parser.add_argument("--trust", required=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    try:
        with open(args.certificate, "rb") as f:
            data = f.read(4194304 + 1)
        with open(args.trust, "rb") as f:
            trust = f.read(1048576 + 1)
    except OSError as e:
        print(e, file=sys.stderr)
        return 2
    try:
        finding = mtm_certificate.verify(data, trust)
    except mtm_certificate.CertificateRefused as e:
        print(f"refused: {e}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(finding, indent=2, ensure_ascii=False))
    else:
        print("accepted: readings {first} to {last} of stream {stream}, committed at height {committed_height}, "
              "{committed_time}; signed by {power_signed} of {power} power. Assuming: {assumption}.".format(**finding))
    return 0


if __name__ == "__main__":
    sys.exit(main())
