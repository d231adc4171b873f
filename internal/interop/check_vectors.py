#!/usr/bin/python3
"""check_vectors.py [DIRECTORY]: runs the vectors of testdata/vectors, made and read. The last line is the count."""

import base64
import os
import sys

import cbor2

import mtm_ed25519 as ed25519
import mtm_formats as f
import mtm_merkle as merkle
import vectors
from check_proofs import check_answers, check_certificates, check_light, check_lineages
from vectors import check, each, h, load, refused, same


def check_encoding():
    d = load("encoding.json")
    for where, v in each(d["valid"], "encoding valid"):
        check(where, lambda: same(again=(f.encode(f.decode(h(v["bytes"]))).hex(), v["bytes"])))
    for where, v in each(d["invalid"], "encoding invalid"):
        check(where, lambda: refused("malformed", lambda: f.decode(h(v["bytes"]))))


def check_identifiers():
    d = load("identifiers.json")
    ids = {"device": f.device_id, "bridge": f.bridge_id, "organisation": f.organisation_id}

    def run(v):
        kind = v["name"]
        if kind == "sum":
            return same(sum=(f.sum_(v["domain"], *map(h, v["parts"])).hex(), v["sum"]))
        if kind in ids:
            i = ids[kind](h(v["public"]))
            return same(id=(i.hex(), v["id"]), text=(f.id_text(i), v["text"]), parsed=(f.parse_id(v["text"]), i))
        if kind == "kid":
            return same(kid=(f.key_id(h(v["public"])).hex(), v["kid"]))
        if kind == "stream":
            i = f.stream_id(v["chain"], f.parse_id(v["device"]), v["stream_name"])
            return same(id=(i.hex(), v["id"]), text=(f.id_text(i), v["text"]))
        if kind == "topics":
            device, stream = f.parse_id(v["device"]), f.parse_id(v["stream"])
            return same(up=(f.topic_up(device, stream), v["up"]), ack=(f.topic_ack(device), v["ack"]),
                        data=(f.topic_data(stream), v["data"]))
        if kind == "committed":
            height, index, time, statement = f.parse_committed(h(v["bytes"]))
            made = f.make_committed(int(v["height"]), int(v["index"]), int(v["time"]), h(v["statement"]))
            return same(made=(made.hex(), v["bytes"]), height=(height, int(v["height"])),
                        index=(index, int(v["index"])), time=(time, int(v["time"])),
                        statement=(f.parse_statement(statement).message.bytes.hex(), v["statement"]))
        if kind == "genesis":
            content, entry = f.genesis(d["chain"], v["app_state"])
            return same(content=(content.hex(), v["content"]), entry=(entry.hex(), v["entry"]))
        return "an unknown kind of vector"

    for where, v in each(d["valid"], "identifiers"):
        check(where, lambda: run(v))


def check_signatures():
    d = load("signatures.json")
    for where, v in each(d["Sums"], "signatures sum"):
        total = f.sum_(v["Domain"], *map(h, v["Parts"]))
        check(where, lambda: same(sum=(total.hex(), v["Sum"]), id=(f.id_text(total[:16]), v["ID"])))

    def key(v):
        public = h(v["Public"])
        fault = ed25519.enrolment_fault(public)
        got = "ok" if fault is None else f"crypto: public key is {fault}"
        return same(
            public=(ed25519.Key(h(v["Seed"])).public.hex() if v["Seed"] else v["Public"], v["Public"]),
            text=(base64.b64encode(public).decode(), v["Text"]), parsed=(f.parse_public_text(v["Text"]), public),
            kid=(f.key_id(public).hex(), v["KeyID"]), enrolment=(got, v["Enrolment"]))

    for where, v in each(d["Keys"], "signatures key"):
        check(where, lambda: key(v))

    def sign1(v):
        k = ed25519.Key(h(v["Seed"]))
        claims = [f.parse_id(v["Issuer"]), f.parse_id(v["Subject"])] if "Issuer" in v else [None, None]
        m = f.parse_sign1(h(v["Message"]))
        made = f.sign1(k, v["ContentFormat"], h(v["Payload"]), *claims)
        return same(made=(made.hex(), v["Message"]), format=(m.content_format, v["ContentFormat"]),
                    payload=(m.payload.hex(), v["Payload"]), claims=([m.issuer, m.subject], claims),
                    sig_structure=(m.sig_structure.hex(), v["SigStructure"]), digest=(m.digest.hex(), v["Digest"]),
                    verified=(m.verify(k.public), True))

    for where, v in each(d["Sign1"], "signatures sign1"):
        check(where, lambda: sign1(v))
    for where, v in each(d["Malformed"], "signatures malformed"):
        check(where, lambda: refused("malformed", lambda: f.parse_sign1(h(v["Message"]))))

    def signature(v):
        args = h(v["Public"]), h(v["Message"]), h(v["Signature"])
        return same(rule=(ed25519.verify_zip215(*args), v["Accepted"]), verify=(ed25519.verify(*args), v["Accepted"]))

    for where, v in each(d["Signatures"], "signatures signature"):
        check(where, lambda: signature(v))


