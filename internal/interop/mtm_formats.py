"""The formats of docs/spec: encoding, identifiers, signed messages, statements, acknowledgements, transactions,
operations, the genesis entry. Written from those pages and testdata/vectors alone.

Readers are strict: what is not exactly as the page says raises Refused with the code of transaction.md.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, field

import cbor2

import mtm_ed25519 as ed25519

MAX_INT = 2**63 - 1
MIN_INT = -(2**63)

STATEMENT, OPERATION, TRANSACTION, ACKNOWLEDGEMENT, POSSESSION = 65101, 65102, 65103, 65104, 65105

CODES = """ok malformed too_large wrong_chain bad_signature unknown_bridge unknown_device unknown_stream unknown_key
key_closed used too_many_gaps clock_ahead inputs_disabled committed_form_disabled not_owner exists replayed expired
wrong_device unknown_actor not_after_too_far suspended quota future_height not_found pruned overloaded
unknown_organisation bad_possession bad_key retired needs_proposal no_grant grant_expired grant_revoked out_of_range
proposal_closed already_approved closed not_live unknown_grant unknown_proposal not_equivocation too_many not_member
unknown_validator bad_parameter several_owners""".split()


class Refused(Exception):
    def __init__(self, code, why):
        super().__init__(f"{code}: {why}")
        self.code = code


def need(condition, why, code="malformed"):
    if not condition:
        raise Refused(code, why)


# encoding.md, section 1: CBOR

def encode(value):
    return cbor2.dumps(value, canonical=True)


class _Decoder:
    """A reader of deterministic CBOR. It knows what the page allows and refuses the rest."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(len(self.data) - self.at >= n, "input ends early")
        b = self.data[self.at:self.at + n]
        self.at += n
        return b

    def head(self):
        first = self.take(1)[0]
        major, info = first >> 5, first & 31
        if info < 24:
            return major, info
        need(info < 28, "indefinite or reserved length")
        n = int.from_bytes(self.take(1 << (info - 24)), "big")
        need(major != 7, "a float or a simple value that is not allowed")
        need(n >= (24, 1 << 8, 1 << 16, 1 << 32)[info - 24], "longer than needed")
        return major, n

    def item(self, depth=0):
        need(depth < 16, "nested too deep")
        major, n = self.head()
        if major == 0:
            return n
        if major == 1:
            return -1 - n
        if major == 2:
            return self.take(n)
        if major == 3:
            try:
                return self.take(n).decode("utf-8")
            except UnicodeDecodeError:
                raise Refused("malformed", "text is not UTF-8") from None
        if major == 4:
            need(n <= len(self.data) - self.at, "more elements than bytes")
            return [self.item(depth + 1) for _ in range(n)]
        if major == 5:
            need(2 * n <= len(self.data) - self.at, "more elements than bytes")
            result, last = {}, b""
            for _ in range(n):
                begin = self.at
                key = self.item(depth + 1)
                raw = self.data[begin:self.at]
                need(raw > last, "map keys out of order, or one twice")
                need(isinstance(key, (int, str, bytes)), "a map key of a strange type")
                result[key], last = self.item(depth + 1), raw
            return result
        if major == 6:
            need(n == 18, "another tag than 18")
            return cbor2.CBORTag(18, self.item(depth + 1))
        need(n in (20, 21, 22), "a simple value that is not allowed")
        return {20: False, 21: True, 22: None}[n]


def decode(data):
    d = _Decoder(data)
    value = d.item()
    need(d.at == len(data), "bytes after the end")
    return value


# type(x) is int, not isinstance: True is an int in Python and not one here.

def integer(v, low, high, what):
    need(type(v) is int and low <= v <= high, f"{what} is not an integer from {low} to {high}")
    return v


def octets(v, size, what):
    need(type(v) is bytes and len(v) == size, f"{what} is not {size} bytes")
    return v


def array(v, sizes, what):
    need(type(v) is list and len(v) in sizes, f"{what} is not an array of its length")
    return v


# signatures.md, sections 1 and 2: hashes and identifiers

def sha256(data):
    return hashlib.sha256(data).digest()


def sum_(domain, *parts):
    d = domain.encode("ascii")
    h = hashlib.sha256(bytes([len(d)]) + d)
    for part in parts:
        h.update(len(part).to_bytes(4, "big") + part)
    return h.digest()


def organisation_id(public):
    return sum_("mtm/organisation/1", public)[:16]


