# SPDX-License-Identifier: MIT OR Apache-2.0
"""uplink.toml, resync.toml, answer.toml, call.toml: whole frames of every type in every mode."""

from otl import frames, schedule, wire
from otl.answers import encode_answer
from otl.wire import parse
from . import samples as s
from .keys import entry
from .toml import Vector, good, text

FLOOR = schedule.floor(0, s.NOW)  # the counter line stands above every counter of the usual terminals
TERMINALS = {0: ("mode0", 0), 1: ("mode1", 2), 2: ("mode2", 2), 3: ("mode3", 1)}


def alarm(sequence: int = 900, **changes: object) -> s.Json:
    """An alarm notice with a register and two alarms."""
    out: s.Json = {"type": "alarm_notice", "sequence": sequence, "stamp": s.stamp(), "meter": s.meter(),
                   "snapshot": False, "valve": "closed_by_meter", "flow_category": "7",
                   "register": s.value(1235999), "panel": "A BC",
                   "alarms": [{"alarm": "use_time_shutoff", "state": "raised", "code": "3032"},
                              {"alarm": "use_time_notice", "state": "present", "code": "3039"}]}
    out.update(changes)
    return {key: val for key, val in out.items() if val is not None}


def up(mode: int, counter: int = 100001, records: list[s.Json] | None = None, report: s.Json | None = None,
       **more: object) -> bytes:
    """An UPLINK of the usual terminal of a mode."""
    name, version = TERMINALS[mode]
    more.setdefault("ticket", s.TICKET)
    more.setdefault("nt", s.NT)
    return frames.uplink(entry(name), version, counter, report or s.report(),
                         [s.everyday()] if records is None else records, **more)


def answer_content(items: list[s.Json] | None = None, ack: bool = True, final: bool = True, more: bool = False,
                   new_epoch: bool = False, unproven: bool = False, bitmap: int = 0) -> s.Json:
    """The content of an ANSWER."""
    return {"ack": ack, "final": final, "more": more, "new_epoch": new_epoch, "unproven": unproven,
            "map": bitmap, "items": items or []}


def down(uplink: bytes, content: s.Json, ns: bytes | None = None) -> bytes:
    """An ANSWER to an uplink of one of the usual terminals."""
    header = parse(uplink)
    return frames.answer(entry(TERMINALS[header.mode][0]), header, ns or s.ns(), content)


def uplink_vectors() -> list[Vector]:
    """UPLINK frames."""
    out = []
    for mode in range(4):
        clauses = "FRM-8 FRM-13 SEC-3" if mode == 0 else f"FRM-10 SEC-6 NON-1 KEY-4{' KEY-5' if mode == 3 else ''}"
        out.append(good(f"everyday_mode_{mode}", clauses, up(mode)))
        out.append(good(f"alarm_mode_{mode}", "FRM-6 REC-22 REC-30", up(mode, 100002, [alarm(), s.everyday()])))
        out.append(good(f"unset_clock_no_ticket_mode_{mode}", "REC-3 FRS-1",
                        up(mode, 1, [], s.report(when=s.unset(), slot=0), ticket=bytes(8))))
    name = entry("mode1")
    out += [
        good("empty_uplink", "REC-1", up(1, 100003, [])),
        good("no_answer_wanted_seven_follow", "REC-31 ANS-5", up(1, 100004, answer=False, report=s.report(following=7))),
        good("fifteen_or_more_follow", "REC-31", up(2, 100005, answer=False, report=s.report(following=15))),
        good("last_of_a_batch", "REC-31", up(1, 100012)),
        good("counter_largest", "NON-5", up(1, wire.COUNTER_MAX)),
        good("counter_smallest", "NON-5", up(2, 1)),
        good("report_names_a_command", "REC-1 CMD-15", up(1, 100013, report=s.report(command=77))),
        good("report_largest_command", "GEN-2", up(1, 100014, report=s.report(command=2**32 - 1, outcome="begun"))),
        good("report_unknown_outcome", "REC-1", up(1, 100015, report=s.report(command=300, outcome="unknown_200"))),
        good("uncertainty_63_s", "REC-1", up(1, 100016, [], s.report(when=s.stamp(uncertainty=63)))),
        good("uncertainty_64_s", "REC-1", up(1, 100017, [], s.report(when=s.stamp(uncertainty=64)))),
        good("uncertainty_2048_s", "REC-1", up(1, 100018, [], s.report(when=s.stamp(uncertainty=2048)))),
        good("uncertainty_unknown", "REC-1", up(1, 100019, [], s.report(when=s.stamp(uncertainty=None)))),
        good("previous_epoch", "REC-28", up(1, 100020, [], session_items=[{"item": "previous_epoch", "epoch": 7}])),
        good("answer_refused", "ANS-20", up(1, 100027, [], session_items=[
            {"item": "previous_epoch", "epoch": 2**32 - 1}, {"item": "answer_refused", "number": 9}])),
        good("unknown_session_items", "REC-29",
             up(2, 100021, session_items=[{"item": "unknown", "number": 0x71, "critical": False, "body": "0102"},
                                          {"item": "unknown", "number": 0x7E, "critical": True, "body": ""}])),
        good("routine_size_192", "FRM-11", up(1, 100022, [], routine=192)),
        good("off_ladder_kept", "FRM-12", up(1, 100023, pad=False)),
        good("largest_frame", "FRM-4 FRM-10", up(3, 100024, [s.everyday(n) for n in range(1, 12)] + [_filler(1200, 3)])),
        good("length_1152", "FRM-10", up(1, 100025, [*(s.everyday(n) for n in (1, 2)), _filler(1152, 1, 2)])),
        good("expired_key_version", "KEY-8", frames.uplink(name, 1, 5, s.report(), [])),
        good("new_key_version", "KEY-8", frames.uplink(name, 3, 100026, s.report(), [])),
        good("utility_b_32_octet_base_key_mode_1", "KEY-3 KEY-4",
             frames.uplink(entry("mode1_b"), 1, 9, s.report(), [s.everyday()])),
        good("promoted_version_mode_2", "ROT-7",
             frames.uplink(entry("mode2_b"), 2, 9, s.report(), [s.everyday()], s.TICKET, s.NT)),
        good("imported_key_mode_1", "KEY-6", frames.uplink(entry("imported1"), 7, 9, s.report(), [s.everyday()])),
        good("imported_key_mode_3", "KEY-5 KEY-6",
             frames.uplink(entry("imported3"), 7, 9, s.report(), [s.everyday()], s.TICKET, s.NT)),
        good("unregistered_terminal", "SEC-2", _stranger(up(1))),
        good("unregistered_terminal_mode_0", "SEC-2", _stranger(up(0))),
    ]
    return out


