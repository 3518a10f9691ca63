# SPDX-License-Identifier: MIT OR Apache-2.0
"""Fields that many structures share, and the report of part 6, to and from the JSON form."""

from typing import Any

from . import registry
from .errors import OtlError
from .wire import REGISTER_MAX, U32_MAX, Cursor, u, varint

Json = dict[str, Any]
UNKNOWN_UNCERTAINTY = 127


def ranged(cur: Cursor, n: int, low: int, high: int, what: str) -> int:
    """An unsigned integer of n octets that lies in a range."""  # spec: REC-21
    at, value = cur.offset, cur.u(n)
    if not low <= value <= high:
        raise OtlError("bad_value", at, f"{what} {value} is not from {low} to {high}")
    return value


def reserved(at: int, octet: int, mask: int) -> None:
    """Reserved bits are zero."""  # spec: GEN-7
    if octet & mask:
        raise OtlError("reserved_bits", at, f"octet 0x{octet:02x}")


def uncertainty_code(seconds: int | None) -> int:
    """The smallest code that is not below the uncertainty; None is unknown."""
    if seconds is None or seconds > 2048:
        return UNKNOWN_UNCERTAINTY
    return seconds if seconds < 64 else -(-seconds // 32) + 62


def read_stamp(cur: Cursor) -> Json:
    """A stamp."""
    at, quality = cur.offset, cur.u(1)
    code = quality & 0x7F
    if quality & 0x80:
        if code != UNKNOWN_UNCERTAINTY:  # spec: REC-3
            raise OtlError("bad_value", at, "an unset clock with an uncertainty")
        return {"uptime_s": cur.u(4), "boot": cur.u(2)}
    seconds = code if code < 64 else (code - 62) * 32 if code < UNKNOWN_UNCERTAINTY else None
    return {"utc_s": cur.u(4), "uncertainty_s": seconds}


def write_stamp(stamp: Json) -> bytes:
    """Octets of a stamp."""
    if "boot" in stamp:
        return b"\xff" + u(stamp["uptime_s"], 4) + u(stamp["boot"], 2)
    return u(uncertainty_code(stamp["uncertainty_s"]), 1) + u(stamp["utc_s"], 4)


def read_meter(cur: Cursor) -> Json:
    """A meter: slot and generation."""
    octet = cur.u(1)
    return {"slot": octet >> 4, "generation": octet & 0x0F}


def write_meter(meter: Json) -> bytes:
    """Octet of a meter."""
    return u(meter["slot"] << 4 | meter["generation"], 1)


def read_unit(cur: Cursor) -> Json:
    """A unit; its quantity class must be registered."""  # spec: REC-16
    at, code = cur.offset, cur.u(1)
    if code >> 4 not in registry.QUANTITIES:
        raise OtlError("bad_value", at, f"unit 0x{code:02x}")
    return unit(code)


def unit(code: int) -> Json:
    """The JSON form of a unit code."""
    return {"code": code, "quantity": registry.QUANTITIES.name(code >> 4), "exponent": (code & 0x0F) - 8}


def read_register(cur: Cursor) -> int:
    """A register."""  # spec: REC-16
    return cur.varint(REGISTER_MAX)


def read_value(cur: Cursor) -> Json:
    """Unit and register."""
    return {"unit": read_unit(cur), "value": read_register(cur)}


def write_value(value: Json) -> bytes:
    """Octets of unit and register."""
    return u(value["unit"]["code"], 1) + varint(value["value"])


def read_valve(cur: Cursor) -> str:
    """A valve state octet."""  # spec: REC-21
    return registry.VALVES.name(ranged(cur, 1, 0, 9, "valve state"))


def read_epoch(cur: Cursor) -> int:
    """A store epoch, never 0."""  # spec: REC-2
    return ranged(cur, 4, 1, U32_MAX, "store epoch")


def read_health(cur: Cursor) -> Json:
    """The six octets of health."""
    out: Json = {}
    battery, at = cur.u(1), cur.offset
    remaining = cur.u(1)
    if 100 < remaining < 255:  # spec: REC-20
        raise OtlError("bad_value", at, f"remaining {remaining}")
    rsrp, snr, temperature, at = cur.u(1), cur.i8(), cur.i8(), cur.offset
    sends = cur.u(1)
    cause = sends & 0x0F
    if 6 <= cause <= 14:  # spec: REC-20
        raise OtlError("bad_value", at, f"reset cause {cause}")
    if battery != 255:
        out["battery_mv"] = battery * 20
    if remaining != 255:
        out["remaining_percent"] = remaining
    if rsrp != 255:
        out["rsrp_dbm"] = -rsrp
    if snr != -128:
        out["snr_db"] = snr
    if temperature != -128:
        out["temperature_degc"] = temperature
    out["sends"] = sends >> 4
    out["reset_cause"] = RESET_CAUSES[cause]
    return out


RESET_CAUSES = {0: "power", 1: "watchdog", 2: "brown_out", 3: "firmware", 4: "fault", 5: "external", 15: "unknown"}
_RESET_CODES = {name: code for code, name in RESET_CAUSES.items()}


def write_health(health: Json) -> bytes:
    """Six octets of health."""
    battery = health["battery_mv"] // 20 if "battery_mv" in health else 255
    sends = health["sends"] << 4 | _RESET_CODES[health["reset_cause"]]
    return bytes((battery, health.get("remaining_percent", 255), -health.get("rsrp_dbm", -255),
                  health.get("snr_db", -128) & 0xFF, health.get("temperature_degc", -128) & 0xFF, sends))


def read_report(cur: Cursor) -> Json:
    """The report at the head of every UPLINK and RESYNC plaintext."""  # spec: REC-1
    out: Json = {"stamp": read_stamp(cur), "epoch": read_epoch(cur)}
    slots = cur.u(1)
    out["wake_slot_version"], out["frames_following"] = slots >> 4, slots & 0x0F
    out["command"] = cur.varint(U32_MAX)
    if out["command"]:
        out["outcome"] = registry.OUTCOMES.name(cur.u(1))
    return out


def write_report(report: Json) -> bytes:
    """Octets of a report."""
    out = write_stamp(report["stamp"]) + u(report["epoch"], 4)
    out += u(report["wake_slot_version"] << 4 | report["frames_following"], 1) + varint(report["command"])
    if report["command"]:
        out += u(registry.OUTCOMES.code(report["outcome"]), 1)
    return out
