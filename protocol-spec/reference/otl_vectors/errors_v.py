# SPDX-License-Identifier: MIT OR Apache-2.0
"""errors.toml: frames that must be refused, each with its kind and offset. Kinds and offsets are written by hand."""

from otl import frames, wire
from otl.answers import encode_item
from otl.report import write_report
from otl.wire import RESYNC_LENGTH, item, parse, u, varint
from . import samples as s
from .frames_v import TERMINALS, up
from .keys import entry, identity
from .toml import Vector, bad, text

REPORT = write_report(s.report())  # 11 octets: stamp 0, epoch 5, slots 9, command 10
H1, H2 = 23, 31  # header lengths of UPLINK in mode 1 and in modes 2 and 3


def sealed(plaintext: bytes, mode: int = 1, counter: int = 500000, pad: bool = True) -> bytes:
    """An UPLINK with any plaintext under a valid tag."""
    name, version = TERMINALS[mode]
    raw = wire.uplink_header(mode, version, entry(name).identity, counter, s.TICKET, s.NT, False, True)
    length = len(raw) + len(plaintext) + wire.TAG_OCTETS[mode]
    if mode and pad:
        plaintext += bytes(wire.padded_length(length) - length)
    return frames.seal_uplink(entry(name), raw, plaintext)


def record(body: bytes, number: int, mode: int = 1, sequence: bytes = b"\x01", critical: bool = False) -> bytes:
    """An UPLINK with one record of any body. In mode 1 the body after the sequence begins at 23 + 11 + 3 = 37."""
    return sealed(REPORT + item(number, sequence + body, critical), mode)


def answered(plaintext: bytes, mode: int = 1) -> tuple[bytes, bytes]:
    """An ANSWER with any plaintext under a valid tag, and its uplink. The plaintext begins at 14."""
    name, _ = TERMINALS[mode]
    ask = up(mode, 500001)
    header = parse(ask)
    return frames.seal_answer(entry(name), wire.answer_header(mode, header.counter, s.ns()), plaintext, header), ask


def changed(frame: bytes, at: int, value: int) -> bytes:
    """The frame with one octet replaced."""
    return frame[:at] + bytes((value,)) + frame[at + 1:]


