# SPDX-License-Identifier: MIT OR Apache-2.0
"""records.toml and series.toml: every record type in several shapes, and the bit coder alone."""

from typing import Any

from otl.jsonform import dumps
from otl.records import encode_record
from otl.report import unit
from otl.series import decode_gauges, decode_series, encode_gauges, encode_series
from otl.wire import REGISTER_MAX, U32_MAX, Cursor
from . import samples as s
from .frames_v import alarm, up
from .toml import Vector, good, text

MAC = "00112233445566778899aabbccddeeff"
Segments = list[s.Json]


def segment(first: int, registers: list[int], reason: int = 0) -> s.Json:
    """A segment in the JSON form."""
    return {"reason": reason, "first_mark": first, "registers": registers}


def gaps() -> list[int | None]:
    """Pressures with missing marks."""
    return [None if i in (0, 5, 6, 23) else 280 + i for i in range(24)]


def _everyday_cases() -> list[tuple[str, str, s.Json]]:
    registers = s.day_registers()
    wrap = [segment(1, [REGISTER_MAX - 5, REGISTER_MAX]), segment(3, [3, 4, 5], 1)]
    worst = s.day_registers(REGISTER_MAX - 23 * 40000, [40000] * 23)
    return [
        ("everyday", "REC-17 REC-18 SER-5 SER-7", s.everyday()),
        ("everyday_vacant", "REC-17 REC-19", s.everyday(hourly_registers=[segment(1, [1234567] * 24)], daily_register=1234567)),
        ("everyday_daily_register_only", "REC-18", s.everyday(hourly_registers=None, hourly_pressures=None, health=None)),
        ("everyday_nothing_measured", "REC-19", s.everyday(daily_register=None, hourly_registers=None,
                                                            hourly_pressures=None, health=None, valve="unknown")),
        ("everyday_mark_24_not_measured", "REC-18 REC-19", s.everyday(
            hourly_registers=[segment(1, registers[:20])], daily_register=None)),
        ("everyday_mark_24_missing_daily_explicit", "REC-18", s.everyday(
            hourly_registers=[segment(3, registers[2:20])], daily_register=registers[-1])),
        ("everyday_gaps", "SER-1 SER-2 SER-7", s.everyday(
            hourly_registers=[segment(2, registers[1:5]), segment(9, registers[8:24])], hourly_pressures=gaps())),
        ("everyday_wrap", "SER-1 SER-2 REC-16", s.everyday(hourly_registers=wrap, daily_register=None)),
        ("everyday_clock_step", "SER-1 ANS-17", s.everyday(
            hourly_registers=[segment(1, registers[:10]), segment(11, registers[10:], 4)])),
        ("everyday_reverse_flow", "SER-1", s.everyday(
            hourly_registers=[segment(1, [50, 60, 61]), segment(4, [59] * 21, 3)], daily_register=59)),
        ("everyday_24_segments", "SER-2", s.everyday(
            hourly_registers=[segment(i + 1, [1000 - i], 2 if i else 0) for i in range(24)], daily_register=977)),
        ("everyday_worst", "REC-16 SER-8", s.everyday(
            unit=unit(s.DECILITRE), hourly_registers=[segment(1, worst)], daily_register=worst[-1],
            hourly_pressures=[0, 65533] * 12)),
        ("everyday_health_unknown", "REC-20", s.everyday(health={"sends": 15, "reset_cause": "unknown"})),
        ("everyday_health_limits", "REC-20", s.everyday(health={
            "battery_mv": 5080, "remaining_percent": 100, "rsrp_dbm": -254, "snr_db": -127, "temperature_degc": 127,
            "sends": 0, "reset_cause": "external"})),
        ("everyday_day_and_meter_limits", "REC-13 REC-14", s.everyday(day=65535, meter=s.meter(15, 15), valve="not_fitted")),
        ("everyday_day_zero_cubic_metres", "REC-16", s.everyday(day=0, unit=unit(0x18), valve="fault", sequence=1)),
        ("everyday_energy", "REC-16", s.everyday(unit=unit(0x2B), hourly_pressures=None, sequence=U32_MAX, valve="not_fitted")),
    ]


def _reading_cases() -> list[tuple[str, str, s.Json]]:
    causes = [("scheduled", 1), ("on_demand", 2), ("installation", 3), ("before_exchange", 4), ("event", 5), ("closing_day", 6)]
    out: list[tuple[str, str, s.Json]] = [
        (f"reading_{name}", "REC-21", {"type": "register_reading", "sequence": 100 + code, "stamp": s.stamp(),
                                        "meter": s.meter(1, 2), "cause": code, "register": s.value(7654321)})
        for name, code in causes]
    out += [
        ("reading_zero", "REC-19", {"type": "register_reading", "sequence": 1, "stamp": s.stamp(), "meter": s.meter(),
                                    "cause": 1, "register": s.value(0)}),
        ("reading_largest_unset_clock", "REC-3 REC-16", {
            "type": "register_reading", "sequence": 2, "stamp": s.unset(U32_MAX, 65535), "meter": s.meter(),
            "cause": 2, "register": s.value(REGISTER_MAX, 0xF8)}),
    ]
    return out


