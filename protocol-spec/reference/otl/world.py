# SPDX-License-Identifier: MIT OR Apache-2.0
"""One terminal, one server, one signer and the air between them, for the mishap scenarios."""

import copy
from dataclasses import dataclass, field
from typing import Any, Callable

from . import schedule
from .drbg import Drbg
from .execute import Meter
from .keyring import Keyring
from .report import Json, unit
from .server import Server
from .signer import Signer
from .terminal import Memory, Terminal, provision

Drop = Callable[[int, bytes], bool]


def deliver_all(_: int, __: bytes) -> bool:
    """Nothing is lost."""
    return False


def lose_all(_: int, __: bytes) -> bool:
    """Everything is lost."""
    return True


@dataclass
class Clock:
    """Seconds; one for the world, one more for a signer or an attacker whose clock differs."""

    now: int


@dataclass
class Air:
    """What was sent, for attackers and for checks."""

    up: list[bytes] = field(default_factory=list)
    down: list[bytes] = field(default_factory=list)


class World:
    """The cast of one scenario."""

    def __init__(self, keys: Keyring, identity: str, link: int, seed: str, start: int = 1_798_761_720) -> None:
        self.keys, self.clock = keys, Clock(start)
        self.identity = bytes.fromhex(identity)
        self.rng = Drbg("world:" + seed)
        self.signer = Signer(keys, self.clock)
        self.server = Server(keys, self.signer, self.clock, Drbg("server:" + seed))
        self.terminal: Terminal = provision(keys.terminals[self.identity], link, Drbg("terminal:" + seed), self.clock, Meter())
        self.air = Air()
        self.day = 20_000
        self.made: list[Json] = []

    # The terminal's life

    def new_day(self) -> Json:
        """The terminal makes a small everyday record."""
        self.day += 1
        self.terminal.meter.register += 731
        record = self.terminal.keep({
            "type": "everyday", "valve": self.terminal.meter.valve, "meter": {"slot": 0, "generation": 0},
            "unit": unit(0x15), "day": self.day, "daily_register": self.terminal.meter.register})
        self.made.append(copy.deepcopy(record))
        return record

    def session(self, lose_up: Drop = deliver_all, lose_down: Drop = deliver_all, follow: int = 4,
                limit: int | None = None) -> str:
        """One session: RESYNC if needed, batches, repeats as the schedule says. Says how it ended."""
        terminal = self.terminal
        terminal.new_session()
        outcome = "gave up"
        for _ in range(follow):
            sent = terminal.resync() if terminal.counter is None else None
            batch = [sent] if sent else terminal.batch(limit)
            wanted_resync = sent is not None
            outcome = self._exchange(batch, lose_up, lose_down)
            if outcome != "accepted":
                break
            if not wanted_resync and not terminal.memory.records and not self.more:
                break
        terminal.sessions += 1  # spec: ROT-4
        self.clock.now += 600
        return outcome

    def _exchange(self, batch: list[bytes], lose_up: Drop, lose_down: Drop) -> str:
        for frame in batch[:-1]:
            self._send(frame, lose_up)
        for wait in (0, *schedule.ROUTINE_WAITS_S[:2]):  # spec: SES-2, the same octets again
            self.clock.now += wait
            reply = self._send(batch[-1], lose_up)
            self.clock.now += 1
            if reply is None or lose_down(len(self.air.down), reply):
                continue
            return self.terminal.receive(reply)
        return "gave up"

    def _send(self, frame: bytes, lose_up: Drop) -> bytes | None:
        self.air.up.append(frame)
        if lose_up(len(self.air.up), frame):
            return None
        reply = self.server.handle(frame)
        if reply is not None:
            self.air.down.append(reply)
        return reply

    @property
    def more(self) -> bool:
        """Does the server wait for another uplink?"""
        return self.server._waits(self.identity)

    # Mishaps

    def wipe(self) -> None:
        """The terminal loses counters and records, and restarts."""
        self.terminal.boot(memory_lost=True)

    def reboot(self) -> None:
        """The terminal restarts with its memory."""
        self.terminal.boot()

    def restore(self, server: Json, ledger: Json | None = None) -> None:
        """The server, and the signer if a ledger is given, come back from a backup."""
        if ledger is not None:
            self.signer = Signer(self.keys, self.clock, copy.deepcopy(ledger))
        self.server = Server(self.keys, self.signer, self.clock, Drbg(f"server:{self.clock.now}"), copy.deepcopy(server))

    # Checks

    @property
    def own(self) -> Json:
        """The server's state of the terminal."""
        return self.server.of(self.identity)

    def stored_days(self) -> list[int]:
        """Days that the server has, in the order of arrival."""
        return [r["day"] for r in self.own["stored"] if r["type"] == "everyday"]

    def nonce_reuse(self) -> bool:
        """Was one frame counter ever used for two different frames?"""  # spec: NON-2
        seen: dict[int, bytes] = {}
        return any(seen.setdefault(counter, frame) != frame for counter, frame in self.terminal.used)

    def stored_twice(self) -> bool:
        """Has the server two stored records of one key? (It must not.)"""
        return len(self.stored_days()) != len(set(self.stored_days()))


def memory_copy(terminal: Terminal) -> Memory:
    """A copy of a terminal's memory, to set it back later."""
    return copy.deepcopy(terminal.memory)


def expect(condition: Any, what: str) -> None:
    """A check of a scenario."""
    if not condition:
        raise AssertionError(what)
