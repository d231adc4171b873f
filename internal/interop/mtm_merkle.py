"""The log, the records and the app hash of docs/spec/commitment.md."""

from mtm_formats import MAX_INT, decode, integer, need, octets, sha256

EMPTY = sha256(b"")


class Hidden(Exception):
    """The partial tree does not reveal enough to answer. Says nothing about the map."""


# Section 1: the log

def leaf_hash(entry):
    return sha256(b"\0" + entry)


def node_hash(left, right):
    return sha256(b"\1" + left + right)


def _split(n):
    """The greatest power of two below n."""
    return 1 << ((n - 1).bit_length() - 1)


class Frontier:
    def __init__(self):
        self.size, self.hashes = 0, []

    def append(self, h):
        n = self.size
        while n & 1:
            h = node_hash(self.hashes.pop(), h)
            n >>= 1
        self.hashes.append(h)
        self.size += 1

    def root(self):
        if not self.hashes:
            return EMPTY
        r = self.hashes[-1]
        for h in reversed(self.hashes[:-1]):
            r = node_hash(h, r)
        return r


def range_root(leaves):
    """The root over a list of leaf hashes, by the definition."""
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return leaves[0]
    k = _split(len(leaves))
    return node_hash(range_root(leaves[:k]), range_root(leaves[k:]))


def tile(leaves, level, index):
    """The bytes of tile (level, index) of the log with these leaf hashes."""
    width = 256**level
    hashes = []
    for j in range(256):
        begin = (256 * index + j) * width
        if begin + width > len(leaves):
            break
        hashes.append(range_root(leaves[begin:begin + width]))
    return b"".join(hashes)


# Section 2: proofs in the log

def inclusion_root(h, index, size, path):
    """The root that the path implies."""
    need(0 <= index < size <= MAX_INT, "index or size out of range")
    f, s, r = index, size - 1, h
    for p in path:
        need(s != 0, "the path is too long")
        if f & 1 or f == s:
            r = node_hash(p, r)
            while f & 1 == 0 and f != 0:
                f >>= 1
                s >>= 1
        else:
            r = node_hash(r, p)
        f >>= 1
        s >>= 1
    need(s == 0, "the path is too short")
    return r


def multi_root(hashes, indexes, size, path):
    need(0 < size <= MAX_INT and len(indexes) > 0 and len(hashes) == len(indexes), "nothing to prove, or lengths")
    need(all(a < b for a, b in zip(indexes, indexes[1:])), "the indexes do not ascend")
    need(indexes[0] >= 0 and indexes[-1] < size, "index out of range")
    pending, rest = list(zip(indexes, hashes)), list(path)

    def root(a, b):
        if not pending or pending[0][0] >= b:
            need(rest, "the path is too short")
            return rest.pop(0)
        if b - a == 1:
            return pending.pop(0)[1]
        k = _split(b - a)
        left = root(a, a + k)
        return node_hash(left, root(a + k, b))

    result = root(0, size)
    need(not rest, "the path is too long")
    return result


def check_consistency(old_size, new_size, old_root, new_root, path):
    need(0 <= old_size <= new_size <= MAX_INT, "sizes")
    if old_size == 0:
        need(not path and old_root == EMPTY, "the empty log")
        need(new_size > 0 or new_root == EMPTY, "the empty log")
        return
    if old_size == new_size:
        need(not path and old_root == new_root, "equal sizes")
        return
    path = list(path)
    if old_size & (old_size - 1) == 0:
        path.insert(0, old_root)
    need(path, "no path")
    f, s = old_size - 1, new_size - 1
    while f & 1:
        f >>= 1
        s >>= 1
    old = new = path[0]
    for p in path[1:]:
        need(s != 0, "the path is too long")
        if f & 1 or f == s:
            old, new = node_hash(p, old), node_hash(p, new)
            while f & 1 == 0 and f != 0:
                f >>= 1
                s >>= 1
        else:
            new = node_hash(new, p)
        f >>= 1
        s >>= 1
    need(s == 0, "the path is too short")
    need(old == old_root and new == new_root, "another root")


# Section 3: the records

KEY_SIZE = 33
BITS = 8 * KEY_SIZE