def device_id(public):
    return sum_("mtm/device/1", public)[:16]


def bridge_id(public):
    return sum_("mtm/bridge/1", public)[:16]


def stream_id(chain, device, name):
    return sum_("mtm/stream/1", chain.encode(), device, name.encode())[:16]


def key_id(public):
    return sum_("mtm/key/1", public)[:8]


def id_text(id_):
    return base64.urlsafe_b64encode(id_).decode().rstrip("=")


def parse_id(text, what="an id"):
    need(type(text) is str and re.fullmatch(r"[A-Za-z0-9_-]{22}", text), f"{what} is not 22 characters of base64url")
    id_ = base64.urlsafe_b64decode(text + "==")
    need(id_text(id_) == text, f"{what} has unused bits set")
    return id_


def parse_public_text(text):
    """A public key as text: base64 with padding, 44 characters."""
    need(type(text) is str and re.fullmatch(r"[A-Za-z0-9+/]{43}=", text), "a key is not 44 characters of base64")
    public = base64.b64decode(text)
    need(base64.b64encode(public).decode() == text, "a key has unused bits set")
    return public


# encoding.md, section 3: names

def check_chain(chain):
    need(type(chain) is str, "the chain id is not a text")
    need(len(chain.encode()) <= 50, "the chain id is too long", "too_large")
    need(re.fullmatch(r"[!-~]{1,50}", chain), "not a chain id")
    return chain


_HIDDEN = re.compile("[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff"
                     "\U000e0000-\U0010ffff]")


def check_name(name):
    need(type(name) is str and name != "", "the name is not a text, or is empty")
    need(len(name.encode()) <= 64, "the name is too long", "too_large")
    need(name[0] != " " and name[-1] != " ", "a space at an end of the name")
    need(not _HIDDEN.search(name), "a character in the name that is not allowed")
    return name


# signatures.md, section 5: COSE_Sign1

@dataclass
class Message:
    content_format: int
    kid: bytes
    issuer: bytes  # device id, in statements only, otherwise None
    subject: bytes
    protected: bytes
    payload: bytes
    signature: bytes
    bytes: bytes

    @property
    def sig_structure(self):
        return encode(["Signature1", self.protected, b"", self.payload])

    @property
    def digest(self):
        return sha256(self.sig_structure)

    def verify(self, public):
        return ed25519.verify(public, self.sig_structure, self.signature)


def sign1(key, content_format, payload, issuer=None, subject=None):
    header = {1: -8, 3: content_format, 4: key_id(key.public)}
    if issuer is not None:
        header[15] = {1: id_text(issuer), 2: id_text(subject)}
    protected = encode(header)
    signature = key.sign(encode(["Signature1", protected, b"", payload]))
    return encode(cbor2.CBORTag(18, [protected, {}, payload, signature]))


def parse_sign1(data, content_format=None):
    need(len(data) <= 524288, "the message is too large", "too_large")
    m = decode(data)
    need(type(m) is cbor2.CBORTag, "not a COSE_Sign1")
    protected, unprotected, payload, signature = array(m.value, (4,), "the message")
    need(type(protected) is bytes, "the protected header is not a byte string")
    need(unprotected == {} and type(unprotected) is dict, "the unprotected header is not an empty map")
    need(type(payload) is bytes, "the payload is not a byte string")
    octets(signature, 64, "the signature")
    header = decode(protected)
    need(type(header) is dict and list(header) in ([1, 3, 4], [1, 3, 4, 15]), "labels of the header")
    need(all(type(label) is int for label in header), "labels of the header")
    need(type(header[1]) is int and header[1] == -8, "the algorithm is not -8")
    integer(header[3], 0, 65535, "the content format")
    octets(header[4], 8, "the key id")
    issuer = subject = None
    if 15 in header:
        claims = header[15]
        need(type(claims) is dict and list(claims) == [1, 2], "the claims are not iss and sub")
        issuer, subject = parse_id(claims[1], "iss"), parse_id(claims[2], "sub")
    if content_format is not None:
        need(header[3] == content_format, f"the content format is {header[3]}, not {content_format}")
        need((15 in header) == (content_format == STATEMENT), "claims missing, or not allowed")
    return Message(header[3], header[4], issuer, subject, protected, payload, signature, data)


# statement.md

