# SPDX-License-Identifier: MIT OR Apache-2.0
"""sample-frames.hex: a few frames to try the decoder with."""

from otl import frames
from otl.wire import parse
from . import samples as s
from .commands_v import signed, with_mac
from .frames_v import FLOOR, TERMINALS, alarm, answer_content, down, up
from .keys import entry
from .toml import LICENCE

_HEADER = """\
# Frames to try the decoder with, one a line; the keys are in ../keys.toml:
#   kenshin decode --protocol otl --keys protocol-spec/vectors/keys.toml < protocol-spec/vectors/otl/sample-frames.hex
# An answer follows the uplink that it answers, because its tag covers that uplink (SEC-7).
"""


def sample_frames() -> str:
    """The text of the file."""
    out = LICENCE + _HEADER

    def add(remark: str, frame: bytes) -> bytes:
        nonlocal out
        out += f"\n# {remark}\n{frame.hex()}\n"
        return frame

    ask = add("mode 0, laboratory only: a day in clear", up(0, 700001))
    add("its answer: told safe", down(ask, answer_content()))
    ask = add("mode 1: an ordinary day, padded to 128 octets", up(1, 700001))
    add("its answer: told safe, no more to say", down(ask, answer_content()))
    ask = add("mode 1: an alarm and the day", up(1, 700002, [alarm(), s.everyday()]))
    add("its answer: told safe, with a new wake slot", down(
        ask, answer_content([{"item": "slot", "version": 2, "second_of_day": 11220}])))
    name, _ = TERMINALS[2]
    ask = add("mode 2: a day under a session key", up(2, 700001))
    header = parse(ask)
    close = signed(name, header, s.ns(), "valve_close", b"\x01", precondition=1)
    add("its answer: told safe, with a bound valve_close", frames.answer(
        entry(name), header, s.ns(), answer_content([close], final=False)))
    report = s.report(command=78, when=s.stamp(s.NOW + 4))
    result = with_mac(name, {"type": "command_result", "sequence": 816, "stamp": s.stamp(s.NOW + 3), "command_key_version": 1,
                             "command": 78, "kind": "valve_close", "meter": s.meter(), "valve": "closed_by_centre",
                             "outcome": "done", "data": ""}, report["epoch"])
    ask = add("mode 2: the result, echoing that answer's Ns", up(2, 700002, [result], report, ticket=s.ns()))
    add("its answer", down(ask, answer_content(), s.ns(s.NOW + 5, 9)))
    ask = add("mode 3: a day under AES-256-GCM", up(3, 700001))
    add("its answer: told safe, come back in an hour", down(
        ask, answer_content([{"item": "come_back", "seconds": 3600}])))
    lost = s.report(when=s.unset(), slot=0, epoch=0x0C0FFEE1)
    ask = add("mode 1: RESYNC, the terminal lost its memory", frames.resync(entry("mode1"), 2, s.NR, lost, 1))
    add("its answer: the floor", frames.resync_answer(entry("mode1"), parse(ask), s.ns(), {"floor": FLOOR, "items": []}))
    add("mode 1: CALL_NOW", frames.call_now(entry("mode1"), 2, s.NOW))
    return out


def files() -> dict[str, str]:
    """All files of this module."""
    return {"otl/sample-frames.hex": sample_frames()}
