#!/usr/bin/python3
"""verdicts.py: reads lines `KIND HEX [HEX of the trust root]` and answers each with a line: `ok`, the code of transaction.md,
or the name of the check of certificate.md or answer.md that refuses it. For comparing two implementations on whatever one makes up."""

import sys

import mtm_answer as answer
import mtm_certificate as certificate
import mtm_formats as f
import mtm_light as light
import mtm_lineage as lineage
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
    "answer": answer.verify,
    "lineage": lineage.verify,
    "trust": light.parse_trust,
}

for line in sys.stdin:
    kind, *data = line.rstrip("\n").split(" ")
    try:
        KINDS[kind](*map(bytes.fromhex, data))
        print("ok")
    except f.Refused as e:
        print(e.code)
    except light.ProofRefused as e:
        print(e.check)
