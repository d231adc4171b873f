#!/usr/bin/python3
"""verify.py FILE... --trust ROOT [--json]: checks a certificate, an answer or a lineage offline, or answers that are the
pages of one list or cover. Exit code 0: accepted, 1: refused, 2: usage."""

import argparse
import json
import sys

import mtm_answer
import mtm_certificate
import mtm_lineage
import mtm_pages
from mtm_light import ProofRefused

WORDS = {
    mtm_certificate: "accepted: readings {first} to {last} of stream {stream}, committed at height {committed_height}, "
                     "{committed_time}; ",
    mtm_answer: "accepted: an answer as of height {as_of_height}, {header_time}; ",
    mtm_lineage: "accepted: the lineage of reading {number} of stream {stream}, {edges} edges, complete: {complete}, as of height "
                 "{as_of_height}, {header_time}; ",
}


def read(name, limit):
    with open(name, "rb") as f:
        return f.read(limit + 1)


def readable(value):
    """What JSON has no form for: keys and values of rows."""
    return value.hex()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--trust", required=True)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    try:
        files = [read(name, mtm_lineage.LIMIT) for name in args.files]
        trust = read(args.trust, 1048576)
    except OSError as e:
        print(e, file=sys.stderr)
        return 2
    kinds = [k for k in (mtm_answer, mtm_lineage) if files[0].startswith(k.MAGIC[:-1])]
    kind = kinds[0] if kinds else mtm_certificate
    try:
        if len(files) > 1:
            print(json.dumps(mtm_pages.verify(files, trust), indent=2, ensure_ascii=False))
            return 0
        finding = kind.verify(files[0], trust)
    except ProofRefused as e:
        print(f"refused: {e}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(finding, indent=2, ensure_ascii=False, default=readable))
    else:
        if finding.get("doubtful"):
            print("IN DOUBT: the key is declared compromised from height {doubtful_from} on".format(**finding))
        print((WORDS[kind] + "signed by {power_signed} of {power} power. Assuming: {assumption}.").format(**finding))
    return 0


if __name__ == "__main__":
    sys.exit(main())
