# SPDX-License-Identifier: MIT OR Apache-2.0
"""Mishaps and attacks around commands: forging, holding back, repeating, restoring."""

from . import crypto, frames
from .answers import command_head, decode_answer
from .execute import PowerLoss
from .keyring import Keyring
from .report import Json
from .scenarios import Scenario, world
from .wire import Cursor, parse
from .world import Clock, World, expect, lose_all

CLOSE = b"\x01"


def _answer_with(w: World, ns: bytes, items: list[Json]) -> bytes:
    """An answer that anybody with the link key can seal."""
    content = {"ack": False, "final": False, "more": False, "new_epoch": False, "unproven": False, "map": 0, "items": items}
    return frames.answer(w.terminal.entry(), w.terminal.outstanding.header, ns, content)


def _open_session(w: World) -> bytes:
    w.new_day()
    w.terminal.new_session()
    return w.terminal.batch()[0]


def _item(w: World, sequence: int, **more: object) -> Json:
    return {"item": "command", "key_version": 1, "sequence": sequence, "kind": "valve_close",
            "meter": {"slot": 0, "generation": 0}, "bound": True, "precondition": 1,
            "not_after_utc_s": w.clock.now + 600, "parameters": CLOSE.hex(), "mac": "00" * 16, **more}


def closes(keys: Keyring) -> None:
    """valve_close in modes 1, 2 and 3: executed once, result verified by the signer"""
    for mode in (1, 2, 3):
        w = world(keys, "close", mode)
        order = w.server.order(w.identity, "valve_close", CLOSE, precondition=1)
        w.new_day()
        expect(w.session() == "accepted", "a session with a command")
        expect(w.terminal.meter.valve == "closed_by_centre" and w.terminal.meter.moves == 1, "closed once")
        expect(w.own["ended"] == {order: "done"} and w.own["handed"][order]["state"] == "ended", "ended by its result")


def no_ticket(keys: Keyring) -> None:
    """no ticket: no dangerous command until a second uplink echoes this session's Ns"""
    w = world(keys, "no ticket")
    w.terminal.memory.ticket = bytes(8)
    w.server.order(w.identity, "valve_close", CLOSE)
    frame = _open_session(w)
    answer = w.server.handle(frame)
    expect(w.terminal.receive(answer) == "accepted" and w.terminal.meter.moves == 0, "not handed over")
    expect("freshness_unproven" in w.server.events, "records are accepted and marked")
    w.clock.now += 1
    expect(w.session() == "accepted" and w.terminal.meter.moves == 1, "handed over to the next")


def forged_command(keys: Keyring) -> None:
    """the holder of the link key forges a command: ignored, no sequence recorded"""
    for mode in (1, 2, 3):
        w = world(keys, "forged", mode)
        _open_session(w)
        link = w.terminal.secure.keys["link"][w.terminal.link]
        ns = w.clock.now.to_bytes(4, "big") + b"evil"
        header, item = w.terminal.outstanding.header, _item(w, 5)
        macs = [bytes(16)]
        for direction in (1, 2):
            key = crypto.command_key(link, w.terminal.utility, w.identity, direction, 1)
            macs.append(crypto.command_mac(key, w.identity, command_head(item), CLOSE, (ns, header.raw, header.tag)))
        frame = _answer_with(w, ns, [{**item, "mac": mac.hex(), "sequence": 5} for mac in macs[:1]])
        expect(w.terminal.receive(frame) == "accepted", "the answer itself is sealed rightly")
        expect(w.terminal.meter.moves == 0 and w.terminal.memory.command == 0, "ignored")
        for mac in macs[1:]:
            w.clock.now += 1
            frame = _open_session(w)
            expect(w.terminal.receive(_answer_with(w, ns, [{**item, "mac": mac.hex()}])) == "accepted", "sealed rightly")
            expect(w.terminal.meter.moves == 0 and w.terminal.memory.command == 0, "ignored")


