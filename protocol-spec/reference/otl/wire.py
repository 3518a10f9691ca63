# SPDX-License-Identifier: MIT OR Apache-2.0
"""Framing: the cursor, varints, the clear headers of part 2, and the TCP stream."""

from dataclasses import dataclass, field
from typing import Callable

from .errors import OtlError

VERSION = 1
MAX_FRAME = 1200  # spec: FRM-4
UPLINK, RESYNC, ANSWER, RESYNC_ANSWER, CALL_NOW, CLOSE = 0x11, 0x12, 0x19, 0x1A, 0x1B, 0x1F
NAMES = {UPLINK: "uplink", RESYNC: "resync", ANSWER: "answer", RESYNC_ANSWER: "resync_answer",
         CALL_NOW: "call_now", CLOSE: "close"}
FLAG_ALARM, FLAG_ANSWER, FLAG_ALIAS, FLAG_RESERVED = 0x10, 0x08, 0x04, 0x03

TAG_OCTETS = (0, 8, 8, 16)
UPLINK_HEADER = (15, 23, 31, 31)
ANSWER_HEADER = (6, 14, 14, 14)
RESYNC_HEADER = 27
RESYNC_LENGTH = 64
RESYNC_ANSWER_HEADER = 10
CALL_NOW_HEADER = 15
SMALLEST_REPORT = 11  # stamp 5, epoch 4, slots 1, command 1
ANSWER_FIXED = 3  # answer flags, acknowledgement map

U32_MAX = 2**32 - 1
REGISTER_MAX = 2**48 - 1
COUNTER_MAX = 0xFFFF0000  # spec: NON-5


class Cursor:
    """Reads fields of a byte string. ``base`` is the offset of its first octet in the frame."""

    def __init__(self, data: bytes, base: int = 0, start: int = 0, end: int | None = None) -> None:
        self.data, self.base, self.pos = data, base, start
        self.end = len(data) if end is None else end

    @property
    def offset(self) -> int:
        """The offset of the next octet, from the start of the frame."""
        return self.base + self.pos

    @property
    def left(self) -> int:
        """Octets left."""
        return self.end - self.pos

    def take(self, n: int) -> bytes:
        """The next n octets; the first missing octet is the one after the end."""
        if self.left < n:  # spec: GEN-6
            raise OtlError("truncated", self.base + self.end, f"{n} octets wanted, {self.left} left")
        out = self.data[self.pos:self.pos + n]
        self.pos += n
        return out

    def u(self, n: int) -> int:
        """An unsigned big-endian integer of n octets."""  # spec: GEN-1
        return int.from_bytes(self.take(n), "big")

    def i8(self) -> int:
        """A signed octet."""
        return int.from_bytes(self.take(1), "big", signed=True)

    def varint(self, limit: int, least: int = 0) -> int:
        """An unsigned LEB128 number from ``least`` to ``limit``.

        No more octets are read than the limit needs; every error but truncation names the first
        octet of the varint.  # spec: GEN-2
        """
        start, most, value = self.offset, (limit.bit_length() + 6) // 7, 0
        for i in range(most):
            octet = self.u(1)
            value |= (octet & 0x7F) << (7 * i)
            if not octet & 0x80:
                if octet == 0 and i > 0:
                    raise OtlError("non_canonical", start, "varint is longer than it must be")
                break
        else:
            raise OtlError("bad_value", start, f"varint above {limit}")
        if not least <= value <= limit:
            raise OtlError("bad_value", start, f"{value} is not from {least} to {limit}")
        return value

    def sub(self, n: int) -> "Cursor":
        """A cursor over the next n octets, which this one skips."""
        if self.left < n:
            raise OtlError("truncated", self.base + self.end, f"{n} octets wanted, {self.left} left")
        out = Cursor(self.data, self.base, self.pos, self.pos + n)
        self.pos += n
        return out

    def finish(self) -> None:
        """Nothing may be left."""  # spec: FRM-19
        if self.left:
            raise OtlError("trailing_bytes", self.offset, f"{self.left} octets after the last field")


def varint(value: int) -> bytes:
    """The shortest LEB128 form."""  # spec: GEN-2
    out = bytearray()
    while value > 0x7F:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    out.append(value)
    return bytes(out)


def u(value: int, n: int) -> bytes:
    """An unsigned big-endian integer of n octets."""
    return value.to_bytes(n, "big")


def item(number: int, body: bytes, critical: bool = False) -> bytes:
    """One item: type, length, body."""
    return u(number | (0x80 if critical else 0), 1) + varint(len(body)) + body


@dataclass(frozen=True)
class RawItem:
    """An item as it stands: its number, its critical bit, where its type octet is, its body."""

    number: int
    critical: bool
    offset: int
    body: Cursor