@dataclass
class Statement:
    message: Message
    device: bytes
    stream: bytes
    first: int
    media: object  # int or str
    readings: list  # of (declared time, content)
    inputs: list = field(default_factory=list)  # of (stream, first, last, digest)

    @property
    def last(self):
        return self.first + len(self.readings) - 1

    @property
    def digest(self):
        return self.message.digest


def check_media(media):
    if type(media) is int:
        integer(media, 0, 65535, "the content format of the readings")
        return
    need(type(media) is str, "the media type is neither a number nor a text")
    need(len(media.encode()) <= 64, "the media type is too long", "too_large")
    need(re.fullmatch(r"[ -~]{3,64}", media), "characters or length of the media type")
    need(not re.match(r"[0-9 ]", media) and media[-1] != " ", "how the media type begins or ends")
    slash = media.find("/")
    need(0 < slash < len(media) - 1, "the media type's slash")


def parse_statement(data):
    need(len(data) <= 60000, "the statement is too large", "too_large")
    m = parse_sign1(data, STATEMENT)
    p = decode(m.payload)
    need(type(p) is list and len(p) >= 1, "the payload is not an array")
    if type(p[0]) is int and p[0] == 2:
        _committed_form(p)
    need(type(p[0]) is int and p[0] == 1, "an unknown form")
    array(p, (5, 6), "the payload")
    _, first, media, time, readings, *rest = p
    integer(first, 1, MAX_INT, "the first number")
    check_media(media)
    integer(time, MIN_INT, MAX_INT, "the time")
    need(type(readings) is list and len(readings) >= 1, "no readings")
    need(len(readings) <= 1000, "too many readings", "too_large")
    need(first + len(readings) - 1 <= MAX_INT, "numbers beyond 2^63-1")
    result = []
    for i, reading in enumerate(readings):
        dt, content = array(reading, (2,), "a reading")
        integer(dt, MIN_INT, MAX_INT, "a time offset")
        need(i > 0 or dt == 0, "the first time offset is not 0")
        integer(time + dt, MIN_INT, MAX_INT, "a declared time")
        need(type(content) is bytes, "a content is not a byte string")
        need(len(content) <= 32768, "a content is too long", "too_large")
        result.append((time + dt, content))
    inputs = []
    if rest:
        need(type(rest[0]) is list and len(rest[0]) >= 1, "no inputs")
        need(len(rest[0]) <= 64, "too many inputs", "too_large")
        for entry in rest[0]:
            stream, begin, end, digest = array(entry, (4,), "an input")
            octets(stream, 16, "an input's stream")
            integer(begin, 1, MAX_INT, "an input's first number")
            integer(end, begin, MAX_INT, "an input's last number")
            octets(digest, 32, "an input's digest")
            inputs.append((stream, begin, end, digest))
    return Statement(m, m.issuer, m.subject, first, media, result, inputs)


def _committed_form(p):
    array(p, (7,), "the payload")
    _, first, media, count, time_first, time_last, root = p
    integer(first, 1, MAX_INT, "the first number")
    check_media(media)
    integer(count, 1, 1000, "the count")
    need(first + count - 1 <= MAX_INT, "numbers beyond 2^63-1")
    integer(time_first, MIN_INT, MAX_INT, "the first time")
    integer(time_last, MIN_INT, MAX_INT, "the last time")
    octets(root, 32, "the root")
    raise Refused("committed_form_disabled", "the committed form")


def make_statement(key, device, stream, first, media, readings, inputs=()):
    """readings: [(declared time, content), ...]. Returns the signed message."""
    t0 = readings[0][0]
    payload = [1, first, media, t0, [[t - t0, content] for t, content in readings]]
    if inputs:
        payload.append([list(i) for i in inputs])
    return sign1(key, STATEMENT, encode(payload), device, stream)


# mqtt.md

def topic_up(device, stream):
    return f"mtm/1/up/{id_text(device)}/{id_text(stream)}"


def topic_ack(device):
    return f"mtm/1/ack/{id_text(device)}"


def topic_data(stream):
    return f"mtm/1/data/{id_text(stream)}"


@dataclass
class Outcome:
    stream: bytes
    first: int
    count: int
    digest: bytes
    height: int
    index: int
    code: int

    @property
    def code_name(self):
        return CODES[self.code] if self.code < len(CODES) else f"code {self.code}"


@dataclass
class Acknowledgement:
    message: Message
    chain: str
    bridge: bytes
    outcomes: list


