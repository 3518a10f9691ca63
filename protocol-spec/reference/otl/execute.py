# SPDX-License-Identifier: MIT OR Apache-2.0
"""Commands at the terminal: the order of checks, what is written when, results with their MACs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import crypto, registry, schedule
from .answers import command_head
from .records import encode_body
from .report import Json, unit

if TYPE_CHECKING:
    from .terminal import Outstanding, Terminal

DONE, PRECONDITION, EXPIRED, UNBOUND, UNKNOWN_KIND, NOT_CAPABLE, BAD_PARAMETERS = 1, 2, 3, 4, 5, 6, 7
FAILED, BEGUN, UNWRAP, OTHER_METER = 8, 9, 10, 11
FOREVER = 0xFFFFFFFF
WITH_METER = ("valve_close", "valve_permit_reopen", "valve_open", "read_register", "read_valve_state", "set_residual_levels")
MOVES_VALVE = ("valve_close", "valve_permit_reopen", "valve_open")
_CLOSED = {2: ("closed_by_centre", "reopen_permitted"),
           3: ("closed_by_centre", "closed_by_meter", "closed_local", "reopen_permitted", "emergency_closed")}
_PURPOSE = {1: "link", 2: "command", 3: "kek"}


class PowerLoss(Exception):
    """The power fails while a command acts."""


@dataclass
class Meter:
    """The meter of slot 0."""

    valve: str = "open"
    register: int = 1_234_567
    flow: bool = False
    generation: int = 0
    open_allowed: bool = False
    fail_while_acting: bool = False
    moves: int = 0

    def move(self, valve: str) -> None:
        """Move the valve, or lose power on the way."""
        self.valve, self.moves = valve, self.moves + 1
        if self.fail_while_acting:
            self.fail_while_acting = False
            raise PowerLoss


class Executor:
    """The command rules of part 8 for one terminal."""

    def __init__(self, terminal: "Terminal") -> None:
        self.t = terminal

    def _key(self, version: int, direction: int) -> bytes | None:
        base = self.t.secure.keys["command"].get(version)
        if base is None:
            return None
        return crypto.command_key(base, self.t.utility, self.t.identity, direction, version)

    def seal_record(self, record: Json) -> None:
        """Give a result or valve state its MAC, again after a new epoch."""  # spec: CMD-14, REC-2
        version = record.get("command_key_version")
        if not version:
            return
        record["mac"] = ""
        number, body = encode_body(record)
        key = self._key(version, 1)
        record["mac"] = crypto.result_mac(key, self.t.identity, self.t.memory.epoch, record["sequence"], number, body).hex()

    # The order of checks  # spec: CMD-23

    def run(self, it: Json, ns: bytes, waiting: "Outstanding") -> None:
        """One command of an accepted answer."""
        memory, parameters = self.t.memory, bytes.fromhex(it["parameters"])
        if not self._mac_is_right(it, parameters, ns, waiting):
            return  # spec: CMD-1
        if it["sequence"] <= memory.command:
            return  # spec: CMD-7
        self._confirm_command_key(it["key_version"])
        outcome = self._refusal(it, parameters, ns, waiting)
        memory.begun = {name: it[name] for name in ("sequence", "kind", "key_version", "meter")}
        memory.command, memory.outcome = it["sequence"], outcome or BEGUN  # spec: CMD-6, before it acts
        if outcome is None:
            outcome = self._act(it, parameters)
        memory.outcome = outcome
        self._result(memory.begun, outcome)
        memory.begun = {}

    def _mac_is_right(self, it: Json, parameters: bytes, ns: bytes, waiting: "Outstanding") -> bool:
        key = self._key(it["key_version"], 2)
        if key is None:
            return False
        binding = (ns, waiting.header.raw, waiting.header.tag) if it["bound"] else None
        mac = crypto.command_mac(key, self.t.identity, command_head(it), parameters, binding)
        return crypto.same(mac, bytes.fromhex(it["mac"]))

    def _refusal(self, it: Json, parameters: bytes, ns: bytes, waiting: "Outstanding") -> int | None:
        kind, meter = it["kind"], self.t.meter
        if registry.KINDS.code(kind) not in registry.KINDS:
            return UNKNOWN_KIND
        harmless = registry.command_class(registry.KINDS.code(kind)) == "harmless"
        if not it["bound"] and not harmless:  # spec: CMD-2
            return UNBOUND
        if it["bound"] and self.t.clock.now - waiting.first_sent > schedule.COMMAND_WINDOW_S:  # spec: CMD-4
            return UNBOUND
        not_after = it["not_after_utc_s"]
        if int.from_bytes(ns[:4], "big") > not_after or (not_after == FOREVER and not harmless):  # spec: CMD-5
            return EXPIRED
        if kind in WITH_METER and it["meter"] != {"slot": 0, "generation": meter.generation}:
            return OTHER_METER
        if kind == "valve_open" and not meter.open_allowed:  # spec: CMD-10
            return NOT_CAPABLE
        return self._bad_parameters(it, parameters)

    def _bad_parameters(self, it: Json, parameters: bytes) -> int | None:
        kind, secure = it["kind"], self.t.secure
        if len(parameters) not in registry.PARAMETER_LENGTHS[registry.KINDS.code(kind)]:
            return BAD_PARAMETERS
        bad = False
        if kind in ("valve_permit_reopen", "valve_open"):
            bad = it["precondition"] not in (2, 3)  # spec: CMD-26
        if kind == "valve_permit_reopen":
            bad = bad or not 1 <= int.from_bytes(parameters, "big") <= 1440
        elif kind == "valve_close":
            bad = not 1 <= parameters[0] <= 5
        elif kind == "mode_change":  # spec: ROT-12
            bad = not 1 <= parameters[0] <= 3 or (parameters[0] == 3 and len(secure.keys["link"][self.t.link]) != 32)
        elif kind == "key_install":  # spec: ROT-9
            purpose = _PURPOSE.get(parameters[0])
            held = secure.keys.get(purpose, {}) if purpose else {}
            bad = purpose is None or parameters[1] <= max(held) or (
                purpose == "link" and secure.mode == 3 and len(parameters) != 43)
        elif kind == "resend_records":
            bad = int.from_bytes(parameters[:4], "big") != self.t.memory.epoch
        return BAD_PARAMETERS if bad else None

    def _precondition_met(self, precondition: int) -> bool:
        """Checked against the meter itself."""  # spec: CMD-9
        valve = self.t.meter.valve
        checks = {0: True, 1: valve == "open", 2: valve in _CLOSED[2], 3: valve in _CLOSED[3], 4: not self.t.meter.flow}
        return checks.get(precondition, False)

    # Acting

    def _act(self, it: Json, parameters: bytes) -> int:
        kind, meter = it["kind"], self.t.meter
        if not self._precondition_met(it["precondition"]):
            return PRECONDITION
        if kind == "valve_close":
            meter.move("closed_by_centre")
            self._valve_state(it)
        elif kind == "valve_permit_reopen":
            meter.move("reopen_permitted")
        elif kind == "valve_open":
            meter.move("open")
            self._valve_state(it)
        elif kind == "key_install":
            return self._install(parameters)
        elif kind == "mode_change":
            return self._change_mode(parameters[0])
        elif kind == "read_register":
            self.t.keep({"type": "register_reading", "stamp": self.t.stamp(), "meter": self._meter(), "cause": 2,
                         "register": {"unit": unit(0x15), "value": meter.register}})
        elif kind == "read_valve_state":
            self._valve_state(it)
        return DONE

    def _install(self, parameters: bytes) -> int:  # spec: ROT-1, ROT-2, ROT-9, ROT-13
        secure, purpose, version = self.t.secure, _PURPOSE[parameters[0]], parameters[1]
        if purpose == "link" and secure.mode_new is not None:
            return PRECONDITION
        base = secure.keys["kek"].get(parameters[2])
        key = base and crypto.unwrap(crypto.wrap_key(base, self.t.utility, self.t.identity, parameters[2]), parameters[3:])
        if not key:
            return UNWRAP
        if purpose == "link" and secure.link_new is not None:
            del secure.keys["link"][secure.link_new]
        secure.keys[purpose][version] = key
        if purpose == "link":
            secure.link_new, self.t.sessions = version, 0
        return DONE

    def _change_mode(self, mode: int) -> int:  # spec: ROT-10, ROT-13
        if self.t.secure.link_new is not None:
            return PRECONDITION
        if mode != self.t.secure.mode:
            self.t.secure.mode_new, self.t.sessions = mode, 0
        return DONE

    def _confirm_command_key(self, version: int) -> None:
        """A verified command under a newer key lets the older ones go, once no record needs them."""  # spec: ROT-8
        needed = {r.get("command_key_version") for r in self.t.memory.records}
        for old in [v for v in self.t.secure.keys["command"] if v < version and v not in needed]:
            del self.t.secure.keys["command"][old]

    # What it leaves

    def _meter(self) -> Json:
        return {"slot": 0, "generation": self.t.meter.generation}

    def _valve_state(self, it: Json) -> None:  # spec: CMD-14
        self.t.keep({"type": "valve_state", "stamp": self.t.stamp(), "meter": self._meter(), "valve": self.t.meter.valve,
                     "cause": 1, "command": it["sequence"], "command_key_version": it["key_version"]})

    def _result(self, command: Json, outcome: int) -> None:  # spec: CMD-13, CMD-25
        with_meter = command["kind"] in WITH_METER
        self.t.keep({"type": "command_result", "stamp": self.t.stamp(), "command_key_version": command["key_version"],
                     "command": command["sequence"], "kind": command["kind"],
                     "meter": self._meter() if with_meter else {"slot": 0, "generation": 0},
                     "valve": self.t.meter.valve if with_meter else "unknown",
                     "outcome": registry.OUTCOMES.name(outcome), "data": ""})

    def after_restart(self) -> None:
        """Begun, and the end is not known: say so, and read the valve."""  # spec: CMD-16
        memory = self.t.memory
        if memory.outcome == BEGUN and memory.begun:
            begun, memory.begun = memory.begun, {}
            self._result(begun, BEGUN)
            if begun["kind"] in MOVES_VALVE:
                self._valve_state(begun)
