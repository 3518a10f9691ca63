# SPDX-License-Identifier: MIT OR Apache-2.0
"""Rotation and mode change, interrupted at every step."""

from . import crypto
from .keyring import Keyring
from .scenarios import Scenario, world
from .world import World, expect, lose_all

NEW = {1: 3, 2: 3, 3: 2}  # the next link key version of each terminal


def _install(w: World, version: int) -> int:
    entry = w.keys.terminals[w.identity]
    new = crypto.base_key(entry.utility.masters["link"][version].key, entry.utility.id, w.identity, crypto.LINK, version)
    return w.server.order(w.identity, "key_install", w.signer.wrap(w.identity, 1, version, new))


def _settled(w: World, version: int, limit: int = 8) -> None:
    """Within a few sessions both ends are at the new version, and records flow."""
    for _ in range(limit):
        w.new_day()
        w.session()
    secure = w.terminal.secure
    expect(secure.link == version and secure.link_new is None, "the terminal has the new key alone")
    expect(list(secure.keys["link"]) == [version], "the old one is dropped")
    expect(w.own["promoted"] == version, "the server promoted it")
    expect(not w.terminal.memory.records and not w.stored_twice() and not w.nonce_reuse(), "nothing lost, nothing twice")


def rotation(keys: Keyring) -> None:
    """a rotation in modes 1, 2 and 3"""
    for mode, version in NEW.items():
        w = world(keys, "rotation", mode)
        order = _install(w, version)
        w.session()
        expect(w.own["ended"] == {order: "done"}, "installed")
        _settled(w, version, 1)
        expect(w.server.handle(w.air.up[0]) is None and w.server.events[-1] == "key_retired", "the old version is retired")


def _run_until(w: World, step: int) -> None:
    """Interrupt after a step: 0 answer lost, 1 first new uplink lost, 2 answer under the new lost."""
    w.new_day()
    if step == 0:
        w.session(lose_down=lose_all)
        return
    w.terminal.new_session()
    answer = w.server.handle(w.terminal.batch()[0])
    expect(w.terminal.receive(answer) == "accepted" and w.terminal.secure.link_new, "installed")
    w.clock.now += 1
    frame = w.terminal.batch()[0]
    if step == 2:
        expect(w.server.handle(frame) is not None, "promoted, the answer is lost")
    w.clock.now += 600


def rotation_interrupted(keys: Keyring) -> None:
    """a rotation interrupted at every step"""
    for step in range(3):
        w = world(keys, f"interrupted {step}")
        _install(w, 3)
        _run_until(w, step)
        if step == 0:
            w.session()  # a lost install is spent; a new approval follows
            expect(w.terminal.secure.link_new is None, "not installed")
            _install(w, 3)
        _settled(w, 3)


def rotation_interrupted_and_wiped(keys: Keyring) -> None:
    """a rotation interrupted at every step, and the terminal's memory wiped"""
    for step in (1, 2):
        for reboot in (False, True):
            w = world(keys, f"wiped {step} {reboot}")
            _install(w, 3)
            _run_until(w, step)
            w.reboot() if reboot else w.wipe()
            _settled(w, 3)


def rotation_interrupted_and_restored(keys: Keyring) -> None:
    """the server restored to before a rotation, at every step"""
    for step in (1, 2, 3):
        w = world(keys, f"restored {step}")
        backup = w.server.snapshot()
        _install(w, 3)
        if step < 3:
            _run_until(w, step)
        else:
            w.session()
            w.new_day()
            w.session()
            expect(w.own["promoted"] == 3, "done")
        w.restore(backup)
        expect(w.own["promoted"] == 2, "the server knows nothing of it")
        _settled(w, 3)


def server_without_the_new_key(keys: Keyring) -> None:
    """the server cannot derive the new key for a while: three sessions under the new, one under the old"""
    w = world(keys, "without")
    _install(w, 3)
    _run_until(w, 1)
    utility = w.keys.terminals[w.identity].utility
    taken = utility.masters["link"].pop(3)
    seen = []
    for _ in range(8):
        w.new_day()
        sent = len(w.air.up)
        w.session()
        seen.append(w.air.up[sent][2])
    expect(seen == [3, 3, 3, 2, 3, 3, 3, 2], f"in turn: {seen}")
    expect(not w.terminal.memory.records or w.stored_days(), "readings arrive under the old key")
    expect(w.terminal.secure.link_new == 3, "an answer under the old key does not drop the new one")
    utility.masters["link"][3] = taken
    _settled(w, 3)


