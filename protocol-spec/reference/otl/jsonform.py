# SPDX-License-Identifier: MIT OR Apache-2.0
"""The decoder, in the JSON form of ``decode-json.md``."""

import json

from . import crypto, frames, registry, wire
from .answers import decode_answer, decode_resync_answer, decode_session_item, fixed_bit
from .errors import OtlError
from .keyring import Keyring, TerminalEntry
from .records import CODECS, decode_record
from .report import Json, read_report
from .wire import Cursor, Header, next_item

FIRST_SESSION_ITEM = 0x70


def dumps(value: Json) -> str:
    """One line of JSON, keys in the order of the form."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def header_json(h: Header) -> Json:
    """H of decode-json.md."""
    out: Json = {"frame": h.frame, "version": wire.VERSION}
    if h.frame == "close":
        return {**out, "code": h.code}
    out["mode"] = h.mode
    if h.frame == "uplink":
        out.update(alarm=h.alarm, answer=h.answer)
    if h.identity is not None:
        out.update(key_version=h.key_version, identity=h.identity.hex())
    if h.counter is not None:
        out["counter"] = h.counter
    if h.call_counter is not None:
        out["call_counter"] = h.call_counter
    for name in ("ticket", "nt", "nr", "ns"):
        value = getattr(h, name)
        if value is not None:
            out[name] = value.hex()
    if h.ns is not None:
        out["ns_utc_s"] = int.from_bytes(h.ns[:4], "big")
    return out


class UplinkItems:
    """The order of the items of one uplink and their critical bits."""

    def __init__(self) -> None:
        self._last = 0  # number of the last session item

    def __call__(self, number: int, critical: bool, offset: int) -> None:
        if number in CODECS and critical:  # spec: FRM-20
            raise OtlError("bad_value", offset, "a record with the critical bit")
        fixed_bit(registry.SESSION_CRITICAL, number, critical, offset)
        if self._last and number <= self._last:  # spec: REC-34
            raise OtlError("non_canonical", offset, f"item {number} after session item {self._last}")
        if number >= FIRST_SESSION_ITEM:
            self._last = number


def uplink_content(header: Header, plaintext: bytes) -> Json:
    """Report, records, session items and padding of an UPLINK."""
    cur = Cursor(plaintext, header.length)
    out: Json = {"report": read_report(cur), "records": []}
    session: list[Json] = []
    check = UplinkItems()
    while cur.left and plaintext[cur.pos] != 0:  # spec: FRM-9
        raw = next_item(cur, check)
        if raw.number < FIRST_SESSION_ITEM:
            out["records"].append(decode_record(raw))
        else:
            session.append(decode_session_item(raw))
    if session:
        out["session_items"] = session
    if header.mode == 0 and cur.left:  # spec: FRM-13
        raise OtlError("padding_not_zero", cur.offset, "padding in mode 0")
    out["padding"] = cur.left
    _zeros(cur)
    return out


def _zeros(cur: Cursor) -> None:
    while cur.left:
        at = cur.offset
        if cur.u(1):  # spec: FRM-9
            raise OtlError("padding_not_zero", at, "padding is not zero")


def resync_content(header: Header, plaintext: bytes) -> Json:
    """Report and reason of a RESYNC."""
    cur = Cursor(plaintext, header.length)
    report = read_report(cur)
    report["resync_reason"] = cur.u(1)
    _zeros(cur)
    return {"report": report, "records": []}


class Decoder:
    """Decodes frames of both directions and remembers uplinks, so that answers can be opened."""

    def __init__(self, keys: Keyring, receiver: str | None = None) -> None:
        self.keys, self.receiver = keys, receiver
        self._uplinks: dict[tuple[int, int], Header] = {}
        self._resyncs: dict[int, Header] = {}

    def decode(self, frame: bytes) -> Json:
        """One frame, as one object of the JSON form."""
        out: Json = {"ok": True, "protocol": "otl"}
        header = None
        try:
            header = wire.parse(frame, self.receiver)
            out["header"] = header_json(header)
            out.update(self._content(header))
            return out
        except OtlError as err:
            error: Json = {"ok": False, "protocol": "otl",
                           "error": {"kind": err.kind, "offset": err.offset, "message": err.message}}
            if header is not None:
                error["header"] = header_json(header)
            return error

    def _content(self, h: Header) -> Json:
        if h.frame == "close":
            return {"security": {"verified": False}}
        if h.frame in ("answer", "resync_answer"):
            return self._answer(h)
        entry = self.keys.terminals.get(h.identity)
        if entry is None and h.mode == 0:  # clear text, whoever sent it
            return {"security": {"mode": 0, "verified": False}, **uplink_content(h, h.body)}
        if entry is None:
            return self._unverified(h)
        check_mode(entry, h)
        security = {"mode": h.mode, "verified": h.mode != 0}
        if h.frame == "call_now":
            tag = crypto.call_tag(h.mode, frames.frame_key(entry, "call_now", h), h.raw)  # spec: SEC-8
            if not crypto.same(tag, h.tag):
                raise OtlError("tag_mismatch", h.length, "the tag does not verify")
            return {"security": security}
        plaintext = frames.open_uplink(entry, h)
        # Remembered as soon as it is verified: its answer does not depend on its content.
        if h.frame == "resync":
            self._resyncs[h.mode] = h
            return {"security": security, **resync_content(h, plaintext)}
        self._uplinks[h.mode, h.counter] = h
        return {"security": security, **uplink_content(h, plaintext)}

    def _answer(self, h: Header) -> Json:
        if h.mode == 0:  # clear text, whatever it answers
            return {"security": {"mode": 0, "verified": False}, "answer": decode_answer(Cursor(h.body, h.length))}
        uplink = self._resyncs.get(h.mode) if h.frame == "resync_answer" else self._uplinks.get((h.mode, h.counter))
        if uplink is None:
            return self._unverified(h)
        plaintext = frames.open_answer(self.keys.terminals[uplink.identity], h, uplink)
        cur = Cursor(plaintext, h.length)
        content = decode_resync_answer(cur) if h.frame == "resync_answer" else decode_answer(cur)
        return {"security": {"mode": h.mode, "verified": True}, "answer": content}

    @staticmethod
    def _unverified(h: Header) -> Json:
        out: Json = {"security": {"mode": h.mode, "verified": False}}
        if h.frame != "call_now":
            out["ciphertext_octets"] = len(h.body)
        if h.frame in ("uplink", "resync"):
            out["records"] = []
        return out


def check_mode(entry: TerminalEntry, header: Header) -> None:
    """The pinned mode, exactly; mode 0 only where it is allowed."""
    if header.mode != entry.mode:  # spec: SEC-1
        raise OtlError("mode_mismatch", 1, f"mode {header.mode}, pinned {entry.mode}")
    if header.mode == 0 and not entry.allow_mode0:  # spec: SEC-3
        raise OtlError("mode0_forbidden", 1, "mode 0 is not allowed for this terminal")
