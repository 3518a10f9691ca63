# SPDX-License-Identifier: MIT OR Apache-2.0
"""Random valid frames of all types and modes, for comparison with another implementation."""

from typing import Iterator

from . import frames, registry, wire
from .drbg import Drbg
from .errors import OtlError
from .jsonform import Decoder
from .keyring import Keyring, TerminalEntry
from .report import Json, RESET_CAUSES, unit
from .series import GAUGE_MAX
from .wire import COUNTER_MAX, REGISTER_MAX, U32_MAX, Header, parse

_UNCERTAINTIES = list(range(64)) + [32 * n for n in range(2, 65)] + [None]


class RandomValues:
    """Random values of every structure, in the JSON form."""

    def __init__(self, rng: Drbg) -> None:
        self.rng = rng

    def stamp(self) -> Json:
        if self.rng.chance(25):
            return {"uptime_s": self.rng.bits(32), "boot": self.rng.bits(16)}
        return {"utc_s": self.rng.bits(32), "uncertainty_s": self.rng.choice(_UNCERTAINTIES)}

    def meter(self) -> Json:
        return {"slot": self.rng.below(16), "generation": self.rng.below(16)}

    def unit(self) -> Json:
        return unit(self.rng.choice(registry.QUANTITIES.codes()) << 4 | self.rng.below(16))

    def value(self) -> Json:
        return {"unit": self.unit(), "value": self.rng.bits(48)}

    def valve(self) -> str:
        return registry.VALVES.name(self.rng.below(10))

    def text(self, low: int, high: int) -> str:
        return "".join(chr(self.rng.between(0x20, 0x7E)) for _ in range(self.rng.between(low, high)))

    def health(self) -> Json:
        rng, out = self.rng, {}
        for name, value in (("battery_mv", 20 * rng.below(255)), ("remaining_percent", rng.below(101)),
                            ("rsrp_dbm", -rng.below(255)), ("snr_db", rng.between(-127, 127)),
                            ("temperature_degc", rng.between(-127, 127))):
            if rng.chance(80):
                out[name] = value
        return {**out, "sends": rng.below(16), "reset_cause": rng.choice(list(RESET_CAUSES.values()))}

    def series(self, count: int) -> list[Json]:
        """Segments over up to ``count`` marks; steps of one size class a series, with zeros."""
        rng, out, mark = self.rng, [], 1
        width = rng.choice((0, 3, 8, 14, 32))
        split = rng.choice((0, 0, 10, 40))
        while mark <= count:
            gap = rng.between(0, 3) if split and rng.chance(split) else 0
            mark += gap
            if mark > count:
                break
            adjoining = bool(out) and gap == 0
            registers = [rng.bits(46)]
            while mark + len(registers) <= count and not (split and rng.chance(split)):
                step = rng.bits(width) if width and rng.chance(70) else 0
                registers.append(min(REGISTER_MAX, registers[-1] + step))
            out.append({"reason": rng.between(1, 6) if adjoining else rng.choice((0, 0, 4)), "first_mark": mark,
                        "registers": registers})
            mark += len(registers)
        if not out:
            out = [{"reason": 0, "first_mark": count, "registers": [rng.bits(48)]}]
        if len(out) == 1 and len(out[0]["registers"]) == count:
            out[0]["reason"] = 0
        return out

    def gauges(self, count: int) -> list[int | None]:
        rng = self.rng
        missing, spread, level = rng.choice((0, 0, 10, 60)), rng.choice((0, 1, 5, 300, GAUGE_MAX)), rng.below(GAUGE_MAX + 1)
        out: list[int | None] = []
        for _ in range(count):
            level = max(0, min(GAUGE_MAX, level + rng.between(-spread, spread)))
            out.append(None if missing and rng.chance(missing) else level)
        if all(value is None for value in out):
            out[rng.below(count)] = level
        return out

    def report(self) -> Json:
        rng = self.rng
        out = {"stamp": self.stamp(), "epoch": rng.between(1, U32_MAX), "wake_slot_version": rng.below(16),
               "frames_following": rng.below(16), "command": rng.bits(32) if rng.chance(50) else 0}
        if out["command"]:
            out["outcome"] = registry.OUTCOMES.name(rng.choice((1, 2, 3, 9, 10, 11, rng.below(256))))
        return out

    def record(self) -> Json:
        """A record of any type."""
        kind = self.rng.choice([registry.RECORDS.name(code) for code in registry.RECORDS.codes()] + ["everyday", "opaque"])
        out = {"type": kind, "sequence": max(1, self.rng.bits(32))}
        return {**out, **getattr(self, "_" + kind)()}

    def _everyday(self) -> Json:
        rng, out = self.rng, {"valve": self.valve(), "meter": self.meter(), "unit": self.unit(), "day": self.rng.bits(16)}
        series = self.series(24) if rng.chance(80) else None
        last = series[-1] if series else None
        if last and last["first_mark"] + len(last["registers"]) - 1 == 24:
            out["daily_register"] = last["registers"][-1]
        elif rng.chance(60):
            out["daily_register"] = rng.bits(48)
        if series:
            out["hourly_registers"] = series
        if rng.chance(80):
            out["hourly_pressures"] = self.gauges(24)
        if rng.chance(80):
            out["health"] = self.health()
        return out

    def _register_reading(self) -> Json:
        return {"stamp": self.stamp(), "meter": self.meter(), "cause": self.rng.between(1, 6), "register": self.value()}

    def _interval(self) -> Json:
        return {"stamp": self.stamp(), "meter": self.meter(), "unit": self.unit(), "step_min": self.rng.between(1, 1440),
                "count": self.rng.choice((1, 2, 7, 8, 9, 24, 48, 60, self.rng.between(1, 250)))}

    def _interval_series(self) -> Json:
        out = self._interval()
        return {**out, "series": self.series(out["count"])}

    def _interval_gauges(self) -> Json:
        out = self._interval()
        return {**out, "gauges": self.gauges(out["count"])}

    def _alarm_notice(self) -> Json:
        rng, out = self.rng, {"stamp": self.stamp(), "meter": self.meter()}
        out.update(snapshot=rng.chance(30), valve=self.valve())
        if rng.chance(60):
            out["flow_category"] = self.text(1, 1)
        if rng.chance(60):
            out["register"] = self.value()
        out["panel"] = self.text(0, 8)
        out["alarms"] = [{"alarm": registry.ALARMS.name(rng.below(256)), "state": rng.choice(("raised", "cleared", "present")),
                          "code": rng.octets(2).hex()} for _ in range(rng.between(1, 6))]
        return out

    def _mac(self) -> Json:
        version = self.rng.bits(8)
        return {"command_key_version": version, **({"mac": self.rng.octets(16).hex()} if version else {})}

    def _valve_state(self) -> Json:
        mac = self._mac()
        out = {"stamp": self.stamp(), "meter": self.meter(), "valve": self.valve(), "cause": self.rng.between(1, 4),
               "command": self.rng.bits(32)}
        return {**out, **mac}

    def _health(self) -> Json:
        return {"stamp": self.stamp(), "health": self.health(), "sends_total": self.rng.bits(32), "uptime_s": self.rng.bits(32)}

    def _residual_gas(self) -> Json:
        out = {"stamp": self.stamp(), "meter": self.meter(), "level": self.rng.below(4)}
        return {**out, **({"register": self.value()} if self.rng.chance(50) else {})}

    def _meter_exchange(self) -> Json:
        slot, old = self.rng.below(16), self.rng.below(16)
        out = {"stamp": self.stamp(), "old_meter": {"slot": slot, "generation": old},
               "new_meter": {"slot": slot, "generation": (old + self.rng.between(1, 15)) % 16}}
        for name in ("old_register", "new_register"):
            if self.rng.chance(60):
                out[name] = self.value()
        return out

    def _meter_table(self) -> Json:
        return {"stamp": self.stamp(), "meter": self.meter(), "medium": self.rng.below(256), "unit": self.unit(),
                "digits": self.rng.between(1, 14), "serial": self.text(1, 16)}

    def _command_result(self) -> Json:
        rng, mac, out = self.rng, self._mac(), {"stamp": self.stamp()}
        out["command_key_version"] = mac.pop("command_key_version")
        out.update(command=rng.bits(32), kind=registry.KINDS.name(rng.choice(registry.KINDS.codes() + [rng.below(256)])),
                   meter=self.meter(), valve=self.valve(), outcome=registry.OUTCOMES.name(rng.choice((1, 2, rng.below(256)))),
                   data=rng.octets(rng.choice((0, 0, 1, 64, rng.below(65)))).hex())
        return {**out, **mac}

    def _clock_change(self) -> Json:
        return {"before": self.stamp(), "after": self.stamp(), "cause": self.rng.between(1, 3)}

    def _opaque_payload(self) -> Json:
        rng = self.rng
        return {"stamp": self.stamp(), "maker": rng.bits(16), "payload_type": rng.below(256),
                "payload": rng.octets(rng.choice((0, 1, rng.below(200), rng.below(900)))).hex()}

    def _terminal_info(self) -> Json:
        return {"stamp": self.stamp(), "model": self.rng.bits(16), "firmware": self.rng.bits(32),
                "capabilities": self.rng.bits(16), "zone_quarter_hours": self.rng.between(-48, 56)}

    def _opaque(self) -> Json:
        number = self.rng.choice((0x0F, 0x20, 0x5F, self.rng.between(0x60, 0x6F)))
        return {"number": number, "critical": self.rng.chance(20), "body": self.rng.octets(self.rng.below(20)).hex()}

    def session_item(self) -> Json:
        rng = self.rng
        if rng.chance(50):
            return {"item": "previous_epoch", "epoch": rng.between(1, U32_MAX)}
        if rng.chance(50):
            return {"item": "answer_refused", "number": rng.below(256)}
        return {"item": "unknown", "number": rng.between(0x73, 0x7E), "critical": rng.chance(30), "body": rng.octets(rng.below(9)).hex()}

    def items(self, resync: bool) -> list[Json]:
        rng, out = self.rng, []
        if rng.chance(40):
            out.append({"item": "come_back", "seconds": 4 * rng.between(1, 21600)})
        if rng.chance(40):
            out.append({"item": "slot", "version": rng.between(1, 15), "second_of_day": rng.below(86400)})
        if rng.chance(20) and not resync:
            out.append({"item": "floor", "counter": rng.between(1, COUNTER_MAX)})
        if rng.chance(10):
            out.append({"item": "unknown", "number": 4, "critical": False, "body": rng.octets(rng.below(9)).hex()})
        sequence = 0
        while rng.chance(35) and not resync:
            sequence += rng.between(1, 10**6)
            kind = rng.choice(registry.KINDS.codes() + [0xC0, 0xFE])
            length = rng.choice(registry.PARAMETER_LENGTHS.get(kind, (0, 1, 30)))
            out.append({"item": "command", "key_version": rng.between(1, 255), "sequence": sequence,
                        "kind": registry.KINDS.name(kind), "meter": self.meter(), "bound": rng.chance(70),
                        "precondition": rng.below(128), "not_after_utc_s": rng.bits(32),
                        "parameters": rng.octets(length).hex(), "mac": rng.octets(16).hex()})
        if rng.chance(10):
            out.append({"item": "unknown", "number": rng.between(8, 126), "critical": False, "body": rng.octets(rng.below(300)).hex()})
        return out

    def answer(self) -> Json:
        rng, items = self.rng, self.items(resync=False)
        ack = rng.chance(70) and not any(it["item"] == "floor" for it in items)
        ending = rng.choice((0, 2) if any(it["item"] == "command" for it in items) else (0, 1, 2))  # spec: ANS-3
        return {"ack": ack, "final": ending == 1, "more": ending == 2, "new_epoch": rng.chance(10), "unproven": rng.chance(10),
                "map": rng.bits(16), "items": items}


