"""What certificates and answers share: the trust root, the light blocks of CometBFT, the steps between validator sets, and
the votes that are checked in them (docs/spec/certificate.md)."""

import datetime
import json
from dataclasses import dataclass

import mtm_ed25519 as ed25519
import mtm_merkle as merkle
from mtm_formats import (MAX_INT, MIN_INT, Refused, array, check_chain, decode, integer, key_id, octets,
                         parse_public_text, sha256)

ASSUMPTION = "more than 2/3 of the pinned validator set never signs a fork, even after leaving"


class ProofRefused(Exception):
    """A certificate or an answer is refused by the check of this name."""

    def __init__(self, name, why):
        super().__init__(f"{name}: {why}")
        self.check = name


def demand(condition, name, why):
    if not condition:
        raise ProofRefused(name, why)


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
    """Returns chain id and sorted validators; raises ProofRefused with check trust."""
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
    except (ValueError, Refused, RecursionError) as e:
        raise ProofRefused("trust", f"the trust root: {e}") from None
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


def uint(v, what, low=0, high=MAX_INT):
    return integer(v, low, high, what)


def list_of(v, high, what):
    if type(v) is not list or len(v) > high:
        raise Refused("malformed", f"{what} is not an array of at most {high}")
    return v


def light_block(v):
    header, open_, commit = array(v, (3,), "a light block")
    array(header, (11,), "a header")
    last = array(header[4], (3,), "a block id")
    last = (octets(last[0], 32, "a hash"), uint(last[1], "parts", 1, 2**32 - 1), octets(last[2], 32, "a hash"))
    h = Header(uint(header[0], "block protocol"), uint(header[1], "application version"),
               uint(header[2], "height", 1), uint(header[3], "time"), last,
               *(octets(x, 32, "a hash") for x in header[5:10]), octets(header[10], 20, "the proposer"))
    octets(open_, 32, "a hash")
    round_, parts, parts_hash, votes = array(commit, (4,), "a commit")
    uint(round_, "the round", 0, 2**31 - 1)
    uint(parts, "parts", 1, 2**32 - 1)
    octets(parts_hash, 32, "a hash")
    for vote in list_of(votes, 1000, "votes"):
        index, time, signature = array(vote, (3,), "a vote")
        uint(index, "a validator's index", 0, 999)
        uint(time, "a vote's time")
        octets(signature, 64, "a vote's signature")
    return LightBlock(h, open_, round_, parts, parts_hash, votes)


def check_votes(chain, block, current, hash_):
    h = block.header
    demand(h.block_version == 11, "header", f"block protocol {h.block_version}")
    demand(h.proposer in {address(key) for key, _ in current}, "trust", "the proposer is not in the validator set")
    last, power = -1, 0
    for index, time, signature in block.votes:
        demand(last < index < len(current), "commit", "a vote's index")
        message = sign_bytes(chain, h.height, block.round, hash_, block.parts, block.parts_hash, time)
        demand(ed25519.verify(current[index][0], message, signature), "commit", f"signature of validator {index}")
        last, power = index, power + current[index][1]
    total = sum(p for _, p in current)
    demand(3 * power > 2 * total, "power", f"{power} of {total} is not more than 2/3")
    return power, total



def parse_steps(v):
    steps = []
    for step in list_of(v, 1024, "steps"):
        block, validators = array(step, (2,), "a step")
        block = light_block(block)
        for validator in list_of(validators, 1000, "validators"):
            key, power = array(validator, (2,), "a validator")
            octets(key, 32, "a key")
            uint(power, "power")
        steps.append((block, [tuple(validator) for validator in validators]))
    return steps


def check_signed(chain, current, steps, light, app_hash):
    """Checks 12 to 14: the steps from the set of the trust root, and the votes. Returns what a finding says of them."""
    last = 0
    for block, validators in steps:
        demand(block.header.height > last, "path", "heights do not ascend")
        fault = set_fault(validators)
        demand(fault is None, "path", fault)
        demand(validators == sort_validators(validators), "path", "the validators are not in their order")
        before, after = validators_hash(current), validators_hash(validators)
        demand(before != after, "path", "a step without a change")
        check_votes(chain, block, current, tree_hash(header_items(block.header, chain, before, after, block.open)))
        current, last = validators, block.header.height
    demand(light.header.height > last, "path", "the header is not above the last step")
    hash_ = tree_hash(header_items(light.header, chain, validators_hash(current), light.open, app_hash))
    power, total = check_votes(chain, light, current, hash_)
    return {"validators": len(current), "validators_signed": len(light.votes), "power": total, "power_signed": power,
            "validator_set_changes": len(steps), "assumption": ASSUMPTION}


def check_frame(data, magic, limit):
    """Checks 2 and 3, and of 4 the element of the checksum."""
    demand(len(magic) + 34 <= len(data) <= limit and data.startswith(magic), "shape", "not a file of this name and form")
    demand(sha256(data[:-32]) == data[-32:], "checksum", "the file is damaged")
    demand(data[-34:-32] == b"\x58\x20", "shape", "the checksum's element")


# Rows (records.md)

def u64(n):
    return n.to_bytes(8, "big")


def row_value(data, size):
    """A row's value: an array that begins with version 1."""
    value = array(decode(data), (size,), "a row's value")
    integer(value[0], 1, 1, "the version of a row")
    return value[1:]


def block_row(tree, height, index):
    """The committed time of the entry, if the block row of the height holds its index."""
    row = tree.get(b"\x02" + bytes(16) + u64(height) + bytes(8))
    demand(row is not None, "block", "the block added nothing")
    first, count, time = row_value(row, 4)
    uint(first, "first")
    uint(count, "count", 1, MAX_INT - first)
    integer(time, MIN_INT, MAX_INT, "time")
    demand(first <= index < first + count, "block", "another block added this entry")
    return time


def key_row(tree, principal, kid, height):
    """Public key, and from which height on it is declared compromised, 0 if never."""
    row = tree.get(b"\x11" + principal + kid + bytes(8))
    demand(row is not None, "key", "there is no such key")
    public, opens, closes, doubtful = row_value(row, 5)
    octets(public, 32, "the public key")
    for n in (opens, closes, doubtful):
        uint(n, "a height")
    demand(key_id(public) == kid, "key", "the key has another key id")
    demand(opens <= height and (closes == 0 or height < closes), "key", "not valid at this height")
    return public, doubtful


def doubt(declared, height):
    """What a finding says of what was signed at the height by a key that is declared compromised from `declared` on."""
    return {"doubtful": declared != 0 and declared <= height, **({"doubtful_from": declared} if declared else {})}


def time_text(ns):
    """RFC 3339 in microseconds; None for 0, which is no time. Python has years 1 to 9999 only."""
    if ns // 1000 == 0:
        return None
    seconds, rest = divmod(ns, 10**9)
    try:
        t = datetime.datetime(1970, 1, 1) + datetime.timedelta(seconds=seconds)
    except OverflowError:
        return f"{ns // 1000} us"
    return f"{t.isoformat()}.{rest // 1000:06d}Z"