def parse_acknowledgement(data):
    need(len(data) <= 3072, "the acknowledgement is too large", "too_large")
    m = parse_sign1(data, ACKNOWLEDGEMENT)
    version, chain, bridge, outcomes = array(decode(m.payload), (4,), "the payload")
    integer(version, 1, 1, "the version")
    check_chain(chain)
    octets(bridge, 16, "the bridge")
    need(isinstance(outcomes, list) and outcomes, "no outcome")
    need(len(outcomes) <= 32, "too many outcomes", "too_large")
    return Acknowledgement(m, chain, bridge, [parse_outcome(o) for o in outcomes])


def parse_outcome(value):
    stream, first, count, digest, height, index, code = array(value, (7,), "an outcome")
    octets(stream, 16, "the stream")
    integer(first, 1, MAX_INT, "the first number")
    integer(count, 1, 1000, "the count")
    need(first + count - 1 <= MAX_INT, "numbers beyond 2^63-1")
    octets(digest, 32, "the digest")
    integer(height, 0, MAX_INT, "the height")
    integer(index, 0, MAX_INT, "the index")
    integer(code, 0, 2**32 - 1, "the code")
    need((code == 0) == (height > 0) and (code == 0) == (index > 0), "code, height and index do not fit")
    return Outcome(stream, first, count, digest, height, index, code)


def make_acknowledgement(key, chain, bridge, outcomes):
    return sign1(key, ACKNOWLEDGEMENT, encode([1, chain, bridge, [list(vars(o).values()) for o in outcomes]]))


def believed(ack, chain, bridge_keys):
    """What a device checks of an acknowledgement itself (mqtt.md, section 2), after the parsing."""
    keys = {key_id(k): k for k in bridge_keys}
    return ack.chain == chain and ack.message.kid in keys and ack.message.verify(keys[ack.message.kid])


def answers(outcome, statement):
    """Whether an outcome is that of a statement that the device keeps."""
    return (outcome.stream == statement.stream and outcome.first == statement.first
            and outcome.count == len(statement.readings) and outcome.digest == statement.digest)


def make_committed(height, index, time, statement):
    return encode([1, height, index, time, statement])


def parse_committed(data):
    """Height, index, committed time and the bytes of the statement, which is not looked into."""
    version, height, index, time, statement = array(decode(data), (5,), "the payload")
    integer(version, 1, 1, "the version")
    integer(height, 0, MAX_INT, "the height")
    integer(index, 0, MAX_INT, "the index")
    integer(time, MIN_INT, MAX_INT, "the time")
    need(type(statement) is bytes, "the statement is not a byte string")
    return height, index, time, statement


# transaction.md

@dataclass
class Batch:
    message: Message
    chain: str
    bridge: bytes
    attempt: int
    received: int
    statements: list  # of bytes, not parsed


def parse_transaction(data):
    """A Batch or an Operation."""
    m = parse_sign1(data)
    if m.content_format == OPERATION:
        return parse_operation(data)
    return parse_batch(data)


def parse_batch(data):
    m = parse_sign1(data, TRANSACTION)
    p = array(decode(m.payload), (6,), "the payload")
    version, chain, bridge, attempt, received, statements = p
    integer(version, 1, 1, "the version")
    check_chain(chain)
    octets(bridge, 16, "the bridge")
    integer(attempt, 0, MAX_INT, "the attempt")
    integer(received, MIN_INT, MAX_INT, "the received time")
    need(type(statements) is list and len(statements) >= 1, "no statements")
    need(len(statements) <= 2000, "too many statements", "too_large")
    need(all(type(s) is bytes for s in statements), "a statement is not a byte string")
    return Batch(m, chain, bridge, attempt, received, statements)


def make_batch(key, chain, bridge, attempt, received, statements):
    return sign1(key, TRANSACTION, encode([1, chain, bridge, attempt, received, list(statements)]))


# operation.md

KINDS = {1: "enrol_device", 2: "open_stream", 3: "enrol_bridge", 4: "rotate", 5: "suspend", 6: "resume", 7: "retire",
         8: "compromise", 9: "transfer_device", 10: "describe", 11: "transfer_stream", 12: "close_stream", 13: "grant",
         14: "revoke", 15: "deliver", 16: "equivocation", 17: "propose", 18: "approve", 19: "admit", 20: "remove", 21: "validator",
         22: "set_parameters", 23: "set_admins", 24: "enrol_devices", 25: "rotate_validator", 26: "remove_bridge",
         27: "manifest", 28: "enrol_listed", 29: "close_manifest"}