def _interval(kind: str, field: str, values: Any, count: int, step: int = 30, code: int = s.LITRE,
              sequence: int = 300) -> s.Json:
    return {"type": kind, "sequence": sequence, "stamp": s.stamp(s.NOW - 7200), "meter": s.meter(), "unit": unit(code),
            "step_min": step, "count": count, field: values}


def _interval_cases() -> list[tuple[str, str, s.Json]]:
    long = list(range(1000, 1250))
    return [
        ("series_one_mark", "SER-5", _interval("interval_series", "series", [segment(1, [5])], 1, 1)),
        ("series_250_marks", "REC-21 SER-3", _interval("interval_series", "series", [segment(1, long)], 250, 1440)),
        ("series_two_segments", "SER-2", _interval(
            "interval_series", "series", [segment(1, [7, 8]), segment(4, [8, 8, 9])], 6)),
        ("series_step_4294967295", "SER-6", _interval(
            "interval_series", "series", [segment(1, [0, U32_MAX, 2 * U32_MAX])], 3)),
        ("series_step_too_large_splits", "SER-1", _interval(
            "interval_series", "series", [segment(1, [0]), segment(2, [2**32, 2**32 + 1], 5)], 3)),
        ("gauges_one_mark", "SER-8", _interval("interval_gauges", "gauges", [65533], 1, 1, s.DECAPASCAL)),
        ("gauges_250_marks", "REC-21", _interval(
            "interval_gauges", "gauges", [280 + i % 7 for i in range(250)], 250, 5, s.DECAPASCAL)),
        ("gauges_one_of_nine", "SER-7", _interval(
            "interval_gauges", "gauges", [None] * 8 + [280], 9, 60, s.DECAPASCAL)),
        ("gauges_gaps", "SER-7", _interval("interval_gauges", "gauges", gaps(), 24, 60, s.DECAPASCAL)),
        ("gauges_temperature_unit", "REC-16", _interval("interval_gauges", "gauges", [215, 216, 214], 3, 10, 0x87)),
    ]


def _alarm_cases() -> list[tuple[str, str, s.Json]]:
    six = [{"alarm": name, "state": state, "code": code} for name, state, code in (
        ("flow_excess_shutoff", "raised", "3031"), ("seismic_shutoff", "raised", "3038"),
        ("micro_leak_flow", "cleared", "3231"), ("unknown", "present", "0000"),
        ("unknown_77", "present", "ffff"), ("unknown_200", "raised", "4d31"))]
    return [
        ("alarm", "REC-22", alarm()),
        ("alarm_smallest", "REC-21", alarm(register=None, panel="", flow_category=None, valve="unknown",
                                           alarms=[{"alarm": "unknown", "state": "raised", "code": "0000"}])),
        ("alarm_six_alarms_panel_of_eight", "REC-21 REC-22 REC-24", alarm(alarms=six, panel="~ABCDEF ", valve="emergency_closed")),
        ("alarm_snapshot_unset_clock", "REC-3", alarm(snapshot=True, stamp=s.unset(), valve="reopen_permitted")),
        ("alarm_unmapped", "REC-23", alarm(alarms=[{"alarm": "unknown", "state": "raised", "code": "5a39"}])),
        ("alarm_leak_check", "REC-21", alarm(valve="leak_check_running", panel="=", flow_category="~")),
    ]