def _bit(key, i):
    return key[i // 8] >> (7 - i % 8) & 1


def _prefix(key, depth):
    """The first depth bits of the key, followed by zeros."""
    n = int.from_bytes(key, "big")
    return (n >> (BITS - depth) << (BITS - depth)).to_bytes(KEY_SIZE, "big")


def row_hash(key, value_hash):
    return sha256(b"\0" + key + value_hash)


def branch_hash(depth, prefix, left, right):
    return sha256(b"\1" + depth.to_bytes(2, "big") + prefix + left + right)


def records_root(rows):
    """rows: a dict of keys to values."""
    keys = sorted(rows)
    if not keys:
        return EMPTY
    if len(keys) == 1:
        return row_hash(keys[0], sha256(rows[keys[0]]))
    different = int.from_bytes(keys[0], "big") ^ int.from_bytes(keys[-1], "big")
    depth = BITS - different.bit_length()
    sides = ({}, {})
    for k in keys:
        sides[_bit(k, depth)][k] = rows[k]
    return branch_hash(depth, _prefix(keys[0], depth), records_root(sides[0]), records_root(sides[1]))


# Section 4: partial trees

class PartialTree:
    """Parts are ("opaque", hash), ("row", key, value or None, value hash) and ("branch", depth, prefix, left, right)."""

    def __init__(self, data):
        need(len(data) <= 4194304, "the partial tree is too large")
        items = decode(data)
        need(type(items) is list, "not an array")
        self._items, self._at = items, 0
        self.top = None
        self.root = EMPTY
        if items:
            self.top, self.root, _ = self._part(0)
            need(self._at == len(items), "items after the tree")

    def _next(self):
        need(self._at < len(self._items), "the tree ends early")
        self._at += 1
        return self._items[self._at - 1]

    def _part(self, begin):
        """Returns the part that begins at bit `begin` or below, its hash, and a key below it (None if none is shown)."""
        item = self._next()
        if type(item) is bytes and len(item) == 32:
            return ("opaque", item), item, None
        if type(item) is bytes and len(item) == KEY_SIZE:
            value = self._next()
            if type(value) is bytes:
                need(1 <= len(value) <= 65536, "length of a value")
                value_hash = sha256(value)
            else:
                need(type(value) is list and len(value) == 1, "neither a value nor its hash")
                value, value_hash = None, octets(value[0], 32, "the hash of a value")
            return ("row", item, value, value_hash), row_hash(item, value_hash), item
        integer(item, 0, BITS, "skip")
        depth = begin + item
        need(depth < BITS, "depth over 263")
        left, left_hash, left_key = self._part(depth + 1)
        right, right_hash, right_key = self._part(depth + 1)
        key = left_key or right_key
        need(key is not None, "a branch without a row")
        prefix = _prefix(key, depth)
        for side, k in ((0, left_key), (1, right_key)):
            need(k is None or (_bit(k, depth) == side and _prefix(k, depth) == prefix), "a row where it cannot be")
        return ("branch", depth, prefix, left, right), branch_hash(depth, prefix, left_hash, right_hash), key

    def _walk(self, lo, hi, backwards):
        """Yields the rows in [lo, hi] or raises Hidden."""
        lo_n, hi_n = int.from_bytes(lo, "big"), int.from_bytes(hi, "big")
        if len(lo) != KEY_SIZE or len(hi) != KEY_SIZE or lo > hi:
            raise ValueError("not an interval of keys")
        stack = [(self.top, 0, 2**BITS - 1)] if self.top else []
        while stack:
            part, begin, end = stack.pop()
            if end < lo_n or hi_n < begin:
                continue
            if part[0] == "opaque":
                raise Hidden("a subtree is hidden")
            if part[0] == "row":
                if lo <= part[1] <= hi:
                    if part[2] is None:
                        raise Hidden("a value is hidden")
                    yield part[1], part[2]
                continue
            _, depth, prefix, left, right = part
            begin, half = int.from_bytes(prefix, "big"), 1 << (BITS - depth - 1)
            children = [(left, begin, begin + half - 1), (right, begin + half, begin + 2 * half - 1)]
            stack.extend(children if backwards else reversed(children))

    def list(self, lo, hi):
        return list(self._walk(lo, hi, False))

    def predecessor(self, lo, hi):
        return next(self._walk(lo, hi, True), None)

    def get(self, key):
        row = self.predecessor(key, key)
        return None if row is None else row[1]


# Section 5: the app hash

def app_hash(size, log_root, records_root_):
    log = sha256(b"\0\x03log\x20" + sha256(size.to_bytes(8, "big") + log_root))
    records = sha256(b"\0\x07records\x20" + sha256(records_root_))
    return node_hash(log, records)
