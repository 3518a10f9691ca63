# SPDX-License-Identifier: MIT OR Apache-2.0
"""Damaged frames under right tags: what two decoders must refuse at the same octet for the same reason."""

from typing import Iterator

from . import frames, wire
from .drbg import Drbg
from .errors import OtlError
from .jsonform import Decoder
from .keyring import Keyring
from .randomframes import stream
from .report import Json
from .wire import Header, parse


def _damage(rng: Drbg, octets: bytes) -> bytes:
    """One to three changes: a flipped bit, another octet, a cut, an insertion, a doubled piece."""
    out = bytearray(octets)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at, way = rng.below(max(1, len(out))), rng.below(7)
        if way < 3 and out:
            out[at] ^= 1 << rng.below(8)
        elif way == 3 and out:
            out[at] = rng.choice((0x00, 0x01, 0x7F, 0x80, 0xFF, rng.below(256)))
        elif way == 4:
            del out[at:at + rng.between(1, 4)]
        elif way == 5:
            out[at:at] = rng.octets(rng.between(1, 3))
        else:
            out[at:at] = out[at:at + rng.between(1, 12)]
    return bytes(out)


def _resealed(rng: Drbg, keys: Keyring, header: Header, uplink: Header | None) -> bytes | None:
    """The frame with a damaged plaintext under a right tag; None if it would not be a frame."""
    try:
        if uplink is None:
            entry = keys.terminals[header.identity]
            plaintext = _damage(rng, frames.open_uplink(entry, header).rstrip(b"\0") + bytes(rng.below(3)))
            if header.frame == "resync":
                room = wire.RESYNC_LENGTH - header.length - len(header.tag)
                plaintext = plaintext[:room].ljust(room, b"\0")
            return frames.seal_uplink(entry, header.raw, plaintext)
        entry = keys.terminals[uplink.identity]
        plaintext = _damage(rng, frames.open_answer(entry, header, uplink))
        return frames.seal_answer(entry, header.raw, plaintext, uplink)
    except OtlError:
        return None  # too short or too long


def lines(keys: Keyring, seed: str, count: int) -> Iterator[tuple[bytes, Json]]:
    """Frames in the order in which a decoder must see them, with what this decoder says of each."""
    rng, decoder, made = Drbg("mutations:" + seed), Decoder(keys), 0
    for line in stream(keys, "mutated " + seed, 10 * count):
        frame = bytes.fromhex(line["hex"])
        uplink = bytes.fromhex(line["uplink"]) if "uplink" in line else None
        header = parse(frame)
        if uplink is not None:
            yield uplink, decoder.decode(uplink)
        if rng.chance(20) or header.frame in ("call_now", "close"):
            damaged: bytes | None = _damage(rng, frame)  # the frame itself: header checks and the tag
        else:
            damaged = _resealed(rng, keys, header, parse(uplink) if uplink else None)
        if damaged:
            yield damaged, decoder.decode(damaged)
            made += 1
        if made >= count:
            return
