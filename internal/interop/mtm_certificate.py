"""Certificates and the light blocks of CometBFT in them (docs/spec/certificate.md)."""

import base64
import datetime
import json
from dataclasses import dataclass

import mtm_ed25519 as ed25519
import mtm_merkle as merkle
from mtm_formats import (MAX_INT, MIN_INT, Refused, array, check_chain, decode, id_text, integer, key_id, octets,
                         parse_public_text, parse_statement, sha256)

MAGIC = bytes.fromhex("896f6d746d2e636572746966696361746501")
ASSUMPTION = "more than 2/3 of the pinned validator set never signs a fork, even after leaving"


class CertificateRefused(Exception):
    def __init__(self, check, why):
        super().__init__(f"{check}: {why}")
        self.check = check


def _need(condition, check, why):
    if not condition:
        raise CertificateRefused(check, why)


# What CometBFT hashes and signs

def _varint(n):
    b = bytearray()
    while n >= 0x80:
        b.append(n & 0x7F | 0x80)
        n >>= 7
    b.append(n)
    return bytes(b)


def _int(number, n):
    return _varint(number * 8) + _varint(n) if n else b""


def _sfixed64(number, n):
    return _varint(number * 8 + 1) + n.to_bytes(8, "little", signed=True) if n else b""


def _bytes(number, b):
    return _message(number, b) if b else b""


def _message(number, b):
    return _varint(number * 8 + 2) + _varint(len(b)) + b


