"""Answers (docs/spec/answer.md)."""

import base64
from dataclasses import dataclass

import mtm_light as light
import mtm_merkle as merkle
from mtm_certificate import media, reading
from mtm_formats import (KINDS, STATEMENT, Operation, Refused, Statement, array, decode, id_text, octets, parse_operation,
                         parse_sign1, parse_statement)
from mtm_light import ProofRefused, demand, list_of, time_text, u64, uint

MAGIC = bytes.fromhex("896a6d746d2e616e7377657201")
LIMIT = 8388608
ROWS_OF_A_LIST, ROWS = 1000, 8192


@dataclass
class Entry:
    index: int
    height: int
    data: bytes
    parsed: object = None  # a Statement, an Operation, or None for the genesis entry
    time: int = 0
    public: bytes = b""
    declared: int = 0  # from which height on the key is declared compromised


def _query(v):
    """(kind, lo, hi); for a row lo is hi."""
    if type(v) is not list or not v:
        raise Refused("malformed", "a query is not an array")
    kind = uint(v[0], "the kind of a query", 1, 3)
    keys = array(v[1:], (1,) if kind == 1 else (2,), "the keys of a query")
    lo, hi = octets(keys[0], 33, "a key"), octets(keys[-1], 33, "a key")
    if lo > hi:
        raise Refused("malformed", "a query ends before it begins")
    return kind, lo, hi


def _log(v):
    size, entries, path = array(v, (3,), "the log")
    uint(size, "the size of the log")
    result = []
    for e in list_of(entries, 10000, "the entries"):
        index, height, data = array(e, (3,), "an entry")
        uint(index, "an index")
        uint(height, "a height")
        if type(data) is not bytes or len(data) > 121000:
            raise Refused("malformed", "an entry's bytes")
        result.append(Entry(index, height, data))
    for h in list_of(path, 131072, "the path"):
        octets(h, 32, "a hash")
    return size, result, path


def _parse(data):
    """Checks 2 and 3."""
    light.check_frame(data, MAGIC, LIMIT)
    try:
        _, _, queries, cover, log, records, block, steps, checksum = array(decode(data), (9,), "the answer")
        octets(checksum, 32, "the checksum")
        queries = [_query(q) for q in list_of(queries, 4096, "the queries")]
        if array(cover, (0, 3), "the cover"):
            octets(cover[0], 16, "the stream")
            uint(cover[1], "first")
            uint(cover[2], "last")
        log = _log(log)
        if type(records) is not bytes or len(records) > 4194304:
            raise Refused("malformed", "the records")
        return queries, cover, log, records, light.light_block(block), light.parse_steps(steps)
    except Refused as e:
        raise ProofRefused("shape", str(e)) from None


# Check 4

def _genesis(data, chain):
    name, version, of, digest = array(decode(data), (4,), "the genesis entry")
    if name != "mtm.genesis" or type(version) is not int or version != 1:
        raise Refused("malformed", "not a genesis entry")
    octets(digest, 32, "the digest of the genesis")
    demand(of == chain, "entry", "the genesis entry of another ledger")


def _parse_entry(entry, chain):
    try:
        if entry.index == 0:
            _genesis(entry.data, chain)
        elif parse_sign1(entry.data).content_format == STATEMENT:
            entry.parsed = parse_statement(entry.data)
        else:
            entry.parsed = parse_operation(entry.data)
            demand(entry.parsed.chain == chain, "entry", "an operation on another ledger")
    except Refused as e:
        raise ProofRefused("entry", str(e)) from None


def _signer(parsed):
    return parsed.device if type(parsed) is Statement else parsed.actor


# Checks 5 to 8

def _log_root(size, entries, path):
    try:
        if entries:
            return merkle.multi_root([merkle.leaf_hash(e.data) for e in entries], [e.index for e in entries], size, path)
    except Refused as e:
        raise ProofRefused("log", str(e)) from None
    demand(size >= 1 and len(path) == 1, "log", "without entries, the path is the root of the log")
    return path[0]


def _rows(tree, kind, lo, hi):
    if kind == 3:
        return tree.list(lo, hi)
    row = tree.predecessor(lo, hi)
    return [] if row is None else [row]


def _ask(tree, queries):
    results, total = [], 0
    for query in queries:
        rows = _rows(tree, *query)
        demand(len(rows) <= ROWS_OF_A_LIST, "records", "a list of more than 1,000 rows")
        total += len(rows)
        demand(total <= ROWS, "records", "more than 8,192 rows")
        results.append(rows)
    return results


def _place(tree, entry):
    entry.time = light.block_row(tree, entry.height, entry.index)
    if entry.parsed is None:
        return
    message = entry.parsed.message
    entry.public, entry.declared = light.key_row(tree, _signer(entry.parsed), message.kid, entry.height)
    demand(message.verify(entry.public), "signature", "not signed by the signer's key")


# Check 9