def header_errors() -> list[Vector]:
    """Refusals before any key is used."""  # spec: ERR-2
    ok, ok0, ok2, ok3 = up(1), up(0), up(2), up(3)
    resync = frames.resync(entry("mode1"), 2, s.NR, s.report(), 1)
    reply = frames.resync_answer(entry("mode1"), parse(resync), s.ns(), {"floor": 9, "items": []})
    call = frames.call_now(entry("mode1"), 2, s.NOW)
    answer, _ = answered(b"\x01\x00\x00")
    clear_answer, _ = answered(b"\x01\x00\x00", 0)
    out = [
        bad("empty_frame", "ERR-2", b"", "truncated", 0),
        bad("one_octet", "ERR-2", ok[:1], "truncated", 1, receiver="server"),
        bad("oversize_1201", "FRM-4", ok + bytes(1201 - len(ok)), "oversize", 1200),
        bad("oversize_before_version", "ERR-2", b"\x21" + bytes(1300), "oversize", 1200),
        bad("version_0", "FRM-1", changed(ok, 0, 0x01), "unsupported_version", 0),
        bad("version_2", "FRM-1 EXT-5", changed(ok, 0, 0x21), "unsupported_version", 0),
        bad("version_15_alone", "FRM-1", b"\xff", "unsupported_version", 0),
        bad("frame_type_0", "FRM-2", changed(ok, 0, 0x10), "unknown_frame_type", 0),
        bad("frame_type_3", "FRM-2", changed(ok, 0, 0x13), "unknown_frame_type", 0),
        bad("frame_type_14", "FRM-2", changed(ok, 0, 0x1E), "unknown_frame_type", 0),
        bad("answer_at_server", "FRM-2", answer, "wrong_direction", 0, receiver="server"),
        bad("close_at_server", "FRM-2", frames.close(0), "wrong_direction", 0, receiver="server"),
        bad("uplink_at_terminal", "FRM-2", ok, "wrong_direction", 0, receiver="terminal"),
        bad("mode_4", "FRM-3", changed(ok, 1, 0x88), "unknown_mode", 1),
        bad("mode_7_all_bits", "FRM-3 ERR-2", changed(ok, 1, 0xFF), "unknown_mode", 1),
        bad("answer_mode_5", "FRM-3", changed(answer, 1, 0xA0), "unknown_mode", 1),
        bad("resync_mode_0", "FRM-17", changed(resync, 1, 0x08), "mode_forbids_frame", 1),
        bad("resync_answer_mode_0", "FRM-17", changed(reply, 1, 0x00), "mode_forbids_frame", 1),
        bad("call_now_mode_0_short", "FRM-17 ERR-2", b"\x1b\x00", "mode_forbids_frame", 1),
        bad("uplink_header_only", "FRM-7", ok[:23], "truncated", 23),
        bad("uplink_no_room_for_report", "FRM-7", ok[:41], "truncated", 41),
        bad("uplink_mode_2_too_short", "FRM-7", ok2[:49], "truncated", 49),
        bad("uplink_mode_3_too_short", "FRM-7", ok3[:57], "truncated", 57),
        bad("uplink_mode_0_too_short", "FRM-7", ok0[:25], "truncated", 25),
        bad("resync_63", "FRM-14", resync[:63], "truncated", 63),
        bad("resync_65", "FRM-14", resync + b"\x00", "trailing_bytes", 64),
        bad("answer_too_short", "FRM-7", answer[:24], "truncated", 24),
        bad("answer_mode_0_short", "FRM-16", clear_answer[:8], "truncated", 8),
        bad("answer_mode_0_long", "FRM-16 ANS-13", clear_answer + encode_item({"item": "come_back", "seconds": 4}), "trailing_bytes", 9),
        bad("resync_answer_too_short", "FRM-7", reply[:21], "truncated", 21),
        bad("call_now_short", "FRM-16", call[:22], "truncated", 22),
        bad("call_now_long", "FRM-16", call + b"\x00", "trailing_bytes", 23),
        bad("close_short", "FRM-16", b"\x1f", "truncated", 1),
        bad("close_long", "FRM-16", b"\x1f\x00\x00", "trailing_bytes", 2),
        bad("short_before_reserved_bits", "ERR-2", b"\x11\x23", "truncated", 2),
        bad("reserved_bit_0", "GEN-7", changed(ok, 1, ok[1] | 0x01), "reserved_bits", 1),
        bad("reserved_bit_1_with_alias", "GEN-7 ERR-2", changed(ok, 1, ok[1] | 0x06), "reserved_bits", 1),
        bad("answer_reserved_bits", "GEN-7", changed(answer, 1, 0x28), "reserved_bits", 1),
        bad("call_now_reserved_bits", "GEN-7", changed(call, 1, 0x21), "reserved_bits", 1),
        bad("alias", "FRM-5", changed(ok, 1, ok[1] | 0x04), "identity_form_unsupported", 1),
        bad("resync_with_alarm", "FRM-18", changed(resync, 1, 0x38), "bad_value", 1),
        bad("resync_without_answer", "FRM-18", changed(resync, 1, 0x20), "bad_value", 1),
        bad("key_version_0_in_mode_1", "FRM-8", changed(ok, 2, 0), "bad_value", 2),
        bad("key_version_1_in_mode_0", "FRM-8", changed(ok0, 2, 1), "bad_value", 2),
        bad("resync_key_version_0", "FRM-8", changed(resync, 2, 0), "bad_value", 2),
        bad("call_now_key_version_0", "FRM-8", changed(call, 2, 0), "bad_value", 2),
        bad("counter_0", "NON-5", ok[:11] + u(0, 4) + ok[15:], "bad_value", 11),
        bad("counter_too_large", "NON-5", ok[:11] + u(0xFFFF0001, 4) + ok[15:], "bad_value", 11),
        bad("answer_counter_0", "NON-5", answer[:2] + u(0, 4) + answer[6:], "bad_value", 2),
    ]
    return out