def _other_cases() -> list[tuple[str, str, s.Json]]:
    result = {"type": "command_result", "sequence": 901, "stamp": s.stamp(), "command_key_version": 1, "command": 78,
              "kind": "valve_close", "meter": s.meter(), "valve": "closed_by_centre", "outcome": "done", "data": "", "mac": MAC}
    valve = {"type": "valve_state", "sequence": 902, "stamp": s.stamp(), "meter": s.meter(), "valve": "closed_by_centre",
             "cause": 1, "command": 78, "command_key_version": 1, "mac": MAC}
    plain = {"command_key_version": 0, "mac": None}
    exchange = {"type": "meter_exchange", "sequence": 903, "stamp": s.stamp(), "old_meter": s.meter(0, 3),
                "new_meter": s.meter(0, 4), "old_register": s.value(9998877), "new_register": s.value(0)}
    table = {"type": "meter_table", "sequence": 904, "stamp": s.stamp(), "meter": s.meter(), "medium": 3,
             "unit": unit(s.LITRE), "digits": 8, "serial": "12-345678"}
    payload = {"type": "opaque_payload", "sequence": 905, "stamp": s.stamp(), "maker": 17, "payload_type": 2, "payload": "1081"}
    info = {"type": "terminal_info", "sequence": 906, "stamp": s.stamp(), "model": 4711, "firmware": 0x01020003,
            "capabilities": 0x2B, "zone_quarter_hours": 36}
    residual = {"type": "residual_gas", "sequence": 907, "stamp": s.stamp(), "meter": s.meter(), "level": 2,
                "register": s.value(44100)}
    health = {"type": "health", "sequence": 908, "stamp": s.stamp(), "health": dict(s.HEALTH), "sends_total": 4711,
              "uptime_s": 8640000}
    clock = {"type": "clock_change", "sequence": 909, "before": s.stamp(s.NOW - 31), "after": s.stamp(uncertainty=1), "cause": 1}
    opaque = {"type": "opaque", "sequence": 910, "number": 0x20, "critical": False, "body": "cafe"}

    def but(record: s.Json, **changes: Any) -> s.Json:
        return {key: val for key, val in {**record, **changes}.items() if val is not None}

    return [
        ("result", "CMD-13 CMD-14 REC-26", result),
        ("result_without_mac", "REC-26", but(result, **plain, kind="read_register", data="15e1f44b", valve="open")),
        ("result_64_octets_of_data", "REC-21", but(result, data="a5" * 64, valve="not_fitted", meter=s.meter(15, 15))),
        ("result_unknown_kind_and_outcome", "REC-21", but(result, kind="unknown_192", outcome="unknown_99")),
        ("result_begun", "CMD-6", but(result, outcome="begun", command=U32_MAX, command_key_version=255)),
        ("valve_state_by_command", "CMD-14 REC-26", valve),
        ("valve_state_by_meter", "REC-26", but(valve, **plain, cause=2, command=0, valve="closed_by_meter")),
        ("valve_state_locally", "REC-21", but(valve, **plain, cause=3, valve="closed_local", stamp=s.unset())),
        ("valve_state_unknown", "REC-21", but(valve, **plain, cause=4, valve="unknown")),
        ("health", "REC-20", health),
        ("health_limits", "REC-20", but(health, sends_total=U32_MAX, uptime_s=U32_MAX, health={
            "battery_mv": 0, "remaining_percent": 0, "rsrp_dbm": 0, "snr_db": 127, "temperature_degc": -127,
            "sends": 15, "reset_cause": "fault"})),
        ("residual_gas", "REC-21", residual),
        ("residual_gas_no_register", "REC-21", but(residual, level=0, register=None)),
        ("residual_gas_level_3_mass", "REC-21", but(residual, level=3, register=s.value(20000, 0x45))),
        ("meter_exchange", "REC-14 REC-25", exchange),
        ("meter_exchange_no_values", "REC-25", but(exchange, old_register=None, new_register=None)),
        ("meter_exchange_new_value_other_unit", "REC-25", but(exchange, old_register=None, new_register=s.value(12, s.DECILITRE))),
        ("meter_exchange_old_value_last_generation", "REC-14", but(
            exchange, old_meter=s.meter(15, 14), new_meter=s.meter(15, 15), new_register=None)),
        ("meter_table", "REC-13", table),
        ("meter_table_smallest", "REC-21", but(table, digits=1, serial="7", medium=2, unit=unit(0x2B))),
        ("meter_table_largest", "REC-21", but(table, digits=14, serial=" !\"#$%&()*+,-./~", medium=255)),
        ("clock_change", "REC-5", clock),
        ("clock_change_from_unset", "REC-5", but(clock, before=s.unset())),
        ("clock_change_to_unset", "REC-3 REC-5", but(clock, after=s.unset(), cause=3)),
        ("clock_change_technician", "REC-21", but(clock, cause=2)),
        ("opaque_payload", "EXT-7", payload),
        ("opaque_payload_empty", "EXT-7", but(payload, payload="", maker=65535, payload_type=255)),
        ("terminal_info", "REC-21", info),
        ("terminal_info_limits", "REC-21", but(info, model=65535, firmware=U32_MAX, capabilities=65535, zone_quarter_hours=-48)),
        ("unknown_type", "REC-7", opaque),
        ("unknown_type_critical", "REC-7", but(opaque, critical=True)),
        ("makers_own_type_empty", "REC-7 EXT-2", but(opaque, number=0x6F, body="", sequence=U32_MAX)),
    ]


def cases() -> list[tuple[str, str, s.Json]]:
    """All record cases: name, clauses, record."""
    return _everyday_cases() + _reading_cases() + _interval_cases() + _alarm_cases() + _other_cases()