def _gap_key(stream, number):
    return b"\x34" + stream + u64(number) + bytes(8)


def _gaps(tree, stream, first, last):
    rows = tree.list(_gap_key(stream, first), _gap_key(stream, last))
    before = tree.predecessor(_gap_key(stream, 0), _gap_key(stream, first))
    if before and before not in rows:
        rows.insert(0, before)
    runs = []
    for key, value in rows:
        begin = int.from_bytes(key[17:25], "big")
        end, = light.row_value(value, 2)
        uint(end, "the end of a gap", begin)
        if end >= first:
            runs.append((begin, end))
    return runs


def _cover(tree, stream, first, last, entries):
    demand(1 <= first <= last, "claim", "no numbers")
    head = tree.get(b"\x30" + stream + bytes(16))
    demand(head is not None, "cover", "there is no such stream")
    device, mark, gaps, status = light.row_value(head, 5)
    octets(device, 16, "the device")
    for n in (mark, gaps, status):
        uint(n, "a number of the stream")
    runs = [(begin, end, "missing", {}) for begin, end in _gaps(tree, stream, first, last)]
    for e in entries:
        s = e.parsed
        demand(type(s) is Statement and s.stream == stream and s.device == device, "cover", "an entry that is no such statement")
        runs.append((s.first, s.last, "statement", {"log_index": e.index}))
    if last > mark:
        runs.append((mark + 1, last, "not_written", {}))

    count, parts, after = {"statement": 0, "missing": 0, "not_written": 0}, [], 0
    for begin, end, kind, more in sorted(runs, key=lambda r: r[:2]):
        demand(begin > after, "cover", "a number twice")
        demand(begin <= last and first <= end, "cover", "beside the range")
        demand(begin <= (after + 1 if parts else first), "cover", "a number that is in none")
        after = end
        begin, end = max(begin, first), min(end, last)
        count[kind] += end - begin + 1
        parts.append({"kind": kind, "first": begin, "last": end, **more})
    demand(after >= last, "cover", "a number that is in none")
    return {"stream": id_text(stream), "device": id_text(device), "first": first, "last": last, "mark": mark,
            "committed": count["statement"], "missing": count["missing"], "not_written": count["not_written"],
            "parts": parts}


def verify(data, trust):
    """Checks the answer `data` against the trust root (JSON text as bytes). Returns what `mtm-verify --json` reports, but for
    the words that it finds for rows and bodies: `results` has kind, from, to and the rows as key and value. Otherwise raises
    ProofRefused."""
    return verify_results(data, trust)[0]


def verify_results(data, trust):
    """As verify; with the results as (query, rows)."""
    chain, pinned = light.parse_trust(trust)
    queries, cover, (size, entries, path), records, block, steps = _parse(data)
    for e in entries:
        _parse_entry(e, chain)
    log_root = _log_root(size, entries, path)
    try:
        tree = merkle.PartialTree(records)
        results = _ask(tree, queries)
        for e in entries:
            _place(tree, e)
        covered = _cover(tree, *cover, entries) if cover else None
    except (Refused, merkle.Hidden) as e:
        raise ProofRefused("records", str(e)) from None
    demand(all(block.header.height > e.height for e in entries), "header", "the header is not above an entry's block")
    app_hash = merkle.app_hash(size, log_root, tree.root)
    signed = light.check_signed(chain, pinned, steps, block, app_hash)

    finding = {"chain": chain, "as_of_height": block.header.height - 1, "header_time": time_text(block.header.time),
               "log_size": size, "app_hash": app_hash.hex(), **signed}
    if queries:
        finding["results"] = [_result(*q, rows) for q, rows in zip(queries, results)]
    if covered:
        finding["cover"] = covered
    if entries:
        finding["entries"] = [_entry(e) for e in entries]
    return finding, list(zip(queries, results))


def _result(kind, lo, hi, rows):
    result = {"kind": {1: "row", 2: "predecessor", 3: "list"}[kind], "from": lo.hex(), "rows": rows}
    if kind != 1:
        result["to"] = hi.hex()
    return result


def _entry(e):
    p = e.parsed
    result = {"kind": "genesis", "log_index": e.index, "committed_height": e.height, "committed_time": time_text(e.time * 1000)}
    if p is None:
        return result
    result.update(digest=p.message.digest.hex(), signer=id_text(_signer(p)), key_id=p.message.kid.hex(),
                  key=base64.b64encode(e.public).decode(), **light.doubt(e.declared, e.height))
    if type(p) is Operation:
        result.update(kind="operation", operation=KINDS[p.kind])
    else:
        result.update(kind="statement", stream=id_text(p.stream), first=p.first, last=p.last, media=media(p),
                      readings=[reading(p, n) for n in range(p.first, p.last + 1)])
        if p.inputs:
            result["inputs"] = [{"stream": id_text(stream), "first": first, "last": last, "digest": digest.hex()}
                                for stream, first, last, digest in p.inputs]
    return result