def keys_of(d):
    return {k["name"]: ed25519.Key(h(k["seed"])) for k in d["keys"]}


def check_keys(d, name):
    ids = {"device": f.device_id, "bridge": f.bridge_id, "admin": f.organisation_id}
    for where, v in each(d["keys"], f"{name} key"):
        k = ed25519.Key(h(v["seed"]))
        check(where, lambda: same(public=(k.public.hex(), v["public"]), kid=(f.key_id(k.public).hex(), v["kid"]),
                                  id=(f.id_text(ids[v["name"]](k.public)), v["id"])))


def message_fields(m, v, key):
    return dict(protected=(m.protected.hex(), v["protected"]), payload=(m.payload.hex(), v["payload"]),
                sig_structure=(m.sig_structure.hex(), v["sig_structure"]), digest=(m.digest.hex(), v["digest"]),
                signature=(m.signature.hex(), v["signature"]), verified=(m.verify(key.public), True))


def lenient(data):
    """The check that encoding.md proposes for a lenient library: decode, encode again, compare; header and payload
    as well. True if the encoding is deterministic."""
    try:
        tag = cbor2.loads(data)
        inner = [tag.value[0], tag.value[2]] if isinstance(tag, cbor2.CBORTag) else []
        return (cbor2.dumps(tag, canonical=True) == data
                and all(cbor2.dumps(cbor2.loads(b), canonical=True) == b for b in inner))
    except Exception:
        return False


def check_messages(d, name, parse, signer, made):
    """Vectors of one kind of signed message. made(v, parsed) returns pairs to compare."""
    check_keys(d, name)
    keys = keys_of(d)
    for where, v in each(d["valid"], f"{name} valid"):
        def run():
            parsed = parse(h(v["bytes"]))
            return same(**message_fields(parsed.message, v, keys[v["signed_by"]]), **made(v, parsed, keys),
                        deterministic=(lenient(h(v["bytes"])), True))
        check(where, run)
    for where, v in each(d["invalid"], f"{name} invalid"):
        if v["code"] == "bad_signature":
            check(where, lambda: same(verified=(parse(h(v["bytes"])).message.verify(keys[signer].public), False)))
        else:
            check(where, lambda: refused(v["code"], lambda: parse(h(v["bytes"]))))


def check_statements():
    def made(v, s, keys):
        device, stream = f.parse_id(v["device"]), f.parse_id(v["stream"])
        readings = [(int(r["time"]), h(r["content"])) for r in v["readings"]]
        inputs = [(f.parse_id(i["stream"]), int(i["first"]), int(i["last"]), h(i["digest"]))
                  for i in v.get("inputs", [])]
        media = int(v["media"]) if v["media"].isdigit() else v["media"]
        message = f.make_statement(keys[v["signed_by"]], device, stream, int(v["first"]), media, readings, inputs)
        return dict(made=(message.hex(), v["bytes"]), device=(s.device, device), stream=(s.stream, stream),
                    first=(s.first, int(v["first"])), last=(s.last, int(v["last"])), media=(s.media, media),
                    readings=(s.readings, readings), inputs=(s.inputs, inputs),
                    numbers=(list(range(s.first, s.last + 1)), [int(r["number"]) for r in v["readings"]]))

    check_messages(load("statement.json"), "statement", f.parse_statement, "device", made)


