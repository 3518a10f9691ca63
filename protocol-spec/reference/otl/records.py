# SPDX-License-Identifier: MIT OR Apache-2.0
"""Record bodies of part 6, to and from the JSON form. One reader and one writer a type."""

from typing import Callable

from . import registry
from .errors import OtlError
from .report import (Json, ranged, read_health, read_meter, read_register, read_stamp, read_unit, read_valve,
                     read_value, reserved, write_health, write_meter, write_stamp, write_value)
from .series import decode_gauges, decode_series, encode_gauges, encode_series
from .wire import U32_MAX, Cursor, RawItem, item, u, varint

HOURS = 24
MAC_OCTETS = 16
ALARM_STATES = {1: "raised", 2: "cleared", 3: "present"}
_ALARM_STATE_CODES = {name: code for code, name in ALARM_STATES.items()}


def text(cur: Cursor, n: int) -> str:
    """Printable ASCII of n octets."""  # spec: REC-21
    at, raw = cur.offset, cur.take(n)
    for i, octet in enumerate(raw):
        if not 0x20 <= octet <= 0x7E:
            raise OtlError("bad_value", at + i, f"octet 0x{octet:02x} in a text")
    return raw.decode("ascii")


def _valve_code(valve: str) -> int:
    return registry.VALVES.code(valve)


# 0x01 everyday record

def read_everyday(cur: Cursor) -> Json:
    at, flags = cur.offset, cur.u(1)
    if flags & 0x0F > 9:  # spec: REC-21
        raise OtlError("bad_value", at, f"valve state {flags & 0x0F}")
    out: Json = {"valve": registry.VALVES.name(flags & 0x0F), "meter": read_meter(cur), "unit": read_unit(cur),
                 "day": cur.u(2)}
    register_at = cur.offset
    if flags & 0x10:
        out["daily_register"] = read_register(cur)
    if flags & 0x80:
        segments = decode_series(cur, HOURS)
        last = segments[-1]
        if last["first_mark"] + len(last["registers"]) - 1 == HOURS:
            if flags & 0x10:  # spec: REC-18
                raise OtlError("non_canonical", register_at, "the daily register beside mark 24")
            out["daily_register"] = last["registers"][-1]
        out["hourly_registers"] = segments
    if flags & 0x40:
        out["hourly_pressures"] = decode_gauges(cur, HOURS)
    if flags & 0x20:
        out["health"] = read_health(cur)
    return out


def write_everyday(record: Json) -> bytes:
    segments = record.get("hourly_registers")
    mark_24 = bool(segments) and segments[-1]["first_mark"] + len(segments[-1]["registers"]) - 1 == HOURS
    explicit = "daily_register" in record and not mark_24  # spec: REC-18
    flags = (0x80 if segments else 0) | (0x40 if "hourly_pressures" in record else 0)
    flags |= (0x20 if "health" in record else 0) | (0x10 if explicit else 0) | _valve_code(record["valve"])
    out = u(flags, 1) + write_meter(record["meter"]) + u(record["unit"]["code"], 1) + u(record["day"], 2)
    out += varint(record["daily_register"]) if explicit else b""
    out += encode_series(segments, HOURS) if segments else b""
    out += encode_gauges(record["hourly_pressures"]) if "hourly_pressures" in record else b""
    return out + (write_health(record["health"]) if "health" in record else b"")


# 0x02 register reading

def read_reading(cur: Cursor) -> Json:
    out: Json = {"stamp": read_stamp(cur), "meter": read_meter(cur)}
    quantity = read_unit(cur)
    out["cause"] = ranged(cur, 1, 1, 6, "cause")
    out["register"] = {"unit": quantity, "value": read_register(cur)}
    return out


def write_reading(record: Json) -> bytes:
    return (write_stamp(record["stamp"]) + write_meter(record["meter"]) + u(record["register"]["unit"]["code"], 1)
            + u(record["cause"], 1) + varint(record["register"]["value"]))


# 0x03, 0x04 interval series and gauges

def _read_interval(cur: Cursor) -> Json:
    return {"stamp": read_stamp(cur), "meter": read_meter(cur), "unit": read_unit(cur),
            "step_min": ranged(cur, 2, 1, 1440, "step"), "count": ranged(cur, 1, 1, 250, "count")}


def _write_interval(record: Json) -> bytes:
    return (write_stamp(record["stamp"]) + write_meter(record["meter"]) + u(record["unit"]["code"], 1)
            + u(record["step_min"], 2) + u(record["count"], 1))


def read_series(cur: Cursor) -> Json:
    out = _read_interval(cur)
    out["series"] = decode_series(cur, out["count"])
    return out


def write_series(record: Json) -> bytes:
    return _write_interval(record) + encode_series(record["series"], record["count"])


def read_gauges(cur: Cursor) -> Json:
    out = _read_interval(cur)
    out["gauges"] = decode_gauges(cur, out["count"])
    return out


def write_gauges(record: Json) -> bytes:
    return _write_interval(record) + encode_gauges(record["gauges"])


