# SPDX-License-Identifier: MIT OR Apache-2.0
"""Mishaps and attacks, run in one process. Each function is one scenario and raises on failure."""

import copy
from typing import Callable

from . import frames
from .keyring import Keyring
from .world import World, expect, lose_all, memory_copy

Scenario = Callable[[Keyring], None]
_IDS = {1: ("00000002dfdc1c35", 2), 2: ("0000000533e80035", 2), 3: ("0000000787f3e435", 1)}


def world(keys: Keyring, seed: str, mode: int = 1) -> World:
    """A world with a terminal of a mode that has had one good session."""
    identity, link = _IDS[mode]
    made = World(keys, identity, link, f"{seed}:{mode}")
    made.new_day()
    expect(made.session() == "accepted", "the first session")
    return made


def routine(keys: Keyring) -> None:
    """a routine session in modes 1, 2 and 3"""
    for mode in (1, 2, 3):
        w = world(keys, "routine", mode)
        w.new_day()
        before = len(w.air.up)
        expect(w.session() == "accepted", "accepted")
        expect(len(w.air.up) == before + 1, "one uplink is enough")
        expect(not w.terminal.memory.records and w.stored_days() == [20001, 20002], "told safe and stored")


def lost_answer(keys: Keyring) -> None:
    """the answer is lost: the same octets again, stored once, told safe"""
    w = world(keys, "lost answer")
    w.new_day()
    lost = []
    def first(_: int, frame: bytes) -> bool:
        lost.append(frame)
        return len(lost) == 1
    expect(w.session(lose_down=first) == "accepted", "accepted")
    expect(w.air.up[-1] == w.air.up[-2], "a repeat is identical")
    expect("duplicate" in w.server.events and not w.stored_twice(), "a duplicate, stored once")
    a, b = w.air.down[-2:]
    expect(a != b and a[:6] == b[:6] and not w.terminal.memory.records, "another Ns, the same ACK")


def two_answers(keys: Keyring) -> None:
    """two answers: same second same octets, later a new Ns, the terminal takes one"""
    w = world(keys, "two answers")
    w.new_day()
    w.terminal.new_session()
    frame = w.terminal.batch()[0]
    first, again = w.server.handle(frame), w.server.handle(frame)
    expect(first == again, "one seal a second")
    w.clock.now += 1
    third = w.server.handle(frame)
    expect(third != first, "a new answer in another second")
    expect(w.terminal.receive(third) == "accepted", "the first to arrive is taken")
    expect(w.terminal.receive(first) == "nothing outstanding", "the other is as if it had not come")
    expect(not w.nonce_reuse(), "no counter twice")


def restart_in_the_same_second(keys: Keyring) -> None:
    """the server restarts in the second of an answer: same terms, other random bits"""
    w = world(keys, "same second")
    w.new_day()
    w.terminal.new_session()
    frame = w.terminal.batch()[0]
    first = w.server.handle(frame)
    w.restore(w.server.snapshot())
    second = w.server.handle(frame)
    expect(first[6:14] != second[6:14], "Ns differs")
    expect(w.terminal.receive(second) == "accepted" and not w.terminal.memory.records, "told safe again from durable state")


def memory_wiped(keys: Keyring) -> None:
    """the terminal's memory is wiped: RESYNC, new epoch, nothing lost, no counter twice"""
    for mode in (1, 2, 3):
        w = world(keys, "wiped", mode)
        epoch = w.terminal.memory.epoch
        w.wipe()
        try:
            w.terminal.batch()
            raise AssertionError("an UPLINK before RESYNC")
        except RuntimeError:
            pass
        w.new_day()
        expect(w.session() == "accepted", "RESYNC and uplink")
        expect(w.terminal.memory.epoch != epoch, "another epoch")
        expect(w.stored_days() == [20001, 20002] and not w.terminal.memory.records, "nothing lost")
        expect(not w.nonce_reuse(), "no counter twice")


def wiped_and_restored(keys: Keyring) -> None:
    """memory wiped and the server restored to an older copy: no counter twice"""
    w = world(keys, "wiped and restored")
    backup = w.server.snapshot()
    for _ in range(30):
        w.new_day()
        w.session()
        w.clock.now += 86400
    w.restore(backup)
    w.wipe()
    w.new_day()
    expect(w.session() == "accepted", "a session after it")
    expect(not w.nonce_reuse(), "the floor comes from time, not from the backup")


def power_cut(keys: Keyring) -> None:
    """restart in a counter block: the rest of the block is skipped, records go again"""
    w = world(keys, "power cut")
    w.new_day()
    w.session(lose_down=lose_all)
    w.reboot()
    expect(w.session() == "accepted", "accepted")
    expect(not w.nonce_reuse() and not w.stored_twice() and not w.terminal.memory.records, "stored once, no counter twice")


def batch_with_a_hole(keys: Keyring) -> None:
    """a batch loses a frame in the middle: the map says so, it goes again in a new frame"""
    w = world(keys, "batch")
    for _ in range(5):
        w.new_day()
    start = len(w.air.up)
    expect(w.session(lose_up=lambda n, _: n == start + 2, limit=1) == "accepted", "accepted")
    expect(sorted(w.stored_days()) == list(range(20001, 20007)) and not w.stored_twice(), "all stored once")
    expect(not w.terminal.memory.records and not w.nonce_reuse(), "all told safe")


def stale_counter(keys: Keyring) -> None:
    """memory set back by a copy: a stale counter gets the floor, what was not told safe goes again"""
    w = world(keys, "stale")
    old = memory_copy(w.terminal)
    for _ in range(20):
        w.new_day()
        w.session()
        w.reboot()
    w.terminal.memory = old
    w.reboot()
    w.day += 50
    w.new_day()
    expect(w.session() == "accepted", "FLOOR, and then accepted")
    expect("counter_stale" in w.server.events or "counter_clone" in w.server.events, "seen by the server")
    expect(20072 in w.stored_days() and not w.terminal.memory.records, "the new day is stored and told safe")