def _filler(size: int, mode: int, everyday: int = 11) -> s.Json:
    """An opaque payload that fills a frame to exactly ``size`` octets, without padding."""
    record: s.Json = {"type": "opaque_payload", "sequence": 99, "stamp": s.stamp(), "maker": 9, "payload_type": 1,
                      "payload": ""}
    records = [s.everyday(n) for n in range(1, everyday + 1)]
    name, version = TERMINALS[mode]
    for octets in range(size):
        record["payload"] = (bytes(range(256)) * 5)[:octets].hex()
        frame = frames.uplink(entry(name), version, 1, s.report(), records + [record], pad=False)
        if len(frame) == size:
            return record
    raise AssertionError("no such size")


def _stranger(frame: bytes) -> bytes:
    return frame[:3] + bytes.fromhex("0001000000000001") + frame[11:]


def resync_vectors() -> list[Vector]:
    """RESYNC and RESYNC_ANSWER frames."""
    out = []
    for mode in (1, 2, 3):
        name, version = TERMINALS[mode]
        who = entry(name)
        ask = frames.resync(who, version, s.NR, s.report(when=s.unset(), slot=0, epoch=0xE0000000 + mode), mode)
        header = parse(ask)
        out += [good(f"resync_mode_{mode}", "FRM-14 RSY-1 NON-1", ask),
                good(f"resync_answer_mode_{mode}", "RSY-2 SEC-7 REP-6",
                     frames.resync_answer(who, header, s.ns(), {"floor": FLOOR, "items": []}), ask)]
    ask = frames.resync(entry("mode1"), 2, s.NR, s.report(command=2**32 - 1, when=s.unset()), 3)
    out += [
        good("resync_longest_report", "FRM-14", ask),
        good("resync_unknown_reason", "FRM-15", frames.resync(entry("mode1"), 2, s.NR, s.report(), 200)),
        good("resync_set_clock", "RSY-3", frames.resync(entry("mode2"), 2, s.NR, s.report(), 2)),
        good("resync_unregistered_terminal", "SEC-2", _stranger(ask)),
        good("resync_answer_with_slot", "ANS-15", frames.resync_answer(
            entry("mode1"), parse(ask), s.ns(), {"floor": wire.COUNTER_MAX, "items": [
                {"item": "come_back", "seconds": 4}, {"item": "slot", "version": 15, "second_of_day": 86399}]}), ask),
        good("resync_answer_without_its_resync", "SEC-7", frames.resync_answer(
            entry("mode1"), parse(ask), s.ns(), {"floor": 1, "items": []})),
    ]
    return out