def forged_result(keys: Keyring) -> None:
    """the holder of the link key forges a result: the command stays in doubt"""
    w = world(keys, "forged result")
    order = w.server.order(w.identity, "valve_close", CLOSE)
    frame = _open_session(w)
    w.server.handle(frame)  # handed over, and the answer never arrives
    expect(w.own["handed"][order]["state"] == "in_doubt", "in doubt")
    report = {**w.terminal.report(0), "command": order, "outcome": "done"}
    result = {"type": "command_result", "sequence": 77, "stamp": w.terminal.stamp(), "command_key_version": 1, "command": order,
              "kind": "valve_close", "meter": {"slot": 0, "generation": 0}, "valve": "closed_by_centre", "outcome": "done",
              "data": "", "mac": "ab" * 16}
    entry = w.terminal.entry()
    forged = frames.uplink(entry, w.terminal.link, 5000, report, [result], w.terminal.memory.ticket, bytes(8))
    w.clock.now += 1
    w.server.handle(forged)
    expect("result_not_verified" in w.server.events and order not in w.own["ended"], "not resolved")
    expect(w.own["handed"][order]["state"] != "ended", "still not ended")


def unmaced_result(keys: Keyring) -> None:
    """a result without a MAC for a dangerous command resolves nothing"""
    w = world(keys, "unmaced")
    order = w.server.order(w.identity, "valve_close", CLOSE)
    w.server.handle(_open_session(w))
    result = {"type": "command_result", "sequence": 78, "stamp": w.terminal.stamp(), "command_key_version": 0, "command": order,
              "kind": "valve_close", "meter": {"slot": 0, "generation": 0}, "valve": "closed_by_centre", "outcome": "done", "data": ""}
    frame = frames.uplink(w.terminal.entry(), w.terminal.link, 5000, w.terminal.report(0), [result], w.terminal.memory.ticket, bytes(8))
    w.server.handle(frame)
    expect(order not in w.own["ended"], "not resolved")


def clock_set_back(keys: Keyring) -> None:
    """an expired command and a clock set back: the signer does not sign, the terminal does not run an old one"""
    w = world(keys, "set back")
    order = w.server.order(w.identity, "valve_close", CLOSE, not_after_utc_s=w.clock.now + 60)
    w.server.clock = Clock(w.clock.now)  # the server's clock stays behind, the signer's does not
    w.clock.now += 3600
    w.server.clock.now = w.clock.now - 3590
    frame = _open_session(w)
    answer = w.server.handle(frame)
    expect("not_signed" in w.server.events, "past by the signer's clock")
    expect(w.terminal.receive(answer) == "accepted" and w.terminal.meter.moves == 0, "nothing ran")
    later = w.server.order(w.identity, "valve_close", CLOSE, not_after_utc_s=w.clock.now + 9999)
    w.clock.now += 1
    w.server.clock.now = w.clock.now - 31
    w.terminal.receive(w.server.handle(_open_session(w)))
    expect(later not in w.own["handed"] and w.terminal.meter.moves == 0, "Ns must be near the signer's clock")
    expect(order not in w.own["ended"], "never run")


def captured_command(keys: Keyring) -> None:
    """a signed command that was held back: not for another uplink, not after 60 s, not after its end"""
    w = world(keys, "captured")
    w.server.order(w.identity, "valve_close", CLOSE, not_after_utc_s=w.clock.now + 5)
    frame = _open_session(w)
    answer = w.server.handle(frame)  # captured by somebody with the link key
    ns = answer[6:14]
    waiting = w.terminal.outstanding
    opened = frames.open_answer(w.terminal.entry(), parse(answer), waiting.header)
    item = decode_answer(Cursor(opened))["items"][0]
    w.clock.now += 130
    expect(w.terminal.receive(answer) == "nothing outstanding", "the uplink waits no longer")
    _open_session(w)
    expect(w.terminal.receive(_answer_with(w, ns, [item])) == "accepted", "sealed again, with the old Ns: the clock goes back")
    expect(w.terminal.meter.moves == 0 and w.terminal.memory.command == 0, "the MAC covers the uplink")
    w2 = world(keys, "captured late")
    w2.server.order(w2.identity, "valve_close", CLOSE)
    frame = _open_session(w2)
    answer = w2.server.handle(frame)
    w2.clock.now += 61
    expect(w2.terminal.receive(answer) == "accepted" and w2.terminal.meter.moves == 0, "after 60 s it is refused")
    expect(w2.terminal.memory.outcome == 4, "outcome 4")


