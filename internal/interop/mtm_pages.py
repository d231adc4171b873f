"""Answers that are the pages of one list or cover (docs/spec/answer.md, Pages)."""

import mtm_answer as answer
from mtm_light import ASSUMPTION, demand

COVER = ("committed", "missing", "not_written")


def verify(files, trust):
    """Checks answers, each by itself and then together; returns what they are, or raises ProofRefused."""
    pages = [answer.verify_results(data, trust) for data in files]
    demand(1 <= len(pages) <= 1000, "pages", "1 to 1,000 files")
    states = {}
    for finding, _ in pages:
        height = finding["as_of_height"]
        demand(states.setdefault(height, finding["app_hash"]) == finding["app_hash"], "pages", "the validators signed a fork")
    oldest = min((finding for finding, _ in pages), key=lambda finding: finding["as_of_height"])
    whole = _covers(pages) if "cover" in pages[0][0] else _lists(pages)
    return {"chain": oldest["chain"], "as_of_height": oldest["as_of_height"], "to_height": max(states),
            "one_height": len(states) == 1, "header_time": oldest["header_time"], "whole": whole, "assumption": ASSUMPTION}


def _lists(pages):
    results = pages[0][1]
    demand(results and results[0][0][0] == 3, "pages", "the first page begins with no list")
    lo = next_ = results[0][0][1]
    count, hi = 0, None
    for _, results in pages:
        demand(results and results[0][0][:2] == (3, next_), "pages", "a page does not begin with a list from the next key on")
        (_, _, hi), rows = results[0]
        count += len(rows)
        next_ = (int.from_bytes(hi, "big") + 1).to_bytes(33, "big")
    return {"from": lo.hex(), "to": hi.hex(), "rows": count}


def _covers(pages):
    covers = [finding.get("cover") for finding, _ in pages]
    first = covers[0]
    next_ = first["first"]
    for cover in covers:
        demand(cover and cover["stream"] == first["stream"] and cover["first"] == next_, "pages",
               "a page has no cover from the next number on")
        next_ = cover["last"] + 1
    return {"stream": first["stream"], "first": first["first"], "last": next_ - 1,
            **{kind: sum(cover[kind] for cover in covers) for kind in COVER}}
