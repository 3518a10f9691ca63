# SPDX-License-Identifier: MIT OR Apache-2.0
"""A small server for one utility: window, durable state that can be snapshotted, answers, hand-over of commands."""

import copy
import dataclasses
from typing import Any

from . import crypto, frames, registry, schedule
from .answers import decode_session_item
from .drbg import Drbg
from .errors import OtlError
from .jsonform import FIRST_SESSION_ITEM, UplinkItems
from .keyring import Keyring, TerminalEntry
from .records import decode_record, encode_body
from .report import Json, read_report
from .signer import Signer
from .wire import RESYNC_LENGTH, Cursor, Header, next_item, parse, u


class Server:
    """``state`` is everything durable; all else is lost by a restart. Snapshot and restore are copies of it."""

    def __init__(self, keys: Keyring, signer: Signer, clock: Any, rng: Drbg, state: Json | None = None) -> None:
        self.keys, self.signer, self.clock, self.rng = keys, signer, clock, rng
        self.state: Json = state or {"terminals": {}, "mark": clock.now, "silent": [], "held": False}
        self.events: list[str] = []
        self.answers: dict[tuple[bytes, bytes], tuple[int, bytes]] = {}  # (identity, counter or Nr) -> second, octets
        if self.state["mark"] < clock.now:  # spec: FRS-4
            self.state["silent"].append((self.state["mark"], clock.now))
        self._modes_from_ledger()

    def _modes_from_ledger(self) -> None:
        """Admit again a mode that was handed over after this state was copied.

        Without it a restore to before a mode change would lock the terminal out: it has dropped the old mode. The
        signer's ledger, which is durable apart from this state, knows the hand-over.
        """
        for (identity, _), approval in sorted(self.signer.ledger.items(), key=lambda pair: pair[0]):
            if approval["item"]["kind"] == "mode_change" and approval["uplink"] is not None:
                own, mode = self.of(identity), bytes.fromhex(approval["item"]["parameters"])[0]
                if own["modes"][-1] != mode:
                    own["modes"] = [own["modes"][0], mode]

    def snapshot(self) -> Json:
        """A backup."""
        return copy.deepcopy(self.state)

    def of(self, identity: bytes) -> Json:
        """The durable state of one terminal."""
        return self.state["terminals"].setdefault(identity, {
            "highest": 0, "window": {}, "safe": set(), "clones": set(), "conflicts": set(), "records": {}, "stored": [], "quarantine": [],
            "promoted": 0, "modes": [self.keys.terminals[identity].mode], "sequence": 0, "waiting": [], "handed": {},
            "ended": {}, "slot": None, "epochs": []})

    # Before the tag

    def _entry(self, header: Header) -> TerminalEntry:
        entry = self.keys.terminals.get(header.identity)
        if entry is None:
            raise OtlError("unknown_terminal", 3, "not registered")
        known = self.state["terminals"].get(header.identity, {"promoted": 0, "modes": [entry.mode]})
        if header.mode not in known["modes"]:  # spec: SEC-1, ROT-11
            raise OtlError("mode_mismatch", 1, f"mode {header.mode}")
        if header.mode == 0 and not entry.allow_mode0:  # spec: SEC-3
            raise OtlError("mode0_forbidden", 1, "mode 0")
        return dataclasses.replace(entry, mode=header.mode, promoted_link_version=known["promoted"])

    def handle(self, frame: bytes) -> bytes | None:
        """What is sent back, or silence."""  # spec: SES-10
        try:
            header = parse(frame, "server")
            entry = self._entry(header)
            plaintext = frames.open_uplink(entry, header)
        except OtlError as err:
            self.events.append(err.kind)
            return None
        self._promote(header)
        if header.frame == "resync":
            return self._resync(entry, header)
        return self._uplink(entry, header, plaintext)

    def _promote(self, header: Header) -> None:
        """Durable, before the answer."""  # spec: ROT-5, ROT-11
        own = self.of(header.identity)
        if header.key_version > own["promoted"]:
            own["promoted"] = header.key_version
        if len(own["modes"]) == 2 and header.mode == own["modes"][1]:
            own["modes"] = [header.mode]

    def _ns(self) -> bytes:
        """UTC seconds and 32 random bits; the mark is written ahead first."""  # spec: NON-7, FRS-4
        if self.clock.now > self.state["mark"]:
            self.state["mark"] = self.clock.now + schedule.MARK_AHEAD_S
        return u(self.clock.now, 4) + self.rng.octets(4)

    def _said_this_second(self, key: tuple[bytes, bytes]) -> bytes | None:
        said = self.answers.get(key)
        return said[1] if said and said[0] == self.clock.now else None  # spec: NON-8, NON-9

    def _resync(self, entry: TerminalEntry, header: Header) -> bytes:
        key = (header.identity, header.nr)
        said = self._said_this_second(key)
        if said is None:
            own = self.of(header.identity)
            content = {"floor": schedule.floor(own["highest"], self.clock.now), "items": []}  # spec: REP-6
            said = frames.resync_answer(entry, header, self._ns(), content)
            self.answers[key] = (self.clock.now, said)
        assert len(said) <= RESYNC_LENGTH  # spec: ANS-10
        return said

    # After the tag

    def _uplink(self, entry: TerminalEntry, header: Header, plaintext: bytes) -> bytes | None:
        own, counter, tag = self.of(header.identity), header.counter, header.tag[:8]
        known = own["window"].get(counter)
        if known is not None and known != tag:  # spec: REP-3
            own["clones"].add(counter)
            self.events.append("counter_clone")
            return None
        if known is None and counter <= own["highest"] - schedule.WINDOW:  # spec: REP-5
            self.events.append("counter_stale")
            floor = {"item": "floor", "counter": schedule.floor(own["highest"], self.clock.now)}
            return self._seal(entry, header, [floor], ack=False, bitmap=0) if header.answer else None
        state = None
        if known is None:
            state = self._new(own, header, plaintext)
        else:
            self.events.append("duplicate")
            state = self._peek(header, plaintext)
            state["new_epoch"] = counter in own["conflicts"]
        if not header.answer:  # spec: ANS-5
            return None
        return self._answer(entry, header, own, state)

    def _peek(self, header: Header, plaintext: bytes) -> Json:
        """What the answer to a duplicate needs of its content; nothing is stored."""  # spec: REP-2
        try:
            report, _, session = self._content({"quarantine": []}, header, plaintext)
        except OtlError:
            return {"report": None, "new_epoch": False, "refused": None}
        return {"report": report, "new_epoch": False, "refused": _refused(session)}

    def _new(self, own: Json, header: Header, plaintext: bytes) -> Json:
        """A new uplink: everything that it changes becomes durable together."""  # spec: REP-1
        counter, newest = header.counter, header.counter > own["highest"]
        out: Json = {"report": None, "new_epoch": False, "refused": None}
        try:
            report, records, session = self._content(own, header, plaintext)
        except OtlError as err:  # spec: REC-12, answered without ACK and without items
            self.events.append(err.kind)
            report, records, session = None, None, []
        own["window"][counter] = header.tag[:8]
        own["highest"] = max(own["highest"], counter)
        own["window"] = {c: t for c, t in own["window"].items() if c > own["highest"] - schedule.WINDOW}
        if report is None:
            return out
        out["report"] = report
        previous = next((i["epoch"] for i in session if i["item"] == "previous_epoch"), None)
        out["refused"] = _refused(session)
        if newest and own["epochs"][-1:] != [report["epoch"]]:
            own["epochs"].append(report["epoch"])
        conflict = self._store(own, header, report, records, previous)
        out["new_epoch"] = conflict
        own["conflicts" if conflict else "safe"].add(counter)
        if newest:  # spec: REP-9
            self._signs(own, header, report)
            self._reported(own, header, report)
        return out

    def _content(self, own: Json, header: Header, plaintext: bytes) -> tuple[Json, list[Json], list[Json]]:
        cur = Cursor(plaintext, header.length)
        report, records, session, check = read_report(cur), [], [], UplinkItems()
        while cur.left and plaintext[cur.pos]:
            raw = next_item(cur, check)
            if raw.number >= FIRST_SESSION_ITEM:
                session.append(decode_session_item(raw))
                continue
            octets = cur.data[raw.body.pos:raw.body.end]
            try:
                records.append(decode_record(raw))
            except OtlError as err:  # spec: REC-12, that record alone
                own["quarantine"].append((err.kind, octets))
                self.events.append("record_undecodable")
        if any(plaintext[cur.pos:]):
            raise OtlError("padding_not_zero", header.length, "padding")
        return report, records, session

    def _store(self, own: Json, header: Header, report: Json, records: list[Json], previous: int | None) -> bool:
        """Store what is new; True if a record's key is known with other content."""  # spec: REC-8, REC-9
        fresh, conflict = [], False
        # A frame that comes late is looked for under the epochs that came after it too.
        others = ([previous] if previous else []) + _after(own["epochs"], report["epoch"])
        for record in records:
            key = (report["epoch"], record["sequence"])
            content = encode_body({**record, **({"mac": ""} if "mac" in record else {})})
            known = own["records"].get(key)
            if known is not None and known != content:
                self.events.append("record_conflict")
                own["quarantine"].append(("record_conflict", content))
                conflict = True  # the others come again under the new epoch, as repeats
                continue
            repeat = known is not None or any(own["records"].get((e, record["sequence"])) == content for e in others)
            fresh.append((key, content, record, repeat))
        for key, content, record, repeat in fresh:
            own["records"][key] = content
            if not repeat:
                own["stored"].append(record)
            self._resolve(own, header.identity, report["epoch"], record)
        if header.ticket == crypto.ZERO8:  # spec: FRS-2
            self.events.append("freshness_unproven")
        return conflict

    # Commands

    def order(self, identity: bytes, kind: str, parameters: bytes = b"", **more: Any) -> int:
        """An approval: one sequence."""  # spec: CMD-17
        own = self.of(identity)
        own["sequence"] += 1
        sequence = own["sequence"]
        if registry.command_class(registry.KINDS.code(kind)) == "harmless":
            more = {"bound": False, "not_after_utc_s": 0xFFFFFFFF, **more}
        item = {"item": "command", "key_version": 1, "sequence": sequence, "kind": kind,
                "meter": {"slot": 0, "generation": 0}, "bound": True, "precondition": 0,
                "not_after_utc_s": self.clock.now + 3600, "parameters": parameters.hex(), **more}
        self.signer.approve(identity, item)
        own["waiting"].append({"sequence": sequence, "kind": kind, "parameters": parameters.hex()})
        return sequence

    def release(self) -> None:
        """A person releases the dangerous commands."""  # spec: ROL-1
        self.state["held"] = False

    def _signs(self, own: Json, header: Header, report: Json) -> None:
        """Signs that this state is older than what it once was."""  # spec: ROL-1, ROL-2, FRS-4
        seconds = int.from_bytes(header.ticket[:4], "big") if header.ticket else 0
        never_sent = seconds > self.state["mark"] or any(a < seconds < b for a, b in self.state["silent"])
        if never_sent or report["command"] > own["sequence"]:
            self.events.append("rollback_suspected")
            self.state["held"] = True
            for other in self.state["terminals"].values():
                for command in other["waiting"]:
                    if _dangerous(command):
                        other["handed"].setdefault(command["sequence"], {"counter": None, "state": "in_doubt"})
                other["waiting"] = [c for c in other["waiting"] if not _dangerous(c)]
            own["sequence"] = max(own["sequence"], report["command"])

    def _reported(self, own: Json, header: Header, report: Json) -> None:
        """An uplink above the answered one reports."""  # spec: CMD-20
        for sequence, handed in own["handed"].items():
            if handed["counter"] is not None and header.counter > handed["counter"] and handed["state"] == "in_doubt":
                handed["state"] = "reported" if report["command"] >= sequence else "spent"

    def _resolve(self, own: Json, identity: bytes, epoch: int, record: Json) -> None:
        """Only a MAC that the signer verified ends a dangerous command."""  # spec: CMD-15
        if record["type"] == "command_result" and record["command"] in own["handed"]:
            if self.signer.verify(identity, epoch, record):
                own["ended"][record["command"]] = record["outcome"]
                own["handed"][record["command"]]["state"] = "ended"
            else:
                self.events.append("result_not_verified")

    def _may_hand_over(self, own: Json, header: Header, report: Json | None) -> bool:
        """Dangerous and config commands need a terminal that waits now."""  # spec: FRS-3, ROL-1, CMD-20
        if report is None or header.ticket == crypto.ZERO8 or self.state["held"] or header.counter < own["highest"]:
            return False
        stamp = report["stamp"]
        if "boot" in stamp or stamp["uncertainty_s"] is None:
            return False
        if self.clock.now - stamp["utc_s"] > schedule.HELD_BACK_S + stamp["uncertainty_s"]:
            return False
        return all(h["state"] != "in_doubt" or h["counter"] == header.counter for h in own["handed"].values())

    def _commands(self, own: Json, header: Header, report: Json | None, ns: bytes) -> list[Json]:
        out: list[Json] = []
        again = [s for s, h in own["handed"].items() if h["counter"] == header.counter and h["state"] == "in_doubt"]
        may = self._may_hand_over(own, header, report)
        if again:  # the same hand-over for a repeat of that uplink  # spec: CMD-19
            items = [self.signer.sign(header.identity, s, ns, header) for s in again] if may else []
            return [item for item in items if item]
        for command in list(own["waiting"]):
            dangerous = _dangerous(command)
            if dangerous and (not may or any(_dangerous(c) for c in out)):  # spec: CMD-24
                continue
            item = self.signer.sign(header.identity, command["sequence"], ns, header)
            own["waiting"].remove(command)
            if item is None:
                self.events.append("not_signed")
                continue
            own["handed"][command["sequence"]] = {"counter": header.counter, "state": "in_doubt"}
            if command["kind"] == "mode_change":  # spec: ROT-11
                own["modes"] = [header.mode, bytes.fromhex(command["parameters"])[0]]
            out.append(item)
        return out

    # Answers

    def _answer(self, entry: TerminalEntry, header: Header, own: Json, state: Json) -> bytes | None:
        if header.counter in own["clones"]:
            return None
        said = self._said_this_second((header.identity, u(header.counter, 4)))
        if said is not None:
            return said
        ack = header.counter in own["safe"]
        bitmap = sum(1 << i for i in range(16) if header.counter - 1 - i in own["safe"] - own["clones"])
        items, report = [], state["report"]
        if report is not None:
            if own["slot"] and own["slot"]["version"] != report["wake_slot_version"]:  # spec: ANS-18
                items.append({"item": "slot", **own["slot"]})
            if own.get("odd_item"):
                items.append(dict(own["odd_item"]))
        items = [it for it in items if it.get("number") != state["refused"] or state["refused"] is None]  # spec: ANS-20
        ns = self._ns()
        commands = self._commands(own, header, report, ns) if header.mode and report is not None else []
        return self._seal(entry, header, items, ack, bitmap, state["new_epoch"], ns, commands, report)

    def _seal(self, entry: TerminalEntry, header: Header, items: list[Json], ack: bool, bitmap: int,
              new_epoch: bool = False, ns: bytes | None = None, commands: list[Json] | None = None,
              report: Json | None = None) -> bytes:
        key = (header.identity, u(header.counter, 4))
        said = self._said_this_second(key)
        if said is not None:
            return said
        numbers = {"come_back": 1, "slot": 2, "floor": 3, "command": 5}
        items = sorted(items + (commands or []), key=lambda it: (numbers.get(it["item"], it.get("number", 0)), it.get("sequence", 0)))
        final = bool(report) and report["frames_following"] == 0 and not commands and not new_epoch  # spec: ANS-3, ANS-9
        content = {"ack": ack, "final": final, "more": False, "new_epoch": new_epoch,
                   "unproven": header.ticket == crypto.ZERO8, "map": bitmap, "items": items}
        if self._waits(header.identity) and not commands and report is not None:
            content["final"], content["more"] = False, True  # spec: FRS-3
        frame = frames.answer(entry, header, ns or self._ns(), content)
        self.answers[key] = (self.clock.now, frame)
        return frame

    def _waits(self, identity: bytes) -> bool:
        own = self.of(identity)
        doubt = any(h["state"] == "in_doubt" for h in own["handed"].values())
        return bool(own["waiting"]) and not self.state["held"] and not doubt


def _refused(session: list[Json]) -> int | None:
    """The item that the terminal could not take."""  # spec: ANS-20
    return next((it["number"] for it in session if it["item"] == "answer_refused"), None)


def _after(epochs: list[int], epoch: int) -> list[int]:
    """The epochs that a terminal moved on to from this one."""  # spec: REC-8
    if epoch not in epochs:
        return []
    last = len(epochs) - 1 - epochs[::-1].index(epoch)
    return epochs[last + 1:]


def _dangerous(command: Json) -> bool:
    return registry.command_class(registry.KINDS.code(command["kind"])) != "harmless"
