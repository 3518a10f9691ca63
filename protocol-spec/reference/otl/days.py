# SPDX-License-Identifier: MIT OR Apache-2.0
"""A thousand seeded days of households, and the sizes that the encoding needs for them.

The model is made to be plausible, not to fit the budget: use by hour of the day as cooking, hot water
and heating make it, pressures around the regulator's set point with noise and with a dip under flow.
"""

from typing import Any

from . import frames, wire
from .answers import encode_answer
from .drbg import Drbg
from .keyring import TerminalEntry
from .report import Json, unit

COLUMNS = ("index", "class", "unit", "day", "utc_s", "uncertainty_s", "epoch", "wake_slot_version", "command", "outcome",
           "counter", "sequence", "slot", "generation", "valve", "daily_register", "hourly_registers",
           "hourly_pressures", "battery_mv", "remaining_percent", "rsrp_dbm", "snr_db", "temperature_degc", "sends",
           "reset_cause")
CLASSES = {"quiet": 200, "ordinary": 450, "busy": 150, "vacant": 100, "gaps": 60, "clock_correction": 40}
LITRE, DECILITRE = 0x15, 0x14

# Per cent of ordinary days in which gas is used in the hour that ends at mark 1, 2, ... 24.
_ACTIVE = (6, 3, 2, 2, 4, 22, 62, 74, 48, 30, 28, 38, 55, 32, 22, 22, 30, 52, 80, 86, 82, 72, 52, 22)
# The largest ordinary use of such an hour, in litres: cooking at noon, baths in the evening.
_AMOUNT = (60, 40, 40, 40, 60, 120, 220, 240, 160, 110, 100, 140, 180, 110, 90, 90, 120, 220, 330, 380, 420, 380, 260, 120)
_FIRST_DAY, _JST = 20454, 9 * 3600  # 2026-01-01


