# SPDX-License-Identifier: MIT OR Apache-2.0
"""The form of vector files: a header comment and [[vector]] tables."""

from dataclasses import dataclass, field
from typing import Any

from otl.jsonform import Decoder, dumps
from .keys import keyring

LICENCE = "# SPDX-License-Identifier: MIT OR Apache-2.0\n"
MADE = "# Produced by protocol-spec/reference from the text of protocol-spec/otl; do not edit by hand.\n"


@dataclass
class Vector:
    """One vector; fields in the order in which they are written."""

    name: str
    clauses: list[str]
    fields: dict[str, Any] = field(default_factory=dict)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, list):
        return "[" + ", ".join(_value(v) for v in value) + "]"
    if value.startswith(("{", "[")):
        return f"'''{value}'''"  # JSON of this project holds no apostrophes three in a row
    return f'"{value}"'


def text(title: str, vectors: list[Vector]) -> str:
    """The text of a vector file."""
    out = LICENCE + "".join(f"# {line}\n" if line else "#\n" for line in title.strip().splitlines()) + MADE
    for vector in vectors:
        out += f'\n[[vector]]\nname = "{vector.name}"\nclauses = {_value(vector.clauses)}\n'
        out += "".join(f"{key} = {_value(value)}\n" for key, value in vector.fields.items())
    return out


def good(name: str, clauses: str, frame: bytes, uplink: bytes | None = None) -> Vector:
    """A positive vector: what the decoder of this package says of the frame."""
    decoder = Decoder(keyring())
    fields: dict[str, Any] = {"hex": frame.hex()}
    if uplink is not None:
        fields["uplink"] = uplink.hex()
        decoder.decode(uplink)
    result = decoder.decode(frame)
    if not result["ok"]:
        raise AssertionError(f"{name}: {result['error']}")
    fields["json"] = dumps(result)
    return Vector(name, clauses.split(), fields)


def bad(name: str, clauses: str, frame: bytes, kind: str, offset: int, uplink: bytes | None = None,
        receiver: str | None = None) -> Vector:
    """A negative vector. Kind and offset are given by hand and must be what the decoder says."""
    decoder = Decoder(keyring(), receiver)
    fields: dict[str, Any] = {"hex": frame.hex()}
    if uplink is not None:
        fields["uplink"] = uplink.hex()
        decoder.decode(uplink)
    if receiver is not None:
        fields["receiver"] = receiver
    error = decoder.decode(frame).get("error", {})
    if (error.get("kind"), error.get("offset")) != (kind, offset):
        raise AssertionError(f"{name}: expected {kind} at {offset}, got {error}")
    fields.update(error=kind, offset=offset)
    return Vector(name, clauses.split(), fields)
