# SPDX-License-Identifier: MIT OR Apache-2.0
"""commands.toml and rotation.toml: commands, results and key changes with real MACs."""

from typing import Any

from otl import crypto, frames, registry
from otl.answers import command_head
from otl.drbg import Drbg
from otl.records import encode_body
from otl.wire import Header, parse
from . import samples as s
from .frames_v import TERMINALS, answer_content, up
from .keys import entry
from .toml import Vector, good, text

FOREVER = 0xFFFFFFFF


def signed(name: str, uplink: Header, ns: bytes, kind: str, parameters: bytes = b"", sequence: int = 78,
           bound: bool = True, precondition: int = 0, not_after: int = s.NOW + 300, version: int = 1,
           meter: s.Json | None = None) -> s.Json:
    """A COMMAND item with its MAC."""  # spec: CMD-1
    who = entry(name)
    it: s.Json = {"item": "command", "key_version": version, "sequence": sequence, "kind": kind,
                  "meter": meter or s.meter(), "bound": bound, "precondition": precondition,
                  "not_after_utc_s": not_after, "parameters": parameters.hex()}
    key = crypto.command_key(who.base("command", version), who.utility.id, who.identity, 2, version)
    binding = (ns, uplink.raw, uplink.tag) if bound else None
    it["mac"] = crypto.command_mac(key, who.identity, command_head(it), parameters, binding).hex()
    return it


def with_mac(name: str, record: s.Json, epoch: int) -> s.Json:
    """A result or valve state with its MAC."""  # spec: CMD-14
    who, version = entry(name), record["command_key_version"]
    key = crypto.command_key(who.base("command", version), who.utility.id, who.identity, 1, version)
    number, body = encode_body({**record, "mac": ""})
    mac = crypto.result_mac(key, who.identity, epoch, record["sequence"], number, body)
    return {**record, "mac": mac.hex()}


def install_parameters(name: str, purpose: int, version: int, new_key: bytes, kek_version: int = 1) -> bytes:
    """The parameters of key_install."""  # spec: ROT-1
    who = entry(name)
    key = crypto.wrap_key(who.base("kek", kek_version), who.utility.id, who.identity, kek_version)
    return bytes((purpose, version, kek_version)) + crypto.wrap(key, new_key)


def _command(name: str, clauses: str, mode: int, kind: str, parameters: bytes = b"", **more: Any) -> Vector:
    terminal = TERMINALS[mode][0]
    ask = up(mode, 300000 + mode)
    header = parse(ask)
    item = signed(terminal, header, s.ns(), kind, parameters, **more)
    frame = frames.answer(entry(terminal), header, s.ns(), answer_content([item], final=False))
    vector = good(name, clauses, frame, ask)
    key = crypto.command_key(entry(terminal).base("command", item["key_version"]), entry(terminal).utility.id,
                             entry(terminal).identity, 2, item["key_version"])
    vector.fields["command_key"] = key.hex()
    return vector


def command_vectors() -> list[Vector]:
    """Answers that hold commands, and the results that follow."""
    harmless: dict[str, Any] = {"bound": False, "not_after": FOREVER}
    out = [_command(f"valve_close_mode_{mode}", "CMD-1 CMD-2 ANS-10", mode, "valve_close", b"\x01", precondition=1)
           for mode in (1, 2, 3)]
    out += [
        _command("valve_close_meter_15_15", "CMD-1", 1, "valve_close", b"\x05", meter=s.meter(15, 15)),
        _command("valve_permit_reopen", "CMD-11 CMD-26", 2, "valve_permit_reopen", b"\x05\xa0", precondition=2),
        _command("valve_open", "CMD-10 CMD-26", 3, "valve_open", precondition=3),
        _command("mode_change", "ROT-10", 1, "mode_change", b"\x02"),
        _command("read_register_unbound", "CMD-3", 1, "read_register", **harmless),
        _command("read_valve_state_bound", "CMD-3", 2, "read_valve_state", not_after=FOREVER),
        _command("resend_records", "CMD-3", 1, "resend_records", bytes.fromhex("1ceb00da0000032f0002"), **harmless),
        _command("send_meter_table", "CMD-3", 1, "send_meter_table", **harmless),
        _command("test_call_largest_sequence", "CMD-3", 2, "test_call", sequence=2**32 - 1, **harmless),
        _command("set_residual_levels", "CMD-2", 3, "set_residual_levels", bytes.fromhex("00c350004e20002710")),
        _command("makers_own_kind", "CMD-2", 1, "unknown_192", bytes(range(40))),
        _command("unknown_precondition", "CMD-9", 1, "valve_close", b"\x01", precondition=127),
        _command("parameters_of_a_wrong_length", "CMD-23", 1, "valve_close", b"\x01\x02"),
        _command("second_command_key_version", "ROT-8", 1, "valve_close", b"\x01", version=2),
    ]
    ask = up(1, 300010)
    header, who = parse(ask), entry("mode1")
    two = [signed("mode1", header, s.ns(), "read_register", sequence=5, **harmless),
           signed("mode1", header, s.ns(), "valve_close", b"\x01", sequence=6)]
    slot = {"item": "slot", "version": 3, "second_of_day": 10800}
    out.append(good("slot_and_two_commands", "ANS-11 CMD-24", frames.answer(who, header, s.ns(), answer_content([slot] + two, final=False)), ask))
    return out + _results()