# 0x05 alarm notice

def read_alarm(cur: Cursor) -> Json:
    out: Json = {"stamp": read_stamp(cur), "meter": read_meter(cur)}
    at, flags = cur.offset, cur.u(1)
    reserved(at, flags, 0x30)
    if flags & 0x0F > 9:  # spec: REC-21
        raise OtlError("bad_value", at, f"valve state {flags & 0x0F}")
    out["snapshot"], out["valve"] = bool(flags & 0x40), registry.VALVES.name(flags & 0x0F)
    at, category = cur.offset, cur.u(1)
    if category and not 0x20 <= category <= 0x7E:
        raise OtlError("bad_value", at, f"flow category 0x{category:02x}")
    if category:
        out["flow_category"] = chr(category)
    if flags & 0x80:
        out["register"] = read_value(cur)
    out["panel"] = text(cur, ranged(cur, 1, 0, 8, "panel length"))
    out["alarms"] = []
    for _ in range(ranged(cur, 1, 1, 6, "alarm count")):
        alarm = registry.ALARMS.name(cur.u(1))  # spec: REC-24
        state = ALARM_STATES[ranged(cur, 1, 1, 3, "alarm state")]
        out["alarms"].append({"alarm": alarm, "state": state, "code": cur.take(2).hex()})
    return out


def write_alarm(record: Json) -> bytes:
    flags = (0x80 if "register" in record else 0) | (0x40 if record["snapshot"] else 0) | _valve_code(record["valve"])
    out = write_stamp(record["stamp"]) + write_meter(record["meter"]) + u(flags, 1)
    out += u(ord(record.get("flow_category", "\0")), 1)
    out += write_value(record["register"]) if "register" in record else b""
    out += u(len(record["panel"]), 1) + record["panel"].encode("ascii") + u(len(record["alarms"]), 1)
    for alarm in record["alarms"]:
        out += u(registry.ALARMS.code(alarm["alarm"]), 1) + u(_ALARM_STATE_CODES[alarm["state"]], 1)
        out += bytes.fromhex(alarm["code"])
    return out


# 0x06 valve state

def read_valve_state(cur: Cursor) -> Json:
    out: Json = {"stamp": read_stamp(cur), "meter": read_meter(cur), "valve": read_valve(cur),
                 "cause": ranged(cur, 1, 1, 4, "cause"), "command": cur.u(4), "command_key_version": cur.u(1)}
    if out["command_key_version"]:  # spec: REC-26
        out["mac"] = cur.take(MAC_OCTETS).hex()
    return out


def write_valve_state(record: Json) -> bytes:
    return (write_stamp(record["stamp"]) + write_meter(record["meter"]) + u(_valve_code(record["valve"]), 1)
            + u(record["cause"], 1) + u(record["command"], 4) + u(record["command_key_version"], 1)
            + bytes.fromhex(record.get("mac", "")))


# 0x07 health, 0x08 residual gas

def read_health_record(cur: Cursor) -> Json:
    return {"stamp": read_stamp(cur), "health": read_health(cur), "sends_total": cur.u(4), "uptime_s": cur.u(4)}


def write_health_record(record: Json) -> bytes:
    return (write_stamp(record["stamp"]) + write_health(record["health"]) + u(record["sends_total"], 4)
            + u(record["uptime_s"], 4))


def read_residual(cur: Cursor) -> Json:
    out: Json = {"stamp": read_stamp(cur), "meter": read_meter(cur), "level": ranged(cur, 1, 0, 3, "level")}
    at, flags = cur.offset, cur.u(1)
    reserved(at, flags, 0x7F)
    if flags & 0x80:
        out["register"] = read_value(cur)
    return out


def write_residual(record: Json) -> bytes:
    out = write_stamp(record["stamp"]) + write_meter(record["meter"]) + u(record["level"], 1)
    return out + (b"\x80" + write_value(record["register"]) if "register" in record else b"\x00")


# 0x09 meter exchange, 0x0A meter table

def read_exchange(cur: Cursor) -> Json:
    out: Json = {"stamp": read_stamp(cur), "old_meter": read_meter(cur)}
    at, old = cur.offset, out["old_meter"]
    new = out["new_meter"] = read_meter(cur)
    if old["slot"] != new["slot"] or old["generation"] == new["generation"]:  # spec: REC-25
        raise OtlError("bad_value", at, "an exchange of another slot, or of no meter")
    at, flags = cur.offset, cur.u(1)
    reserved(at, flags, 0x3F)
    if flags & 0x80:
        out["old_register"] = read_value(cur)
    if flags & 0x40:
        out["new_register"] = read_value(cur)
    return out


def write_exchange(record: Json) -> bytes:
    flags = (0x80 if "old_register" in record else 0) | (0x40 if "new_register" in record else 0)
    out = (write_stamp(record["stamp"]) + write_meter(record["old_meter"]) + write_meter(record["new_meter"])
           + u(flags, 1))
    for name in ("old_register", "new_register"):
        out += write_value(record[name]) if name in record else b""
    return out


