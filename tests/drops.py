"""Drops in a ledger, led to where a test wants them."""

from __future__ import annotations

from typing import Any

from doubles import NOW, OWNER, next_id, taking

from dropd.ledger.base import Ledger
from dropd.model import Drop, State, Status, Step, Target

OTHER = "this-host:2:bbbb"
ODD = b"faktura \xe5\xf8 \xff.csv".decode("utf-8", "surrogateescape")


def begun(ledger: Ledger, **more: Any) -> Drop:
    return ledger.begin(next_id(), taking(**more), OWNER, NOW)


def to_ready(due_at: float = NOW, target: Target | None = None, **changes: Any) -> Step:
    base = {"due_at": due_at, "give_up_at": NOW + 86400, "target": target or Target(client_id="2218"), "sha256": "0" * 64}
    return Step(to=State.READY, event="ready", changes={**base, **changes})


def ready(ledger: Ledger, identity: str = "", due_at: float = NOW, target: Target | None = None, **more: Any) -> Drop:
    drop = begun(ledger, **more)
    return ledger.ready(drop, to_ready(due_at, target), identity or drop.id, NOW)


def sending(ledger: Ledger, identity: str = "", **more: Any) -> Drop:
    made = ready(ledger, identity, **more)
    claimed = ledger.claim("arm", OWNER, NOW, ())
    assert claimed is not None and claimed.id == made.id
    return claimed


def step(to: State, event: str = "stepped", **changes: Any) -> Step:
    return Step(to=to, event=event, changes=changes)


def stored(ledger: Ledger, drop: Drop) -> Drop:
    (found,) = ledger.find(drop.id)
    return found


def in_state(ledger: Ledger, state: State) -> Drop:
    """A drop that was led to a state by legal steps."""
    drop = begun(ledger)
    if state is State.TAKING:
        return drop
    if state is State.RELEASED:
        return ledger.move(drop, step(State.RELEASED), NOW)
    drop = ledger.ready(drop, to_ready(), drop.id, NOW)
    if state is State.READY:
        return drop
    drop = ledger.move(drop, step(State.SENDING, owner=OWNER), NOW)
    ways = {State.DONE: [State.ACCEPTED, State.DONE], State.FAILED: [State.REJECTED, State.FAILED], State.SENDING: []}
    for to in ways.get(state, [state]):
        drop = ledger.move(drop, step(to, status=Status.FAILED if to is State.REJECTED else drop.status), NOW)
    return drop