def check_acknowledgements():
    d = load("acknowledgement.json")
    example = f.parse_statement(h(load("statement.json")["valid"][0]["bytes"]))

    def made(v, a, keys):
        outcomes = [f.Outcome(f.parse_id(o["stream"]), int(o["first"]), int(o["count"]), h(o["statement_digest"]),
                              int(o["height"]), int(o["index"]), int(o["code"])) for o in v["outcomes"]]
        fields = [v["chain"], f.parse_id(v["bridge"]), outcomes]
        message = f.make_acknowledgement(keys[v["signed_by"]], *fields)
        believed = f.believed(a, d["chain"], [keys["bridge"].public])
        return dict(made=(message.hex(), v["bytes"]), fields=([a.chain, a.bridge, a.outcomes], fields),
                    answers=([believed and f.answers(o, example) for o in a.outcomes], [o["answers_the_example"] for o in v["outcomes"]]),
                    stranger=(f.believed(a, d["chain"], [keys["admin"].public]), False))

    check_messages(d, "acknowledgement", f.parse_acknowledgement, "bridge", made)


def check_transactions():
    def made(v, b, keys):
        fields = [v["chain"], f.parse_id(v["bridge"]), int(v["attempt"]), int(v["received"])]
        statements = [h(s) for s in v["statements"]]
        codes = []
        for s in statements:
            try:
                f.parse_statement(s)
                codes.append("ok")
            except f.Refused as e:
                codes.append(e.code)
        return dict(made=(f.make_batch(keys[v["signed_by"]], *fields, statements).hex(), v["bytes"]),
                    fields=([b.chain, b.bridge, b.attempt, b.received], fields), statements=(b.statements, statements),
                    codes=(codes, v["codes"]), tx_hash=(f.sha256(h(v["bytes"])).hex(), v["tx_hash"]))

    check_messages(load("transaction.json"), "transaction", f.parse_transaction, "bridge", made)


def consortium(kind, v, o, pairs):
    """The body of an operation of section 5, without its kind."""
    if kind == 17:
        return [int(v["expires"]), h(v["body"])]
    if kind == 18:
        return [f.parse_id(v["proposal"])]
    if kind == 19:
        keys = [h(k) for k in v["keys"]]
        pairs["makes"] = (f.id_text(o.fields["possession"].organisation), v["makes"])
        return [v["organisation_name"], keys, int(v["threshold"]), f.decode(o.message.payload)[4][4]]
    if kind == 20:
        return [f.parse_id(v["organisation"])]
    if kind == 21:
        key = h(v["public"])
        pairs["makes"] = (f.id_text(f.sum_("mtm/validator/1", key)[:16]), v["makes"])
        return [f.parse_id(v["organisation"]), key, int(v["power"])]
    if kind == 22:
        return [[[int(number), int(value)] for number, value in v["parameters"]], int(v["active"])]
    if kind == 23:
        return [[h(k) for k in v["keys"]], int(v["threshold"])]
    return [h(v["old"]), h(v["new"]), f.decode(o.message.payload)[4][3]]


