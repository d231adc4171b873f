"""ed25519: signing by RFC 8032, verification by the rule of ZIP-215 (docs/spec/signatures.md, sections 3 and 4).

The library underneath (OpenSSL by way of python3-cryptography) is stricter than ZIP-215 where somebody tries: it
refuses non-canonical R and points of small order added to R. What it accepts ZIP-215 accepts as well, so it is
asked first; what it refuses is decided by the rule itself, in plain big integers, slow and not constant-time. That
is fine for verification, where nothing is secret. For honest data the library alone would do.
"""

import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)
IDENTITY = (0, 1, 1, 0)  # extended coordinates X, Y, Z, T with x = X/Z, y = Y/Z, T = XY/Z


def _add(a, b):
    m = (a[1] - a[0]) * (b[1] - b[0]) % P
    n = (a[1] + a[0]) * (b[1] + b[0]) % P
    t = 2 * a[3] * b[3] * D % P
    z = 2 * a[2] * b[2] % P
    e, f, g, h = n - m, z - t, z + t, n + m
    return e * f % P, g * h % P, f * g % P, e * h % P


def _mul(k, a):
    r = IDENTITY
    while k > 0:
        if k & 1:
            r = _add(r, a)
        a = _add(a, a)
        k >>= 1
    return r


def _is_identity(a):
    return a[0] % P == 0 and (a[1] - a[2]) % P == 0


def decode_point(b):
    """Section 4, step 2: the point, or None. y >= p and x = 0 with the sign bit set are allowed."""
    n = int.from_bytes(b, "little")
    sign, y = n >> 255, (n & (2**255 - 1)) % P
    u, v = (y * y - 1) % P, (D * y * y + 1) % P
    x2 = u * pow(v, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if x * x % P != x2:
        x = x * SQRT_M1 % P
    if x * x % P != x2:
        return None
    if x & 1 != sign:
        x = -x % P  # of x = 0 this is 0
    return x, y, 1, x * y % P


BASE = decode_point((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def enrolment_fault(public):
    """Section 3: None if the public key may be enrolled, otherwise what is wrong with it."""
    if len(public) != 32:
        return "not 32 bytes"
    a = decode_point(public)
    if a is None:
        return "not a point"
    n = int.from_bytes(public, "little")
    if n & (2**255 - 1) >= P or (n >> 255 and a[0] == 0):
        return "not canonically encoded"
    if _is_identity(a) or not _is_identity(_mul(L, a)):
        return "not of prime order"
    return None


def verify_zip215(public, message, signature):
    """The acceptance rule of section 4 and nothing else."""
    if len(public) != 32 or len(signature) != 64:
        return False
    s = int.from_bytes(signature[32:], "little")
    a, r = decode_point(public), decode_point(signature[:32])
    if s >= L or a is None or r is None:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    minus_a = (-a[0] % P, a[1], a[2], -a[3] % P)
    minus_r = (-r[0] % P, r[1], r[2], -r[3] % P)
    return _is_identity(_mul(8, _add(_add(_mul(s, BASE), _mul(k, minus_a)), minus_r)))


def verify(public, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return verify_zip215(public, message, signature)


class Key:
    """A private key. The seed is the 32-byte private key of RFC 8032."""

    def __init__(self, seed=None):
        self._key = Ed25519PrivateKey.generate() if seed is None else Ed25519PrivateKey.from_private_bytes(seed)
        self.public = self._key.public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def sign(self, message):
        return self._key.sign(message)

    def pem(self):
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())

    @classmethod
    def from_pem(cls, pem):
        key = serialization.load_pem_private_key(pem, None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("not an ed25519 key")
        return cls(key.private_bytes(
            serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption()))