def next_item(cur: Cursor, check: Callable[[int, bool, int], None]) -> RawItem:
    """Take one item from the cursor.

    ``check`` judges number, critical bit and order at the type octet's offset, before the length
    is read: content is checked from the first octet on.  # spec: ERR-2
    """
    offset = cur.offset
    octet = cur.u(1)
    number, critical = octet & 0x7F, bool(octet & 0x80)
    if number in (0, 0x7F):  # spec: FRM-21
        raise OtlError("bad_value", offset, f"item number {number}")
    check(number, critical, offset)
    length = cur.varint(MAX_FRAME)
    return RawItem(number, critical, offset, cur.sub(length))  # spec: FRM-19


@dataclass(frozen=True)
class Header:
    """The clear header of a frame; fields that the frame does not carry are None."""

    frame: str
    raw: bytes
    mode: int = 0
    alarm: bool = False
    answer: bool = False
    key_version: int | None = None
    identity: bytes | None = None
    counter: int | None = None
    ticket: bytes | None = None
    nt: bytes | None = None
    nr: bytes | None = None
    ns: bytes | None = None
    call_counter: int | None = None
    code: int | None = None
    body: bytes = field(default=b"", repr=False)  # ciphertext, or plaintext in mode 0
    tag: bytes = field(default=b"", repr=False)

    @property
    def length(self) -> int:
        """Octets of the header: the offset of the first octet of the plaintext."""
        return len(self.raw)


def _lengths(frame_type: int, mode: int) -> tuple[int, int, int | None]:
    """Header length, smallest frame, largest frame (None: the limit of FRM-4)."""
    tag = TAG_OCTETS[mode]
    if frame_type == UPLINK:
        head = UPLINK_HEADER[mode]
        return head, head + SMALLEST_REPORT + tag, None
    if frame_type == RESYNC:
        return RESYNC_HEADER, RESYNC_LENGTH, RESYNC_LENGTH  # spec: FRM-14
    if frame_type == ANSWER:
        head = ANSWER_HEADER[mode]
        smallest = head + ANSWER_FIXED + tag
        return head, smallest, smallest if mode == 0 else None  # spec: FRM-16
    if frame_type == RESYNC_ANSWER:
        return RESYNC_ANSWER_HEADER, RESYNC_ANSWER_HEADER + 4 + tag, None
    return CALL_NOW_HEADER, CALL_NOW_HEADER + tag, CALL_NOW_HEADER + tag


def _check_length(frame: bytes, smallest: int, largest: int | None) -> None:
    if len(frame) < smallest:  # spec: FRM-7, FRM-14, FRM-16
        raise OtlError("truncated", len(frame), f"{smallest} octets at least")
    if largest is not None and len(frame) > largest:
        raise OtlError("trailing_bytes", largest, f"exactly {largest} octets")


def parse(frame: bytes, receiver: str | None = None) -> Header:
    """Cut a frame and check its clear header in the order of ERR-2.

    ``receiver`` is "server" or "terminal" to refuse frames of the other direction, None for a
    decoder of both.
    """
    if len(frame) > MAX_FRAME:
        raise OtlError("oversize", MAX_FRAME, f"{len(frame)} octets")  # spec: FRM-4
    if not frame:
        raise OtlError("truncated", 0, "an empty frame")
    if frame[0] >> 4 != VERSION:  # spec: FRM-1
        raise OtlError("unsupported_version", 0, f"version {frame[0] >> 4}")
    frame_type = frame[0]
    if frame_type not in NAMES:  # spec: FRM-2
        raise OtlError("unknown_frame_type", 0, f"frame type 0x{frame_type:02x}")
    if receiver is not None and (receiver == "terminal") != bool(frame_type & 0x08):
        raise OtlError("wrong_direction", 0, f"{NAMES[frame_type]} at a {receiver}")
    name = NAMES[frame_type]
    if frame_type == CLOSE:
        _check_length(frame, 2, 2)
        return Header(name, frame, code=frame[1])
    if len(frame) < 2:
        raise OtlError("truncated", 1, "no flags octet")
    flags = frame[1]
    mode = flags >> 5
    if mode > 3:  # spec: FRM-3
        raise OtlError("unknown_mode", 1, f"mode {mode}")
    if mode == 0 and frame_type in (RESYNC, RESYNC_ANSWER, CALL_NOW):  # spec: FRM-17
        raise OtlError("mode_forbids_frame", 1, f"{name} in mode 0")
    head, smallest, largest = _lengths(frame_type, mode)
    _check_length(frame, smallest, largest)
    from_server = bool(frame_type & 0x08)
    if flags & (0x1F if from_server else FLAG_RESERVED):  # spec: GEN-7
        raise OtlError("reserved_bits", 1, f"flags octet 0x{flags:02x}")
    if flags & FLAG_ALIAS:  # spec: FRM-5
        raise OtlError("identity_form_unsupported", 1, "alias")
    alarm, answer = bool(flags & FLAG_ALARM), bool(flags & FLAG_ANSWER)
    if frame_type == RESYNC and (alarm or not answer):  # spec: FRM-18
        raise OtlError("bad_value", 1, "RESYNC with ALARM, or without ANSWER")
    return _cut(frame, frame_type, mode, head, alarm, answer)


