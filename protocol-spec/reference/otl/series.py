# SPDX-License-Identifier: MIT OR Apache-2.0
"""The bit coder of part 6: series of registers and gauges."""

from typing import Any

from .errors import OtlError
from .wire import REGISTER_MAX, U32_MAX, Cursor, u, varint

GAUGE_MAX = 65533
ZIGZAG_MAX = 2 * GAUGE_MAX


class BitReader:
    """Reads bits, most significant first, from a cursor's octets."""

    def __init__(self, cur: Cursor) -> None:
        self.cur, self.start, self.bit = cur, cur.pos, 0

    @property
    def offset(self) -> int:
        """The offset of the octet that holds the next bit."""
        return self.cur.base + self.start + self.bit // 8

    def bits(self, n: int) -> int:
        """The next n bits."""
        value = 0
        for _ in range(n):
            at = self.start + self.bit // 8
            if at >= self.cur.end:
                raise OtlError("truncated", self.cur.base + self.cur.end, "the bit stream ends early")
            value = value << 1 | self.cur.data[at] >> (7 - self.bit % 8) & 1
            self.bit += 1
        return value

    def coded(self, k: int, most: int) -> int:
        """One number from 0 to ``most`` in the step code. ``most`` is at least 1."""
        start = self.offset
        if self.bits(1) == 0:
            return 0
        ones = 0
        while self.bits(1):
            ones += 1
            if ones > (most - 1) >> k:  # stop at once: no long loop for a number that cannot be
                raise OtlError("bad_value", start, f"above {most}")
        value = (ones << k | self.bits(k)) + 1
        if value > most:
            raise OtlError("bad_value", start, f"{value} above {most}")
        return value

    def finish(self) -> None:
        """Fill bits are zero; the cursor moves behind the stream."""  # spec: SER-4
        fill = -self.bit % 8
        if fill:
            last = self.offset
            if self.bits(fill):
                raise OtlError("non_canonical", last, "a fill bit is set")
        self.cur.pos = self.start + self.bit // 8