def key_errors() -> list[Vector]:
    """Refusals by registration, mode, key and tag."""
    ok, resync = up(1), frames.resync(entry("mode1"), 2, s.NR, s.report(), 1)
    call = frames.call_now(entry("mode1"), 2, s.NOW)
    answer, ask = answered(b"\x01\x00\x00")
    other = up(1, 500001, [])
    stranger = bytes.fromhex(identity("mode2"))
    short = bytes.fromhex(identity("mode3_short"))
    closed = bytes.fromhex(identity("mode0_closed"))
    return [
        bad("mode_2_where_1_is_pinned", "SEC-1", frames.uplink(entry("mode1"), 2, 7, s.report(), [], mode=2), "mode_mismatch", 1),
        bad("mode_1_where_2_is_pinned", "SEC-1", frames.uplink(entry("mode2"), 2, 7, s.report(), [], mode=1), "mode_mismatch", 1),
        bad("mode_0_where_1_is_pinned", "SEC-1 SEC-3", up(0)[:3] + ok[3:11] + up(0)[11:], "mode_mismatch", 1),
        bad("resync_other_mode", "SEC-1", resync[:3] + stranger + resync[11:], "mode_mismatch", 1),
        bad("mode_0_not_allowed", "SEC-3", up(0)[:3] + closed + up(0)[11:], "mode0_forbidden", 1),
        bad("key_version_unknown", "ERR-2", changed(ok, 2, 9), "unknown_key_version", 2),
        bad("resync_key_version_unknown", "ERR-2", changed(resync, 2, 9), "unknown_key_version", 2),
        bad("key_version_withdrawn", "KEY-8", changed(ok, 2, 4), "key_withdrawn", 2),
        bad("call_now_key_withdrawn", "KEY-8", changed(call, 2, 4), "key_withdrawn", 2),
        bad("key_version_retired", "ROT-7", frames.uplink(_unpromoted(), 1, 7, s.report(), []), "key_retired", 2),
        bad("key_too_short_for_mode_3", "KEY-5", up(3)[:2] + b"\x02" + short + up(3)[11:], "key_too_short", 2),
        bad("tag_wrong", "SEC-5", changed(ok, len(ok) - 1, ok[-1] ^ 1), "tag_mismatch", len(ok) - 8),
        bad("tag_wrong_mode_3", "SEC-5", changed(up(3), len(up(3)) - 16, up(3)[-16] ^ 1), "tag_mismatch", len(up(3)) - 16),
        bad("ciphertext_changed", "SEC-5", changed(ok, 30, ok[30] ^ 0x80), "tag_mismatch", len(ok) - 8),
        bad("alarm_bit_changed", "SEC-6", changed(ok, 1, ok[1] ^ 0x10), "tag_mismatch", len(ok) - 8),
        bad("ticket_changed_mode_2", "SEC-6 KEY-4", changed(up(2), 15, 0xFF), "tag_mismatch", len(up(2)) - 8),
        bad("nt_changed_mode_2", "KEY-4", changed(up(2), 23, 0xFF), "tag_mismatch", len(up(2)) - 8),
        bad("frame_cut_by_one", "SEC-5", ok[:-1], "tag_mismatch", len(ok) - 9),
        bad("resync_nr_changed", "KEY-4", changed(resync, 11, resync[11] ^ 1), "tag_mismatch", 56),
        bad("answer_to_another_uplink", "SEC-7", answer, "tag_mismatch", 17, uplink=other),
        bad("answer_ns_changed", "NON-1", changed(answer, 13, answer[13] ^ 1), "tag_mismatch", 17, uplink=ask),
        bad("call_now_tag_wrong", "SEC-8", changed(call, 22, call[22] ^ 1), "tag_mismatch", 15),
    ]


def _unpromoted() -> frames.TerminalEntry:
    who = entry("mode2_b")
    who.promoted_link_version = 0
    return who