def record_vectors() -> list[Vector]:
    """Each record alone in a mode 1 frame."""
    out = [good(f"record_{name}", clauses, up(1, 200000 + i, [record])) for i, (name, clauses, record) in enumerate(cases())]
    mixed = [alarm(5), _other_cases()[0][2], s.everyday(1), s.everyday(2)]
    out.append(good("records_in_order", "REC-30 REC-11", up(1, 201000, mixed)))
    return out


def _series(name: str, clauses: str, count: int, segments: Segments) -> Vector:
    raw = encode_series(segments, count)
    cur = Cursor(raw)
    if decode_series(cur, count) != segments or cur.left:
        raise AssertionError(name)
    return Vector(name, clauses.split(), {"kind": "series", "count": count, "hex": raw.hex(), "value_json": dumps(segments)})


def _gauges(name: str, clauses: str, values: list[int | None]) -> Vector:
    raw = encode_gauges(values)
    cur = Cursor(raw)
    if decode_gauges(cur, len(values)) != values or cur.left:
        raise AssertionError(name)
    return Vector(name, clauses.split(), {"kind": "gauges", "count": len(values), "hex": raw.hex(), "value_json": dumps(values)})


def series_vectors() -> list[Vector]:
    """The bit coder alone."""
    ramp = [i * i for i in range(24)]
    return [
        _series("one_mark", "SER-5", 1, [segment(1, [0])]),
        _series("one_mark_largest_register", "REC-16", 1, [segment(1, [REGISTER_MAX])]),
        _series("all_zero_steps", "SER-3", 24, [segment(1, [1234567] * 24)]),
        _series("all_one_steps_fill_of_three", "SER-3 SER-4", 9, [segment(1, list(range(9)))]),
        _series("steps_of_two", "SER-3", 4, [segment(1, [0, 2, 4, 6])]),
        _series("tie_takes_smaller_k", "SER-3", 3, [segment(1, [0, 1, 4])]),
        _series("squares", "SER-3", 24, [segment(1, ramp)]),
        _series("largest_step_k_31", "SER-6", 2, [segment(1, [REGISTER_MAX - U32_MAX, REGISTER_MAX])]),
        _series("small_and_largest_steps", "SER-3 SER-6", 4, [segment(1, [0, 1, 1, 1 + U32_MAX])]),
        _series("ordinary_day", "SER-3", 24, [segment(1, s.day_registers())]),
        _series("segment_at_end", "SER-2", 24, [segment(24, [77])]),
        _series("first_segment_starts_late", "SER-2", 5, [segment(3, [1, 2, 3])]),
        _series("first_segment_with_reason", "SER-2", 5, [segment(1, [1, 2], 4), segment(4, [2, 2])]),
        _series("segments_of_one_no_stream", "SER-2", 3, [segment(1, [9]), segment(2, [8], 3), segment(3, [7], 3)]),
        _series("wrap", "SER-1 SER-2", 4, [segment(1, [99999998, 99999999]), segment(3, [0, 4], 1)]),
        _series("all_reasons", "SER-2", 7, [segment(i + 1, [i], i) for i in range(7)]),
        _series("k_shared_by_segments", "SER-3", 8, [segment(1, [0, 100, 200]), segment(5, [5, 6, 7, 8])]),
        _series("count_250", "SER-3", 250, [segment(1, [i // 3 for i in range(250)])]),
        _gauges("gauge_one", "SER-8", [0]),
        _gauges("gauge_largest", "SER-8", [65533]),
        _gauges("gauge_two_equal", "SER-8", [280, 280]),
        _gauges("gauge_down_by_one", "SER-8", [280, 279]),
        _gauges("gauge_up_by_one", "SER-8", [280, 281]),
        _gauges("gauge_rails", "SER-8", [0, 65533, 0, 65533]),
        _gauges("gauge_first_missing", "SER-7", [None, 280, 281]),
        _gauges("gauge_only_last_of_eight", "SER-7", [None] * 7 + [280]),
        _gauges("gauge_bitmap_of_24", "SER-7", gaps()),
        _gauges("gauge_bitmap_fill", "SER-7", [280, None, 281, 282, 279, 280, 280, 280, 281, 283]),
        _gauges("gauge_ordinary_day", "SER-3", s.day_pressures()),
        _gauges("gauge_count_250", "SER-3", [1000 + (i * 37) % 101 for i in range(250)]),
    ]


def files() -> dict[str, str]:
    """All files of this module."""
    assert all(encode_record(record) for _, _, record in cases())
    return {
        "otl/records.toml": text("Every record type in several shapes and at its limits (part 6), each alone in a mode 1 frame.\n"
                                 "MACs of results and valve states are placeholders here; commands.toml holds real ones.",
                                 record_vectors()),
        "otl/series.toml": text("Series and gauges alone (part 6). kind: series or gauges; hex: their octets without any record;\n"
                                "value_json: the value in the form of decode-json.md.", series_vectors()),
    }
