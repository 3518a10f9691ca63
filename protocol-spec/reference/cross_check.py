#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compare this reference with another implementation of OTL v1, in both directions.

--bin PATH   a decoder: `PATH decode --protocol otl --keys FILE` reads hex lines and prints JSON lines (decode-json.md)
--emit PATH  an encoder: `PATH --seed N --count M` prints JSON lines {"hex", "uplink", "json"}
"""

import argparse
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from otl import mutations, randomframes
from otl.cli import difference
from otl.jsonform import Decoder
from otl.keyring import Keyring

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
SEEDS = ("1", "2", "3", "4", "5")
SHOWN = 20


class Tally:
    """Counts, and prints the first failures."""

    def __init__(self) -> None:
        self.passed = self.failed = 0

    def note(self, name: str, problem: str | None) -> None:
        """One comparison."""
        if problem is None:
            self.passed += 1
            return
        self.failed += 1
        if self.failed <= SHOWN:
            print(f"{name}: {problem}")


def _decode(binary: str, keys: Path, lines: list[str]) -> list[Any]:
    """The other decoder's JSON lines. Its exit status may tell of refused frames, which some lines are."""
    done = subprocess.run([binary, "decode", "--protocol", "otl", "--keys", str(keys)], input="\n".join(lines) + "\n",
                          capture_output=True, text=True, check=False)
    out = [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
    if len(out) != len(lines):
        raise SystemExit(f"{len(lines)} lines in, {len(out)} out; exit {done.returncode}: {done.stderr.strip()[:500]}")
    return out


def random_frames(binary: str, keys: Path, count: int, tally: Tally) -> None:
    """Our random frames through the other decoder, a stream a seed."""
    for seed in SEEDS:
        made = list(randomframes.stream(Keyring.load(keys), seed, count))
        for line, got in zip(made, _decode(binary, keys, [line["hex"] for line in made])):
            tally.note(line["name"], difference(got, line["json"]))


def damaged_frames(binary: str, keys: Path, count: int, tally: Tally) -> None:
    """Damaged frames under right tags: the same kind at the same offset, or the same value."""
    for seed in SEEDS:
        made = list(mutations.lines(Keyring.load(keys), seed, count))
        got = _decode(binary, keys, [frame.hex() for frame, _ in made])
        for number, ((frame, want), found) in enumerate(zip(made, got)):
            problem = difference(found, want)
            tally.note(f"damaged {seed}:{number}", problem and f"{problem}\n  {frame.hex()}")


def vectors(binary: str, keys: Path, tally: Tally) -> None:
    """All committed frames, the refused ones included, in one stream a vector file."""
    for path in sorted((VECTORS / "otl").glob("*.toml")):
        wanted: list[tuple[str, str, str, Any]] = []  # name, uplink, frame, what is expected
        for vector in tomllib.loads(path.read_text())["vector"]:
            if "receiver" in vector or "hex" not in vector or not vector["hex"]:
                continue  # a decoder of both directions has no receiver; an empty line is no frame
            if "json" in vector:
                wanted.append((vector["name"], vector.get("uplink", ""), vector["hex"], json.loads(vector["json"])))
            elif "error" in vector:
                wanted.append((vector["name"], vector.get("uplink", ""), vector["hex"], (vector["error"], vector["offset"])))
        for name, uplink, frame, want in wanted:  # one run each: an answer must not meet the uplink of another vector
            got = _decode(binary, keys, [uplink, frame] if uplink else [frame])[-1]
            if isinstance(want, tuple):
                error = got.get("error", {})
                found = (error.get("kind"), error.get("offset"))
                tally.note(f"{path.name} {name}", None if found == want else f"{found}, not {want}")
            else:
                tally.note(f"{path.name} {name}", difference(got, want))


def emitted(emit: str, keys: Path, count: int, tally: Tally) -> None:
    """The other encoder's frames through our decoder."""
    for seed in SEEDS:
        done = subprocess.run([emit, "--seed", seed, "--count", str(count)], capture_output=True, text=True, check=True)
        for number, line in enumerate(done.stdout.splitlines(), 1):
            entry, decoder = json.loads(line), Decoder(Keyring.load(keys))
            if entry.get("uplink"):
                decoder.decode(bytes.fromhex(entry["uplink"]))
            tally.note(f"emitted {seed}:{number}", difference(decoder.decode(bytes.fromhex(entry["hex"])), entry["json"]))


def main() -> int:
    """Run all comparisons."""
    parser = argparse.ArgumentParser(description="Compare this reference with another implementation of OTL v1.")
    parser.add_argument("--bin", required=True, help="a decoder with the command line of kenshin decode")
    parser.add_argument("--emit", help="a program that prints JSON lines for verify-stream")
    parser.add_argument("--count", type=int, default=400, help="frames a seed, five seeds")
    parser.add_argument("--keys", type=Path, default=VECTORS / "keys.toml")
    args = parser.parse_args()
    tally = Tally()
    vectors(args.bin, args.keys, tally)
    random_frames(args.bin, args.keys, args.count, tally)
    damaged_frames(args.bin, args.keys, args.count, tally)
    if args.emit:
        emitted(args.emit, args.keys, args.count, tally)
    print(f"{tally.passed} passed, {tally.failed} failed")
    return 1 if tally.failed or not tally.passed else 0


if __name__ == "__main__":
    sys.exit(main())
