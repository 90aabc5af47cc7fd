"""How a row changes, for every implementation of the ledger alike. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from dropd.errors import LedgerError
from dropd.model import Attempt, Drop, State, Status, Step, Taking
from dropd.policy import FOLLOWS

CLAIMABLE = (State.READY, State.CONFIRMING, State.UNCONFIRMED)

_GOES_ON = frozenset({State.TAKING, State.SENDING, State.ACCEPTED, State.REJECTED})
"""States that the thread which brought a drop there takes it on from: it stays the owner."""


def begun(drop_id: str, taking: Taking, owner: str, now: float) -> Drop:
    return Drop(
        id=drop_id,
        state=State.TAKING,
        taking=taking,
        owner=owner,
        attempt=0,
        setbacks=0,
        polls=0,
        due_at=None,
        give_up_at=None,
        since=now,
        taken_at=now,
    )


def moved(drop: Drop, step: Step, now: float) -> Drop:
    """The row after a step. Raises LedgerError on a step that DESIGN's table does not know: a fault of the code, never committed."""
    if step.to not in FOLLOWS[drop.state]:
        raise LedgerError(f"a drop that is {drop.state} cannot become {step.to}")
    owner = drop.owner if step.to in _GOES_ON else None
    since = drop.since if step.to is drop.state else now
    return replace(drop, **{"state": step.to, "owner": owner, "since": since, **step.changes})


def claimed(drop: Drop, owner: str, now: float) -> tuple[Drop, str]:
    """The row after a claim, and the name of the event."""
    if drop.state is State.READY:
        return replace(drop, state=State.SENDING, owner=owner, attempt=drop.attempt + 1, since=now), "sending"
    return replace(drop, owner=owner), "asking"


def is_twin(other: Drop) -> bool:
    """Whether a drop of the same identity makes a later one a duplicate: delivered, maybe delivered, or under way."""
    if other.state is State.FAILED:
        return other.status is Status.UNCONFIRMED or other.possible_duplicate
    if other.state is State.REJECTED:
        return other.status is not Status.FAILED or other.possible_duplicate
    return other.state is not State.RELEASED or other.possible_duplicate  # given back with other content than was in doubt


def ordered(drop: Drop, twin: Drop) -> Drop:
    """A person's order is sent although it has a twin, and says so."""
    return replace(drop, possible_duplicate=True, duplicate_of=twin.id)


def event_data(step: Step) -> dict[str, Any]:
    data = dict(step.data)
    if step.attempt is not None:
        data["attempt"] = asdict(step.attempt)
    return data


def attempt_of(data: Mapping[str, Any]) -> Attempt | None:
    return Attempt(**data["attempt"]) if "attempt" in data else None
