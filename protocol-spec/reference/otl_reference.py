#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The command line of the OTL v1 reference; see protocol-spec/vectors/README.md."""

import argparse
import sys
from pathlib import Path

from otl_vectors import commands_v, crypto_v, errors_v, frames_v, kdf_v, keys, records_v, tcp_v

VECTORS = Path(__file__).resolve().parents[1] / "vectors"


def generate() -> dict[Path, str]:
    """All committed files that this package makes, by path."""
    files = {"keys.toml": keys.keys_toml()}
    for module in (kdf_v, frames_v, commands_v, records_v, errors_v, tcp_v, crypto_v):
        files.update(module.files())
    return {VECTORS / name: content for name, content in files.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    if args.write:
        for path, content in generate().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
