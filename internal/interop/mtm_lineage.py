"""Lineages in one file (docs/spec/lineage.md)."""

import collections

import mtm_answer as answer
import mtm_light as light
from mtm_formats import Refused, array, decode, id_text, octets
from mtm_light import ProofRefused, demand, u64, uint

MAGIC = bytes.fromhex("856b6d746d2e6c696e6561676501")
LIMIT = answer.LIMIT + 128
MAX_EDGES, MAX_ANSWERS, MAX_ROWS = 1000, 2000, 7000
INPUTS, USES = "inputs", "uses"
DIRECTIONS = {1: [INPUTS], 2: [USES], 3: [INPUTS, USES]}


def _parse(data):
    light.check_frame(data, MAGIC, LIMIT)
    try:
        _, _, question, inner, checksum = array(decode(data), (5,), "the lineage")
        octets(checksum, 32, "the checksum")
        stream, number, direction, depth = array(question, (4,), "the question")
        octets(stream, 16, "the stream")
        uint(number, "the number", 1)
        uint(direction, "the direction", 1, 3)
        uint(depth, "the depth", 1, 16)
        if type(inner) is not bytes or len(inner) > answer.LIMIT:
            raise Refused("malformed", "the answer")
        return (stream, number, direction, depth), inner
    except Refused as e:
        raise ProofRefused("shape", str(e)) from None


def _key(family, stream, number):
    return bytes([family]) + stream + u64(number) + bytes(8)


def _after(key):
    return (int.from_bytes(key, "big") + 1).to_bytes(33, "big")


def _range(stream, first, last):
    """(stream, first, last), if these are numbers of a row."""
    octets(stream, 16, "a stream")
    uint(first, "a first number", 1)
    uint(last, "a last number", first)
    return stream, first, last


class _Step:
    def __init__(self, span, direction, depth):
        self.span, self.direction, self.depth = span, direction, depth
        self.edges, self.again, self.cut = [], [], None

    def shown(self):
        result = {"edges": [{**edge, **behind.shown()} for edge, behind in self.edges]}
        if self.again:
            result["again"] = [_shown(c) for c in self.again]
        if self.cut:
            result["cut_by"] = self.cut
        return result


def _shown(span):
    return {"stream": id_text(span[0]), "first": span[1], "last": span[2]}