def expired_at_terminal(keys: Keyring) -> None:
    """not_after before Ns: refused by the Ns of the answer, whatever the terminal's own clock says"""
    w = world(keys, "expired")
    frame = _open_session(w)
    w.terminal.utc_offset -= 10_000  # its own clock is far behind
    header, ns = w.terminal.outstanding.header, w.clock.now.to_bytes(4, "big") + b"abcd"
    item = _item(w, 9, not_after_utc_s=w.clock.now - 1)
    base = w.terminal.secure.keys["command"][1]
    key = crypto.command_key(base, w.terminal.utility, w.identity, 2, 1)
    mac = crypto.command_mac(key, w.identity, command_head(item), CLOSE, (ns, header.raw, header.tag))
    expect(w.terminal.receive(_answer_with(w, ns, [{**item, "mac": mac.hex()}])) == "accepted" and frame, "accepted")
    expect(w.terminal.memory.outcome == 3 and w.terminal.meter.moves == 0, "outcome 3, and the sequence is recorded")


def handed_over_twice(keys: Keyring) -> None:
    """the answer with a command is lost: the same sequence again to the repeat, executed once"""
    w = world(keys, "twice")
    order = w.server.order(w.identity, "valve_close", CLOSE)
    lost: list[bytes] = []

    def first(_: int, frame: bytes) -> bool:
        lost.append(frame)
        return len(lost) == 1
    w.new_day()
    expect(w.session(lose_down=first) == "accepted", "accepted")
    expect(w.terminal.meter.moves == 1 and w.own["ended"] == {order: "done"}, "executed once")


def lost_for_good(keys: Keyring) -> None:
    """every answer with a command is lost: in doubt, then spent, never handed over again"""
    w = world(keys, "lost for good")
    order = w.server.order(w.identity, "valve_close", CLOSE)
    w.new_day()
    w.session(lose_down=lose_all)
    expect(w.own["handed"][order]["state"] == "in_doubt", "in doubt")
    w.session()
    expect(w.own["handed"][order]["state"] == "spent" and w.terminal.meter.moves == 0, "spent, not run")
    again = w.server.order(w.identity, "valve_close", CLOSE)
    w.session()
    expect(w.own["ended"] == {again: "done"} and w.terminal.meter.moves == 1, "a new approval runs")


def held_back_uplink(keys: Keyring) -> None:
    """an uplink held back for an hour: its records count, no command is handed over"""
    w = world(keys, "held back")
    frame = _open_session(w)
    w.clock.now += 3600
    order = w.server.order(w.identity, "valve_close", CLOSE)
    w.server.handle(frame)
    expect(order not in w.own["handed"] and 20002 in w.stored_days(), "stored, nothing handed over")


def power_loss(keys: Keyring) -> None:
    """power fails while the valve moves: outcome 9, the valve is read, not run again"""
    w = world(keys, "power loss")
    order = w.server.order(w.identity, "valve_close", CLOSE)
    w.terminal.meter.fail_while_acting = True
    answer = w.server.handle(_open_session(w))
    try:
        w.terminal.receive(answer)
        raise AssertionError("no power loss")
    except PowerLoss:
        w.reboot()
    w.clock.now += 5
    expect(w.session() == "accepted", "accepted")
    kinds = {r["type"]: r for r in w.own["stored"]}
    expect(kinds["command_result"]["outcome"] == "begun", "outcome 9")
    expect(kinds["valve_state"]["valve"] == "closed_by_centre" and kinds["valve_state"]["mac"], "the valve, with a MAC")
    expect(w.terminal.meter.moves == 1 and order in w.own["handed"], "moved once")


def other_meter(keys: Keyring) -> None:
    """the meter was exchanged after the approval: outcome 11"""
    w = world(keys, "exchanged")
    w.server.order(w.identity, "valve_close", CLOSE)
    w.terminal.meter.generation = 1
    w.session()
    expect(w.terminal.memory.outcome == 11 and w.terminal.meter.moves == 0, "another meter")


