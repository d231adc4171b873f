"""Certificates (docs/spec/certificate.md)."""

import base64

import mtm_light as light
import mtm_merkle as merkle
from mtm_formats import Refused, array, decode, id_text, octets, parse_statement
from mtm_light import ProofRefused, demand, list_of, time_text, uint

MAGIC = bytes.fromhex("896f6d746d2e636572746966696361746501")


def _parse(data):
    """Checks 2 to 4; returns elements 2 to 7."""
    light.check_frame(data, MAGIC, 4194304)
    try:
        _, _, claim, entry, place, records, block, steps, checksum = array(decode(data), (9,), "the certificate")
        octets(checksum, 32, "the checksum")
        stream, first, last = array(claim, (3,), "the claim")
        octets(stream, 16, "the stream")
        uint(first, "first")
        uint(last, "last")
        if type(entry) is not bytes or len(entry) > 60000:
            raise Refused("malformed", "the entry")
        height, index, size, path = array(place, (4,), "the place")
        for n in (height, index, size):
            uint(n, "the place")
        for h in list_of(path, 63, "the path"):
            octets(h, 32, "a hash")
        if type(records) is not bytes or len(records) > 65536:
            raise Refused("malformed", "the records")
        return claim, entry, place, records, light.light_block(block), light.parse_steps(steps)
    except Refused as e:
        raise ProofRefused("shape", str(e)) from None


def _owner(tree, stream, height):
    row = tree.predecessor(b"\x31" + stream + bytes(16), b"\x31" + stream + light.u64(height) + bytes(8))
    demand(row is not None, "owner", "the stream had no owner")
    owner, since = light.row_value(row[1], 3)
    octets(owner, 16, "the owner")
    uint(since, "since")
    return owner


def verify(data, trust):
    """Checks the certificate `data` against the trust root (JSON text as bytes); returns the finding as
    `mtm-verify --json` reports it, or raises ProofRefused."""
    chain, pinned = light.parse_trust(trust)
    (stream, first, last), entry, (height, index, size, path), records, block, steps = _parse(data)

    try:
        statement = parse_statement(entry)
    except Refused as e:
        raise ProofRefused("statement", str(e)) from None
    demand(stream == statement.stream, "claim", "another stream")
    demand(statement.first <= first <= last <= statement.last, "claim", "the statement does not have these numbers")

    try:
        log_root = merkle.inclusion_root(merkle.leaf_hash(entry), index, size, path)
    except Refused as e:
        raise ProofRefused("log", str(e)) from None

    try:
        tree = merkle.PartialTree(records)
        committed = light.block_row(tree, height, index)
        public, declared = light.key_row(tree, statement.device, statement.message.kid, height)
        owner = _owner(tree, stream, height)
    except (Refused, merkle.Hidden) as e:
        raise ProofRefused("records", str(e)) from None

    demand(statement.message.verify(public), "signature", "the statement is not signed by the device's key")
    demand(block.header.height > height, "header", "the header is not above the entry's block")
    signed = light.check_signed(chain, pinned, steps, block, merkle.app_hash(size, log_root, tree.root))

    return {
        "chain": chain,
        "stream": id_text(stream),
        "first": first,
        "last": last,
        "media": media(statement),
        "readings": [reading(statement, n) for n in range(first, last + 1)],
        "statement": {"digest": statement.digest.hex(), "first": statement.first, "last": statement.last},
        "device": id_text(statement.device),
        "key_id": statement.message.kid.hex(),
        "key": base64.b64encode(public).decode(),
        **light.doubt(declared, height),
        "owner": id_text(owner),
        "log_index": index,
        "committed_height": height,
        "committed_time": time_text(committed * 1000),
        "as_of_height": block.header.height - 1,
        "log_size": size,
        "header_time": time_text(block.header.time),
        **signed,
    }


def media(statement):
    return statement.media if type(statement.media) is str else str(statement.media)


def reading(statement, number):
    time, content = statement.readings[number - statement.first]
    result = {"number": number, "declared_time": time_text(time * 1000), "content": base64.b64encode(content).decode()}
    try:
        text = content.decode("utf-8")
        line = text.removesuffix("\n").removesuffix("\r")
        if line and line.isprintable():
            result["text"] = text
    except UnicodeDecodeError:
        pass
    return result