def content_errors() -> list[Vector]:
    """Verified uplinks whose content is refused. Offsets: 23 + offset in the plaintext in mode 1."""
    after = H1 + len(REPORT)  # 34: the first item
    everyday = b"\x01\x00\x15\x51\x52"
    out = [
        bad("report_unset_clock_uncertainty", "REC-3", sealed(b"\xfe" + bytes(6) + b"\x00\x00\x00\x01\x00\x00"), "bad_value", 23),
        bad("report_epoch_0", "REC-2", sealed(REPORT[:5] + bytes(4) + REPORT[9:]), "bad_value", 28),
        bad("report_command_too_long", "GEN-2", sealed(REPORT[:10] + b"\x80\x80\x80\x80\x80\x01"), "bad_value", 33),
        bad("report_command_above_limit", "GEN-2", sealed(REPORT[:10] + b"\xff\xff\xff\xff\x1f\x01"), "bad_value", 33),
        bad("report_command_not_shortest", "GEN-2", sealed(REPORT[:10] + b"\x81\x00\x01"), "non_canonical", 33),
        bad("report_no_outcome", "FRM-7", sealed(REPORT[:10] + b"\x05", pad=False), "truncated", 34),
        bad("report_longer_than_plaintext", "FRM-7", sealed(b"\xff" + REPORT[1:], pad=False), "truncated", 34),
        bad("padding_not_zero", "FRM-9", sealed(REPORT + b"\x00\x00\x01"), "padding_not_zero", 36),
        bad("padding_last_octet", "FRM-9", sealed(REPORT + bytes(85) + b"\x80"), "padding_not_zero", 119),
        bad("padding_in_mode_0", "FRM-13", sealed(REPORT + bytes(3), 0), "padding_not_zero", 26),
        bad("padding_in_mode_0_not_zero", "FRM-13", sealed(REPORT + b"\x00\x01", 0), "padding_not_zero", 26),
        bad("item_number_0_critical", "FRM-21", sealed(REPORT + b"\x80\x00"), "bad_value", after),
        bad("item_number_127", "FRM-21", sealed(REPORT + b"\x7f\x01\x01"), "bad_value", after),
        bad("item_number_127_critical", "FRM-21", sealed(REPORT + b"\xff\x01\x01"), "bad_value", after),
        bad("item_type_alone", "FRM-19", sealed(REPORT + b"\x02", pad=False), "truncated", after + 1),
        bad("item_longer_than_plaintext", "FRM-19", sealed(REPORT + b"\x02\x40" + bytes(10), pad=False), "truncated", after + 12),
        bad("item_length_not_shortest", "GEN-2", sealed(REPORT + b"\x0d\x89\x00" + bytes(9)), "non_canonical", after + 1),
        bad("item_length_1201", "FRM-19", sealed(REPORT + b"\x0d\xb1\x09"), "bad_value", after + 1),
        bad("item_length_three_octets", "GEN-2 FRM-19", sealed(REPORT + b"\x0d\x80\x80\x01"), "bad_value", after + 1),
        bad("record_critical_bit_before_its_length", "FRM-20 ERR-2", sealed(REPORT + b"\x81\xff\xff\xff"), "bad_value", after),
        bad("record_critical_bit", "FRM-20", record(everyday, 0x01, critical=True), "bad_value", after),
        bad("session_item_critical_bit", "FRM-20", sealed(REPORT + item(0x70, u(7, 4), True)), "bad_value", after),
        bad("session_item_short", "FRM-19", sealed(REPORT + item(0x70, u(7, 3))), "truncated", after + 5),
        bad("session_item_long", "FRM-19", sealed(REPORT + item(0x70, u(7, 4) + b"\x00")), "trailing_bytes", after + 6),
        bad("record_after_session_item", "REC-34", sealed(REPORT + item(0x70, u(7, 4)) + item(1, b"\x01" + everyday)), "non_canonical", after + 6),
        bad("session_items_not_ascending", "REC-34", sealed(REPORT + item(0x72, b"\x09") + item(0x70, u(7, 4))), "non_canonical", after + 3),
        bad("session_item_twice", "REC-34", sealed(REPORT + item(0x7E, b"") * 2), "non_canonical", after + 2),
        bad("previous_epoch_0", "REC-2", sealed(REPORT + item(0x70, u(0, 4))), "bad_value", after + 2),
        bad("record_without_sequence", "FRM-19", sealed(REPORT + item(0x01, b"")), "truncated", after + 2),
        bad("record_sequence_0", "REC-6", record(everyday, 0x01, sequence=b"\x00"), "bad_value", after + 2),
        bad("record_sequence_not_shortest", "GEN-2", record(everyday, 0x01, sequence=b"\x81\x80\x00"), "non_canonical", after + 2),
        bad("record_sequence_too_large", "GEN-2", record(everyday, 0x01, sequence=b"\x80\x80\x80\x80\x10"), "bad_value", after + 2),
        bad("unknown_record_sequence_0", "REC-7", record(b"", 0x21, sequence=b"\x00"), "bad_value", after + 2),
        bad("second_record_wrong", "ERR-3", sealed(REPORT + item(1, b"\x01" + everyday) + item(1, b"\x02\x0a" + everyday[1:])), "bad_value", after + 8 + 3),
        bad("everyday_ends_early", "FRM-19", record(everyday[:3], 0x01), "truncated", 40),
        bad("everyday_trailing", "FRM-19", record(everyday + b"\x00", 0x01), "trailing_bytes", 42),
        bad("everyday_unit_class_0", "REC-16", record(b"\x01\x00\x05\x51\x52", 0x01), "bad_value", 39),
        bad("everyday_unit_class_13", "REC-16", record(b"\x01\x00\xd8\x51\x52", 0x01), "bad_value", 39),
        bad("everyday_valve_10", "REC-21", record(b"\x0a" + everyday[1:], 0x01), "bad_value", 37),
        bad("everyday_register_above_2_48", "REC-16", record(b"\x11" + everyday[1:] + varint(2**48), 0x01), "bad_value", 42),
        bad("everyday_register_eight_octets", "GEN-2", record(b"\x11" + everyday[1:] + varint(2**49), 0x01), "bad_value", 42),
        bad("everyday_register_missing", "FRM-19", record(b"\x11" + everyday[1:], 0x01), "truncated", 42),
        bad("explicit_beside_mark_24", "REC-18", record(b"\x91" + everyday[1:] + b"\x07\x00\x07\x00\x00\x00\x00", 0x01), "non_canonical", 42),
        bad("health_remaining_101", "REC-20", record(b"\x21" + everyday[1:] + b"\xb2\x65\x68\x07\x09\x10", 0x01), "bad_value", 43),
        bad("health_reset_cause_6", "REC-20", record(b"\x21" + everyday[1:] + b"\xb2\x57\x68\x07\x09\x16", 0x01), "bad_value", 47),
    ]
    return out + _other_records()


