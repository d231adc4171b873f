"""The vectors of certificates, answers and lineages, and of the light blocks in them."""

import base64
import json

import mtm_answer as answer
import mtm_certificate as certificate
import mtm_ed25519 as ed25519
import mtm_formats as f
import mtm_light as light
import mtm_lineage as lineage
import mtm_pages as pages
from vectors import check, each, h, load, same


def check_light():
    d = load("certificate-light.json")

    def validators(v):
        pairs = [(f.parse_public_text(x["key"]), x["power"]) for x in v["set"]]
        return same(order=(light.sort_validators(pairs), pairs), fault=(light.set_fault(pairs), None),
                    addresses=([light.address(k).hex() for k, _ in pairs], v["addresses"]),
                    leaves=([x.hex() for x in light.validator_items(pairs)], v["leaves"]),
                    hash=(light.validators_hash(pairs).hex(), v["hash"]),
                    power=(sum(p for _, p in pairs), v["power"]))

    for where, v in each(d["validator_sets"], "light set"):
        check(where, lambda: validators(v))

    def header(v):
        last = v["last_block_id"]
        header = light.Header(
            v["block_version"], v["app_version"], v["height"], v["time_ns"],
            (h(last["hash"]), last["parts_total"], h(last["parts_hash"])), h(v["last_commit_hash"]),
            h(v["data_hash"]), h(v["consensus_hash"]), h(v["last_results_hash"]), h(v["evidence_hash"]),
            h(v["proposer_address"]))
        items = light.header_items(header, v["chain"], h(v["validators_hash"]), h(v["next_validators_hash"]),
                                         h(v["app_hash"]))
        return same(leaves=([x.hex() for x in items], v["leaves"]),
                    hash=(light.tree_hash(items).hex(), v["hash"]))

    for where, v in each(d["headers"], "light header"):
        check(where, lambda: header(v))

    def vote(v):
        b = v["block_id"]
        message = light.sign_bytes(v["chain"], v["height"], v["round"], h(b["hash"]), b["parts_total"],
                                         h(b["parts_hash"]), v["time_ns"])
        ok = ed25519.verify(f.parse_public_text(v["key"]), message, base64.b64decode(v["signature"]))
        return same(sign_bytes=(message.hex(), v["sign_bytes"]), verified=(ok, True))

    for where, v in each(d["votes"], "light vote"):
        check(where, lambda: vote(v))


def verdict(v, data, verify, finding):
    """None, or how what verify says of the file differs from the vector."""
    try:
        got = verify(base64.b64decode(data or ""), json.dumps(v["trust"]).encode())
    except light.ProofRefused as e:
        return same(accepted=(False, v["accepted"]), check=(e.check, v.get("check")))
    return same(accepted=(True, v["accepted"]), finding=finding(got, v.get("finding")))


def check_certificates():
    for where, v in each(load("certificate.json")["cases"], "certificate"):
        check(where, lambda: verdict(v, v["certificate"], certificate.verify, lambda got, want: (got, want)))


def leaves(value):
    """Numbers and texts in a value of JSON or CBOR, byte strings of 16 as ids."""
    if type(value) in (list, dict):
        return [leaf for v in (value.values() if type(value) is dict else value) for leaf in leaves(v)]
    return [f.id_text(value) if type(value) is bytes and len(value) == 16 else value]


def comparable(got, want):
    """A finding without the words that are one program's choice: what a question is called, a body in words, and how rows are
    named. Of a row, the ids and numbers must be there."""
    want = json.loads(json.dumps(want))
    got = dict(got)
    for e in want.get("entries", []):
        e.pop("body", None)
    for r in want.get("results", []):
        del r["question"]
    results = []
    for r, shown in zip(got.get("results", []), want.get("results", [])):
        rows = []
        for (key, value), words in zip(r["rows"], shown["rows"]):
            facts = [key[1:17], *f.decode(value)[1:]]
            if words["family"] == "stream":
                facts.pop()  # the status, shown as a word
            missing = [leaf for leaf in leaves(facts) if leaf not in leaves(words)]
            rows.append(words if not missing else {"missing": missing})
        results.append({**r, "rows": rows + r["rows"][len(shown["rows"]):]})
    if "results" in got:
        got["results"] = results
    return got, want


def check_answers():
    d = load("answer.json")
    for where, v in each(d["cases"], "answer"):
        check(where, lambda: verdict(v, v["answer"], answer.verify, comparable))
    cases = {v["name"]: v for v in d["cases"]}

    def joined(v):
        files = [base64.b64decode(cases[name]["answer"]) for name in v["pages"]]
        trust = json.dumps(cases[v["pages"][0]]["trust"]).encode()
        try:
            got = pages.verify(files, trust)
        except light.ProofRefused as e:
            return same(accepted=(False, v["accepted"]), check=(e.check, v.get("check")))
        v["finding"]["whole"].pop("question", None)
        return same(accepted=(True, v["accepted"]), finding=(got, v["finding"]))

    for where, v in each(d["joined"], "pages"):
        check(where, lambda: joined(v))


def check_lineages():
    for where, v in each(load("lineage.json")["cases"], "lineage"):
        check(where, lambda: verdict(v, v["lineage"], lineage.verify, lambda got, want: (got, want)))