def bad_keys(keys: Keyring) -> None:
    """key_install that does not unwrap, does not fit or does not rise: refused, nothing stored"""
    w = world(keys, "bad keys", 3)
    wrapped = w.signer.wrap(w.identity, 1, 2, bytes(32))
    cases = ((wrapped[:-1] + bytes((wrapped[-1] ^ 1,)), 10), (w.signer.wrap(w.identity, 1, 1, bytes(32)), 7),
             (w.signer.wrap(w.identity, 1, 2, bytes(16)), 7), (w.signer.wrap(w.identity, 4, 2, bytes(32)), 7),
             (bytes((1, 2, 9)) + wrapped[3:], 10), (wrapped[:-8], 7))
    for parameters, outcome in cases:
        w.server.order(w.identity, "key_install", parameters)
        w.session()
        expect(w.terminal.memory.outcome == outcome, f"outcome {w.terminal.memory.outcome}, not {outcome}")
        expect(w.terminal.secure.keys["link"].keys() == {1} and w.terminal.secure.link_new is None, "nothing stored")


def command_key(keys: Keyring) -> None:
    """a new command key: the old one stays until a command uses the new one"""
    w = world(keys, "command key")
    entry = keys.terminals[w.identity]
    new = entry.base("command", 2)
    w.server.order(w.identity, "key_install", w.signer.wrap(w.identity, 2, 2, new))
    w.session()
    expect(set(w.terminal.secure.keys["command"]) == {1, 2}, "both are kept")
    order = w.server.order(w.identity, "valve_close", b"\x01", key_version=2)
    w.session()
    expect(w.own["ended"][order] == "done" and set(w.terminal.secure.keys["command"]) == {2}, "used, and the old one dropped")


def mode_change(keys: Keyring) -> None:
    """a mode change, whole and interrupted at every step"""
    for step in range(3):
        w = world(keys, f"mode {step}")
        w.server.order(w.identity, "mode_change", b"\x02")
        w.new_day()
        if step == 0:
            w.session()
        else:
            w.terminal.new_session()
            expect(w.terminal.receive(w.server.handle(w.terminal.batch()[0])) == "accepted", "accepted")
            w.clock.now += 1
            frame = w.terminal.batch()[0]
            expect(frame[1] >> 5 == 2, "the next frame is in the new mode")
            if step == 2:
                w.server.handle(frame)
            w.clock.now += 600
        for _ in range(4):
            w.new_day()
            w.session()
        expect(w.terminal.secure.mode == 2 and w.terminal.secure.mode_new is None and w.own["modes"] == [2], "mode 2 alone")
        expect(not w.terminal.memory.records and not w.stored_twice(), "nothing lost")


def mode_change_refused(keys: Keyring) -> None:
    """mode_change to 0, and to 3 with a short key: outcome 7"""
    for mode in (0, 3, 4):
        w = world(keys, f"mode refused {mode}")
        w.server.order(w.identity, "mode_change", bytes((mode,)))
        w.session()
        expect(w.terminal.memory.outcome == 7 and w.terminal.secure.mode_new is None, "refused")


def mode_change_restored(keys: Keyring) -> None:
    """the server restored to before a mode change: the signer's ledger names the new mode, nobody is locked out"""
    w = world(keys, "mode restored")
    backup = w.server.snapshot()
    w.server.order(w.identity, "mode_change", b"\x02")
    for _ in range(2):
        w.new_day()
        w.session()
    expect(w.terminal.secure.mode == 2 and w.own["modes"] == [2], "changed")
    w.clock.now += 3600
    w.restore(backup)
    w.new_day()
    expect(w.session() == "accepted" and w.own["modes"] == [2], "accepted in the new mode")


SCENARIOS: list[Scenario] = [
    rotation, rotation_interrupted, rotation_interrupted_and_wiped, rotation_interrupted_and_restored,
    server_without_the_new_key, bad_keys, command_key, mode_change,
    mode_change_refused, mode_change_restored]