@dataclass
class Operation:
    message: Message
    chain: str
    actor: bytes
    not_after: int
    kind: int
    fields: dict


@dataclass
class Possession:
    message: Message
    chain: str
    organisation: bytes
    public: bytes


def parse_possession(data):
    need(len(data) <= 512, "the proof of possession is too large", "too_large")
    m = parse_sign1(data, POSSESSION)
    version, chain, organisation, public = array(decode(m.payload), (4,), "the proof of possession")
    integer(version, 1, 1, "the version")
    check_chain(chain)
    octets(organisation, 16, "the organisation")
    octets(public, 32, "the public key")
    need(m.kid == key_id(public), "the key id is not that of the key", "bad_possession")
    fault = ed25519.enrolment_fault(public)
    need(fault is None, f"the key is {fault}", "bad_key")
    return Possession(m, chain, organisation, public)


def make_possession(key, chain, organisation):
    return sign1(key, POSSESSION, encode([1, chain, organisation, key.public]))


def parse_operation(data):
    m = parse_sign1(data, OPERATION)
    if len(data) > 60000:
        try:
            larger = decode(m.payload)[4][0] == 16
        except (Refused, TypeError, IndexError):
            larger = False
        need(larger and len(data) <= 121000, "the operation is too large", "too_large")
    version, chain, actor, not_after, body = array(decode(m.payload), (5,), "the payload")
    integer(version, 1, 1, "the version")
    check_chain(chain)
    octets(actor, 16, "the actor")
    integer(not_after, 0, MAX_INT, "not_after")
    kind, fields = _parse_body(chain, actor, body)
    return Operation(m, chain, actor, not_after, kind, fields)


def _parse_body(chain, actor, body):
    need(type(body) is list and len(body) >= 1, "an empty body")
    kind, *rest = body
    need(type(kind) is int and kind in KINDS, "an unknown kind")
    fields = {}

    def possession(v):
        need(type(v) is bytes, "the proof of possession is not a byte string")
        p = fields["possession"] = parse_possession(v)
        need(p.chain == chain, "a proof of possession for another chain", "bad_possession")
        need(kind in (4, 19, 28) or p.organisation == actor, "a proof of possession for another organisation", "bad_possession")

    if kind in (1, 3):
        array(rest, (1,), "the body")
        possession(rest[0])
    elif kind == 2:
        array(rest, (2,), "the body")
        fields["device"] = octets(rest[0], 16, "the device")
        fields["name"] = check_name(rest[1])
    elif kind == 4:
        array(rest, (4,), "the body")
        fields["device"] = octets(rest[0], 16, "the device")
        fields["old"] = octets(rest[1], 8, "the old key id")
        fields["closes"] = integer(rest[2], 0, MAX_INT, "closes")
        possession(rest[3])
    elif kind in _BODIES:
        _BODIES[kind](rest, fields)
    elif kind == 17:
        expires, inner = array(rest, (2,), "the body")
        fields["expires"] = integer(expires, 0, MAX_INT, "expires")
        need(type(inner) is bytes, "the proposed body is not a byte string")
        inner = decode(inner)
        need(type(inner) is list and inner and inner[0] not in (16, 17, 18, 28), "not a body to propose")
        fields["body"] = _parse_body(chain, actor, inner)
    elif kind == 19:
        name, keys, threshold, proof = array(rest, (4,), "the body")
        fields["name"] = check_name(name)
        _admins([keys, threshold], fields)
        possession(proof)
        new = sum_("mtm/organisation/1", keys[0])[:16]
        need(fields["possession"].public == keys[0] and fields["possession"].organisation == new,
             "the proof of possession is not of the first key", "bad_possession")
    elif kind == 25:
        old, new, proof = array(rest, (3,), "the body")
        fields.update(old=octets(old, 32, "the old key"), new=_fit_key(new))
        possession(proof)
        need(fields["possession"].public == new, "the proof of possession is not of the new key", "bad_possession")
    elif kind in (24, 28):
        array(rest, (1,) if kind == 24 else (3,), "the body")
        devices = rest[0] if kind == 24 else rest[1]
        need(type(devices) is list and len(devices) >= 1, "no devices")
        need(len(devices) <= 256, "too many devices", "too_large")
        places = []
        if kind == 28:
            fields["manifest"] = octets(rest[0], 16, "the manifest")
            for d in devices:
                need(type(d) is list and len(d) == 2, "a device is not a place and a proof")
                integer(d[0], places[-1] + 1 if places else 0, 2**20 - 1, "a place in the list")
                places.append(d[0])
            devices = [d[1] for d in devices]
            need(type(rest[2]) is list, "no path")
            need(len(rest[2]) <= 5120, "too long a path", "too_large")
            fields["path"] = [octets(h, 32, "a hash of the path") for h in rest[2]]
            fields["places"] = places
        proofs = []
        for p in devices:
            possession(p)
            proofs.append(fields.pop("possession"))
        keys = fields["keys"] = [p.public for p in proofs]
        need(len(set(keys)) == len(keys), "a device twice", "exists")
    else:
        array(rest, (1,), "the body")
        fields["device"] = octets(rest[0], 16, "the device")
    return kind, fields