def _other_records() -> list[Vector]:
    stamp = b"\x02" + u(s.NOW, 4)
    at = 37 + len(stamp)  # 42: behind the stamp
    value = b"\x15\x05"
    mac = bytes(16)
    alarm = stamp + b"\x00\x01\x00\x00"
    cases = [
        ("stamp_unset_with_uncertainty", "REC-3", 0x02, b"\x80" + bytes(6) + b"\x00\x15\x01\x05", "bad_value", 37),
        ("stamp_cut", "FRM-19", 0x02, stamp[:3], "truncated", 40),
        ("reading_cause_0", "REC-21", 0x02, stamp + b"\x00\x15\x00\x05", "bad_value", at + 2),
        ("reading_cause_7", "REC-21", 0x02, stamp + b"\x00\x15\x07\x05", "bad_value", at + 2),
        ("reading_unit", "REC-16", 0x02, stamp + b"\x00\xc8\x01\x05", "bad_value", at + 1),
        ("interval_step_0", "REC-21", 0x03, stamp + b"\x00\x15\x00\x00\x01\x00\x05", "bad_value", at + 2),
        ("interval_step_1441", "REC-21", 0x03, stamp + b"\x00\x15\x05\xa1\x01\x00\x05", "bad_value", at + 2),
        ("interval_count_0", "REC-21", 0x03, stamp + b"\x00\x15\x00\x1e\x00\x00\x05", "bad_value", at + 4),
        ("interval_count_251", "REC-21", 0x04, stamp + b"\x00\x59\x00\x1e\xfb\x00\x00\x05", "bad_value", at + 4),
        ("alarm_reserved_bits", "GEN-7", 0x05, stamp + b"\x00\x21\x00\x00\x01\x01\x01\x30\x31", "reserved_bits", at + 1),
        ("alarm_valve_15", "REC-21", 0x05, stamp + b"\x00\x0f\x00\x00\x01\x01\x01\x30\x31", "bad_value", at + 1),
        ("alarm_flow_category", "REC-21", 0x05, stamp + b"\x00\x01\x1f\x00\x01\x01\x01\x30\x31", "bad_value", at + 2),
        ("alarm_panel_length_9", "REC-21", 0x05, stamp + b"\x00\x01\x00\x09ABCDEFGHI\x01\x01\x01\x30\x31", "bad_value", at + 3),
        ("alarm_panel_octet", "REC-21", 0x05, stamp + b"\x00\x01\x00\x02A\x7f\x01\x01\x01\x30\x31", "bad_value", at + 5),
        ("alarm_count_0", "REC-21", 0x05, alarm + b"\x00", "bad_value", at + 4),
        ("alarm_count_7", "REC-21 REC-22", 0x05, alarm + b"\x07" + b"\x01\x01\x30\x31" * 7, "bad_value", at + 4),
        ("alarm_state_0", "REC-21", 0x05, alarm + b"\x01\x01\x00\x30\x31", "bad_value", at + 6),
        ("alarm_state_4", "REC-21", 0x05, alarm + b"\x01\x01\x04\x30\x31", "bad_value", at + 6),
        ("alarm_second_cut", "FRM-19", 0x05, alarm + b"\x02\x01\x01\x30\x31\x01", "truncated", at + 10),
        ("valve_state_11", "REC-21", 0x06, stamp + b"\x00\x0b\x01" + bytes(5), "bad_value", at + 1),
        ("valve_state_cause_0", "REC-21", 0x06, stamp + b"\x00\x01\x00" + bytes(5), "bad_value", at + 2),
        ("valve_state_cause_5", "REC-21", 0x06, stamp + b"\x00\x01\x05" + bytes(5), "bad_value", at + 2),
        ("valve_state_mac_missing", "REC-26", 0x06, stamp + b"\x00\x01\x01" + u(5, 4) + b"\x01", "truncated", at + 8),
        ("valve_state_mac_without_version", "REC-26", 0x06, stamp + b"\x00\x01\x01" + u(5, 4) + b"\x00" + mac, "trailing_bytes", at + 8),
        ("health_record_remaining_254", "REC-20", 0x07, stamp + b"\xb2\xfe\x68\x07\x09\x10" + bytes(8), "bad_value", at + 1),
        ("health_record_reset_cause_14", "REC-20", 0x07, stamp + b"\xb2\xff\x68\x07\x09\x1e" + bytes(8), "bad_value", at + 5),
        ("residual_level_4", "REC-21", 0x08, stamp + b"\x00\x04\x00", "bad_value", at + 1),
        ("residual_reserved_bits", "GEN-7", 0x08, stamp + b"\x00\x01\x40", "reserved_bits", at + 2),
        ("residual_value_missing", "FRM-19", 0x08, stamp + b"\x00\x01\x80", "truncated", at + 3),
        ("exchange_other_slot", "REC-25", 0x09, stamp + b"\x00\x11\x00", "bad_value", at + 1),
        ("exchange_same_generation", "REC-25", 0x09, stamp + b"\x01\x01\x00", "bad_value", at + 1),
        ("exchange_reserved_bits", "GEN-7", 0x09, stamp + b"\x00\x01\x20", "reserved_bits", at + 2),
        ("exchange_value_unannounced", "FRM-19", 0x09, stamp + b"\x00\x01\x80" + value * 2, "trailing_bytes", at + 5),
        ("table_digits_0", "REC-21", 0x0A, stamp + b"\x00\x03\x15\x00\x01A", "bad_value", at + 3),
        ("table_digits_15", "REC-21", 0x0A, stamp + b"\x00\x03\x15\x0f\x01A", "bad_value", at + 3),
        ("table_serial_empty", "REC-21", 0x0A, stamp + b"\x00\x03\x15\x08\x00", "bad_value", at + 4),
        ("table_serial_17", "REC-21", 0x0A, stamp + b"\x00\x03\x15\x08\x11" + b"A" * 17, "bad_value", at + 4),
        ("table_serial_octet", "REC-21", 0x0A, stamp + b"\x00\x03\x15\x08\x02A\x1f", "bad_value", at + 6),
        ("result_data_65", "REC-21", 0x0B, stamp + b"\x00" + u(5, 4) + b"\x20\x00\x01\x01\x41" + bytes(65), "bad_value", at + 9),
        ("result_valve_12", "REC-21", 0x0B, stamp + b"\x00" + u(5, 4) + b"\x20\x00\x0c\x01\x00", "bad_value", at + 7),
        ("result_mac_cut", "REC-26", 0x0B, stamp + b"\x01" + u(5, 4) + b"\x01\x00\x02\x01\x00" + mac[:15], "truncated", at + 25),
        ("clock_cause_0", "REC-21", 0x0C, stamp + stamp + b"\x00", "bad_value", at + 5),
        ("clock_cause_4", "REC-21", 0x0C, stamp + stamp + b"\x04", "bad_value", at + 5),
        ("clock_second_stamp", "REC-3", 0x0C, stamp + b"\xbf" + bytes(6) + b"\x01", "bad_value", at),
        ("payload_cut", "FRM-19", 0x0D, stamp + b"\x00\x09", "truncated", at + 2),
        ("terminal_info_cut", "FRM-19", 0x0E, stamp + bytes(8), "truncated", at + 8),
        ("terminal_info_long", "FRM-19", 0x0E, stamp + bytes(10), "trailing_bytes", at + 9),
    ]
    return [bad(name, clauses, record(body, number), kind, offset)
            for name, clauses, number, body, kind, offset in cases]