def read_table(cur: Cursor) -> Json:
    out: Json = {"stamp": read_stamp(cur), "meter": read_meter(cur), "medium": cur.u(1), "unit": read_unit(cur),
                 "digits": ranged(cur, 1, 1, 14, "digits")}
    out["serial"] = text(cur, ranged(cur, 1, 1, 16, "serial length"))
    return out


def write_table(record: Json) -> bytes:
    return (write_stamp(record["stamp"]) + write_meter(record["meter"]) + u(record["medium"], 1)
            + u(record["unit"]["code"], 1) + u(record["digits"], 1) + u(len(record["serial"]), 1)
            + record["serial"].encode("ascii"))


# 0x0B command result

def read_result(cur: Cursor) -> Json:
    out: Json = {"stamp": read_stamp(cur), "command_key_version": cur.u(1), "command": cur.u(4),
                 "kind": registry.KINDS.name(cur.u(1)), "meter": read_meter(cur), "valve": read_valve(cur),
                 "outcome": registry.OUTCOMES.name(cur.u(1))}
    out["data"] = cur.take(ranged(cur, 1, 0, 64, "data length")).hex()
    if out["command_key_version"]:  # spec: REC-26
        out["mac"] = cur.take(MAC_OCTETS).hex()
    return out


def write_result(record: Json) -> bytes:
    data = bytes.fromhex(record["data"])
    return (write_stamp(record["stamp"]) + u(record["command_key_version"], 1) + u(record["command"], 4)
            + u(registry.KINDS.code(record["kind"]), 1) + write_meter(record["meter"])
            + u(_valve_code(record["valve"]), 1) + u(registry.OUTCOMES.code(record["outcome"]), 1)
            + u(len(data), 1) + data + bytes.fromhex(record.get("mac", "")))


# 0x0C clock change, 0x0D opaque payload, 0x0E terminal info

def read_clock(cur: Cursor) -> Json:
    return {"before": read_stamp(cur), "after": read_stamp(cur), "cause": ranged(cur, 1, 1, 3, "cause")}


def write_clock(record: Json) -> bytes:
    return write_stamp(record["before"]) + write_stamp(record["after"]) + u(record["cause"], 1)


def read_payload(cur: Cursor) -> Json:
    return {"stamp": read_stamp(cur), "maker": cur.u(2), "payload_type": cur.u(1), "payload": cur.take(cur.left).hex()}


def write_payload(record: Json) -> bytes:
    return (write_stamp(record["stamp"]) + u(record["maker"], 2) + u(record["payload_type"], 1)
            + bytes.fromhex(record["payload"]))


def read_info(cur: Cursor) -> Json:
    return {"stamp": read_stamp(cur), "model": cur.u(2), "firmware": cur.u(4), "capabilities": cur.u(2),
            "zone_quarter_hours": cur.i8()}


def write_info(record: Json) -> bytes:
    return (write_stamp(record["stamp"]) + u(record["model"], 2) + u(record["firmware"], 4)
            + u(record["capabilities"], 2) + u(record["zone_quarter_hours"] & 0xFF, 1))


Reader = Callable[[Cursor], Json]
Writer = Callable[[Json], bytes]
CODECS: dict[int, tuple[Reader, Writer]] = {
    0x01: (read_everyday, write_everyday), 0x02: (read_reading, write_reading),
    0x03: (read_series, write_series), 0x04: (read_gauges, write_gauges), 0x05: (read_alarm, write_alarm),
    0x06: (read_valve_state, write_valve_state), 0x07: (read_health_record, write_health_record),
    0x08: (read_residual, write_residual), 0x09: (read_exchange, write_exchange), 0x0A: (read_table, write_table),
    0x0B: (read_result, write_result), 0x0C: (read_clock, write_clock), 0x0D: (read_payload, write_payload),
    0x0E: (read_info, write_info),
}


def decode_record(raw: RawItem) -> Json:
    """A record item in the JSON form."""
    cur = raw.body
    if raw.number not in CODECS:  # spec: REC-7
        sequence = cur.varint(U32_MAX, 1)
        return {"type": "opaque", "sequence": sequence, "number": raw.number, "critical": raw.critical,
                "body": cur.take(cur.left).hex()}
    out: Json = {"type": registry.RECORDS.name(raw.number), "sequence": cur.varint(U32_MAX, 1)}
    out.update(CODECS[raw.number][0](cur))
    cur.finish()
    return out


def encode_body(record: Json) -> tuple[int, bytes]:
    """Number and body after the sequence."""
    if record["type"] == "opaque":
        return record["number"], bytes.fromhex(record["body"])
    number = registry.RECORDS.code(record["type"])
    return number, CODECS[number][1](record)


def encode_record(record: Json) -> bytes:
    """The item of a record in the JSON form."""
    number, body = encode_body(record)
    return item(number, varint(record["sequence"]) + body, record.get("critical", False))