def answer_vectors() -> list[Vector]:
    """ANSWER frames without commands."""
    out = []
    come_back = {"item": "come_back", "seconds": 3600}
    slot = {"item": "slot", "version": 2, "second_of_day": 10800}
    for mode in range(4):
        ask = up(mode)
        out.append(good(f"ack_final_mode_{mode}", "ANS-1 ANS-9 SEC-7 NON-1" if mode else "ANS-13 FRM-16",
                        down(ask, answer_content()), ask))
        if mode:
            out.append(good(f"come_back_and_slot_mode_{mode}", "ANS-11 ANS-18",
                            down(ask, answer_content([come_back, slot])), ask))
            out.append(good(f"floor_mode_{mode}", "REP-5 REP-6 ANS-14",
                            down(ask, answer_content([{"item": "floor", "counter": FLOOR}], ack=False)), ask))
    ask = up(1)
    cases = {
        "more": ("ANS-8", answer_content(final=False, more=True)),
        "neither_final_nor_more": ("ANS-8", answer_content(final=False)),
        "new_epoch_without_ack": ("REC-9", answer_content(ack=False, final=False, new_epoch=True)),
        "no_ack_empty_map": ("ANS-4", answer_content(ack=False, final=False)),
        "map_of_a_batch": ("ANS-2 REC-31", answer_content(bitmap=0x007F)),
        "map_full": ("ANS-2", answer_content(bitmap=0xFFFF)),
        "map_hole": ("ANS-2", answer_content(ack=True, bitmap=0b0111_1011)),
        "come_back_without_ack": ("OVL-1", answer_content([come_back], ack=False, final=True)),
        "come_back_smallest": ("ANS-19", answer_content([{"item": "come_back", "seconds": 4}])),
        "come_back_largest": ("ANS-19", answer_content([{"item": "come_back", "seconds": 86400}])),
        "slot_limits": ("ANS-19", answer_content([{"item": "slot", "version": 15, "second_of_day": 86399}])),
        "slot_smallest": ("ANS-19", answer_content([{"item": "slot", "version": 1, "second_of_day": 0}])),
        "floor_largest": ("ANS-19", answer_content([{"item": "floor", "counter": wire.COUNTER_MAX}], ack=False)),
        "unknown_item_skipped": ("ANS-12", answer_content(
            [slot, {"item": "unknown", "number": 4, "critical": False, "body": "beef"},
             {"item": "unknown", "number": 0x7E, "critical": False, "body": ""}])),
    }
    out += [good(name, clauses, down(ask, content), ask) for name, (clauses, content) in cases.items()]
    fresh = up(1, 100028, ticket=bytes(8))
    out.append(good("unproven", "FRS-2", down(fresh, answer_content(unproven=True)), fresh))
    out.append(good("answer_without_its_uplink", "SEC-7", down(ask, answer_content())))
    out.append(good("second_answer_other_ns", "NON-8 ANS-6", down(ask, answer_content(), s.ns(s.NOW + 1, 2)), ask))
    assert len(encode_answer(answer_content())) == wire.ANSWER_FIXED
    return out


def call_vectors() -> list[Vector]:
    """CALL_NOW and CLOSE frames."""
    out = []
    for mode in (1, 2, 3):
        name, version = TERMINALS[mode]
        out.append(good(f"call_now_mode_{mode}", "SEC-8 SES-12 SES-13", frames.call_now(entry(name), version, s.NOW)))
    out.append(good("call_now_largest_counter", "SES-13", frames.call_now(entry("mode1"), 2, 2**32 - 1)))
    out.append(good("call_now_unregistered_terminal", "SEC-2", _stranger(frames.call_now(entry("mode1"), 2, 1))))
    out += [good(f"close_{name}", "ERR-4", frames.close(code))
            for code, name in enumerate(("generic", "idle", "taken_over", "stopping"))]
    out.append(good("close_unknown_code", "ERR-4", frames.close(255)))
    return out


def files() -> dict[str, str]:
    """All files of this module."""
    return {
        "otl/uplink.toml": text("UPLINK frames (parts 2, 4 and 6): modes, reports, lengths, key versions.", uplink_vectors()),
        "otl/resync.toml": text("RESYNC and RESYNC_ANSWER frames (parts 2 and 4).\n"
                                "uplink: the RESYNC that an answer answers.", resync_vectors()),
        "otl/answer.toml": text("ANSWER frames without commands (part 7).\n"
                                "uplink: the UPLINK that the answer answers.", answer_vectors()),
        "otl/call.toml": text("CALL_NOW and CLOSE frames (parts 2, 5 and 10).", call_vectors()),
    }
