"""What the checks of vectors share: finding the files, and counting."""

import json
import os
import sys

import mtm_formats as f

DIRECTORY = sys.argv[1] if len(sys.argv) > 1 else os.path.join(
    os.path.dirname(os.path.abspath(__file__)), "..", "..", "testdata", "vectors")

passed, failures = 0, []
used = set()


def load(name):
    used.add(name)
    with open(os.path.join(DIRECTORY, name), encoding="utf-8") as file:
        return json.load(file)


def check(where, run):
    """One vector: run returns None, or what is wrong, or raises."""
    global passed
    try:
        fault = run()
    except Exception as e:  # whatever goes wrong in a vector is a failure of this vector
        fault = f"{type(e).__name__}: {e}"
    if fault is None:
        passed += 1
    else:
        failures.append(where)
        print(f"FAILED {where}: {fault}")


def same(**pairs):
    wrong = [f"{name} is {got!r}, want {want!r}" for name, (got, want) in pairs.items() if got != want]
    return "; ".join(wrong)[:1000] or None


def refused(code, run):
    try:
        run()
    except f.Refused as e:
        return same(code=(e.code, code))
    return f"accepted, want {code}"


def h(text):
    return bytes.fromhex(text)


def each(vectors, name):
    for i, v in enumerate(vectors):
        yield f"{name} {i} {v.get('name', v.get('What', ''))}".strip(), v
