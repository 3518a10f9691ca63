# SPDX-License-Identifier: MIT OR Apache-2.0
"""The keys file: utilities with masters, terminals with their pinned modes."""

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import crypto
from .errors import OtlError

_TABLES = {"link": "link_master", "command": "command_master", "kek": "kek_master"}


@dataclass
class Master:
    """One version of a master."""

    version: int
    state: str
    key: bytes


@dataclass
class Utility:
    """A utility: its masters by purpose and version."""

    id: bytes
    name: str
    masters: dict[str, dict[int, Master]] = field(default_factory=dict)


@dataclass
class TerminalEntry:
    """What is registered for a terminal."""

    identity: bytes
    utility: Utility
    mode: int
    allow_mode0: bool = False
    promoted_link_version: int = 0
    imported: dict[tuple[str, int], bytes] = field(default_factory=dict)

    def base(self, purpose: str, version: int) -> bytes:
        """The base key of a version, for a frame that names it in octet 2."""
        imported = self.imported.get((purpose, version))
        master = self.utility.masters.get(purpose, {}).get(version)
        if imported is None and master is None:
            raise OtlError("unknown_key_version", 2, f"{purpose} version {version}")
        if imported is None and master is not None and master.state == "WITHDRAWN":  # spec: KEY-8
            raise OtlError("key_withdrawn", 2, f"{purpose} version {version}")
        if purpose == "link" and version < self.promoted_link_version:  # spec: ROT-7
            raise OtlError("key_retired", 2, f"promoted to {self.promoted_link_version}")
        if imported is not None:
            return imported  # spec: KEY-6
        return crypto.base_key(master.key, self.utility.id, self.identity, crypto.PURPOSES[purpose], version)


class Keyring:
    """All keys that a decoder knows."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.utilities: dict[str, Utility] = {}
        self.terminals: dict[bytes, TerminalEntry] = {}
        for entry in data.get("utility", []):
            utility = Utility(bytes.fromhex(entry["id"]), entry.get("name", ""))
            for purpose, table in _TABLES.items():
                utility.masters[purpose] = {m["version"]: Master(m["version"], m["state"], bytes.fromhex(m["key"]))
                                            for m in entry.get(table, [])}
            self.utilities[entry["id"]] = utility
        for entry in data.get("terminal", []):
            identity = bytes.fromhex(entry["identity"])
            self.terminals[identity] = TerminalEntry(
                identity, self.utilities[entry["utility"]], entry["mode"], entry.get("allow_mode0", False),
                entry.get("promoted_link_version", 0),
                {(k["purpose"], k["version"]): bytes.fromhex(k["key"]) for k in entry.get("imported", [])})

    @classmethod
    def load(cls, path: Path | str) -> "Keyring":
        """Read a keys file."""
        with open(path, "rb") as file:
            return cls(tomllib.load(file))