# operation.md, section 5: the consortium

# Least and greatest value of each parameter, from id 1 on (section 3).
_RANGES = [(1, 86400), (1, 2592000), (1, 1024), (1, 1000), (1, 1000), (1, 10_000_000), (60_000, 2**30),
           (1, 10_000_000), (60_000, 2**30), (1, 1_000_000)]


def _fit_key(key):
    octets(key, 32, "the public key")
    fault = ed25519.enrolment_fault(key)
    need(fault is None, f"the key is {fault}", "bad_key")
    return key


def _approve(rest, fields):
    array(rest, (1,), "the body")
    fields["proposal"] = octets(rest[0], 16, "the proposal")


def _remove(rest, fields):
    array(rest, (1,), "the body")
    fields["organisation"] = octets(rest[0], 16, "the organisation")


def _admins(rest, fields):
    keys, threshold = array(rest, (2,), "the body")
    need(type(keys) is list, "the keys are not an array")
    need(len(keys) <= 16, "too many keys", "too_large")
    for i, key in enumerate(keys):
        _fit_key(key)
        need(key not in keys[:i], "a key twice", "exists")
    fields.update(keys=keys, threshold=integer(threshold, 1, len(keys), "the threshold"))


def _validator(rest, fields):
    organisation, key, power = array(rest, (3,), "the body")
    fields.update(organisation=octets(organisation, 16, "the organisation"), key=_fit_key(key),
                  power=integer(power, 0, 1_000_000_000, "the power"))


def _set_parameters(rest, fields):
    values, active = array(rest, (2,), "the body")
    need(type(values) is list and len(values) >= 1, "no parameter")
    need(len(values) <= len(_RANGES), "too many parameters", "too_large")
    last = 0
    for pair in values:
        number, value = array(pair, (2,), "a parameter")
        integer(number, last + 1, MAX_INT, "the parameter's id")
        integer(value, 0, MAX_INT, "the parameter's value")
        need(number <= len(_RANGES), "an unknown parameter", "bad_parameter")
        least, greatest = _RANGES[number - 1]
        need(least <= value <= greatest, "a parameter out of range", "bad_parameter")
        last = number
    fields.update(values=values, active=integer(active, 0, MAX_INT, "active"))


def _remove_bridge(rest, fields):
    array(rest, (1,), "the body")
    fields["bridge"] = octets(rest[0], 16, "the bridge")


# operation.md, section 4: ownership and use

def _compromise(rest, fields):
    principal, kid, start = array(rest, (3,), "the body")
    fields.update(principal=octets(principal, 16, "the principal"), kid=octets(kid, 8, "the key id"),
                  start=integer(start, 1, MAX_INT, "from"))


def _transfer(rest, fields):
    subject, to, flag = array(rest, (3,), "the body")
    need(type(flag) is bool, "neither true nor false")
    fields.update(subject=octets(subject, 16, "the subject"), to=octets(to, 16, "the receiver"), flag=flag)


def _describe(rest, fields):
    subject, attributes = array(rest, (2,), "the body")
    fields.update(subject=octets(subject, 16, "the subject"), attributes=attributes)
    need(type(attributes) is list, "the attributes are not an array")
    need(len(attributes) <= 32, "too many attributes", "too_large")
    last = b""
    for attribute in attributes:
        name, value = array(attribute, (2,), "an attribute")
        check_name(name)
        need(name.encode() > last, "the attributes are not in order")
        last = name.encode()
        need(type(value) in (str, bytes), "an attribute is neither text nor bytes")
        need(type(value) is bytes or not _HIDDEN.search(value), "a character in an attribute that is not allowed")
    need(len(encode(attributes)) <= 4096, "the attributes are too large", "too_large")


