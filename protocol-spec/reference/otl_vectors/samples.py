# SPDX-License-Identifier: MIT OR Apache-2.0
"""Values that several vector files share: one ordinary day, stamps, reports, nonces."""

from typing import Any

from otl.drbg import Drbg
from otl.report import unit

Json = dict[str, Any]

NOW = 1798761720  # 2027-01-01 00:02:00 UTC, 09:02 in the terminal's zone
DAY = 20818  # 2026-12-31
LITRE, DECILITRE, DECAPASCAL = 0x15, 0x14, 0x59


def ns(seconds: int = NOW, random: int = 0x5EED0001) -> bytes:
    """A server nonce."""
    return seconds.to_bytes(4, "big") + random.to_bytes(4, "big")


TICKET = ns(NOW - 86400, 0x0BADCAFE)
NT = bytes.fromhex("6e74000102030405")
NR = bytes.fromhex("4e720102030405060708090a0b0c0d0e")


def stamp(seconds: int = NOW, uncertainty: int | None = 2) -> Json:
    return {"utc_s": seconds, "uncertainty_s": uncertainty}


def unset(uptime: int = 4242, boot: int = 17) -> Json:
    return {"uptime_s": uptime, "boot": boot}


def report(command: int = 0, outcome: str = "done", when: Json | None = None, epoch: int = 0x1CEB00DA,
           slot: int = 1, following: int = 0) -> Json:
    out: Json = {"stamp": when or stamp(), "epoch": epoch, "wake_slot_version": slot, "frames_following": following,
                 "command": command}
    if command:
        out["outcome"] = outcome
    return out


def meter(slot: int = 0, generation: int = 0) -> Json:
    return {"slot": slot, "generation": generation}


def value(number: int, code: int = LITRE) -> Json:
    return {"unit": unit(code), "value": number}


HOURLY = [0, 0, 0, 0, 0, 31, 184, 92, 12, 0, 8, 65, 41, 0, 0, 6, 88, 213, 310, 274, 120, 48, 10]


def day_registers(first: int = 1234567, steps: list[int] | None = None) -> list[int]:
    """Registers of 24 marks from 23 steps."""
    out = [first]
    for step in HOURLY if steps is None else steps:
        out.append(out[-1] + step)
    return out


def day_pressures() -> list[int | None]:
    """Ordinary pressures of a day, in 10 Pa."""
    rng = Drbg("sample pressures")
    return [279 + rng.normal(3) for _ in range(24)]


HEALTH: Json = {"battery_mv": 3560, "remaining_percent": 87, "rsrp_dbm": -104, "snr_db": 7, "temperature_degc": 9,
                "sends": 1, "reset_cause": "power"}


def everyday(sequence: int = 815, **changes: Any) -> Json:
    """An ordinary day; a change to None removes a field."""
    registers = day_registers()
    out: Json = {"type": "everyday", "sequence": sequence, "valve": "open", "meter": meter(), "unit": unit(LITRE),
                 "day": DAY, "daily_register": registers[-1],
                 "hourly_registers": [{"reason": 0, "first_mark": 1, "registers": registers}],
                 "hourly_pressures": day_pressures(), "health": dict(HEALTH)}
    out.update(changes)
    return {key: val for key, val in out.items() if val is not None}
