# SPDX-License-Identifier: MIT OR Apache-2.0
"""tcp.toml: chunks of a stream and the frames that they complete."""

from otl import frames
from otl.wire import StreamReader, u
from .frames_v import answer_content, down, up
from .toml import Vector, text


def _stream(*parts: bytes) -> bytes:
    return b"".join(u(len(part), 2) + part for part in parts)


def _vector(name: str, clauses: str, chunks: list[bytes], receiver: str = "server") -> Vector:
    reader = StreamReader(receiver)
    got = [frame for chunk in chunks for frame in reader.feed(chunk)]
    fields = {"receiver": receiver, "chunks": [c.hex() for c in chunks], "frames": [f.hex() for f in got],
              "keepalives": reader.keepalives}
    if reader.error is not None:
        fields.update(error=reader.error.kind, offset=reader.error.offset)
    return Vector(name, clauses.split(), fields)


def vectors() -> list[Vector]:
    """Streams cut in every awkward way."""
    first, second, big = up(1, 400001, []), up(1, 400002), up(3, 400003)
    answer = down(first, answer_content())
    both = _stream(first, second)
    largest = bytes([0x11]) + bytes(1199)
    return [
        _vector("one_frame", "TCP-1", [_stream(first)]),
        _vector("two_frames_in_one_chunk", "TCP-1", [both]),
        _vector("octet_by_octet", "TCP-1", [bytes((octet,)) for octet in _stream(first)]),
        _vector("cut_in_the_length", "TCP-1", [both[:1], both[1:131], both[131:]]),
        _vector("cut_before_the_last_octet", "TCP-1", [both[:-1], both[-1:]]),
        _vector("half_a_frame", "TCP-4", [both[:100]]),
        _vector("keepalives", "TCP-2", [bytes(2), bytes(2) + _stream(first) + bytes(1), bytes(1), _stream(big)]),
        _vector("keepalive_only", "TCP-2 TCP-4", [bytes(2)]),
        _vector("largest_length", "TCP-3 FRM-4", [u(1200, 2) + largest]),
        _vector("length_1201", "TCP-3", [u(1201, 2)]),
        _vector("length_65535_after_a_frame", "TCP-3", [_stream(first) + b"\xff\xff" + bytes(300), _stream(second)]),
        _vector("frame_without_its_length", "TCP-3", [first]),
        _vector("frame_of_one_octet", "TCP-1 FRM-7", [_stream(b"\x11")]),
        _vector("answer_at_terminal", "TCP-1", [_stream(answer), _stream(frames.close(1))], "terminal"),
        _vector("close_at_terminal", "ERR-4", [_stream(frames.close(0))], "terminal"),
    ]


def files() -> dict[str, str]:
    """All files of this module."""
    return {"otl/tcp.toml": text(
        "The TCP framing (part 2). chunks: what arrives, in order; frames: the frames that come out; keepalives: lengths of 0.\n"
        "error and offset: the framing error that closes the connection; offset counts from the first octet of the stream.\n"
        "frames are cut here, not judged: some are not valid.", vectors())}