def coder_errors() -> list[Vector]:
    """Series and gauges inside an interval record. The series begins at 37 + 5 + 5 = 47."""
    head = b"\x02" + u(s.NOW, 4) + b"\x00\x15\x00\x1e"
    at = 47
    # name, clauses, record number, count, octets of the series, kind, offset
    cases: list[tuple[str, str, int, int, str, str, int]] = [
        ("series_missing", "FRM-19", 3, 4, "", "truncated", at),
        ("series_segments_above_count", "SER-2", 3, 4, "05", "bad_value", at),
        ("series_whole_as_one_segment", "SER-5", 3, 2, "0100010205 0000", "non_canonical", at),
        ("series_reason_7", "SER-2", 3, 4, "0107020205 00", "bad_value", at + 1),
        ("series_reason_before_the_missing_rest", "SER-2 ERR-2", 3, 4, "0109", "bad_value", at + 1),
        ("series_adjoining_without_reason", "SER-2", 3, 4, "02 00010105 00020104", "bad_value", at + 5),
        ("series_overlap", "SER-2", 3, 4, "02 00010205 01020104 00", "bad_value", at + 6),
        ("series_out_of_order", "SER-2", 3, 4, "02 00030105 00010104", "bad_value", at + 6),
        ("series_first_0", "SER-2", 3, 4, "0100000105", "bad_value", at + 2),
        ("series_first_above_count", "SER-2", 3, 4, "0100050105", "bad_value", at + 2),
        ("series_length_0", "SER-2", 3, 4, "0100020005", "bad_value", at + 3),
        ("series_length_beyond", "SER-2", 3, 4, "0100030305", "bad_value", at + 3),
        ("series_start_not_shortest", "GEN-2", 3, 2, "00 8500 00", "non_canonical", at + 1),
        ("series_start_above_2_48", "REC-16", 3, 2, "00 80808080808040 00", "bad_value", at + 1),
        ("series_start_too_long", "GEN-2", 3, 2, "00 8080808080808001 00", "bad_value", at + 1),
        ("series_stream_missing", "FRM-19", 3, 2, "00 05", "truncated", at + 2),
        ("series_stream_short", "FRM-19", 3, 24, "00 05 07", "truncated", at + 3),
        # steps 0 with k = 1: 00001 0 00
        ("series_k_not_smallest", "SER-3", 3, 2, "00 05 08", "non_canonical", at + 2),
        # step 1 with k = 1: 00001 1 0 0, where k = 0 is one bit shorter
        ("series_k_not_best", "SER-3", 3, 2, "00 05 0c", "non_canonical", at + 2),
        # step 0, k = 0: 00000 0 and fill 01
        ("series_fill_bit", "SER-4", 3, 2, "00 05 01", "non_canonical", at + 2),
        ("series_whole_fill_octet", "SER-4 FRM-19", 3, 2, "00 05 00 00", "trailing_bytes", at + 3),
        # k = 31, then ones: more than one of them is beyond 2^32 - 1
        ("series_step_too_large", "SER-6", 3, 2, "00 05 ff ff ff ff ff ff", "bad_value", at + 2),
        # k = 31, step 2^32 - 1 + 1: 11111 1 10 then 31 ones
        ("series_step_2_32", "SER-6", 3, 2, "00 05 fe ff ff ff fe", "bad_value", at + 2),
        # start 2^48 - 1, k = 0, step 1: 00000 1 0 0
        ("series_register_overflow", "SER-6", 3, 2, "00 ffffffffffff3f 04", "bad_value", at + 8),
        ("gauges_missing", "FRM-19", 4, 4, "", "truncated", at),
        ("gauges_form_2", "SER-7", 4, 4, "02 0000 00", "bad_value", at),
        ("gauges_form_1_all_measured", "SER-7", 4, 4, "01 f0 0005 00", "non_canonical", at),
        ("gauges_nothing_measured", "SER-7", 4, 4, "01 00 0005", "bad_value", at + 1),
        ("gauges_bitmap_fill", "SER-7", 4, 9, "01 7f 01 0005", "non_canonical", at + 2),
        ("gauges_first_65534", "SER-8", 4, 1, "00 fffe", "bad_value", at + 1),
        ("gauges_first_cut", "FRM-19", 4, 1, "00 ff", "truncated", at + 2),
        # 0, k = 0, number 1 (-1): 00000 1 0 0
        ("gauges_below_zero", "SER-8", 4, 2, "00 0000 04", "bad_value", at + 3),
        # 65533, k = 0, number 2 (+1): 00000 1 10
        ("gauges_above_65533", "SER-8", 4, 2, "00 fffd 06", "bad_value", at + 3),
        ("gauges_k_not_best", "SER-3 SER-8", 4, 2, "00 0005 08", "non_canonical", at + 3),
        ("gauges_fill_bit", "SER-4 SER-8", 4, 2, "00 0005 02", "non_canonical", at + 3),
        # k = 16 and two ones: above 131,066
        ("gauges_difference_too_large", "SER-8", 4, 2, "00 0005 87 ff ff ff", "bad_value", at + 3),
    ]
    return [bad(name, clauses, record(head + u(count, 1) + bytes.fromhex(octets), number), kind, offset)
            for name, clauses, number, count, octets, kind, offset in cases]