class _Walk:
    def __init__(self, depth, results):
        self.depth, self.rest = depth, list(results)
        self.queue, self.edges, self.answers = collections.deque(), 0, 0
        self.rows, self.met, self.lengths, self.cuts = 0, set(), {}, collections.Counter()

    def run(self, start, directions):
        roots = {d: _Step(start, d, 0) for d in directions}
        self.queue.extend(roots.values())
        while self.queue:
            step = self.queue.popleft()
            if step.depth >= self.depth:
                self.cut(step, "depth")
            elif self.edges >= MAX_EDGES:
                self.cut(step, "edges")
            elif step.direction == INPUTS:
                self.inputs(step)
            else:
                self.of_uses(step)
        demand(not self.rest, "lineage", "a result that nothing asked for")
        return roots

    def cut(self, step, bound):
        if not step.cut:
            step.cut = bound
            self.cuts[bound] += 1

    def room(self, step):
        if self.edges >= MAX_EDGES:
            self.cut(step, "edges")
            return False
        self.edges += 1
        return True

    def ask(self, step, *queries):
        """The results to these queries, (query, rows) each; None when there were too many answers or rows."""
        if self.answers >= MAX_ANSWERS:
            self.cut(step, "answers")
            return None
        if self.rows >= MAX_ROWS:
            self.cut(step, "rows")
            return None
        self.answers += 1
        demand(len(self.rest) >= len(queries), "lineage", "the answer ends before the walk")
        got, self.rest = self.rest[:len(queries)], self.rest[len(queries):]
        for i, (asked, (query, rows)) in enumerate(zip(queries, got)):
            early = (i == len(queries) - 1 and asked[0] == query[0] == 3 and query[1] == asked[1] and query[2] < asked[2]
                     and rows and rows[-1][0] == query[2])
            demand(query == asked or early, "lineage", "the answer is to another question")
            self.rows += len(rows)
        return got

    def edge(self, step, fields, to, again):
        behind = _Step(to, step.direction, step.depth + 1)
        step.edges.append((fields, behind))
        if again:
            behind.again = [to]
        else:
            self.queue.append(behind)

    def inputs(self, step):
        stream, first, last = step.span
        start, hi = _key(0x46, stream, first), _key(0x46, stream, last)
        queries = [(2, _key(0x46, stream, 0), start)]
        if last > first:
            queries.append((3, _after(start), hi))
        while queries:
            got = self.ask(step, *queries)
            if got is None:
                return
            for row in [row for _, rows in got for row in rows]:
                if not self.derived(step, *row):
                    return
            end = got[-1][0][2]
            queries = [(3, _after(end), hi)] if last > first and end != hi else []

    def derived(self, step, key, value):
        """Adds the edges of a derived statement; False when a bound ends the step."""
        last, inputs = light.row_value(value, 3)
        if type(inputs) is not list or not 1 <= len(inputs) <= 64:
            raise Refused("malformed", "the inputs")
        inputs = [array(i, (4,), "an input") for i in inputs]
        statement = _range(step.span[0], int.from_bytes(key[17:25], "big"), last)
        inputs = [(_range(*i[:3]), octets(i[3], 32, "a digest")) for i in inputs]
        if last < step.span[1]:
            return True
        if (INPUTS, key) in self.met:
            if not self.room(step):
                return False
            step.again.append(statement)
            return True
        self.met.add((INPUTS, key))
        for span, digest in inputs:
            if not self.room(step):
                return False
            self.edge(step, {"derived": _shown(statement), "input": _shown(span), "input_digest": digest.hex()}, span, False)
        return True

    def lengths_of(self, step):
        """Of which classes of lengths the stream has uses, as bits; None when a bound ends the step."""
        stream = step.span[0]
        if stream not in self.lengths:
            key = b"\x4e" + stream + bytes(16)
            got = self.ask(step, (1, key, key))
            if got is None:
                return None
            self.lengths[stream] = 0
            for _, value in got[0][1]:
                self.lengths[stream], = light.row_value(value, 2)
                uint(self.lengths[stream], "the classes")
        return self.lengths[stream]

    def of_uses(self, step):
        classes = self.lengths_of(step)
        for k in range(63):
            if classes is None or classes >> k & 1 and not self.of_class(step, k):
                return

    def of_class(self, step, k):
        """Adds the uses of 2^k to 2^(k+1)-1 readings; False when a bound ends the step."""
        stream, first, last = step.span
        begin = max(1, first - 2 ** (k + 1) + 2)
        lo = b"\x47" + stream + u64(2 ** (63 - k) + begin // 2 ** k) + bytes(8)
        hi = b"\x47" + stream + u64(2 ** (63 - k) + last // 2 ** k) + b"\xff" * 8
        while True:
            got = self.ask(step, (3, lo, hi))
            if got is None:
                return False
            (_, _, end), rows = got[0]
            for _, value in rows:
                if not self.use(step, value):
                    return False
            if end == hi:
                return True
            lo = _after(end)

    def use(self, step, value):
        stream, first, last = step.span
        used_first, used_last, derived, derived_first, derived_last = light.row_value(value, 6)
        used, derived = _range(stream, used_first, used_last), _range(derived, derived_first, derived_last)
        if used_first > last or used_last < first:
            return True
        if not self.room(step):
            return False
        met = (USES, derived[:2])
        self.edge(step, {"derived": _shown(derived), "input": _shown(used)}, derived, met in self.met)
        self.met.add(met)
        return True


def verify(data, trust):
    """Checks the lineage `data` against the trust root (JSON text as bytes); returns the finding as `mtm-verify --json`
    reports it, or raises ProofRefused."""
    light.parse_trust(trust)
    (stream, number, direction, depth), inner = _parse(data)
    proven, results = answer.verify_results(inner, trust)
    demand("entries" not in proven and "cover" not in proven, "lineage", "the answer has entries or a cover")
    walk = _Walk(depth, results)
    try:
        roots = walk.run((stream, number, number), DIRECTIONS[direction])
    except Refused as e:
        raise ProofRefused("records", str(e)) from None
    proven.pop("results", None)
    return {**proven, "stream": id_text(stream), "number": number, "direction": {1: INPUTS, 2: USES, 3: "both"}[direction],
            "depth": depth, **{d: root.shown() for d, root in roots.items()}, "edges": walk.edges, "answers": walk.answers,
            "complete": not walk.cuts, "cut": dict(walk.cuts)}
