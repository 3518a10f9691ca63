#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The command line of the OTL v1 reference; see protocol-spec/vectors/README.md."""

import argparse
import sys
from pathlib import Path

from otl import cli, days, scenarios, scenarios_commands, scenarios_rotation
from otl import selftest
from otl_vectors import (commands_v, crypto_v, days_v, errors_v, frames_v, kdf_v, keys, records_v, samples_hex,
                         session12, tcp_v)

SPEC = Path(__file__).resolve().parents[1]
VECTORS = SPEC / "vectors"
MAKERS = (kdf_v, frames_v, commands_v, records_v, errors_v, tcp_v, crypto_v, days_v, samples_hex)


def generate() -> dict[Path, str]:
    """All committed files that this package makes, by path."""
    files = {"keys.toml": keys.keys_toml()}
    for module in MAKERS:
        files.update(module.files())
    made = {VECTORS / name: content for name, content in files.items()}
    return {**made, SPEC / "otl" / "12-worked-session.md": session12.text()}


def write() -> int:
    """Write every generated file."""
    for path, content in generate().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="\n")
    return 0


def _files(passed: list[str], failed: list[str]) -> None:
    made = generate()
    for path, content in made.items():
        same = path.is_file() and path.read_bytes() == content.encode("utf-8")
        (passed if same else failed).append(f"{path.relative_to(SPEC)} is as the text makes it")
    for path in sorted((VECTORS / "otl").iterdir()) + sorted((VECTORS / "crypto").iterdir()):
        if path not in made:
            failed.append(f"{path.relative_to(SPEC)} is made by nobody")


def _budget(passed: list[str], failed: list[str]) -> None:
    entries = {mode: (keys.entry(name), version) for mode, (name, version) in frames_v.TERMINALS.items()}
    for table, wrong in (days.budget(entries), days.answer_sizes()):
        print("\n".join(table))
        failed += wrong
    passed.append("sizes are within the budget")


def _mishaps(passed: list[str], failed: list[str]) -> None:
    """Each scenario on fresh keys, in one process."""
    for module in (scenarios, scenarios_commands, scenarios_rotation):
        for scenario in module.SCENARIOS:
            try:
                scenario(keys.keyring())
                passed.append(scenario.__doc__ or scenario.__name__)
            except Exception as err:  # any failure is one line, with its reason
                failed.append(f"{scenario.__doc__}: {type(err).__name__}: {err}")


def _self(passed: list[str], failed: list[str]) -> None:
    for name, problem in selftest.run(keys.keyring(), VECTORS):
        (failed if problem else passed).append(f"{name}{': ' + problem if problem else ''}")


def check() -> int:
    """Compare the files, print the sizes, run the mishaps."""
    passed: list[str] = []
    failed: list[str] = []
    _files(passed, failed)
    _budget(passed, failed)
    _self(passed, failed)
    _mishaps(passed, failed)
    for line in passed:
        print(f"ok    {line}")
    for line in failed:
        print(f"FAIL  {line}")
    print(f"{len(passed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def main() -> int:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description="Reference implementation of OTL v1.")
    parser.add_argument("--check", action="store_true", help="compare the committed files and run the mishap scenarios")
    parser.add_argument("--write", action="store_true", help="write the generated files")
    commands = parser.add_subparsers(dest="command")
    for name, text in (("decode", "hex lines to JSON lines"), ("encode-stream", "random valid frames as JSON lines"),
                       ("verify-stream", "check JSON lines made by another implementation")):
        sub = commands.add_parser(name, help=text)
        sub.add_argument("--keys", type=Path, default=VECTORS / "keys.toml")
        if name == "encode-stream":
            sub.add_argument("--seed", default="1")
            sub.add_argument("--count", type=int, default=100)
        else:
            sub.add_argument("file", nargs="?", help="default: standard input")
    args = parser.parse_args()
    if args.command == "decode":
        return cli.decode_lines(args.keys, cli.lines_of(args.file), sys.stdout)
    if args.command == "encode-stream":
        return cli.encode_stream(args.keys, args.seed, args.count, sys.stdout)
    if args.command == "verify-stream":
        return cli.verify_stream(args.keys, cli.lines_of(args.file), sys.stdout)
    if args.write:
        return write()
    if args.check:
        return check()
    parser.print_help()
    return 2


if __name__ == "__main__":
    sys.exit(main())