class BitWriter:
    """Writes bits, most significant first."""

    def __init__(self) -> None:
        self.value, self.count = 0, 0

    def bits(self, value: int, n: int) -> None:
        """Append n bits."""
        self.value, self.count = self.value << n | value, self.count + n

    def coded(self, k: int, value: int) -> None:
        """Append one number in the step code."""
        if value == 0:
            self.bits(0, 1)
            return
        ones = value - 1 >> k
        self.bits(1, 1)
        self.bits((1 << ones) - 1 << 1, ones + 1)
        self.bits(value - 1 & (1 << k) - 1, k)

    def octets(self) -> bytes:
        """The stream with its fill bits."""
        fill = -self.count % 8
        return u(self.value << fill, (self.count + fill) // 8)


def best_k(numbers: list[int]) -> int:
    """The smallest k of the shortest stream."""  # spec: SER-3
    def cost(k: int) -> int:
        return sum((n - 1 >> k) + 1 + k for n in numbers if n)
    return min(range(32), key=lambda k: (cost(k), k))


def encode_series(segments: list[dict[str, Any]], count: int) -> bytes:
    """Octets of a series from segments in the JSON form."""
    whole = len(segments) == 1 and segments[0]["first_mark"] == 1 and len(segments[0]["registers"]) == count
    out = u(0 if whole else len(segments), 1)  # spec: SER-5
    steps: list[int] = []
    for segment in segments:
        registers = segment["registers"]
        if not whole:
            out += bytes((segment["reason"], segment["first_mark"], len(registers)))
        out += varint(registers[0])
        steps += [b - a for a, b in zip(registers, registers[1:])]
    if not steps:
        return out
    if min(steps) < 0 or max(steps) > U32_MAX:
        raise ValueError("a step that needs a new segment")  # spec: SER-1
    return out + _stream(best_k(steps), steps)


def _stream(k: int, numbers: list[int], first: int | None = None) -> bytes:
    writer = BitWriter()
    if first is not None:
        writer.bits(first, 16)
    if numbers:
        writer.bits(k, 5)
        for number in numbers:
            writer.coded(k, number)
    return writer.octets()


def _segment_heads(cur: Cursor, count: int) -> list[tuple[int, int, int, int]]:
    """(reason, first, length, start) of each segment."""
    at = cur.offset
    n = cur.u(1)
    if n > count:
        raise OtlError("bad_value", at, f"{n} segments over {count} marks")
    if n == 0:
        return [(0, 1, count, cur.varint(REGISTER_MAX))]
    heads, free = [], 1  # free: the first mark that no segment covers yet
    for _ in range(n):
        reason_at, reason = cur.offset, cur.u(1)
        if reason > 6:
            raise OtlError("bad_value", reason_at, f"reason {reason}")
        first_at, first = cur.offset, cur.u(1)
        if heads and first == free and reason == 0:  # spec: SER-2
            raise OtlError("bad_value", reason_at, "an adjoining segment without a reason")
        if not free <= first <= count:
            raise OtlError("bad_value", first_at, f"first mark {first}")
        length_at, length = cur.offset, cur.u(1)
        if not 1 <= length <= count - first + 1:
            raise OtlError("bad_value", length_at, f"length {length}")
        heads.append((reason, first, length, cur.varint(REGISTER_MAX)))
        free = first + length
    if n == 1 and heads[0][2] == count:  # spec: SER-5
        raise OtlError("non_canonical", at, "one segment over all marks is sent as 0")
    return heads


def decode_series(cur: Cursor, count: int) -> list[dict[str, Any]]:
    """Segments in the JSON form; the cursor moves behind the series."""
    heads = _segment_heads(cur, count)
    reader, k, steps, stream_at = BitReader(cur), 0, [], cur.offset
    streamed = any(length > 1 for _, _, length, _ in heads)
    if streamed:
        k = reader.bits(5)
    segments = []
    for reason, first, length, start in heads:
        registers = [start]
        for _ in range(length - 1):
            at = reader.offset
            steps.append(reader.coded(k, U32_MAX))  # spec: SER-6
            registers.append(registers[-1] + steps[-1])
            if registers[-1] > REGISTER_MAX:
                raise OtlError("bad_value", at, "register above 2^48 - 1")
        segments.append({"reason": reason, "first_mark": first, "registers": registers})
    if streamed:
        if k != best_k(steps):  # spec: SER-3
            raise OtlError("non_canonical", stream_at, f"k {k}, not {best_k(steps)}")
        reader.finish()
    return segments


def encode_gauges(values: list[int | None]) -> bytes:
    """Octets of gauges; None is a mark that was not measured."""
    measured = [v for v in values if v is not None]
    out = b"\x00"
    if len(measured) < len(values):  # spec: SER-7
        writer = BitWriter()
        for value in values:
            writer.bits(value is not None, 1)
        out = b"\x01" + writer.octets()
    turned = [2 * (b - a) if b >= a else -2 * (b - a) - 1 for a, b in zip(measured, measured[1:])]
    return out + _stream(best_k(turned), turned, measured[0])


def decode_gauges(cur: Cursor, count: int) -> list[int | None]:
    """One entry a mark, None where not measured; the cursor moves behind the gauges."""
    form_at = cur.offset
    form = cur.u(1)
    if form > 1:
        raise OtlError("bad_value", form_at, f"form {form}")
    present = [True] * count
    if form == 1:
        bitmap_at, width = cur.offset, (count + 7) // 8
        bitmap = cur.u(width)
        fill = width * 8 - count
        if bitmap & (1 << fill) - 1:  # spec: SER-4
            raise OtlError("non_canonical", bitmap_at + width - 1, "a fill bit of the bitmap is set")
        present = [bool(bitmap >> (width * 8 - 1 - i) & 1) for i in range(count)]
        if all(present):  # spec: SER-7
            raise OtlError("non_canonical", form_at, "a bitmap with every mark measured")
        if not any(present):
            raise OtlError("bad_value", bitmap_at, "no mark is measured")
    return _decode_gauge_stream(cur, present)


def _decode_gauge_stream(cur: Cursor, present: list[bool]) -> list[int | None]:
    reader, at = BitReader(cur), cur.offset
    value = reader.bits(16)
    if value > GAUGE_MAX:  # spec: SER-8
        raise OtlError("bad_value", at, f"gauge {value}")
    measured, turned = [value], []
    total = sum(present)
    if total > 1:
        k_at = reader.offset
        k = reader.bits(5)
        for _ in range(total - 1):
            at = reader.offset
            number = reader.coded(k, ZIGZAG_MAX)
            turned.append(number)
            value += number // 2 if number % 2 == 0 else -(number + 1) // 2
            if not 0 <= value <= GAUGE_MAX:
                raise OtlError("bad_value", at, f"gauge {value}")
            measured.append(value)
        if k != best_k(turned):  # spec: SER-3, SER-8
            raise OtlError("non_canonical", k_at, f"k {k}, not {best_k(turned)}")
    reader.finish()
    rest = iter(measured)
    return [next(rest) if here else None for here in present]