def _use_decilitres(rng: Drbg, kind: str) -> list[int]:
    """Use of each hour, in tenths of a litre."""
    if kind == "vacant":
        return [0] * 24
    hours = []
    for chance, most in zip(_ACTIVE, _AMOUNT):
        if kind == "quiet":
            chance, most = chance // 3, most // 2
        elif kind == "busy":
            chance = min(98, chance + 25)
        used = rng.between(15, most * 10) if rng.chance(chance) else 0
        if kind == "busy" and rng.chance(70):
            used += rng.between(100, 1200)  # heating: 10 to 120 litres more in the hour
        hours.append(used)
    if kind == "busy":  # up to about 4 m3 a day
        total = sum(hours)
        if total > 40000:
            hours = [used * 40000 // total for used in hours]
    return hours


def _pressures(rng: Drbg, used: list[int]) -> list[int | None]:
    """Hourly pressures in 10 Pa: a regulator near 2.8 kPa, a dip under flow, slow drift and noise."""
    level, out = 283 + rng.normal(12), []
    for use in used:
        value = level + rng.normal(3) - use // 400 + rng.normal(1)
        level += rng.normal(1)
        out.append(max(230, min(330, value)))
    return out


def _segments(rng: Drbg, kind: str, registers: list[int]) -> list[Json]:
    whole = [{"reason": 0, "first_mark": 1, "registers": registers}]
    if kind == "gaps":  # one or two holes of one to four marks
        present = [True] * 24
        for _ in range(rng.between(1, 2)):
            at = rng.between(0, 23)
            for i in range(at, min(24, at + rng.between(1, 4))):
                present[i] = False
        return _cut(registers, present)
    if kind == "clock_correction":
        at = rng.between(2, 22)
        return [{"reason": 0, "first_mark": 1, "registers": registers[:at]},
                {"reason": 4, "first_mark": at + 1, "registers": registers[at:]}]
    return whole


def _cut(registers: list[int], present: list[bool]) -> list[Json]:
    out: list[Json] = []
    for i, here in enumerate(present):
        if here and i and present[i - 1]:
            out[-1]["registers"].append(registers[i])
        elif here:
            out.append({"reason": 0, "first_mark": i + 1, "registers": [registers[i]]})
    return out


def _health(rng: Drbg) -> Json:
    remaining = rng.between(35, 100)
    return {"battery_mv": 20 * rng.between(170, 183), "remaining_percent": remaining, "rsrp_dbm": -rng.between(82, 126),
            "snr_db": rng.between(-6, 20), "temperature_degc": rng.between(-4, 36),
            "sends": rng.choice((1, 1, 1, 1, 1, 1, 1, 2, 2, 3)),
            "reset_cause": rng.choice(("power", "power", "power", "firmware", "watchdog", "unknown"))}


def _day(rng: Drbg, index: int, kind: str) -> Json:
    fine = rng.chance(40)  # a register in steps of 0.1 L
    code = DECILITRE if fine else LITRE
    used = _use_decilitres(rng, kind)
    register = rng.between(20_000, 9_000_000) * (10 if fine else 1)
    rest, registers = rng.between(0, 9), []
    for use in used:
        total = rest + use
        register += total if fine else total // 10
        rest = 0 if fine else total % 10
        registers.append(register)
    segments = _segments(rng, kind, registers)
    pressures = _pressures(rng, used)
    if kind == "gaps":
        covered = {s["first_mark"] + i for s in segments for i in range(len(s["registers"]))}
        pressures = [p if mark + 1 in covered else None for mark, p in enumerate(pressures)]
    day = _FIRST_DAY + rng.between(0, 364)
    command = rng.between(1, 400) if rng.chance(35) else 0
    record: Json = {"type": "everyday", "sequence": rng.between(20, 9000),
                    "valve": "closed_by_centre" if kind == "vacant" and rng.chance(50) else "open",
                    "meter": {"slot": 0, "generation": rng.choice((0, 0, 0, 1, 2))}, "unit": unit(code), "day": day,
                    "daily_register": registers[-1], "hourly_registers": segments, "hourly_pressures": pressures,
                    "health": _health(rng)}
    report: Json = {"stamp": {"utc_s": (day + 1) * 86400 - _JST + rng.between(60, 14400),
                              "uncertainty_s": rng.choice((1, 2, 2, 3, 5))},
                    "epoch": rng.between(1, 2**32 - 1), "wake_slot_version": rng.choice((0, 1, 1, 1, 2, 3)),
                    "frames_following": 0, "command": command}
    if command:
        report["outcome"] = rng.choice(("done", "done", "done", "refused_precondition", "refused_expired"))
    return {"index": index, "class": kind, "counter": rng.between(400, 900_000), "report": report, "record": record}


def days() -> list[Json]:
    """The thousand days, in a shuffled order."""
    rng = Drbg("days")
    kinds = [kind for kind, count in CLASSES.items() for _ in range(count)]
    for i in range(len(kinds) - 1, 0, -1):
        j = rng.below(i + 1)
        kinds[i], kinds[j] = kinds[j], kinds[i]
    return [_day(rng, index, kind) for index, kind in enumerate(kinds)]


def worst_day(first: int = 99_000_000, sequence: int = 2_000_000, command: int = 2_000_000) -> Json:
    """Every hour at 4 m3/h with a register of 0.1 L, pressures at both rails, after decades of service."""
    registers = [first + 40000 * i for i in range(24)]
    record: Json = {"type": "everyday", "sequence": sequence, "valve": "open", "meter": {"slot": 0, "generation": 15},
                    "unit": unit(DECILITRE), "day": 29220, "daily_register": registers[-1],
                    "hourly_registers": [{"reason": 0, "first_mark": 1, "registers": registers}],
                    "hourly_pressures": [0, 65533] * 12, "health": _health(Drbg("worst"))}
    report: Json = {"stamp": {"utc_s": 29221 * 86400 - _JST + 60, "uncertainty_s": None}, "epoch": 2**32 - 1,
                    "wake_slot_version": 15, "frames_following": 0, "command": command, "outcome": "done"}
    return {"index": 0, "class": "worst", "counter": 9_000_000, "report": report, "record": record}


def _row(day: Json) -> list[Any]:
    record, report = day["record"], day["report"]
    segments = ";".join(
        f"{s['reason']}@{s['first_mark']}={s['registers'][0]}"
        + "".join(f"+{b - a}" for a, b in zip(s["registers"], s["registers"][1:])) for s in record["hourly_registers"])
    pressures = " ".join("-" if p is None else str(p) for p in record["hourly_pressures"])
    last = record["hourly_registers"][-1]
    covered = last["first_mark"] + len(last["registers"]) - 1 == 24
    explicit = "" if covered else record["daily_register"]  # spec: REC-18, explicit where mark 24 is missing
    return [day["index"], day["class"], record["unit"]["code"], record["day"], report["stamp"]["utc_s"],
            "" if report["stamp"]["uncertainty_s"] is None else report["stamp"]["uncertainty_s"], report["epoch"],
            report["wake_slot_version"], report["command"], report.get("outcome", ""), day["counter"], record["sequence"],
            record["meter"]["slot"], record["meter"]["generation"], record["valve"], explicit, segments, pressures,
            *(record["health"].get(name, "") for name in COLUMNS[18:])]


def csv(rows: list[Json]) -> str:
    """The text of a file of days; see vectors/README.md for the columns."""
    return ",".join(COLUMNS) + "\n" + "".join(",".join(map(str, _row(day))) + "\n" for day in rows)


def unpadded(entry: TerminalEntry, version: int, mode: int, day: Json) -> int:
    """Octets of the frame of a day before padding."""
    frame = frames.uplink(entry, version, day["counter"], day["report"], [day["record"]], pad=False, mode=mode)
    return len(frame)


def _limits(mode: int) -> tuple[int, int, int]:
    return (105, 125, 140) if mode < 3 else (113, 133, 148)


def budget(entries: dict[int, tuple[TerminalEntry, int]]) -> tuple[list[str], list[str]]:
    """The table of sizes, and what is over the budget (nothing, if all is well)."""
    rows, wrong = ["mode  p50  p95  max  padded to          worst day  the same, every varint at its longest"], []
    thousand, worst = days(), worst_day()
    largest_numbers = worst_day(2**48 - 1 - 23 * 40000, 2**32 - 1, 2**32 - 1)
    for mode, (entry, version) in entries.items():
        sizes = sorted(unpadded(entry, version, mode, day) for day in thousand)
        p50, p95, largest = sizes[499], sizes[949], sizes[999]
        ladder = {}
        for size in sizes:
            padded = wire.padded_length(size) if mode else size
            ladder[padded] = ladder.get(padded, 0) + 1
        extreme = unpadded(entry, version, mode, worst)
        shown = " ".join(f"{length}: {count}" for length, count in sorted(ladder.items())) if mode else "not padded"
        rows.append(f"{mode:>4}  {p50:>3}  {p95:>3}  {largest:>3}  {shown:<17}  {extreme:>9}  "
                    f"{unpadded(entry, version, mode, largest_numbers)}")
        for what, value, limit in zip(("p50", "p95", "max"), (p50, p95, largest), _limits(mode)):
            if value > limit:
                wrong.append(f"mode {mode}: {what} {value} above {limit}")
        if mode and not set(ladder) <= {128, 192}:
            wrong.append(f"mode {mode}: padded lengths {sorted(ladder)}")
        if extreme > 200:
            wrong.append(f"mode {mode}: worst day {extreme} above 200")
    return rows, wrong


def answer_sizes() -> tuple[list[str], list[str]]:
    """Sizes of routine answers, and what is over the budget."""
    base: Json = {"ack": True, "final": True, "more": False, "new_epoch": False, "unproven": False, "map": 0}
    come_back = [{"item": "come_back", "seconds": 3600}, {"item": "slot", "version": 1, "second_of_day": 7}]
    command = [{"item": "command", "key_version": 1, "sequence": 7, "kind": "valve_permit_reopen",
                "meter": {"slot": 0, "generation": 0}, "bound": True, "precondition": 2, "not_after_utc_s": 9,
                "parameters": "05a0", "mac": "00" * 16}]
    cases = (("ack and time", [], 32, 40), ("come-back and slot", come_back, 48, 48), ("one valve command", command, 72, 72))
    rows, wrong = [], []
    for name, items, limit, limit3 in cases:
        sizes = []
        for mode in (1, 2, 3):
            size = wire.ANSWER_HEADER[mode] + len(encode_answer({**base, "items": items})) + wire.TAG_OCTETS[mode]
            sizes.append(size)
            if size > (limit3 if mode == 3 else limit):
                wrong.append(f"answer, {name}, mode {mode}: {size}")
        rows.append(f"answer with {name}: {sizes[0]} (mode 3: {sizes[2]})")
    return rows, wrong
