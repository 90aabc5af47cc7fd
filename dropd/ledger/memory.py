"""The ledger's in-memory twin: the same promises but durability. For tests, and for commands beside a ledger that is not there yet."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace

from dropd.errors import LedgerError, Lost
from dropd.ledger.base import Event, HasTwin
from dropd.ledger.rows import CLAIMABLE, attempt_of, begun, claimed, event_data, is_twin, moved, ordered
from dropd.model import UNFINISHED, Attempt, Drop, Inbox, Pause, State, Step, Taking
from dropd.policy import given_back


class MemoryLedger:
    """See base.Ledger."""

    def __init__(self) -> None:
        self.ledger_id = str(uuid.uuid4())
        self._lock = threading.RLock()
        self._drops: dict[str, Drop] = {}
        self._identities: dict[str, str] = {}
        self._events: list[Event] = []
        self._pauses: dict[tuple[str, str], Pause] = {}
        self._inboxes: dict[str, Inbox] = {}

    def _put(self, before: Drop | None, after: Drop, event: str, now: float, step: Step | None = None) -> Drop:
        if before is not None:
            row = self._drops.get(before.id)
            if row is None or (row.state, row.attempt, row.owner) != (before.state, before.attempt, before.owner):
                raise Lost(f"drop {before.id} is no longer {before.state}")
            changed = {f.name: new for f in fields(Drop) if (new := getattr(after, f.name)) != getattr(before, f.name)}
            self._drops[after.id] = replace(row, **changed)
        elif after.id in self._drops:
            raise LedgerError(f"drop {after.id} has begun before")
        else:
            self._drops[after.id] = after
        self._events.append(Event(now, after.id, after.state, event, event_data(step) if step else {}))
        return after

    def begin(self, drop_id: str, taking: Taking, owner: str, now: float, verdict: Step | None = None) -> Drop:
        drop = begun(drop_id, taking, owner, now)
        with self._lock:
            return self._put(
                None, moved(drop, verdict, now) if verdict else drop, verdict.event if verdict else "taking", now, verdict
            )

    def ready(self, drop: Drop, step: Step, identity: str, now: float) -> Drop:
        with self._lock:
            twins = [d for d in self._drops.values() if d.id != drop.id and self._identities.get(d.id) == identity and is_twin(d)]
            after = moved(drop, step, now)
            if twins:
                twin = min(twins, key=lambda twin: twin.taken_at)
                if not after.person_order:
                    raise HasTwin(twin)
                after = ordered(after, twin)
            self._put(drop, after, step.event, now, step)
            self._identities[drop.id] = identity
            return after

    def move(self, drop: Drop, step: Step, now: float) -> Drop:
        with self._lock:
            return self._put(drop, moved(drop, step, now), step.event, now, step)

    def note(self, drop: Drop, notes: Mapping[str, str], now: float) -> Drop:
        step = Step(to=drop.state, event="noted", data=dict(notes))
        with self._lock:
            return self._put(drop, replace(drop, notes={**drop.notes, **notes}), step.event, now, step)

    def _claimable(self, provider: str, held: Collection[str]) -> list[Drop]:
        return [
            drop
            for drop in self._drops.values()
            if drop.taking.provider == provider
            and drop.state in CLAIMABLE
            and drop.owner is None
            and drop.due_at is not None
            and drop.target.key() not in held
        ]

    def claim(self, provider: str, owner: str, now: float, held: Collection[str]) -> Drop | None:
        with self._lock:
            due = [drop for drop in self._claimable(provider, held) if drop.due_at is not None and drop.due_at <= now]
            if not due:
                return None
            drop = min(due, key=lambda drop: (drop.due_at, drop.id))
            after, event = claimed(drop, owner, now)
            return self._put(drop, after, event, now)

    def next_due(self, provider: str, held: Collection[str]) -> float | None:
        with self._lock:
            return min((drop.due_at for drop in self._claimable(provider, held) if drop.due_at is not None), default=None)

    def disown(self, owner: str, now: float) -> int:
        with self._lock:
            foreign = [drop for drop in self._drops.values() if drop.owner not in (None, owner)]
            for drop in foreign:
                step = Step(to=drop.state, event="disowned", data={"owner": drop.owner})
                self._put(drop, replace(drop, owner=None), step.event, now, step)
            return len(foreign)

    def adopt(self, states: Collection[State], owner: str, now: float) -> Sequence[Drop]:
        with self._lock:
            found = [
                d for d in self._drops.values() if d.state in states and d.owner is None and (d.due_at is None or d.due_at <= now)
            ]
            found.sort(key=lambda drop: drop.id)
            return [self._put(drop, replace(drop, owner=owner), "adopted", now) for drop in found]

    def pause(self, pause: Pause) -> None:
        with self._lock:
            self._pauses[pause.provider, pause.target] = pause

    def resume(self, provider: str, target: str, now: float) -> Pause | None:
        with self._lock:
            pause = self._pauses.pop((provider, target), None)
            if pause is not None:
                for drop in self._drops.values():
                    if drop.state in UNFINISHED and drop.give_up_at is not None:
                        give_up_at = drop.give_up_at + given_back(pause, drop, now)
                        self._drops[drop.id] = replace(drop, give_up_at=give_up_at)
            return pause

    def pauses(self) -> Sequence[Pause]:
        with self._lock:
            return sorted(self._pauses.values(), key=lambda pause: (pause.provider, pause.target))

    def look(self, inbox: Inbox) -> None:
        with self._lock:
            known = self._inboxes.get(inbox.route)
            keeps = inbox.inbox_id is None and known is not None and known.path == inbox.path
            self._inboxes[inbox.route] = replace(inbox, inbox_id=known.inbox_id) if keeps and known is not None else inbox

    def inboxes(self) -> Sequence[Inbox]:
        with self._lock:
            return sorted(self._inboxes.values(), key=lambda inbox: inbox.route)

    def unfinished(self) -> Sequence[Drop]:
        with self._lock:
            return sorted((drop for drop in self._drops.values() if drop.state in UNFINISHED), key=lambda drop: drop.id)

    def find(self, beginning: str) -> Sequence[Drop]:
        beginning = beginning.lower()
        with self._lock:
            found = (drop for drop in self._drops.values() if drop.id.startswith(beginning) or drop.id.endswith(beginning))
            return sorted(found, key=lambda drop: drop.id)

    def _latest(self, drops: Collection[Drop]) -> Drop | None:
        return max(drops, key=lambda drop: drop.id, default=None)

    def filed_at(self, folder: str, name: str) -> Drop | None:
        with self._lock:
            return self._latest([d for d in self._drops.values() if (d.filed_dir, d.filed_as) == (folder, name)])

    def named(self, route: str, folder: str, name: str) -> Drop | None:
        with self._lock:
            wanted = (route, folder, name)
            return self._latest([d for d in self._drops.values() if (d.taking.route, d.taking.folder, d.taking.name) == wanted])

    def failed_file(self, inbox_id: str, inode: int) -> Drop | None:
        with self._lock:
            failed = [d for d in self._drops.values() if d.state is State.FAILED]
            return self._latest([d for d in failed if (d.taking.inbox_id, d.taking.stamp.inode) == (inbox_id, inode)])

    def recent(
        self, *, route: str | None = None, states: Collection[State] | None = None, limit: int | None = None
    ) -> Sequence[Drop]:
        with self._lock:
            found = [
                drop
                for drop in self._drops.values()
                if (route is None or drop.taking.route == route) and (states is None or drop.state in states)
            ]
            return sorted(found, key=lambda drop: drop.id, reverse=True)[:limit]

    def counts(self) -> Mapping[tuple[str, State], int]:
        with self._lock:
            return Counter((drop.taking.route, drop.state) for drop in self._drops.values())

    def attempts(self, drop_id: str) -> Sequence[Attempt]:
        return [attempt for event in self.events(drop_id) if (attempt := attempt_of(event.data)) is not None]

    def events(self, drop_id: str) -> Sequence[Event]:
        with self._lock:
            return [event for event in self._events if event.drop_id == drop_id]

    def close(self) -> None:
        pass
