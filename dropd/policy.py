"""What comes next: which state may follow which, what an outcome leads to, how long to wait. Pure; clock and dice are given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from dropd.model import (
    OUTCOME_NAMES,
    Absent,
    Accepted,
    Attempt,
    Changed,
    Code,
    Drop,
    Error,
    Later,
    Misconfigured,
    Outcome,
    Pause,
    Pending,
    Refused,
    State,
    Status,
    Step,
    Unconfirmed,
)

FOLLOWS: Mapping[State, frozenset[State]] = {
    State.TAKING: frozenset({State.TAKING, State.READY, State.REJECTED, State.RELEASED, State.FAILED, State.UNCONFIRMED}),
    State.READY: frozenset({State.READY, State.SENDING, State.REJECTED}),
    State.SENDING: frozenset({State.READY, State.CONFIRMING, State.UNCONFIRMED, State.ACCEPTED, State.REJECTED, State.RELEASED}),
    State.CONFIRMING: frozenset({State.CONFIRMING, State.ACCEPTED, State.REJECTED, State.READY, State.UNCONFIRMED}),
    State.UNCONFIRMED: frozenset({State.UNCONFIRMED, State.CONFIRMING, State.ACCEPTED, State.READY, State.REJECTED}),
    State.ACCEPTED: frozenset({State.ACCEPTED, State.DONE}),
    State.REJECTED: frozenset({State.REJECTED, State.FAILED}),
    State.DONE: frozenset(),
    State.FAILED: frozenset({State.TAKING}),  # a person's word: `dropd retry`
    State.RELEASED: frozenset(),
}

ANEW: Mapping[str, None] = dict.fromkeys(("status", "error", "finished_at", "duplicate_of", "filed_dir", "filed_as"))
"""What a failed drop that is tried again sheds, once its file is back in work/. Before that it must not forget why it failed."""

DOWN_AFTER = 300.0
"""Seconds without a single answer of use after which a busy vendor counts as down, and the time stops counting against its drops."""

SOONEST = 1.0
"""Seconds: even a Retry-After of 0 does not make a hot loop. Less where `first` is less, but never no rest at all."""

LEAST = 0.1

Dice = Callable[[], float]
"""A number from [0, 1)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What of the configuration and of the vendor a decision depends on. Durations in seconds."""

    first: float
    max: float
    give_up_after: float
    can_ask: bool


def backoff(setbacks: int, rules: Rules, dice: Dice) -> float:
    """Seconds until try number `setbacks` + 1: doubling from `first` to `max`, a fifth of it by chance either way."""
    doubled = rules.first * 2.0 ** min(max(setbacks - 1, 0), 30)
    return max(min(doubled, rules.max) * (0.8 + 0.4 * dice()), LEAST)


def next_try(later: Later, setbacks: int, rules: Rules, now: float, dice: Dice) -> float:
    """When the vendor said, if it said; else by backoff."""
    if later.not_before is not None:
        soonest = max(min(SOONEST, rules.first), LEAST)
        return max(later.not_before, now + soonest) + 0.1 * soonest * dice()
    return now + backoff(setbacks, rules, dice)


def after_call(
    drop: Drop, outcome: Outcome, rules: Rules, *, started: float, now: float, dice: Dice, pauses: Collection[Pause] = ()
) -> Step:
    """What one call of send, poll or ask leads to. ACCEPTED and REJECTED still lack the final name, which only the disk can tell.

    `pauses`: those that this call probes; the time that they have lasted so far does not count towards giving up.
    """
    paused = max((given_back(pause, drop, now) for pause in pauses), default=0.0)
    if drop.give_up_at is not None:
        drop = replace(drop, give_up_at=drop.give_up_at + paused)
    step = _after(drop, outcome, rules, now, dice)
    if outcome.doubled:
        step = replace(step, changes={**step.changes, "possible_duplicate": True})
    attempt = Attempt(
        started_at=started,
        finished_at=now,
        outcome=OUTCOME_NAMES[type(outcome)],
        http_status=outcome.http_status,
        message=outcome.reason or None,
        trace_id=outcome.trace_id,
    )
    # a poll that changed nothing is no line in the sidecar, there may be hundreds; what an account's pause cost is none of the drop's
    idle = step.to is drop.state and isinstance(outcome, Pending | Later)
    return step if idle or isinstance(outcome, Misconfigured) else replace(step, attempt=attempt)


def _after(drop: Drop, outcome: Outcome, rules: Rules, now: float, dice: Dice) -> Step:
    match outcome:
        case Accepted():
            return Step(
                to=State.ACCEPTED,
                event="accepted",
                changes={"receipt": dict(outcome.receipt), "status": Status.DELIVERED, "error": None},
            )
        case Pending():
            polls = drop.polls + 1 if drop.state is State.CONFIRMING else 0
            return Step(to=State.CONFIRMING, event="pending", changes={"due_at": outcome.again_at, "polls": polls})
        case Refused():
            return rejected(Error(outcome.code, outcome.reason, outcome.http_status))
        case Changed():
            return rejected(Error(Code.CHANGED_WHILE_SENDING, outcome.reason))
        case Misconfigured():  # the pause says when; it costs no attempt
            return Step(to=untouched(drop), event="misconfigured", data={"reason": outcome.reason}, changes={"due_at": now})
        case Absent():
            return Step(to=State.READY, event="absent", changes={"due_at": now})
        case Unconfirmed():
            if drop.state is State.UNCONFIRMED:
                return without_verdict(drop, outcome.reason)
            changes = {"due_at": now, "error": Error(Code.UNCONFIRMED, outcome.reason, outcome.http_status)}
            return Step(to=State.UNCONFIRMED, event="unconfirmed", data={"reason": outcome.reason}, changes=changes)
        case Later():
            return _after_later(drop, outcome, rules, now, dice)


def untouched(drop: Drop) -> State:
    """The state a drop goes back to when a call came to nothing."""
    return State.READY if drop.state is State.SENDING else drop.state


def _after_later(drop: Drop, later: Later, rules: Rules, now: float, dice: Dice) -> Step:
    over = drop.give_up_at is not None and now >= drop.give_up_at
    if over and drop.state is State.SENDING:
        return rejected(Error(Code.GAVE_UP, later.reason, later.http_status))
    if over:
        error = Error(Code.UNCONFIRMED, later.reason, later.http_status)
        if drop.state is State.UNCONFIRMED:
            return without_verdict(drop, later.reason)
        return Step(
            to=State.UNCONFIRMED, event="unconfirmed", data={"reason": later.reason}, changes={"due_at": now, "error": error}
        )
    setbacks = drop.setbacks + 1
    changes = {"due_at": next_try(later, setbacks, rules, now, dice), "setbacks": setbacks}
    return Step(to=untouched(drop), event="later", data={"reason": later.reason, "due_at": changes["due_at"]}, changes=changes)


def without_verdict(drop: Drop, reason: str) -> Step:
    """Nobody can say whether the vendor has it: never sent again on a guess, but held for a person."""
    http_status = drop.error.http_status if drop.error else None
    return replace(rejected(Error(Code.UNCONFIRMED, reason, http_status)), event="held")


def rejected(error: Error, *, status: Status | None = None, duplicate_of: str | None = None) -> Step:
    """The end of a drop that was not delivered, or not surely."""
    statuses = {Code.UNCONFIRMED: Status.UNCONFIRMED, Code.DUPLICATE: Status.DUPLICATE}
    changes: dict[str, Any] = {"error": error, "status": status or statuses.get(error.code, Status.FAILED)}
    if duplicate_of is not None:
        changes["duplicate_of"] = duplicate_of
    return Step(to=State.REJECTED, event=str(error.code), data={"message": error.message}, changes=changes)


# ------------------------------------------------------------------------------------------------ pauses


def pause_after(
    drop: Drop | None, provider: str, outcome: Outcome, current: Pause | None, rules: Rules, now: float, dice: Dice
) -> Pause | None:
    """The pause that an outcome calls for, `current` being the one it would continue. None: the outcome calls for none."""
    match outcome:
        case Misconfigured(scope="target") if drop is not None:
            kind, target = "forbidden", drop.target.key()
        case Misconfigured():
            kind, target = "login", ""
        case Later() if outcome.whole_account or drop is None:  # without a login nobody can be sent to
            kind, target = "busy", ""
        case _:
            return None
    tries = current.tries + 1 if current else 1
    since = current.since if current else now
    if kind == "busy":
        probe_at = next_try(outcome, tries, rules, now, dice) if isinstance(outcome, Later) else now
        if current is not None and (current.stops_the_clock or now - since >= DOWN_AFTER):
            kind = "down"
    else:
        probe_at = now + backoff(tries, rules, dice)
    return Pause(provider, target, kind, outcome.reason, since, probe_at, tries)  # type: ignore[arg-type]


def lengthened(pause: Pause, rules: Rules, now: float, dice: Dice) -> Pause:
    """The pause goes on: its probe told nothing of how the vendor is."""
    return replace(pause, tries=pause.tries + 1, probe_at=now + backoff(pause.tries + 1, rules, dice))


def given_back(pause: Pause, drop: Drop, now: float) -> float:
    """The seconds of a pause that do not count against a drop."""
    waits = pause.provider == drop.taking.provider and pause.target in ("", drop.target.key())
    return max(0.0, now - max(pause.since, drop.taken_at)) if waits and pause.stops_the_clock else 0.0


def is_forbidden(outcome: Outcome) -> bool:
    """Whether the vendor barred one target rather than the account."""
    return isinstance(outcome, Misconfigured) and outcome.scope == "target"


def ends_pause(outcome: Outcome) -> bool:
    """Whether the vendor showed that it works again: any word on the file itself."""
    return isinstance(outcome, Accepted | Pending | Refused | Absent)
