# SPDX-License-Identifier: MIT OR Apache-2.0
"""Numbers and ids of ``protocol-spec/registries``, in both directions."""

import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def _load(name: str) -> dict[str, Any]:
    with open(ROOT / "registries" / name, "rb") as file:
        return tomllib.load(file)


class Codes:
    """One registry: a number on the wire, an id in JSON, ``unknown_<number>`` for the rest."""

    def __init__(self, pairs: list[tuple[int, str]]) -> None:
        self._id = dict(pairs)
        self._code = {name: code for code, name in pairs}

    def name(self, code: int) -> str:
        """The id of a number."""
        return self._id.get(code, f"unknown_{code}")

    def code(self, name: str) -> int:
        """The number of an id."""
        if name in self._code:
            return self._code[name]
        return int(name.removeprefix("unknown_"))

    def __contains__(self, code: int) -> bool:
        return code in self._id

    def codes(self) -> list[int]:
        """All registered numbers, ascending."""
        return sorted(self._id)


_commands = _load("commands.toml")
_types = _load("record-types.toml")
_units = _load("units.toml")

VALVES = Codes([(s["code"], s["id"]) for s in _load("valve-states.toml")["state"]])
ALARMS = Codes([(a["code"], a["id"]) for a in _load("alarms.toml")["alarm"]])
KINDS = Codes([(c["code"], c["id"]) for c in _commands["command"]])
OUTCOMES = Codes([(o["code"], o["id"]) for o in _commands["outcome"]])
PRECONDITIONS = Codes([(p["code"], p["id"]) for p in _commands["precondition"]])
QUANTITIES = Codes([(c["class"], c["id"]) for c in _units["class"]])
RECORDS = Codes([(r["number"], r["id"]) for r in _types["record"]])
CLOSE_CODES = [c["id"] for c in _load("close-codes.toml")["close"]]

CLASSES = {c["code"]: c["class"] for c in _commands["command"]}
PARAMETER_LENGTHS = {c["code"]: tuple(c["parameters"]) for c in _commands["command"]}
SESSION_CRITICAL = {s["number"]: bool(s["critical"]) for s in _types["session_item"]}
ANSWER_CRITICAL = {a["number"]: bool(a["critical"]) for a in _types["answer_item"]}


def command_class(kind: int) -> str:
    """dangerous, config or harmless; makers' own kinds are dangerous."""  # spec: part 8, table
    return CLASSES.get(kind, "dangerous")