def usable(keys: Keyring) -> list[tuple[TerminalEntry, int]]:
    """Terminals and link key versions with which frames can be made."""
    out = []
    for entry in keys.terminals.values():
        if entry.mode == 0:
            if entry.allow_mode0:
                out.append((entry, 0))
            continue
        versions = set(entry.utility.masters["link"]) | {v for p, v in entry.imported if p == "link"}
        for version in sorted(versions):
            try:
                if len(entry.base("link", version)) < (32 if entry.mode == 3 else 16):
                    continue  # spec: KEY-5
            except OtlError:  # withdrawn or retired
                continue
            out.append((entry, version))
    return out


def _uplink(values: RandomValues, entry: TerminalEntry, version: int) -> bytes:
    rng = values.rng
    records: list[Json] = []
    room = wire.MAX_FRAME - 31 - 16 - 80
    for _ in range(rng.choice((0, 1, 1, 2, 3, 6))):
        record = values.record()
        octets = len(frames.encode_record(record))
        if octets <= room:
            records.append(record)
            room -= octets
    session = {}
    while rng.chance(20):  # spec: REC-34, ascending and each number once
        it = values.session_item()
        session[{"previous_epoch": 0x70, "answer_refused": 0x72}.get(it["item"], it.get("number"))] = it
    ticket = bytes(8) if rng.chance(20) else rng.octets(8)
    return frames.uplink(entry, version, rng.between(1, COUNTER_MAX), values.report(), records, ticket, rng.octets(8),
                         rng.chance(80), [session[n] for n in sorted(session)], rng.choice((128, 128, 192)), rng.chance(90))