def answer_errors() -> list[Vector]:
    """Answers that a terminal refuses. Items begin at 14 + 3 = 17 in mode 1."""
    command = bytes.fromhex("01 0000004e 01 00 81 6b36ede4 01") + bytes(16)
    cases: list[tuple[str, str, bytes, str, int]] = [
        ("answer_reserved_flag", "GEN-7", b"\x21\x00\x00", "reserved_bits", 14),
        ("answer_final_and_more", "ANS-3", b"\x06\x00\x00", "bad_value", 14),
        ("answer_item_type_0", "FRM-21", b"\x01\x00\x00\x00", "bad_value", 17),
        ("answer_item_type_127", "FRM-21", b"\x01\x00\x00\x7f\x00", "bad_value", 17),
        ("answer_item_type_128", "FRM-21", b"\x01\x00\x00\x80\x00", "bad_value", 17),
        ("come_back_0", "ANS-19", b"\x01\x00\x00" + item(1, u(0, 2)), "bad_value", 19),
        ("come_back_21601", "ANS-19", b"\x01\x00\x00" + item(1, u(21601, 2)), "bad_value", 19),
        ("come_back_short", "FRM-19", b"\x01\x00\x00" + item(1, u(9, 1)), "truncated", 20),
        ("come_back_long", "FRM-19", b"\x01\x00\x00" + item(1, b"\x00\x09\x00"), "trailing_bytes", 21),
        ("come_back_critical", "FRM-20", b"\x01\x00\x00" + item(1, u(9, 2), True), "bad_value", 17),
        ("slot_version_0", "ANS-19", b"\x01\x00\x00" + item(2, u(0, 1) + u(9, 3)), "bad_value", 19),
        ("slot_version_16", "ANS-19", b"\x01\x00\x00" + item(2, u(16, 1) + u(9, 3)), "bad_value", 19),
        ("slot_second_86400", "ANS-19", b"\x01\x00\x00" + item(2, u(1, 1) + u(86400, 3)), "bad_value", 20),
        ("floor_not_critical", "FRM-20", b"\x00\x00\x00" + item(3, u(9, 4)), "bad_value", 17),
        ("floor_0", "ANS-19", b"\x00\x00\x00" + item(3, u(0, 4), True), "bad_value", 19),
        ("floor_above_range", "ANS-19", b"\x00\x00\x00" + item(3, u(0xFFFF0001, 4), True), "bad_value", 19),
        ("floor_with_ack", "ANS-14", b"\x01\x00\x00" + item(3, u(9, 4), True), "bad_value", 17),
        ("slot_then_floor_with_ack", "ANS-14", b"\x01\x00\x00" + item(2, u(1, 1) + u(9, 3)) + item(3, u(9, 4), True), "bad_value", 23),
        ("items_not_ascending", "ANS-11", b"\x01\x00\x00" + item(2, u(1, 1) + u(9, 3)) + item(1, u(9, 2)), "non_canonical", 23),
        ("item_twice", "ANS-11", b"\x01\x00\x00" + item(1, u(9, 2)) * 2, "non_canonical", 21),
        ("unknown_item_twice", "ANS-11", b"\x01\x00\x00" + item(9, b"") * 2, "non_canonical", 19),
        ("unknown_critical_item", "ANS-12", b"\x01\x00\x00" + item(9, b"", True), "unknown_critical_item", 17),
        ("unknown_critical_item_after_slot", "ANS-12", b"\x01\x00\x00" + item(2, u(1, 1) + u(9, 3)) + item(0x7E, b"", True), "unknown_critical_item", 23),
        ("unknown_critical_item_before_its_length", "ANS-12 ERR-2", b"\x01\x00\x00\x89\x20", "unknown_critical_item", 17),
        ("item_order_before_its_length", "ANS-11 ERR-2", b"\x01\x00\x00" + item(2, u(1, 1) + u(9, 3)) + b"\x01\xff", "non_canonical", 23),
        ("reserved_item_firmware", "ANS-12", b"\x01\x00\x00" + item(6, b"\x01", True), "unknown_critical_item", 17),
        ("reserved_item_alias_not_critical", "FRM-20", b"\x01\x00\x00" + item(7, b"\x01"), "bad_value", 17),
        ("item_beyond_answer", "FRM-19", b"\x01\x00\x00\x02\x05\x01\x00", "truncated", 21),
        ("command_27_octets", "FRM-19", b"\x00\x00\x00" + item(5, command[:27], True), "truncated", 46),
        ("command_key_version_0", "ERR-3", b"\x00\x00\x00" + item(5, b"\x00" + command[1:], True), "bad_value", 19),
        ("command_sequence_0", "ERR-3", b"\x00\x00\x00" + item(5, command[:1] + u(0, 4) + command[5:], True), "bad_value", 20),
        ("command_not_critical", "FRM-20", b"\x00\x00\x00" + item(5, command), "bad_value", 17),
        ("command_sequences_equal", "ANS-11", b"\x00\x00\x00" + item(5, command, True) * 2, "non_canonical", 48),
    ]
    out = []
    for name, clauses, plaintext, kind, offset in cases:
        frame, ask = answered(plaintext)
        out.append(bad(name, clauses, frame, kind, offset, ask))
    for mode, head in ((2, 14), (3, 14)):
        frame, ask = answered(b"\x06\x00\x00", mode)
        out.append(bad(f"answer_final_and_more_mode_{mode}", "ANS-3", frame, "bad_value", head, ask))
    frame, ask = answered(b"\xe0\x00\x00", 0)
    out.append(bad("answer_reserved_flags_mode_0", "GEN-7", frame, "reserved_bits", 6, ask))
    return out + _resync_errors()