def clone(keys: Keyring) -> None:
    """a copy of the terminal: same counter, other tag, no answer"""
    w = world(keys, "clone")
    twin = copy.copy(w.terminal)
    twin.memory, twin.sent = memory_copy(w.terminal), {}
    w.new_day()
    w.session()
    twin.new_session()
    frame = twin.batch()[-1]
    expect(w.server.handle(frame) is None and "counter_clone" in w.server.events, "refused, alarm")


def conflict(keys: Keyring) -> None:
    """one key with two contents: quarantined, never told safe, new epoch; what came with it is kept once"""
    w = world(keys, "conflict")
    old = memory_copy(w.terminal)
    w.new_day()
    w.session()
    w.terminal.memory.sequence = old.sequence  # the store was set back, the counter was not
    w.day += 10
    w.new_day()
    w.new_day()
    expect(w.session() == "accepted", "accepted in the end")
    expect(not w.stored_twice(), "what came beside it is a repeat under the new epoch")
    expect("record_conflict" in w.server.events and w.own["quarantine"], "quarantined")
    expect(20013 in w.stored_days() and not w.terminal.memory.records, "told safe under the new epoch")


def conflict_answer_lost(keys: Keyring) -> None:
    """a new epoch while an acknowledgement was lost: the repeat is not delivered twice"""
    w = world(keys, "conflict answer lost")
    w.new_day()
    w.session(lose_down=lose_all)
    w.terminal._new_epoch()
    w.clock.now += 1
    expect(w.session() == "accepted", "accepted")
    expect(not w.stored_twice() and not w.terminal.memory.records, "known under the previous epoch")
    expect(w.terminal.memory.previous_epoch is None, "the previous epoch is named no longer")


def frame_held_back_over_an_epoch(keys: Keyring) -> None:
    """a frame of the epoch that was left comes after its records came under the new one"""
    w = world(keys, "held back")
    w.new_day()
    w.session()
    w.new_day()
    w.session(lose_up=lose_all)
    late = w.air.up[-1]
    w.terminal._new_epoch()
    expect(w.session() == "accepted", "accepted under the new epoch")
    stored = len(w.own["stored"])
    w.server.handle(late)
    expect(len(w.own["stored"]) == stored and not w.stored_twice(), "a repeat")


def unknown_critical(keys: Keyring) -> None:
    """an unknown critical item: the answer is refused, named, and left out next time"""
    w = world(keys, "critical")
    w.own["odd_item"] = {"item": "unknown", "number": 9, "critical": True, "body": ""}
    w.new_day()
    expect(w.session() == "unknown_critical_item", "refused")
    expect(w.terminal.memory.records, "nothing was forgotten")
    expect(w.session() == "accepted" and not w.terminal.memory.records, "left out in the next answer")


def downgrade(keys: Keyring) -> None:
    """another mode, a higher one included, is refused on both ends"""
    w = world(keys, "downgrade", 2)
    entry = keys.terminals[w.identity]
    for mode in (0, 1, 3):
        if mode == 3:
            frame = bytearray(w.air.up[-1])
            frame[1] = 3 << 5 | 8
            frame += bytes(8)
        else:
            frame = frames.uplink(entry, 2, 999, w.terminal.report(0), [], mode=mode)
        expect(w.server.handle(bytes(frame)) is None and w.server.events[-1] == "mode_mismatch", f"mode {mode}")


def tampered(keys: Keyring) -> None:
    """any changed octet of an uplink or an answer: nothing happens"""
    for mode in (1, 2, 3):
        w = world(keys, "tampered", mode)
        w.new_day()
        w.terminal.new_session()
        frame = w.terminal.batch()[0]
        for at in range(2, len(frame)):
            expect(w.server.handle(frame[:at] + bytes((frame[at] ^ 1,)) + frame[at + 1:]) is None, f"uplink octet {at}")
        answer = w.server.handle(frame)
        for at in range(len(answer)):
            bad = answer[:at] + bytes((answer[at] ^ 1,)) + answer[at + 1:]
            expect(w.terminal.receive(bad) != "accepted", f"answer octet {at}")
        expect(w.terminal.receive(answer) == "accepted", "the true one is taken")


def alarm_overtakes(keys: Keyring) -> None:
    """an alarm while an uplink waits: the older answer is refused, the older frame is acknowledged by the map"""
    w = world(keys, "alarm")
    w.new_day()
    w.terminal.new_session()
    first = w.terminal.batch()[0]
    answer = w.server.handle(first)
    w.terminal.keep({"type": "alarm_notice", "stamp": w.terminal.stamp(), "meter": {"slot": 0, "generation": 0},
                     "snapshot": False, "valve": "closed_by_meter", "panel": "", "alarms": [
                         {"alarm": "use_time_shutoff", "state": "raised", "code": "3032"}]})
    second = w.terminal.batch()[-1]
    expect(second[1] & 0x10, "the ALARM bit")
    expect(w.terminal.receive(answer) == "another counter", "no longer outstanding")
    w.clock.now += 1
    expect(w.terminal.receive(w.server.handle(second)) == "accepted" and not w.terminal.memory.records, "both told safe")


SCENARIOS: list[Scenario] = [
    routine, lost_answer, two_answers, restart_in_the_same_second, memory_wiped, wiped_and_restored, power_cut,
    batch_with_a_hole, stale_counter, clone, conflict, conflict_answer_lost, frame_held_back_over_an_epoch,
    unknown_critical, downgrade, tampered,
    alarm_overtakes]