def check_operations():
    kinds = {name: number for number, name in f.KINDS.items()}

    def made(v, o, keys):
        kind = kinds[v["kind"]]
        pairs, body = {}, [kind]

        def made_id():
            """A grant or a delivery: the first half of the operation's digest."""
            pairs["makes"] = (f.id_text(o.message.digest[:16]), v["makes"])

        def whole(*names):
            return [int(v[name]) for name in names]

        if kind in (2, 4, 5, 6, 7):
            body.append(f.parse_id(v["device"]))
        if kind == 2:
            body.append(v["stream_name"])
            pairs["makes"] = (f.id_text(f.stream_id(v["chain"], body[1], v["stream_name"])), v["makes"])
        elif kind == 4:
            body += [h(v["old"]), int(v["closes"])]
        elif kind == 8:
            body += [f.parse_id(v["principal"]), h(v["kid"]), int(v["from"])]
        elif kind == 9:
            body += [f.parse_id(v["device"]), f.parse_id(v["to"]), v["with_streams"] in (True, "true")]
        elif kind == 10:
            body += [f.parse_id(v["subject"]),
                     [[a["name"], a["text"] if "text" in a else h(a["bytes"])] for a in v["attributes"]]]
        elif kind == 11:
            body += [f.parse_id(v["stream"]), f.parse_id(v["to"]), v["from_now"] in (True, "true")]
        elif kind == 12:
            body.append(f.parse_id(v["stream"]))
        elif kind == 13:
            body += [f.parse_id(v["stream"]), f.parse_id(v["grantee"]),
                     *whole("rights", "first", "last", "from", "until"), v["purpose"], h(v["terms"])]
            made_id()
        elif kind == 14:
            body.append(f.parse_id(v["grant"]))
        elif kind == 15:
            body += [f.parse_id(v["grant"]), *whole("first", "last"), h(v["delivery_digest"])]
            made_id()
        elif kind == 16:
            body += [h(s) for s in v["statements"]]
            a, b = o.fields["statements"]
            pairs["number"] = (max(a.first, b.first), int(v["number"]))
        elif kind == 26:
            body.append(f.parse_id(v["bridge"]))
        elif kind in (17, 18, 19, 20, 21, 22, 23, 25):
            body += consortium(kind, v, o, pairs)
        elif kind == 24:
            inner = f.decode(o.message.payload)[4][1]
            pairs["makes"] = ([f.id_text(f.device_id(f.parse_possession(p).public)) for p in inner], v["makes"])
            body.append(inner)
        elif kind == 27:
            body += [h(v["root"]), *whole("count", "until")]
            made_id()
        elif kind == 28:
            inner = f.decode(o.message.payload)[4][2]
            body += [f.parse_id(v["manifest"]), [[int(place), p[1]] for place, p in zip(v["places"], inner)],
                     [h(x) for x in v["path"]]]
            listed = o.fields["keys"]
            pairs["makes"] = ([f.id_text(f.device_id(key)) for key in listed], v["makes"])
            root = merkle.multi_root([merkle.leaf_hash(key) for key in listed], o.fields["places"], 5, o.fields["path"])
            pairs["root"] = (root.hex(), v["root_of_5"])
        elif kind == 29:
            body.append(f.parse_id(v["manifest"]))
        if "possession" in v:
            p = v["possession"]
            signer, got = keys[p["signed_by"]], o.fields["possession"]
            wrong = same(**message_fields(got.message, p, signer))
            pairs["possession"] = (wrong, None)
            again = f.make_possession(signer, got.chain, got.organisation)
            pairs["possession_made"] = (again.hex(), p["bytes"])
            body.append(again)
            if kind in (1, 3):
                make = f.device_id if kind == 1 else f.bridge_id
                pairs["makes"] = (f.id_text(make(got.public)), v["makes"])
        actor = f.parse_id(v["actor"])
        message = f.make_operation(keys[v["signed_by"]], v["chain"], actor, int(v["not_after"]), body)
        return dict(made=(message.hex(), v["bytes"]), chain=(o.chain, v["chain"]), actor=(o.actor, actor),
                    kind=(o.kind, kind), not_after=(o.not_after, int(v["not_after"])), **pairs)

    check_messages(load("operation.json"), "operation", f.parse_operation, "admin", made)