def _sender(values: RandomValues, entry: TerminalEntry, version: int) -> bytes:
    """A frame from a terminal, or a CALL_NOW to it."""
    rng = values.rng
    pick = rng.below(10)
    if entry.mode and pick == 0:
        return frames.resync(entry, version, rng.octets(16), values.report(), rng.choice((1, 2, 3, rng.below(256))))
    if entry.mode and pick == 1:
        return frames.call_now(entry, version, rng.bits(32))
    return _uplink(values, entry, version)


def _reply(values: RandomValues, entry: TerminalEntry, header: Header) -> bytes:
    """An answer that fits into a frame."""
    rng = values.rng
    while True:
        try:
            if header.frame == "resync":
                floor = rng.between(1, COUNTER_MAX)
                return frames.resync_answer(entry, header, rng.octets(8), {"floor": floor, "items": values.items(True)})
            content = values.answer()
            if header.mode == 0:
                content["items"] = []
            return frames.answer(entry, header, rng.octets(8), content)
        except OtlError:
            continue  # too long


def stream(keys: Keyring, seed: str, count: int) -> Iterator[Json]:
    """``count`` frames, each with the JSON that a decoder must give; an answer follows its uplink."""
    rng = Drbg("stream:" + seed)
    values, senders, decoder = RandomValues(rng), usable(keys), Decoder(keys)
    made = 0
    while made < count:
        if rng.chance(4):
            batch = [(frames.close(rng.below(5)), None)]
        else:
            entry, version = rng.choice(senders)
            frame = _sender(values, entry, version)
            header, batch = parse(frame), [(frame, None)]
            if header.frame != "call_now" and rng.chance(50):
                batch.append((_reply(values, entry, header), frame))
        for frame, uplink in batch[:count - made]:
            line: Json = {"name": f"{seed}_{made}", "hex": frame.hex(), "keys": "keys.toml"}
            if uplink is not None:
                line["uplink"] = uplink.hex()
            line["json"] = decoder.decode(frame)
            if not line["json"]["ok"]:
                raise AssertionError(line)
            yield line
            made += 1
