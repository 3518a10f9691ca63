# SPDX-License-Identifier: MIT OR Apache-2.0
"""Whole frames: sealing from plaintext, opening to plaintext."""

from . import crypto, wire
from .answers import encode_answer, encode_resync_answer, encode_session_item
from .keyring import TerminalEntry
from .records import encode_record
from .report import Json, write_report
from .wire import Header

DIRECTIONS = {"uplink": crypto.UP, "answer": crypto.DOWN, "resync": crypto.RESYNC_UP,
              "resync_answer": crypto.RESYNC_DOWN, "call_now": crypto.CALL}


def frame_key(entry: TerminalEntry, frame: str, uplink: Header) -> bytes:
    """The traffic key of a frame; ``uplink`` is the terminal's own frame of the exchange."""
    direction = DIRECTIONS[frame]
    base = entry.base("link", uplink.key_version)
    nonces = crypto.traffic_nonces(uplink.mode, direction, uplink.nt, uplink.ticket, uplink.nr)
    return crypto.traffic_key(base, entry.utility.id, entry.identity, uplink.mode, direction,
                              uplink.key_version, nonces)


def _shell(raw: bytes, plaintext: bytes) -> Header:
    """A header view of a frame that is not sealed yet."""
    mode = raw[1] >> 5
    return wire.parse(raw + plaintext + bytes(wire.TAG_OCTETS[mode]))


def seal_uplink(entry: TerminalEntry, raw: bytes, plaintext: bytes) -> bytes:
    """An UPLINK or RESYNC frame from its header octets and plaintext."""
    header = _shell(raw, plaintext)
    if header.mode == 0:
        return raw + plaintext
    key = frame_key(entry, header.frame, header)
    return raw + crypto.seal(header.mode, key, crypto.nonce(header), plaintext, raw)  # spec: SEC-6


def seal_answer(entry: TerminalEntry, raw: bytes, plaintext: bytes, uplink: Header) -> bytes:
    """An ANSWER or RESYNC_ANSWER frame to an uplink."""
    header = _shell(raw, plaintext)
    if header.mode == 0:
        return raw + plaintext
    key = frame_key(entry, header.frame, uplink)
    return raw + crypto.seal(header.mode, key, crypto.nonce(header), plaintext, crypto.answer_aad(raw, uplink))


def open_uplink(entry: TerminalEntry, header: Header) -> bytes:
    """The plaintext of an UPLINK or RESYNC."""
    if header.mode == 0:
        return header.body
    return crypto.open_(header.mode, frame_key(entry, header.frame, header), crypto.nonce(header), header, header.raw)


def open_answer(entry: TerminalEntry, header: Header, uplink: Header) -> bytes:
    """The plaintext of an ANSWER or RESYNC_ANSWER."""
    if header.mode == 0:
        return header.body
    key = frame_key(entry, header.frame, uplink)
    return crypto.open_(header.mode, key, crypto.nonce(header), header, crypto.answer_aad(header.raw, uplink))


def uplink_plaintext(report: Json, records: list[Json], session_items: list[Json] | None = None) -> bytes:
    """Report, records, session items; no padding."""
    out = write_report(report) + b"".join(encode_record(r) for r in records)
    return out + b"".join(encode_session_item(i) for i in session_items or [])


def uplink(entry: TerminalEntry, version: int, counter: int, report: Json, records: list[Json],
           ticket: bytes = crypto.ZERO8, nt: bytes = crypto.ZERO8, answer: bool = True,
           session_items: list[Json] | None = None, routine: int = 128, pad: bool = True,
           mode: int | None = None) -> bytes:
    """A whole UPLINK frame, padded as FRM-10 wants it."""
    mode = entry.mode if mode is None else mode
    alarm = any(r["type"] == "alarm_notice" for r in records)  # spec: FRM-6
    raw = wire.uplink_header(mode, version if mode else 0, entry.identity, counter, ticket, nt, alarm, answer)
    plaintext = uplink_plaintext(report, records, session_items)
    length = len(raw) + len(plaintext) + wire.TAG_OCTETS[mode]
    if mode and pad:  # spec: FRM-13, no padding in mode 0
        plaintext += bytes(wire.padded_length(length, routine) - length)
    return seal_uplink(entry, raw, plaintext)


def resync(entry: TerminalEntry, version: int, nr: bytes, report: Json, reason: int, mode: int | None = None) -> bytes:
    """A whole RESYNC frame."""
    mode = entry.mode if mode is None else mode
    raw = wire.resync_header(mode, version, entry.identity, nr)
    plaintext = write_report(report) + bytes((reason,))
    room = wire.RESYNC_LENGTH - len(raw) - wire.TAG_OCTETS[mode]
    return seal_uplink(entry, raw, plaintext + bytes(room - len(plaintext)))  # spec: FRM-14


def answer(entry: TerminalEntry, to: Header, ns: bytes, content: Json) -> bytes:
    """A whole ANSWER to an uplink."""
    return seal_answer(entry, wire.answer_header(to.mode, to.counter, ns), encode_answer(content), to)


def resync_answer(entry: TerminalEntry, to: Header, ns: bytes, content: Json) -> bytes:
    """A whole RESYNC_ANSWER to a RESYNC."""
    return seal_answer(entry, wire.resync_answer_header(to.mode, ns), encode_resync_answer(content), to)


def call_now(entry: TerminalEntry, version: int, call_counter: int, mode: int | None = None) -> bytes:
    """A whole CALL_NOW frame."""
    mode = entry.mode if mode is None else mode
    raw = wire.call_now_header(mode, version, entry.identity, call_counter)
    header = wire.parse(raw + bytes(wire.TAG_OCTETS[mode]))
    return raw + crypto.call_tag(mode, frame_key(entry, "call_now", header), raw)


def close(code: int) -> bytes:
    """A CLOSE frame."""
    return bytes((wire.CLOSE, code))
