# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks of the reference against itself and of the vector files as a whole."""

import json
import tomllib
from pathlib import Path
from typing import Iterator

from . import frames, randomframes, registry
from .answers import encode_answer, encode_resync_answer
from .drbg import Drbg
from .errors import OtlError
from .jsonform import Decoder
from .keyring import Keyring
from .report import Json
from .wire import Header, parse

# Refusals that need a running server or two frames; the scenarios show them.
_NOT_OF_A_DECODER = {"unknown_terminal", "counter_stale", "counter_clone", "record_conflict", "record_undecodable", "idle",
                     "slow", "taken_over", "come_back", "shed", "stopping", "commit_failed", "rollback_suspected",
                     "history_unknown"}


def run(keys: Keyring, vectors: Path) -> Iterator[tuple[str, str]]:
    """(what, problem or nothing) of every check."""
    yield "values encode to the octets that they came from, 2,000 random frames", round_trip(keys)
    yield "no changed octet of a plaintext decodes to the same value, 20,000 changes", one_encoding(keys)
    yield "every refusal of a decoder is in errors.toml", coverage(vectors)
    yield "every vector name is used once in its file", names(vectors)


def _plaintext(keys: Keyring, header: Header, uplink: Header | None) -> bytes:
    if header.frame in ("uplink", "resync"):
        return frames.open_uplink(keys.terminals[header.identity], header)
    return frames.open_answer(keys.terminals[uplink.identity], header, uplink)


def encode(value: Json, header: Header, length: int) -> bytes:
    """The plaintext of a decoded frame."""
    if header.frame == "uplink":
        return frames.uplink_plaintext(value["report"], value["records"], value.get("session_items")) + bytes(value["padding"])
    if header.frame == "resync":
        return (frames.write_report(value["report"]) + bytes((value["report"]["resync_reason"],))).ljust(length, b"\0")
    return encode_answer(value["answer"]) if header.frame == "answer" else encode_resync_answer(value["answer"])


def _sealed(keys: Keyring, seed: str, count: int) -> Iterator[tuple[Header, Header | None, bytes, Json]]:
    """Random frames with their plaintexts and values."""
    for line in randomframes.stream(keys, seed, count):
        header = parse(bytes.fromhex(line["hex"]))
        if header.frame not in ("call_now", "close"):
            uplink = parse(bytes.fromhex(line["uplink"])) if "uplink" in line else None
            yield header, uplink, _plaintext(keys, header, uplink), line["json"]


def round_trip(keys: Keyring) -> str:
    """Decoding and encoding give the same octets back."""  # spec: GEN-3
    for header, _, plaintext, value in _sealed(keys, "round trip", 2000):
        if encode(value, header, len(plaintext)) != plaintext:
            return f"{header.frame} {plaintext.hex()}"
    return ""


def one_encoding(keys: Keyring) -> str:
    """A changed plaintext is refused, or is the one encoding of another value."""  # spec: GEN-3
    rng, decoder, changes = Drbg("changes"), Decoder(keys), 0
    for header, uplink, plaintext, value in _sealed(keys, "one encoding", 1000):
        if header.mode == 0:
            continue
        for _ in range(25):
            at = rng.below(len(plaintext))
            octet = plaintext[at] ^ 1 << rng.below(8)
            changed = plaintext[:at] + bytes((octet,)) + plaintext[at + 1:]
            changes += 1
            try:
                found = _content(decoder, keys, header, uplink, changed)
            except OtlError:
                continue
            if encode(found, header, len(changed)) != changed:
                return f"{header.frame} {changed.hex()} is a second encoding"
    return "" if changes > 20_000 else f"only {changes} changes"


def _content(decoder: Decoder, keys: Keyring, header: Header, uplink: Header | None, plaintext: bytes) -> Json:
    if uplink is None:
        frame = frames.seal_uplink(keys.terminals[header.identity], header.raw, plaintext)
    else:
        decoder.decode(uplink.raw + uplink.body + uplink.tag)
        frame = frames.seal_answer(keys.terminals[uplink.identity], header.raw, plaintext, uplink)
    out = decoder.decode(frame)
    if not out["ok"]:
        raise OtlError(out["error"]["kind"], out["error"]["offset"], "")
    return out


def coverage(vectors: Path) -> str:
    """All kinds that a decoder can give have a negative vector."""
    seen = set()
    for path in (vectors / "otl").glob("*.toml"):
        seen |= {v.get("error") for v in _vectors(path)}
    missing = set(registry.CLOSE_CODES) - _NOT_OF_A_DECODER - seen
    return f"missing: {sorted(missing)}" if missing else ""


def names(vectors: Path) -> str:
    """Names are unique; JSON is well formed."""
    for path in sorted((vectors / "otl").glob("*.toml")):
        found = [v["name"] for v in _vectors(path)]
        if len(found) != len(set(found)):
            return f"{path.name} has a name twice"
        for vector in _vectors(path):
            json.loads(vector.get("json", "{}"))
    return ""


def _vectors(path: Path) -> list[Json]:
    with open(path, "rb") as file:
        return tomllib.load(file)["vector"]
