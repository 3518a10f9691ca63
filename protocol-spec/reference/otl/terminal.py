# SPDX-License-Identifier: MIT OR Apache-2.0
"""A small terminal: non-volatile memory, counters, records, sessions, rotation. Commands are in execute.py."""

from dataclasses import dataclass, field
from typing import Any

from . import crypto, frames, schedule, wire
from .answers import decode_answer, decode_resync_answer
from .drbg import Drbg
from .errors import OtlError
from .execute import Executor, Meter
from .keyring import TerminalEntry, Utility
from .records import encode_record
from .registry import OUTCOMES
from .report import Json
from .wire import Cursor, Header, parse

ROOM = wire.MAX_FRAME - 31 - 16 - 18 - 16  # octets for records in the worst header, report and session items


@dataclass
class Secure:
    """What survives the loss of counters and records."""  # spec: KEY-9, FRM-11

    keys: dict[str, dict[int, bytes]]
    link: int  # the confirmed link key version
    mode: int  # the confirmed mode
    link_new: int | None = None  # installed, not yet confirmed  # spec: ROT-2
    mode_new: int | None = None  # spec: ROT-10
    routine: int = 128


@dataclass
class Memory:
    """Non-volatile memory that can be lost."""

    reserved: int | None = 1  # the first counter that is not reserved; None: not known
    epoch: int = 0
    sequence: int = 0
    records: list[Json] = field(default_factory=list)
    previous_epoch: int | None = None
    last_old_sequence: int = 0  # records up to here were made under the previous epoch
    ticket: bytes = bytes(8)
    command: int = 0
    outcome: int = 0
    begun: Json = field(default_factory=dict)  # spec: CMD-6
    slot_version: int = 0
    boots: int = 0


@dataclass
class Outstanding:
    """The one uplink that waits."""  # spec: SES-1

    frame: bytes
    header: Header
    first_sent: int
    sequences: dict[int, list[int]]  # frame counter -> record sequences, for ACK and map