def cancelled_then_restored(keys: Keyring) -> None:
    """the server is restored to before a cancellation: the signer does not sign"""
    w = world(keys, "cancelled")
    order = w.server.order(w.identity, "valve_close", CLOSE)
    backup = w.server.snapshot()
    w.signer.cancel(w.identity, order)
    w.own["waiting"].clear()
    w.session()
    w.clock.now += 3600
    w.restore(backup)
    for _ in range(3):
        w.new_day()
        w.session()
    expect(w.terminal.meter.moves == 0 and w.terminal.memory.command == 0, "never run")


def both_restored(keys: Keyring) -> None:
    """server and signer restored to before a cancellation: the ticket shows it, commands stop until released"""
    w = world(keys, "both restored")
    order = w.server.order(w.identity, "valve_close", CLOSE, not_after_utc_s=w.clock.now + 864000)
    backup, ledger = w.server.snapshot(), w.signer.snapshot()
    w.clock.now += 200
    w.signer.cancel(w.identity, order)
    w.own["waiting"].clear()
    w.new_day()
    w.session()
    w.clock.now += 3600
    w.restore(backup, ledger)
    w.new_day()
    w.session()
    expect("rollback_suspected" in w.server.events and w.server.state["held"], "seen by the ticket")
    expect(w.terminal.meter.moves == 0 and w.own["handed"][order]["state"] == "in_doubt", "in doubt, not run")
    w.server.release()
    w.new_day()
    w.session()
    expect(w.terminal.meter.moves == 0, "and not run after the release either: it needs a new approval")


def restored_after_execution(keys: Keyring) -> None:
    """server and signer restored to before an execution: nothing runs twice, sequences go on above"""
    w = world(keys, "executed")
    backup, ledger = w.server.snapshot(), w.signer.snapshot()
    first = w.server.order(w.identity, "valve_close", CLOSE)
    w.session()
    expect(w.terminal.meter.moves == 1, "executed")
    w.restore(backup, ledger)
    w.clock.now += 3600
    w.new_day()
    w.session()
    expect("rollback_suspected" in w.server.events, "seen")
    w.server.release()
    second = w.server.order(w.identity, "valve_close", CLOSE)
    expect(second > first, "the sequence continues above the reported one")
    w.session()
    expect(w.own["ended"] == {second: "done"}, "the new one runs")


def first_sign_is_late(keys: Keyring) -> None:
    """other terminals lift the mark after a restore: the lost interval still gives the sign"""
    w = world(keys, "late sign")
    backup = w.server.snapshot()
    w.clock.now += 1000
    w.new_day()
    w.session()
    w.clock.now += 1000
    w.restore(backup)
    w.server._ns()  # an answer to somebody else
    w.clock.now += 100
    w.server._ns()
    w.new_day()
    w.session()
    expect("rollback_suspected" in w.server.events, "a ticket from the interval that this state knows nothing of")


def true_restart_is_no_sign(keys: Keyring) -> None:
    """a restart without a restore gives no sign of rollback"""
    w = world(keys, "restart")
    for pause in (0, 5, 70, 4000):
        w.restore(w.server.snapshot())
        w.clock.now += pause
        w.new_day()
        w.session()
        expect("rollback_suspected" not in w.server.events, f"after {pause} s")


def harmless_ahead(keys: Keyring) -> None:
    """a harmless command signed ahead and unbound runs, a dangerous one does not"""
    w = world(keys, "harmless")
    order = w.server.order(w.identity, "read_register")
    w.session()
    expect(w.terminal.memory.command == order and w.terminal.memory.outcome == 1, "read")
    expect(any(r["type"] == "register_reading" for r in w.own["stored"]), "the reading arrived")
    loose = w.server.order(w.identity, "valve_close", CLOSE, bound=False)
    w.session()
    expect(w.terminal.meter.moves == 0 and w.terminal.memory.outcome == 4 and loose, "outcome 4")


SCENARIOS: list[Scenario] = [
    closes, no_ticket, forged_command, forged_result, unmaced_result, clock_set_back, captured_command, expired_at_terminal,
    handed_over_twice, lost_for_good, held_back_uplink, power_loss, other_meter, cancelled_then_restored, both_restored,
    restored_after_execution, first_sign_is_late, true_restart_is_no_sign, harmless_ahead]
