# SPDX-License-Identifier: MIT OR Apache-2.0
"""Session items and answer items of parts 6, 7 and 8, to and from the JSON form."""

from . import registry
from .errors import OtlError
from .report import Json, ranged, read_epoch, read_meter, reserved, write_meter
from .wire import COUNTER_MAX, U32_MAX, Cursor, RawItem, item, next_item, u

COME_BACK, SLOT, FLOOR, COMMAND = 1, 2, 3, 5
PREVIOUS_EPOCH, ANSWER_REFUSED = 0x70, 0x72
FLAG_ACK, FLAG_FINAL, FLAG_MORE, FLAG_NEW_EPOCH, FLAG_UNPROVEN = 1, 2, 4, 8, 16
MAC_OCTETS, BOUND = 16, 0x80


def _unknown(raw: RawItem) -> Json:
    return {"item": "unknown", "number": raw.number, "critical": raw.critical,
            "body": raw.body.take(raw.body.left).hex()}


def fixed_bit(registered: dict[int, bool], number: int, critical: bool, offset: int) -> None:
    """A registered number has one fixed critical bit."""  # spec: FRM-20
    if registered.get(number, critical) != critical:
        raise OtlError("bad_value", offset, "the critical bit of this type is fixed")


def decode_session_item(raw: RawItem) -> Json:
    """A session item of an uplink; unknown ones are kept for the caller to count."""  # spec: REC-29
    if raw.number == PREVIOUS_EPOCH:
        out: Json = {"item": "previous_epoch", "epoch": read_epoch(raw.body)}
    elif raw.number == ANSWER_REFUSED:  # spec: ANS-20
        out = {"item": "answer_refused", "number": raw.body.u(1)}
    else:
        return _unknown(raw)
    raw.body.finish()
    return out


def encode_session_item(it: Json) -> bytes:
    """Octets of a session item."""
    if it["item"] == "previous_epoch":
        return item(PREVIOUS_EPOCH, u(it["epoch"], 4))
    if it["item"] == "answer_refused":
        return item(ANSWER_REFUSED, u(it["number"], 1))
    return item(it["number"], bytes.fromhex(it["body"]), it["critical"])


def decode_items(cur: Cursor, resync: bool, ack: bool = False) -> list[Json]:
    """All answer items up to the end of the plaintext."""
    out: list[Json] = []
    last = last_sequence = 0

    def check(number: int, critical: bool, offset: int) -> None:
        fixed_bit(registry.ANSWER_CRITICAL, number, critical, offset)
        if number < last or number == last != COMMAND:  # spec: ANS-11
            raise OtlError("non_canonical", offset, f"item {number} after {last}")
        if resync and number in (FLOOR, COMMAND):  # spec: ANS-15
            raise OtlError("bad_value", offset, f"item {number} in a RESYNC_ANSWER")
        if ack and number == FLOOR:  # spec: ANS-14
            raise OtlError("bad_value", offset, "ACK beside FLOOR")
        if critical and number not in (FLOOR, COMMAND):  # spec: ANS-12
            raise OtlError("unknown_critical_item", offset, f"item {number}")

    while cur.left:
        raw = next_item(cur, check)
        last = raw.number
        decoded = _decode_item(raw)
        if raw.number == COMMAND:
            if decoded["sequence"] <= last_sequence:  # spec: ANS-11
                raise OtlError("non_canonical", raw.offset, "command sequences do not ascend")
            last_sequence = decoded["sequence"]
        out.append(decoded)
    return out


def _decode_item(raw: RawItem) -> Json:
    cur = raw.body
    if raw.number == COME_BACK:
        out: Json = {"item": "come_back", "seconds": 4 * ranged(cur, 2, 1, 21600, "come-back")}
    elif raw.number == SLOT:
        out = {"item": "slot", "version": ranged(cur, 1, 1, 15, "slot version"),
               "second_of_day": ranged(cur, 3, 0, 86399, "second of the day")}
    elif raw.number == FLOOR:
        out = {"item": "floor", "counter": ranged(cur, 4, 1, COUNTER_MAX, "floor")}
    elif raw.number == COMMAND:
        return _decode_command(cur)
    else:
        return _unknown(raw)
    cur.finish()
    return out


def _decode_command(cur: Cursor) -> Json:
    out: Json = {"item": "command", "key_version": ranged(cur, 1, 1, 255, "command key version"),
                 "sequence": ranged(cur, 4, 1, U32_MAX, "command sequence"),
                 "kind": registry.KINDS.name(cur.u(1))}
    out["meter"] = read_meter(cur)
    octet = cur.u(1)
    out["bound"], out["precondition"] = bool(octet & BOUND), octet & 0x7F
    out["not_after_utc_s"] = cur.u(4)
    # Whether the length suits the kind is the terminal's business: outcome 7.
    out["parameters"] = cur.take(max(cur.left - MAC_OCTETS, 0)).hex()
    out["mac"] = cur.take(MAC_OCTETS).hex()
    return out


def command_head(it: Json) -> bytes:
    """Octets 0 to 11 of a COMMAND body."""
    return (u(it["key_version"], 1) + u(it["sequence"], 4) + u(registry.KINDS.code(it["kind"]), 1)
            + write_meter(it["meter"]) + u((BOUND if it["bound"] else 0) | it["precondition"], 1)
            + u(it["not_after_utc_s"], 4))


def encode_item(it: Json) -> bytes:
    """Octets of an answer item."""
    if it["item"] == "come_back":
        return item(COME_BACK, u(it["seconds"] // 4, 2))
    if it["item"] == "slot":
        return item(SLOT, u(it["version"], 1) + u(it["second_of_day"], 3))
    if it["item"] == "floor":
        return item(FLOOR, u(it["counter"], 4), True)
    if it["item"] == "command":
        return item(COMMAND, command_head(it) + bytes.fromhex(it["parameters"]) + bytes.fromhex(it["mac"]), True)
    return item(it["number"], bytes.fromhex(it["body"]), it["critical"])


def decode_answer(cur: Cursor) -> Json:
    """The plaintext of an ANSWER."""
    at, flags = cur.offset, cur.u(1)
    reserved(at, flags, 0xE0)
    if flags & FLAG_FINAL and flags & FLAG_MORE:  # spec: ANS-3
        raise OtlError("bad_value", at, "FINAL and MORE together")
    out: Json = {"ack": bool(flags & FLAG_ACK), "final": bool(flags & FLAG_FINAL), "more": bool(flags & FLAG_MORE),
                 "new_epoch": bool(flags & FLAG_NEW_EPOCH), "unproven": bool(flags & FLAG_UNPROVEN),
                 "map": cur.u(2)}
    out["items"] = decode_items(cur, False, out["ack"])
    return out


def encode_answer(answer: Json) -> bytes:
    """Octets of the plaintext of an ANSWER."""
    flags = (FLAG_ACK * answer["ack"] | FLAG_FINAL * answer["final"] | FLAG_MORE * answer["more"]
             | FLAG_NEW_EPOCH * answer["new_epoch"] | FLAG_UNPROVEN * answer["unproven"])
    return u(flags, 1) + u(answer["map"], 2) + b"".join(encode_item(it) for it in answer["items"])


def decode_resync_answer(cur: Cursor) -> Json:
    """The plaintext of a RESYNC_ANSWER."""
    return {"floor": ranged(cur, 4, 1, COUNTER_MAX, "floor"), "items": decode_items(cur, resync=True)}


def encode_resync_answer(answer: Json) -> bytes:
    """Octets of the plaintext of a RESYNC_ANSWER."""
    return u(answer["floor"], 4) + b"".join(encode_item(it) for it in answer["items"])