class Terminal:
    """One terminal. ``clock`` is the monotonic time in seconds; the time of day comes from answers only."""

    def __init__(self, entry: TerminalEntry, secure: Secure, rng: Drbg, clock: Any, meter: Meter) -> None:
        self.identity, self.utility = entry.identity, entry.utility.id
        self.secure, self.rng, self.clock, self.meter = secure, rng, clock, meter
        self.memory = Memory(epoch=self._draw_epoch())
        self.executor = Executor(self)
        self.used: list[tuple[int, bytes]] = []  # for the tests only: every counter with its frame
        self.boot()

    def boot(self, memory_lost: bool = False) -> None:
        """Start: after a loss of memory only RESYNC is possible."""  # spec: NON-3, NON-4
        self.utc_offset: int | None = None
        self.uncertainty = 0
        self.booted = self.clock.now
        self.outstanding: Outstanding | None = None
        self.nt = bytes(8)
        self.sent: dict[int, list[int]] = {}
        self.sessions = 0  # since a new key or mode was installed  # spec: ROT-4
        self.refused_item: int | None = None
        if memory_lost:
            self.memory = Memory(reserved=None, epoch=self._draw_epoch())  # spec: RSY-3
        self.memory.boots += 1
        self.counter = self.memory.reserved  # spec: NON-3, the reserved block is skipped
        self.executor.after_restart()

    def _draw_epoch(self) -> int:
        return self.rng.between(1, 2**32 - 1)  # spec: REC-2

    # Keys

    def entry(self) -> TerminalEntry:
        """The keys that this terminal holds, in the form that the frame makers want."""
        keys = {(purpose, version): key for purpose, versions in self.secure.keys.items() for version, key in versions.items()}
        return TerminalEntry(self.identity, Utility(self.utility, ""), self.mode, imported=keys)

    def _turn_is_new(self) -> bool:
        """Three sessions under the new key or mode, then one under the old."""  # spec: ROT-4
        turn = self.sessions % (schedule.SESSIONS_UNDER_NEW + schedule.SESSIONS_UNDER_OLD)
        return turn < schedule.SESSIONS_UNDER_NEW

    @property
    def link(self) -> int:
        """The link key version of this session."""
        new = self.secure.link_new
        return new if new is not None and self._turn_is_new() else self.secure.link

    @property
    def mode(self) -> int:
        """The mode of this session."""
        new = self.secure.mode_new
        return new if new is not None and self._turn_is_new() else self.secure.mode

    # Time

    def stamp(self) -> Json:
        """The terminal's now."""  # spec: REC-3
        if self.utc_offset is None:
            return {"uptime_s": self.clock.now - self.booted, "boot": self.memory.boots}
        return {"utc_s": self.clock.now + self.utc_offset, "uncertainty_s": self.uncertainty}

    def _take_time(self, ns: bytes, first_sent: int) -> None:  # spec: ANS-16
        half = -(-(self.clock.now - first_sent) // 2)
        utc = int.from_bytes(ns[:4], "big") + half
        before = self.stamp()
        difference = None if self.utc_offset is None else abs(self.clock.now + self.utc_offset - utc)
        if difference is not None and difference <= self.uncertainty + half:
            return
        self.utc_offset, self.uncertainty = utc - self.clock.now, half + 1
        if difference is None or difference >= 2:  # spec: REC-5
            self.keep({"type": "clock_change", "before": before, "after": self.stamp(), "cause": 1})

    # Records

    def keep(self, record: Json) -> Json:
        """Store a record under the next sequence."""  # spec: REC-6
        self.memory.sequence += 1
        kind = record.pop("type")
        stored = {"type": kind, "sequence": self.memory.sequence, **record}
        self.executor.seal_record(stored)
        self.memory.records.append(stored)
        return stored

    def _ordered(self) -> list[Json]:
        """Alarms newest first, results and valve states, the rest oldest first."""  # spec: REC-30
        rank = {"alarm_notice": 0, "command_result": 1, "valve_state": 1}
        def place(record: Json) -> tuple[int, int]:
            group = rank.get(record["type"], 2)
            return group, -record["sequence"] if group == 0 else record["sequence"]
        return sorted(self.memory.records, key=place)

    def _new_epoch(self) -> None:  # spec: REC-2, REC-28
        memory = self.memory
        memory.previous_epoch, memory.last_old_sequence = memory.epoch, memory.sequence
        while memory.epoch == memory.previous_epoch:
            memory.epoch = self._draw_epoch()
        for record in memory.records:
            self.executor.seal_record(record)

    # Sending

    def _next_counter(self) -> int:
        if self.counter is None:
            raise RuntimeError("RESYNC first")  # spec: NON-4
        if self.counter >= self.memory.reserved:  # spec: NON-3, written before it is used
            self.memory.reserved = self.counter + schedule.COUNTER_BLOCK
        self.counter += 1
        return self.counter - 1

    def new_session(self) -> None:
        """Draw Nt; count sessions for ROT-4."""  # spec: NON-6
        self.nt = self.rng.octets(8)

    def _fill(self, records: list[Json]) -> tuple[list[Json], list[Json]]:
        room, taken = ROOM, []
        while records and len(encode_record(records[0])) <= room:
            room -= len(encode_record(records[0]))
            taken.append(records[0])
            records = records[1:]
        return taken, records

    def report(self, following: int) -> Json:
        """The report."""  # spec: REC-1
        out = {"stamp": self.stamp(), "epoch": self.memory.epoch, "wake_slot_version": self.memory.slot_version,
               "frames_following": min(following, 15), "command": self.memory.command}
        if self.memory.command:
            out["outcome"] = OUTCOMES.name(self.memory.outcome)
        return out

    def batch(self, limit: int | None = None) -> list[bytes]:
        """The frames of one batch; only the last one asks. ``limit``: records a frame, for tests."""  # spec: REC-31
        groups, rest = [], self._ordered()
        while True:
            taken, rest = (rest[:limit], rest[limit:]) if limit else self._fill(rest)
            groups.append(taken)
            if not rest or len(groups) == schedule.BATCH:
                break
        # spec: REC-31, a frame with an alarm is the last of its batch
        with_alarm = [g for g in groups if any(r["type"] == "alarm_notice" for r in g)]
        groups = with_alarm[:1] if with_alarm else groups
        items = [{"item": "previous_epoch", "epoch": self.memory.previous_epoch}] if self.memory.previous_epoch else []
        out = []
        for i, group in enumerate(groups):
            last = i == len(groups) - 1
            if last and self.refused_item is not None:
                items = items + [{"item": "answer_refused", "number": self.refused_item}]  # spec: ANS-20
            counter = self._next_counter()
            frame = frames.uplink(self.entry(), self.link, counter, self.report(len(groups) - 1 - i), group,
                                  self.memory.ticket, self.nt, last, items, self.secure.routine, mode=self.mode)
            self.sent[counter] = [r["sequence"] for r in group]
            self.used.append((counter, frame))
            out.append(frame)
        self.refused_item = None
        self.outstanding = Outstanding(out[-1], parse(out[-1]), self.clock.now, self.sent)
        return out

    def resync(self, reason: int = 1) -> bytes:
        """A RESYNC frame."""  # spec: RSY-4
        frame = frames.resync(self.entry(), self.link, self.rng.octets(16), self.report(0), reason, self.mode)
        self.outstanding = Outstanding(frame, parse(frame), self.clock.now, {})
        return frame

    # Receiving

    def receive(self, frame: bytes) -> str:
        """What became of a frame: accepted, or why it was treated as if it had not come."""  # spec: SES-5
        waiting = self.outstanding
        if waiting is None or self.clock.now - waiting.first_sent > schedule.OUTSTANDING_S:
            return "nothing outstanding"
        try:
            header = parse(frame, "terminal")
            wanted = "resync_answer" if waiting.header.frame == "resync" else "answer"
            if header.frame != wanted or header.mode != waiting.header.mode:  # spec: SEC-1
                return "another frame"
            if header.frame == "answer" and header.counter != waiting.header.counter:
                return "another counter"
            plaintext = frames.open_answer(self.entry(), header, waiting.header)  # spec: SEC-7
        except OtlError as err:
            return err.kind
        cur = Cursor(plaintext, header.length)
        try:
            content = decode_resync_answer(cur) if wanted == "resync_answer" else decode_answer(cur)
        except OtlError as err:
            if err.kind == "unknown_critical_item":  # spec: ANS-12, ANS-20
                self.refused_item = plaintext[err.offset - header.length] & 0x7F
            return err.kind
        self.outstanding = None
        self._accept(header, waiting, content)
        return "accepted"

    def _accept(self, header: Header, waiting: Outstanding, content: Json) -> None:
        """Work an answer off in order."""  # spec: ANS-22
        memory = self.memory
        if header.ns is not None:
            memory.ticket = header.ns  # spec: FRS-1
            self._confirm(waiting.header)
            self._take_time(header.ns, waiting.first_sent)
        if header.frame == "resync_answer":  # spec: RSY-2
            self.counter = max(content["floor"], memory.reserved or 0)
            memory.reserved = self.counter
        else:
            self._acknowledge(header.counter, waiting, content)
        for it in content["items"]:
            if it["item"] == "floor":
                self._continue_from(it["counter"])
        if content.get("new_epoch"):
            self._new_epoch()
        for it in content["items"]:
            if it["item"] == "slot" and it["version"] != memory.slot_version:  # spec: ANS-18
                memory.slot_version = it["version"]
        for it in content["items"]:
            if it["item"] == "command":
                self.executor.run(it, header.ns, waiting)

    def _confirm(self, uplink: Header) -> None:
        """A verified answer under the new key or in the new mode drops the old."""  # spec: ROT-3, ROT-10
        secure = self.secure
        if secure.link_new is not None and uplink.key_version == secure.link_new:
            del secure.keys["link"][secure.link]
            secure.link, secure.link_new = secure.link_new, None
        if secure.mode_new is not None and uplink.mode == secure.mode_new:
            secure.mode, secure.mode_new = secure.mode_new, None

    def _acknowledge(self, counter: int, waiting: Outstanding, content: Json) -> None:  # spec: ANS-2, ANS-4
        safe = set(waiting.sequences.get(counter, [])) if content["ack"] else set()
        for i in range(16):
            if content["map"] >> i & 1:
                safe |= set(waiting.sequences.get(counter - 1 - i, []))
        self.memory.records = [r for r in self.memory.records if r["sequence"] not in safe]
        left = [r for r in self.memory.records if r["sequence"] <= self.memory.last_old_sequence]
        if self.memory.previous_epoch and not left:
            self.memory.previous_epoch = None  # spec: REC-28
        self.sent = {}

    def _continue_from(self, floor: int) -> None:  # spec: REP-7
        if floor - self.counter <= schedule.FLOOR_JUMP and floor > self.counter:
            self.counter = floor
            self.memory.reserved = max(self.memory.reserved, floor)


def provision(entry: TerminalEntry, link: int, rng: Drbg, clock: Any, meter: Meter | None = None,
              command: int = 1, kek: int = 1) -> Terminal:
    """A terminal as its maker delivers it, with base keys of the given versions."""
    keys = {"link": {link: entry.base("link", link)}, "command": {command: entry.base("command", command)},
            "kek": {kek: entry.base("kek", kek)}}
    assert crypto.PURPOSES.keys() == keys.keys()
    return Terminal(entry, Secure(keys, link, entry.mode), rng, clock, meter or Meter())