def _grant(rest, fields):
    stream, grantee, rights, first, last, start, until, purpose, terms = array(rest, (9,), "the body")
    octets(stream, 16, "the stream")
    octets(grantee, 16, "the grantee")
    integer(rights, 1, 3, "the rights")
    integer(first, 1, MAX_INT, "the first number")
    integer(last, 0, MAX_INT, "the last number")
    need(last == 0 or last >= first, "the grant ends before its first number")
    integer(start, 0, MAX_INT, "from")
    integer(until, 0, MAX_INT, "until")
    need(until == 0 or until > start, "the grant ends before it begins")
    need(type(purpose) is str, "the purpose is not a text")
    need(len(purpose.encode()) <= 256, "the purpose is too long", "too_large")
    need(not _HIDDEN.search(purpose), "a character in the purpose that is not allowed")
    octets(terms, 32, "the terms")
    fields.update(stream=stream, grantee=grantee)


def _subject(rest, fields):
    array(rest, (1,), "the body")
    fields["subject"] = octets(rest[0], 16, "the stream or grant")


def _deliver(rest, fields):
    grant, first, last, digest = array(rest, (4,), "the body")
    fields["grant"] = octets(grant, 16, "the grant")
    integer(first, 1, MAX_INT, "the first number")
    integer(last, first, MAX_INT, "the last number")
    octets(digest, 32, "the digest")


def _equivocation(rest, fields):
    array(rest, (2,), "the body")
    need(all(type(s) is bytes for s in rest), "a statement is not a byte string")
    a, b = fields["statements"] = [parse_statement(s) for s in rest]
    need(a.device == b.device and a.message.kid == b.message.kid and a.stream == b.stream, "by two keys, or of two streams",
         "not_equivocation")
    need(a.first <= b.last and b.first <= a.last, "no common number", "not_equivocation")
    need(a.digest != b.digest, "the same statement", "not_equivocation")


def _manifest(rest, fields):
    root, count, until = array(rest, (3,), "the body")
    fields["root"] = octets(root, 32, "the root")
    integer(count, 1, MAX_INT, "the count of devices")
    integer(until, 0, MAX_INT, "until")
    need(count <= 2**20, "too many devices", "too_large")
    fields.update(count=count, until=until)


_BODIES = {27: _manifest, 29: _subject, 18: _approve, 26: _remove_bridge, 20: _remove, 21: _validator, 22: _set_parameters, 23: _admins,
           8: _compromise, 9: _transfer, 10: _describe, 11: _transfer, 12: _subject, 13: _grant, 14: _subject, 15: _deliver,
           16: _equivocation}


def make_operation(key, chain, actor, not_after, body):
    return sign1(key, OPERATION, encode([1, chain, actor, not_after, body]))


PARAMETERS = {  # name: id, default
    "clock_ahead_seconds": (1, 86400), "not_after_seconds": (2, 2592000), "open_gaps": (3, 1024), "vote_num": (4, 2),
    "vote_den": (5, 3), "statements_per_bridge": (6, 200000), "bytes_per_bridge": (7, 67108864),
    "statements_per_organisation": (8, 200000), "bytes_per_organisation": (9, 67108864), "app_version": (10, 1),
}


def genesis(chain, app_state):
    """Content and entry of the genesis (operation.md, section 3). app_state: the JSON text."""
    state = json.loads(app_state)
    need(set(state) <= {"organisations", "parameters"}, "members of the genesis")
    given = state.get("parameters", {})
    need(set(given) <= set(PARAMETERS), "parameters of the genesis")
    organisations = []
    for o in state["organisations"]:
        need(set(o) <= {"name", "admin_keys", "threshold", "bridges", "validators"}, "members of an organisation")
        organisations.append([
            check_name(o["name"]), [parse_public_text(k) for k in o["admin_keys"]], o["threshold"],
            [parse_public_text(b["key"]) for b in o.get("bridges", [])],
            [[parse_public_text(v["key"]), v["power"]] for v in o.get("validators", [])]])
    parameters = [[number, given.get(name) or default] for name, (number, default) in PARAMETERS.items()]
    content = encode([1, organisations, parameters])
    return content, encode(["mtm.genesis", 1, chain, sum_("mtm/genesis/1", content)])