def _results() -> list[Vector]:
    out, after = [], s.stamp(s.NOW + 4)
    report = s.report(command=78, when=after)
    for mode in (1, 2, 3):
        name = TERMINALS[mode][0]
        result = {"type": "command_result", "sequence": 901, "stamp": s.stamp(s.NOW + 3), "command_key_version": 1,
                  "command": 78, "kind": "valve_close", "meter": s.meter(), "valve": "closed_by_centre", "outcome": "done", "data": ""}
        valve = {"type": "valve_state", "sequence": 902, "stamp": s.stamp(s.NOW + 3), "meter": s.meter(),
                 "valve": "closed_by_centre", "cause": 1, "command": 78, "command_key_version": 1}
        records = [with_mac(name, record, report["epoch"]) for record in (result, valve)]
        vector = good(f"result_and_valve_state_mode_{mode}", "CMD-13 CMD-14 SES-7",
                      up(mode, 300020, records, report, ticket=s.ns(), nt=s.NT))
        who = entry(name)
        vector.fields["result_key"] = crypto.command_key(who.base("command", 1), who.utility.id, who.identity, 1, 1).hex()
        out.append(vector)
    for outcome in registry.OUTCOMES.codes()[2:]:
        word = registry.OUTCOMES.name(outcome)
        result = {"type": "command_result", "sequence": 903, "stamp": s.stamp(s.NOW + 3), "command_key_version": 1,
                  "command": 78, "kind": "valve_close", "meter": s.meter(), "valve": "open", "outcome": word, "data": ""}
        out.append(good(f"result_{word}", "CMD-13", up(1, 300030 + outcome, [with_mac("mode1", result, report["epoch"])],
                                                         s.report(command=78, outcome=word, when=after), ticket=s.ns())))
    return out


def rotation_vectors() -> list[Vector]:
    """key_install in both lengths and all purposes, then the first frame under the new key."""
    rng, out = Drbg("rotation"), []
    for name, mode, purpose, version, octets in (("mode1", 1, 1, 3, 16), ("mode2", 2, 1, 3, 16), ("mode3", 3, 1, 2, 32),
                                                 ("mode1", 1, 2, 2, 16), ("mode1", 1, 3, 2, 16), ("mode3", 3, 2, 2, 32)):
        who, word = entry(name), {1: "link", 2: "command", 3: "kek"}[purpose]
        try:
            new = who.base(word, version)
        except Exception:  # versions that the test masters do not have
            new = rng.octets(octets)
        parameters = install_parameters(name, purpose, version, new)
        vector = _command(f"key_install_{word}_mode_{mode}", "ROT-1", mode, "key_install", parameters)
        vector.fields["new_key"] = new.hex()
        vector.fields["wrap_key"] = crypto.wrap_key(who.base("kek", 1), who.utility.id, who.identity, 1).hex()
        out.append(vector)
    for name, version in (("mode1", 3), ("mode2", 3), ("mode3", 2)):
        who, report = entry(name), s.report(command=78, when=s.stamp(s.NOW + 4))
        result = {"type": "command_result", "sequence": 950, "stamp": s.stamp(s.NOW + 3), "command_key_version": 1,
                  "command": 78, "kind": "key_install", "meter": s.meter(), "valve": "unknown", "outcome": "done", "data": ""}
        ask = frames.uplink(who, version, 300100, report, [with_mac(name, result, report["epoch"])], s.ns(), s.NT)
        out.append(good(f"first_uplink_under_new_key_{name}", "ROT-2 ROT-5", ask))
        out.append(good(f"answer_under_new_key_{name}", "ROT-3 ROT-5",
                        frames.answer(who, parse(ask), s.ns(s.NOW + 4), answer_content()), ask))
    return out


def files() -> dict[str, str]:
    """All files of this module."""
    return {
        "otl/commands.toml": text("Commands in answers, and results (part 8), with real MACs.\n"
                                  "uplink: the UPLINK that the answer answers; command_key: the CMAC key of CMD-1; result_key: that of CMD-14.",
                                  command_vectors()),
        "otl/rotation.toml": text("Key rotation (part 9): key_install, then the first frames under the new key.\n"
                                  "new_key: the base key that is wrapped; wrap_key: the RFC 3394 key; command_key: the CMAC key of CMD-1.",
                                  rotation_vectors()),
    }
