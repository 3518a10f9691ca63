# SPDX-License-Identifier: MIT OR Apache-2.0
"""kdf.toml: every derivation of part 3 with its intermediate values."""

from otl import crypto
from otl.drbg import Drbg
from . import samples as s
from .keys import entry
from .toml import Vector, text

_DIRECTIONS = {1: "uplink", 2: "answer", 3: "resync", 4: "resync_answer", 5: "call_now"}


def _vector(name: str, clauses: str, label: bytes, key: bytes, context: bytes, bits: int) -> Vector:
    blocks = [crypto.u(i, 4) + label + b"\x00" + context + crypto.u(bits, 4) for i in range(1, -(-bits // 128) + 1)]
    return Vector(name, clauses.split(), {
        "label": label.decode("ascii"), "master": key.hex(), "context": context.hex(), "bits": bits,
        "blocks": [block.hex() for block in blocks], "output": crypto.kdf(key, label, context, bits).hex()})


def vectors() -> list[Vector]:
    """Base keys for both master lengths, then every row of KEY-4."""
    out = []
    for name, version in (("mode1", 2), ("mode3", 1)):
        who = entry(name)
        for purpose, code in crypto.PURPOSES.items():
            master = who.utility.masters[purpose][1 if purpose != "link" else version]
            out.append(_vector(f"base_{purpose}_{len(master.key)}", "KEY-1 KEY-2 KEY-3", crypto.BASE_LABEL, master.key,
                               crypto.base_context(who.utility.id, who.identity, code, master.version), 8 * len(master.key)))
    for name, version in (("mode1", 2), ("mode1_b", 1), ("mode2", 2), ("mode3", 1)):
        who = entry(name)
        base = who.base("link", version)
        for direction, frame in _DIRECTIONS.items():
            nonces = crypto.traffic_nonces(who.mode, direction, s.NT, s.TICKET, s.NR)
            context = crypto.use_context(who.utility.id, who.identity, 1, who.mode, direction, version, nonces)
            out.append(_vector(f"traffic_{frame}_{name}", "KEY-1 KEY-4" + (" KEY-5" if who.mode == 3 else ""),
                               crypto.TRAFFIC_LABEL, base, context, 256 if who.mode == 3 else 128))
    for name in ("mode1", "mode3"):
        who = entry(name)
        base = who.base("command", 1)
        for direction, use in ((1, "results"), (2, "commands")):
            context = crypto.use_context(who.utility.id, who.identity, 2, 0, direction, 1)
            out.append(_vector(f"command_{use}_{len(base)}", "KEY-1 KEY-4", crypto.COMMAND_LABEL, base, context, 8 * len(base)))
        base = who.base("kek", 1)
        context = crypto.use_context(who.utility.id, who.identity, 3, 0, 2, 1)
        out.append(_vector(f"wrap_{len(base)}", "KEY-1 KEY-4", crypto.WRAP_LABEL, base, context, 8 * len(base)))
    return out


def wraps() -> list[Vector]:
    """RFC 3394 wraps of new base keys under the terminals' wrap keys."""
    out, rng = [], Drbg("wraps")
    for name, octets in (("mode1", 16), ("mode3", 32)):
        who = entry(name)
        key = crypto.wrap_key(who.base("kek", 1), who.utility.id, who.identity, 1)
        new = rng.octets(octets)
        out.append(Vector(f"wrapped_{octets}", ["ROT-1"], {"wrap_key": key.hex(), "new_key": new.hex(),
                                                           "wrapped": crypto.wrap(key, new).hex()}))
    return out


def files() -> dict[str, str]:
    """All files of this module."""
    return {"otl/kdf.toml": text("Key derivation (part 3). master: the key that enters, a master for OTL1 base and a base key for the other\n"
                                 "labels; blocks: the octets that each CMAC runs over, in order; output: the derived key.\n"
                                 "The last vectors are RFC 3394 wraps of new base keys.", vectors() + wraps())}
