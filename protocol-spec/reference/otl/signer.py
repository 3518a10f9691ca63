# SPDX-License-Identifier: MIT OR Apache-2.0
"""The signer: command and key-encryption keys, approvals, cancellations; apart from the server."""

import copy
from typing import Any

from . import crypto, schedule
from .answers import command_head
from .keyring import Keyring
from .records import encode_body
from .report import Json
from .wire import Header

FOREVER = 0xFFFFFFFF


class Signer:
    """``ledger`` is what is durable at the signer; ``clock`` is the signer's own.  # spec: KEY-10"""

    def __init__(self, keys: Keyring, clock: Any, ledger: Json | None = None) -> None:
        self.keys, self.clock = keys, clock
        self.ledger: Json = ledger or {}

    def snapshot(self) -> Json:
        """A backup of the ledger."""
        return copy.deepcopy(self.ledger)

    def _key(self, identity: bytes, version: int, direction: int) -> bytes:
        entry = self.keys.terminals[identity]
        return crypto.command_key(entry.base("command", version), entry.utility.id, identity, direction, version)

    def approve(self, identity: bytes, item: Json) -> None:
        """A person approves one command under one sequence."""  # spec: CMD-17
        key = (identity, item["sequence"])
        if key in self.ledger:
            raise ValueError("a sequence has one approval")
        self.ledger[key] = {"item": item, "cancelled": False, "uplink": None}

    def cancel(self, identity: bytes, sequence: int) -> None:
        """Durable before it is confirmed."""  # spec: CMD-22
        self.ledger[identity, sequence]["cancelled"] = True

    def wrap(self, identity: bytes, purpose: int, version: int, new_key: bytes, kek_version: int = 1) -> bytes:
        """The parameters of a key_install."""  # spec: ROT-1
        entry = self.keys.terminals[identity]
        key = crypto.wrap_key(entry.base("kek", kek_version), entry.utility.id, identity, kek_version)
        return bytes((purpose, version, kek_version)) + crypto.wrap(key, new_key)

    def sign(self, identity: bytes, sequence: int, ns: bytes, uplink: Header) -> Json | None:
        """The COMMAND item for one uplink, or a refusal."""  # spec: CMD-18, CMD-19
        approval = self.ledger.get((identity, sequence))
        if approval is None or approval["cancelled"]:
            return None
        item, now = approval["item"], self.clock.now
        if item["bound"]:
            if item["not_after_utc_s"] < now or item["not_after_utc_s"] == FOREVER:
                return None
            if abs(int.from_bytes(ns[:4], "big") - now) > schedule.SIGNER_SKEW_S:
                return None
            fingerprint = uplink.raw + uplink.tag
            if approval["uplink"] not in (None, fingerprint):
                return None
            approval["uplink"] = fingerprint
        binding = (ns, uplink.raw, uplink.tag) if item["bound"] else None
        mac = crypto.command_mac(self._key(identity, item["key_version"], 2), identity, command_head(item),
                                 bytes.fromhex(item["parameters"]), binding)
        return {**item, "mac": mac.hex()}

    def verify(self, identity: bytes, epoch: int, record: Json) -> bool:
        """Does a result or valve state come from the terminal?"""  # spec: CMD-15
        version = record.get("command_key_version")
        if not version:
            return False
        number, body = encode_body({**record, "mac": ""})
        mac = crypto.result_mac(self._key(identity, version, 1), identity, epoch, record["sequence"], number, body)
        return crypto.same(mac, bytes.fromhex(record["mac"]))
