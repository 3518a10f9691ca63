# SPDX-License-Identifier: MIT OR Apache-2.0
"""The line commands: decode, encode-stream, verify-stream."""

import json
import sys
from pathlib import Path
from typing import Iterable, TextIO

from . import randomframes
from .jsonform import Decoder, dumps
from .keyring import Keyring


def decode_lines(keys: Path, lines: Iterable[str], out: TextIO) -> int:
    """Hex lines to JSON lines; blank lines and # comments are skipped."""
    decoder = Decoder(Keyring.load(keys))
    for line in lines:
        line = line.strip()
        if line and not line.startswith("#"):
            print(dumps(decoder.decode(bytes.fromhex(line))), file=out)
    return 0


def encode_stream(keys: Path, seed: str, count: int, out: TextIO) -> int:
    """Random valid frames as JSON lines."""
    for line in randomframes.stream(Keyring.load(keys), seed, count):
        print(dumps(line), file=out)
    return 0


def difference(got: object, want: object, path: str = "") -> str | None:
    """The first place where two JSON values differ; error texts are free."""
    if isinstance(got, dict) and isinstance(want, dict):
        if list(got) != list(want):
            return f"{path or '.'}: fields {list(got)} against {list(want)}"
        for key in want:
            if path.endswith(".error") and key == "message":
                continue
            found = difference(got[key], want[key], f"{path}.{key}")
            if found:
                return found
        return None
    if isinstance(got, list) and isinstance(want, list) and len(got) == len(want):
        for i, (left, right) in enumerate(zip(got, want)):
            found = difference(left, right, f"{path}[{i}]")
            if found:
                return found
        return None
    return None if type(got) is type(want) and got == want else f"{path}: {got!r} against {want!r}"


def verify_stream(keys: Path, lines: Iterable[str], out: TextIO) -> int:
    """Decode frames that another implementation made and compare with what it says they hold."""
    ring, passed, failed = Keyring.load(keys), 0, 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        entry = json.loads(line)
        decoder = Decoder(ring)
        if entry.get("uplink"):
            decoder.decode(bytes.fromhex(entry["uplink"]))
        found = difference(decoder.decode(bytes.fromhex(entry["hex"])), entry["json"])
        passed, failed = passed + (found is None), failed + (found is not None)
        if found:
            print(f"line {number} {entry.get('name', '')}: {found}", file=out)
    print(f"{passed} passed, {failed} failed", file=out)
    return 1 if failed or not passed else 0


def lines_of(name: str | None) -> Iterable[str]:
    """Lines of a file, or of standard input."""
    if name in (None, "-"):
        return sys.stdin
    return Path(name).read_text().splitlines()
