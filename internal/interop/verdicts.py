#!/usr/bin/python3
"""verdicts.py: reads lines `KIND HEX [HEX of the trust root]` and answers each with a line: `ok`, the code of transaction.md,
or the name of the check of certificate.md that refuses it. For comparing two implementations on whatever one makes up."""

import sys

import mtm_certificate as certificate
import mtm_formats as f
import mtm_merkle as merkle

KINDS = {
    "statement": f.parse_statement,
    "acknowledgement": f.parse_acknowledgement,
    "transaction": f.parse_transaction,
    "operation": f.parse_operation,
    "possession": f.parse_possession,
    "committed": f.parse_committed,
    "partial": merkle.PartialTree,
    "certificate": certificate.verify,
}

for line in sys.stdin:
    kind, *data = line.rstrip("\n").split(" ")
    try:
        KINDS[kind](*map(bytes.fromhex, data))
        print("ok")
    except f.Refused as e:
        print(e.code)
    except certificate.CertificateRefused as e:
        print(e.check)