def _resync_errors() -> list[Vector]:
    who = entry("mode1")
    ask = frames.resync(who, 2, s.NR, s.report(), 1)
    header, raw = parse(ask), wire.resync_header(1, 2, who.identity, s.NR)
    reply = wire.resync_answer_header(1, s.ns())
    room = RESYNC_LENGTH - len(raw) - 8

    def resync(plaintext: bytes) -> bytes:
        return frames.seal_uplink(who, raw, plaintext + bytes(room - len(plaintext)))

    def answer(plaintext: bytes) -> bytes:
        return frames.seal_answer(who, reply, plaintext, header)

    return [
        bad("resync_zeros_not_zero", "FRM-14", resync(REPORT + b"\x01\x00\x00\x01"), "padding_not_zero", 27 + 14),
        bad("resync_last_zero", "FRM-14", resync((REPORT + b"\x01").ljust(room - 1, b"\x00") + b"\x01"), "padding_not_zero", 55),
        bad("resync_epoch_0", "REC-2", resync(REPORT[:5] + bytes(6) + b"\x01"), "bad_value", 32),
        bad("resync_stamp", "REC-3", resync(b"\x81" + bytes(6) + REPORT[5:] + b"\x01"), "bad_value", 27),
        bad("resync_answer_with_floor_item", "ANS-15", answer(u(9, 4) + item(3, u(9, 4), True)), "bad_value", 14, ask),
        bad("resync_answer_with_command", "ANS-15", answer(u(9, 4) + item(5, bytes(28), True)), "bad_value", 14, ask),
        bad("resync_answer_unknown_critical", "ANS-12", answer(u(9, 4) + item(8, b"", True)), "unknown_critical_item", 14, ask),
        bad("resync_answer_floor_0", "ANS-19", answer(u(0, 4)), "bad_value", 10, ask),
    ]


def vectors() -> list[Vector]:
    """All negative vectors."""
    return header_errors() + key_errors() + content_errors() + coder_errors() + answer_errors()


def files() -> dict[str, str]:
    """All files of this module."""
    return {"otl/errors.toml": text(
        "Frames that must be refused: kind (an id of registries/close-codes.toml) and offset (ERR-3, from the frame's first octet).\n"
        "receiver: the end that refuses, where the direction matters; a decoder of both directions takes no notice of it otherwise.\n"
        "uplink: the frame that an answer answers. Every tag is right unless the kind is tag_mismatch or the error comes before.", vectors())}