def _time(ns):
    return _int(1, ns // 10**9) + _int(2, ns % 10**9)


def _block_id(hash_, parts, parts_hash):
    return _bytes(1, hash_) + _message(2, _int(1, parts) + _bytes(2, parts_hash))


def tree_hash(items):
    return merkle.range_root([merkle.leaf_hash(i) for i in items])


def header_items(h, chain, validators_hash, next_validators_hash, app_hash):
    return [
        _int(1, h.block_version) + _int(2, h.app_version),
        _bytes(1, chain.encode()),
        _int(1, h.height),
        _time(h.time),
        _block_id(*h.last_block_id),
        _bytes(1, h.last_commit_hash),
        _bytes(1, h.data_hash),
        _bytes(1, validators_hash),
        _bytes(1, next_validators_hash),
        _bytes(1, h.consensus_hash),
        _bytes(1, app_hash),
        _bytes(1, h.last_results_hash),
        _bytes(1, h.evidence_hash),
        _bytes(1, h.proposer),
    ]


def sign_bytes(chain, height, round_, hash_, parts, parts_hash, time):
    vote = (_int(1, 2) + _sfixed64(2, height) + _sfixed64(3, round_)
            + _message(4, _block_id(hash_, parts, parts_hash)) + _message(5, _time(time)) + _bytes(6, chain.encode()))
    return _varint(len(vote)) + vote


# Validator sets: lists of (public key, power) in their order

def address(public):
    return sha256(public)[:20]


def sort_validators(validators):
    return sorted(validators, key=lambda v: (-v[1], address(v[0])))


def set_fault(validators):
    """None if these are the validators of a set, in any order."""
    if not 1 <= len(validators) <= 1000:
        return "a set has 1 to 1,000 validators"
    if any(power <= 0 for _, power in validators):
        return "a validator without power"
    if len({key for key, _ in validators}) < len(validators):
        return "a validator twice"
    if sum(power for _, power in validators) > 2**60 - 1:
        return "too much power"
    return None


def validator_items(validators):
    return [_message(1, _bytes(1, key)) + _int(2, power) for key, power in validators]


def validators_hash(validators):
    return tree_hash(validator_items(validators))


def _members(pairs):
    result = dict(pairs)
    if len(result) < len(pairs):
        raise ValueError("a member twice")
    return result


def parse_trust(data):
    """Returns chain id and sorted validators; raises CertificateRefused with check trust."""
    try:
        if len(data) > 1048576:
            raise ValueError("too large")
        root = json.loads(data.decode("utf-8"), object_pairs_hook=_members)
        if type(root) is not dict or set(root) != {"chain", "validators"}:
            raise ValueError("members are not chain and validators")
        check_chain(root["chain"])
        if type(root["validators"]) is not list:
            raise ValueError("validators is not an array")
        validators = []
        for v in root["validators"]:
            if type(v) is not dict or set(v) != {"key", "power"} or type(v["power"]) is not int:
                raise ValueError("a validator is not key and power")
            validators.append((parse_public_text(v["key"]), v["power"]))
        fault = set_fault(validators)
        if fault:
            raise ValueError(fault)
    except (ValueError, Refused) as e:
        raise CertificateRefused("trust", f"the trust root: {e}") from None
    return root["chain"], sort_validators(validators)


# The file

@dataclass
class Header:
    block_version: int
    app_version: int
    height: int
    time: int
    last_block_id: tuple
    last_commit_hash: bytes
    data_hash: bytes
    consensus_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes
    proposer: bytes


@dataclass
class LightBlock:
    header: Header
    open: bytes
    round: int
    parts: int
    parts_hash: bytes
    votes: list


def _uint(v, what, low=0, high=MAX_INT):
    return integer(v, low, high, what)


def _list(v, high, what):
    if type(v) is not list or len(v) > high:
        raise Refused("malformed", f"{what} is not an array of at most {high}")
    return v


def _light_block(v):
    header, open_, commit = array(v, (3,), "a light block")
    array(header, (11,), "a header")
    last = array(header[4], (3,), "a block id")
    last = (octets(last[0], 32, "a hash"), _uint(last[1], "parts", 1, 2**32 - 1), octets(last[2], 32, "a hash"))
    h = Header(_uint(header[0], "block protocol"), _uint(header[1], "application version"),
               _uint(header[2], "height", 1), _uint(header[3], "time"), last,
               *(octets(x, 32, "a hash") for x in header[5:10]), octets(header[10], 20, "the proposer"))
    octets(open_, 32, "a hash")
    round_, parts, parts_hash, votes = array(commit, (4,), "a commit")
    _uint(round_, "the round", 0, 2**31 - 1)
    _uint(parts, "parts", 1, 2**32 - 1)
    octets(parts_hash, 32, "a hash")
    for vote in _list(votes, 1000, "votes"):
        index, time, signature = array(vote, (3,), "a vote")
        _uint(index, "a validator's index", 0, 999)
        _uint(time, "a vote's time")
        octets(signature, 64, "a vote's signature")
    return LightBlock(h, open_, round_, parts, parts_hash, votes)


def _check_votes(chain, block, current, hash_):
    h = block.header
    _need(h.block_version == 11, "header", f"block protocol {h.block_version}")
    _need(h.proposer in {address(key) for key, _ in current}, "trust", "the proposer is not in the validator set")
    last, power = -1, 0
    for index, time, signature in block.votes:
        _need(last < index < len(current), "commit", "a vote's index")
        message = sign_bytes(chain, h.height, block.round, hash_, block.parts, block.parts_hash, time)
        _need(ed25519.verify(current[index][0], message, signature), "commit", f"signature of validator {index}")
        last, power = index, power + current[index][1]
    total = sum(p for _, p in current)
    _need(3 * power > 2 * total, "power", f"{power} of {total} is not more than 2/3")
    return power, total


def _u64(n):
    return n.to_bytes(8, "big")


def _row_value(data, sizes):
    """A row's value: an array beginning with version 1 (records.md)."""
    value = array(decode(data), sizes, "a row's value")
    integer(value[0], 1, 1, "the version of a row")
    return value[1:]


def verify(data, trust):
    """Checks the certificate `data` against the trust root (JSON text as bytes); returns the finding as
    `mtm-verify --json` reports it, or raises CertificateRefused."""
    chain, current = parse_trust(trust)

    _need(52 <= len(data) <= 4194304 and data.startswith(MAGIC), "shape", "not a certificate of form 1")
    _need(sha256(data[:-32]) == data[-32:], "checksum", "the file is damaged")
    _need(data[-34:-32] == b"\x58\x20", "shape", "the checksum's element")
    try:
        elements = array(decode(data), (9,), "the certificate")
        stream, first, last = array(elements[2], (3,), "the claim")
        octets(stream, 16, "the stream")
        _uint(first, "first")
        _uint(last, "last")
        entry, records_bytes = elements[3], elements[5]
        if type(entry) is not bytes or len(entry) > 60000:
            raise Refused("malformed", "the entry")
        height, index, size, path = array(elements[4], (4,), "the place")
        for n in (height, index, size):
            _uint(n, "the place")
        for h in _list(path, 63, "the path"):
            octets(h, 32, "a hash")
        if type(records_bytes) is not bytes or len(records_bytes) > 65536:
            raise Refused("malformed", "the records")
        light = _light_block(elements[6])
        steps = []
        for step in _list(elements[7], 1024, "steps"):
            block, validators = array(step, (2,), "a step")
            block = _light_block(block)
            for v in _list(validators, 1000, "validators"):
                key, power = array(v, (2,), "a validator")
                octets(key, 32, "a key")
                _uint(power, "power")
            steps.append((block, [tuple(v) for v in validators]))
        octets(elements[8], 32, "the checksum")
    except Refused as e:
        raise CertificateRefused("shape", str(e)) from None

    try:
        statement = parse_statement(entry)
    except Refused as e:
        raise CertificateRefused("statement", str(e)) from None
    _need(stream == statement.stream, "claim", "another stream")
    _need(statement.first <= first <= last <= statement.last, "claim", "the statement does not have these numbers")

    try:
        log_root = merkle.inclusion_root(merkle.leaf_hash(entry), index, size, path)
    except Refused as e:
        raise CertificateRefused("log", str(e)) from None

    try:
        tree = merkle.PartialTree(records_bytes)
        row = tree.get(b"\x02" + bytes(16) + _u64(height) + bytes(8))
        _need(row is not None, "block", "the block added nothing")
        block_first, count, committed = _row_value(row, (4,))
        _uint(block_first, "first")
        _uint(count, "count", 1, MAX_INT - block_first)
        integer(committed, MIN_INT, MAX_INT, "time")
        _need(block_first <= index < block_first + count, "block", "another block added this entry")

        row = tree.get(b"\x11" + statement.device + statement.message.kid + bytes(8))
        _need(row is not None, "key", "the device has no such key")
        public, opens, closes, doubtful = _row_value(row, (5,))
        octets(public, 32, "the public key")
        for n in (opens, closes, doubtful):
            _uint(n, "a height")
        _need(key_id(public) == statement.message.kid, "key", "the key has another key id")
        _need(opens <= height and (closes == 0 or height < closes), "key", "not valid at this height")

        row = tree.predecessor(b"\x31" + stream + bytes(16), b"\x31" + stream + _u64(height) + bytes(8))
        _need(row is not None, "owner", "the stream had no owner")
        owner, since = _row_value(row[1], (3,))
        octets(owner, 16, "the owner")
        _uint(since, "since")
    except Refused as e:
        raise CertificateRefused("records", str(e)) from None
    except merkle.Hidden as e:
        raise CertificateRefused("records", str(e)) from None

    _need(statement.message.verify(public), "signature", "the statement is not signed by the device's key")
    _need(light.header.height > height, "header", "the header is not above the entry's block")
    app_hash = merkle.app_hash(size, log_root, tree.root)

    last_height = 0
    for block, validators in steps:
        _need(block.header.height > last_height, "path", "heights do not ascend")
        fault = set_fault(validators)
        _need(fault is None, "path", fault)
        _need(validators == sort_validators(validators), "path", "the validators are not in their order")
        before, after = validators_hash(current), validators_hash(validators)
        _need(before != after, "path", "a step without a change")
        hash_ = tree_hash(header_items(block.header, chain, before, after, block.open))
        _check_votes(chain, block, current, hash_)
        current, last_height = validators, block.header.height
    _need(light.header.height > last_height, "path", "the header is not above the last step")
    hash_ = tree_hash(header_items(light.header, chain, validators_hash(current), light.open, app_hash))
    power, total = _check_votes(chain, light, current, hash_)

    return {
        "chain": chain,
        "stream": id_text(stream),
        "first": first,
        "last": last,
        "media": statement.media if type(statement.media) is str else str(statement.media),
        "readings": [_reading(statement, n) for n in range(first, last + 1)],
        "statement": {"digest": statement.digest.hex(), "first": statement.first, "last": statement.last},
        "device": id_text(statement.device),
        "key_id": statement.message.kid.hex(),
        "key": base64.b64encode(public).decode(),
        "owner": id_text(owner),
        "log_index": index,
        "committed_height": height,
        "committed_time": _time_text(committed * 1000),
        "as_of_height": light.header.height - 1,
        "log_size": size,
        "header_time": _time_text(light.header.time),
        "validators": len(current),
        "validators_signed": len(light.votes),
        "power": total,
        "power_signed": power,
        "validator_set_changes": len(steps),
        "assumption": ASSUMPTION,
    }


def _reading(statement, number):
    time, content = statement.readings[number - statement.first]
    reading = {"number": number, "declared_time": _time_text(time * 1000),
               "content": base64.b64encode(content).decode()}
    try:
        text = content.decode("utf-8")
        if text and text.isprintable():
            reading["text"] = text
    except UnicodeDecodeError:
        pass
    return reading


def _time_text(ns):
    """RFC 3339 in microseconds; None for 0, which is no time. Python has years 1 to 9999 only."""
    if ns // 1000 == 0:
        return None
    seconds, rest = divmod(ns, 10**9)
    try:
        t = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return f"{ns // 1000} us"
    return f"{t.isoformat()}.{rest // 1000:06d}Z"