def _cut(frame: bytes, frame_type: int, mode: int, head: int, alarm: bool, answer: bool) -> Header:
    name, end = NAMES[frame_type], len(frame) - TAG_OCTETS[mode]
    raw, body, tag = frame[:head], frame[head:end], frame[end:]
    if frame_type == ANSWER:
        return Header(name, raw, mode, counter=_counter(raw, 2),
                      ns=raw[6:14] if mode else None, body=body, tag=tag)
    if frame_type == RESYNC_ANSWER:
        return Header(name, raw, mode, ns=raw[2:10], body=body, tag=tag)
    version = raw[2]
    if (version == 0) != (mode == 0):  # spec: FRM-8
        raise OtlError("bad_value", 2, f"key version {version} in mode {mode}")
    identity = raw[3:11]
    if frame_type == RESYNC:
        return Header(name, raw, mode, alarm, answer, version, identity, nr=raw[11:27], body=body, tag=tag)
    if frame_type == CALL_NOW:
        return Header(name, raw, mode, key_version=version, identity=identity,
                      call_counter=int.from_bytes(raw[11:15], "big"), tag=tag)
    return Header(name, raw, mode, alarm, answer, version, identity, _counter(raw, 11),
                  ticket=raw[15:23] if mode >= 1 else None,
                  nt=raw[23:31] if mode >= 2 else None, body=body, tag=tag)


def _counter(raw: bytes, at: int) -> int:
    value = int.from_bytes(raw[at:at + 4], "big")
    if not 1 <= value <= COUNTER_MAX:  # spec: NON-5
        raise OtlError("bad_value", at, f"frame counter {value}")
    return value


def uplink_header(mode: int, key_version: int, identity: bytes, counter: int, ticket: bytes,
                  nt: bytes, alarm: bool, answer: bool) -> bytes:
    """The octets of an UPLINK header."""
    flags = mode << 5 | (FLAG_ALARM if alarm else 0) | (FLAG_ANSWER if answer else 0)
    out = bytes((UPLINK, flags, key_version)) + identity + u(counter, 4)
    return out + (ticket if mode >= 1 else b"") + (nt if mode >= 2 else b"")


def resync_header(mode: int, key_version: int, identity: bytes, nr: bytes) -> bytes:
    """The octets of a RESYNC header."""
    return bytes((RESYNC, mode << 5 | FLAG_ANSWER, key_version)) + identity + nr


def answer_header(mode: int, counter: int, ns: bytes) -> bytes:
    """The octets of an ANSWER header."""
    return bytes((ANSWER, mode << 5)) + u(counter, 4) + (ns if mode else b"")


def resync_answer_header(mode: int, ns: bytes) -> bytes:
    """The octets of a RESYNC_ANSWER header."""
    return bytes((RESYNC_ANSWER, mode << 5)) + ns


def call_now_header(mode: int, key_version: int, identity: bytes, call_counter: int) -> bytes:
    """The octets of a CALL_NOW header."""
    return bytes((CALL_NOW, mode << 5, key_version)) + identity + u(call_counter, 4)


def padded_length(length: int, routine: int = 128) -> int:
    """The length that a frame of ``length`` octets is padded to."""  # spec: FRM-10, FRM-11
    if length > 1152:
        return MAX_FRAME
    return max(routine, 128, -(-length // 64) * 64)


class StreamReader:
    """The TCP framing: a u16 length before each frame, length 0 as keep-alive.  # spec: TCP-1"""

    def __init__(self, receiver: str) -> None:
        self.receiver = receiver
        self.keepalives = 0
        self.error: OtlError | None = None
        self._buffer = b""
        self._consumed = 0

    def feed(self, chunk: bytes) -> list[bytes]:
        """Frames that this chunk completes.

        ``error`` is set by a framing error, at an offset from the start of the stream; nothing is
        read after it.  # spec: TCP-3
        """
        frames: list[bytes] = []
        if self.error is not None:
            return frames
        self._buffer += chunk
        while len(self._buffer) >= 2:
            length = int.from_bytes(self._buffer[:2], "big")
            if length > MAX_FRAME:
                self.error = OtlError("oversize", self._consumed, f"stream length {length}")
                break
            if length == 0 and self.receiver == "terminal":  # spec: TCP-2, only a terminal may send it
                self.error = OtlError("wrong_direction", self._consumed, "a keep-alive from a server")
                break
            if len(self._buffer) < 2 + length:
                break
            if length == 0:
                self.keepalives += 1
            else:
                frames.append(self._buffer[2:2 + length])
            self._buffer = self._buffer[2 + length:]
            self._consumed += 2 + length
        return frames