def check_log():
    d = load("merkle-log.json")
    for where, v in each(d["leaf_hashes"], "log leaf"):
        check(where, lambda: same(hash=(merkle.leaf_hash(h(v["entry"])).hex(), v["hash"])))
    size = max(v["size"] for v in d["roots"] + d["tiles"])
    leaves = [merkle.leaf_hash(b"entry %d" % i) for i in range(size)]
    frontiers, frontier = {}, merkle.Frontier()
    wanted = {v["size"] for v in d["roots"]}
    for i in range(size + 1):
        if i in wanted:
            frontiers[i] = (frontier.root().hex(), [x.hex() for x in frontier.hashes])
        if i < size:
            frontier.append(leaves[i])
    for where, v in each(d["roots"], "log root"):
        check(where, lambda: same(frontier=(frontiers[v["size"]], (v["root"], v["frontier"])),
                                  root=(merkle.range_root(leaves[:v["size"]]).hex(), v["root"])))

    def tile(v):
        t = merkle.tile(leaves[:v["size"]], v["level"], v["index"])
        return same(width=(len(t) // 32, v["width"]), sha256=(f.sha256(t).hex(), v["sha256"]))

    for where, v in each(d["tiles"], "log tile"):
        check(where, lambda: tile(v))

    def proof(v, run):
        try:
            root = run()
        except f.Refused:
            root = None
        return same(ok=(root == h(v["root"]), v["ok"]))

    for where, v in each(d["inclusion"], "log inclusion"):
        check(where, lambda: proof(v, lambda: merkle.inclusion_root(
            h(v["leaf_hash"]), v["index"], v["size"], [h(p) for p in v["path"]])))
    for where, v in each(d["multi"], "log multi"):
        check(where, lambda: proof(v, lambda: merkle.multi_root(
            [h(x) for x in v["leaf_hashes"]], v["indexes"], v["size"], [h(p) for p in v["path"]])))

    def consistency(v):
        try:
            merkle.check_consistency(v["old_size"], v["new_size"], h(v["old_root"]), h(v["new_root"]),
                                     [h(p) for p in v["path"]])
            ok = True
        except f.Refused:
            ok = False
        return same(ok=(ok, v["ok"]))

    for where, v in each(d["consistency"], "log consistency"):
        check(where, lambda: consistency(v))
    for where, v in each(d["app_hashes"], "app hash"):
        check(where, lambda: same(app_hash=(merkle.app_hash(
            v["log_size"], h(v["log_root"]), h(v["records_root"])).hex(), v["app_hash"])))


def check_records():
    d = load("merkle-records.json")
    tries = {}
    for where, v in each(d["tries"], "records trie"):
        rows = tries[v["name"]] = {h(r["key"]): h(r["value"]) for r in v["rows"]}
        check(where, lambda: same(root=(merkle.records_root(rows).hex(), v["root"])))
    for where, v in each(d["partial"], "records partial"):
        def run():
            tree = merkle.PartialTree(h(v["bytes"]))
            return same(root=(tree.root.hex(), v["root"]), trie=(merkle.records_root(tries[v["trie"]]).hex(), v["root"]))
        check(where, run)
        for where_answer, a in each(v["answers"], where + " answer"):
            def answer():
                tree, lo, hi = merkle.PartialTree(h(v["bytes"])), h(a["lo"]), h(a["hi"])
                try:
                    if a["ask"] == "list":
                        rows = tree.list(lo, hi)
                    elif a["ask"] == "predecessor":
                        rows = [r for r in [tree.predecessor(lo, hi)] if r]
                    elif a["ask"] == "get" and lo == hi:
                        value = tree.get(lo)
                        rows = [] if value is None else [(lo, value)]
                    else:
                        return "an unknown question"
                    revealed = True
                except merkle.Hidden:
                    rows, revealed = [], False
                return same(revealed=(revealed, a["revealed"]),
                            rows=(rows, [(h(r["key"]), h(r["value"])) for r in a["rows"]]))
            check(where_answer, answer)
    for where, v in each(d["malformed"], "records malformed"):
        check(where, lambda: refused("malformed", lambda: merkle.PartialTree(h(v["bytes"]))))


def main():
    for run in (check_encoding, check_identifiers, check_signatures, check_statements, check_acknowledgements, check_transactions,
                check_operations, check_log, check_records, check_light, check_certificates, check_answers,
                check_lineages):
        run()
    for name in sorted(os.listdir(vectors.DIRECTORY)):
        if name.endswith(".json") and name not in vectors.used:
            check(name, lambda: "nothing here reads it")
    print(f"{vectors.passed} passed, {len(vectors.failures)} failed")
    return 1 if vectors.failures else 0


if __name__ == "__main__":
    sys.exit(main())
