# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys, nonces, AEAD and MACs: parts 3, 4 and 8."""

import hmac

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap, aes_key_wrap

from .errors import OtlError
from .wire import TAG_OCTETS, Header, u

LINK, COMMAND, KEY_ENCRYPTION = 1, 2, 3
PURPOSES = {"link": LINK, "command": COMMAND, "kek": KEY_ENCRYPTION}
BASE_LABEL, TRAFFIC_LABEL, COMMAND_LABEL, WRAP_LABEL = b"OTL1 base", b"OTL1 traffic", b"OTL1 command", b"OTL1 wrap"
UP, DOWN, RESYNC_UP, RESYNC_DOWN, CALL = 1, 2, 3, 4, 5  # directions of the traffic keys
ZERO8 = bytes(8)


def cmac(key: bytes, data: bytes) -> bytes:
    """AES-CMAC, 16 octets."""
    mac = CMAC(AES(key))
    mac.update(data)
    return mac.finalize()


def kdf(key: bytes, label: bytes, context: bytes, bits: int) -> bytes:
    """NIST SP 800-108 in counter mode with AES-CMAC."""  # spec: KEY-1
    out, i = b"", 0
    while len(out) * 8 < bits:
        i += 1
        out += cmac(key, u(i, 4) + label + b"\x00" + context + u(bits, 4))
    return out[:bits // 8]


def base_context(utility: bytes, identity: bytes, purpose: int, version: int) -> bytes:
    """The context of OTL1 base."""  # spec: KEY-3
    return utility + identity + bytes((purpose, version))


def base_key(master: bytes, utility: bytes, identity: bytes, purpose: int, version: int) -> bytes:
    """A terminal's base key, as long as its master."""  # spec: KEY-3
    return kdf(master, BASE_LABEL, base_context(utility, identity, purpose, version), 8 * len(master))


def use_context(utility: bytes, identity: bytes, purpose: int, mode: int, direction: int,
                version: int, nonces: bytes = b"") -> bytes:
    """The context of the labels below the base key."""  # spec: KEY-4
    return utility + identity + bytes((purpose, mode, direction, version)) + nonces


def traffic_nonces(mode: int, direction: int, nt: bytes | None, ticket: bytes | None, nr: bytes | None) -> bytes:
    """The nonces column of KEY-4."""
    if direction in (RESYNC_UP, RESYNC_DOWN):
        return nr or b""
    if direction == CALL or mode == 1:
        return b""
    return (nt or b"") + (ticket or b"")


def traffic_key(base: bytes, utility: bytes, identity: bytes, mode: int, direction: int, version: int,
                nonces: bytes) -> bytes:
    """An AEAD key, or the call key."""  # spec: KEY-4
    if mode == 3 and len(base) != 32:  # spec: KEY-5
        raise OtlError("key_too_short", 2, "mode 3 under a base key of 16 octets")
    context = use_context(utility, identity, LINK, mode, direction, version, nonces)
    return kdf(base, TRAFFIC_LABEL, context, 256 if mode == 3 else 128)


def command_key(base: bytes, utility: bytes, identity: bytes, direction: int, version: int) -> bytes:
    """The CMAC key for results (direction 1) or commands (direction 2)."""  # spec: KEY-4
    return kdf(base, COMMAND_LABEL, use_context(utility, identity, COMMAND, 0, direction, version), 8 * len(base))


def wrap_key(base: bytes, utility: bytes, identity: bytes, version: int) -> bytes:
    """The RFC 3394 key."""  # spec: KEY-4
    return kdf(base, WRAP_LABEL, use_context(utility, identity, KEY_ENCRYPTION, 0, 2, version), 8 * len(base))


def wrap(key: bytes, new_key: bytes) -> bytes:
    """RFC 3394 wrap."""  # spec: ROT-1
    return aes_key_wrap(key, new_key)


def unwrap(key: bytes, wrapped: bytes) -> bytes | None:
    """RFC 3394 unwrap; None if it fails."""  # spec: ROT-9
    try:
        return aes_key_unwrap(key, wrapped)
    except (InvalidUnwrap, ValueError):
        return None


def seal(mode: int, key: bytes, nonce: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Ciphertext and tag."""
    if mode == 0:
        return plaintext
    if mode == 3:
        return AESGCM(key).encrypt(nonce, plaintext, aad)
    return AESCCM(key, tag_length=8).encrypt(nonce, plaintext, aad)


def open_(mode: int, key: bytes, nonce: bytes, header: Header, aad: bytes) -> bytes:
    """The plaintext, or ``tag_mismatch`` at the first octet of the tag."""  # spec: SEC-5
    try:
        if mode == 3:
            return AESGCM(key).decrypt(nonce, header.body + header.tag, aad)
        return AESCCM(key, tag_length=8).decrypt(nonce, header.body + header.tag, aad)
    except InvalidTag:
        raise OtlError("tag_mismatch", header.length + len(header.body), "the tag does not verify") from None


def nonce(header: Header, uplink: Header | None = None) -> bytes:
    """The AEAD nonce of a frame; an answer needs the uplink that it answers."""  # spec: NON-1
    if header.frame == "uplink":
        return header.identity + u(header.counter, 4)
    if header.frame == "resync":
        return header.identity + u(0, 4)
    return header.ns + u(header.counter if header.frame == "answer" else 0, 4)


def answer_aad(own_header: bytes, uplink: Header) -> bytes:
    """The additional data of ANSWER and RESYNC_ANSWER."""  # spec: SEC-7
    return own_header + uplink.raw + uplink.tag


def call_tag(mode: int, key: bytes, header: bytes) -> bytes:
    """The tag of CALL_NOW."""  # spec: SEC-8
    return cmac(key, header)[:TAG_OCTETS[mode]]


def command_mac(key: bytes, identity: bytes, head: bytes, parameters: bytes,
                binding: tuple[bytes, bytes, bytes] | None) -> bytes:
    """The MAC of a command; binding is (Ns, uplink header, uplink tag) if BOUND."""  # spec: CMD-1
    data = b"OTL1 cmd" + identity + head + u(len(parameters), 2) + parameters
    return cmac(key, data + (b"".join(binding) if binding else b""))


def result_mac(key: bytes, identity: bytes, epoch: int, sequence: int, record_type: int, body: bytes) -> bytes:
    """The MAC of a result or valve state; body without sequence and MAC."""  # spec: CMD-14
    return cmac(key, b"OTL1 res" + identity + u(epoch, 4) + u(sequence, 4) + u(record_type, 1) + body)


def same(a: bytes, b: bytes) -> bool:
    """Comparison in constant time."""  # spec: SEC-5, CMD-1
    return hmac.compare_digest(a, b)
