"""What comes next: every outcome in every state that can hear it, when to try again, when to give up, when to pause."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from doubles import NOW, RULES, taking
from hypothesis import given
from hypothesis import strategies as st

from dropd import policy
from dropd.ledger.rows import begun, claimed, moved
from dropd.model import (
    FINAL,
    UNFINISHED,
    Absent,
    Accepted,
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
    Target,
    Unconfirmed,
)
from dropd.policy import FOLLOWS, Rules, after_call, backoff, given_back, next_try, rejected

SENDING, CONFIRMING, UNCONFIRMED = State.SENDING, State.CONFIRMING, State.UNCONFIRMED
READY, ACCEPTED, REJECTED = State.READY, State.ACCEPTED, State.REJECTED
ASKABLE = replace(RULES, can_ask=True)
TARGET = Target(client_id="2218")


def drop(state: State = SENDING, **more: Any) -> Drop:
    fields = {"state": state, "attempt": 1, "give_up_at": NOW + 86400, "due_at": NOW, "target": TARGET, "sha256": "0" * 64}
    return replace(begun("018bcfe5-0000-7000-8000-000000000001", taking(), "me", NOW), **{**fields, **more})


def after(state: State, outcome: Outcome, rules: Rules = RULES, *, now: float = NOW, pauses: Any = (), **more: Any) -> Any:
    return after_call(drop(state, **more), outcome, rules, started=now - 1, now=now, dice=lambda: 0.5, pauses=pauses)


EVERY_OUTCOME: tuple[Outcome, ...] = (
    Accepted(receipt={"file_id": "7"}),
    Pending(again_at=NOW + 3),
    Later(reason="busy"),
    Later(reason="busy", whole_account=True, not_before=NOW + 60),
    Absent(),
    Refused(reason="no"),
    Misconfigured(reason="who?", scope="account"),
    Misconfigured(reason="not there", scope="target"),
    Changed(reason="shorter"),
    Unconfirmed(reason="no answer"),
)


@pytest.mark.parametrize(
    ("outcome", "state", "to", "event"),
    [
        (Accepted(), SENDING, ACCEPTED, "accepted"),
        (Accepted(), CONFIRMING, ACCEPTED, "accepted"),
        (Accepted(), UNCONFIRMED, ACCEPTED, "accepted"),
        (Pending(again_at=NOW), SENDING, CONFIRMING, "pending"),
        (Pending(again_at=NOW), CONFIRMING, CONFIRMING, "pending"),
        (Pending(again_at=NOW), UNCONFIRMED, CONFIRMING, "pending"),
        (Later(), SENDING, READY, "later"),
        (Later(), CONFIRMING, CONFIRMING, "later"),
        (Later(), UNCONFIRMED, UNCONFIRMED, "later"),
        (Absent(), SENDING, READY, "absent"),
        (Absent(), CONFIRMING, READY, "absent"),
        (Absent(), UNCONFIRMED, READY, "absent"),
        (Refused(reason="no"), SENDING, REJECTED, "refused"),
        (Refused(reason="no", code=Code.TOO_LARGE), SENDING, REJECTED, "too_large"),
        (Refused(reason="no"), CONFIRMING, REJECTED, "refused"),
        (Refused(reason="no"), UNCONFIRMED, REJECTED, "refused"),
        (Misconfigured(scope="account"), SENDING, READY, "misconfigured"),
        (Misconfigured(scope="target"), SENDING, READY, "misconfigured"),
        (Misconfigured(scope="account"), CONFIRMING, CONFIRMING, "misconfigured"),
        (Misconfigured(scope="account"), UNCONFIRMED, UNCONFIRMED, "misconfigured"),
        (Changed(reason="x"), SENDING, REJECTED, "changed_while_sending"),
        (Unconfirmed(reason="x"), SENDING, UNCONFIRMED, "unconfirmed"),
        (Unconfirmed(reason="x"), CONFIRMING, UNCONFIRMED, "unconfirmed"),
        (Unconfirmed(reason="x"), UNCONFIRMED, REJECTED, "held"),
    ],
)
def test_what_an_outcome_leads_to(outcome: Outcome, state: State, to: State, event: str) -> None:
    step = after(state, outcome)
    assert (step.to, step.event) == (to, event)


def test_whatever_a_vendor_says_whenever_is_a_step_of_the_table() -> None:
    """A step that the ledger refuses would end the process, and do so again at each start."""
    rules = [replace(RULES, can_ask=ask) for ask in (False, True)]
    for state, outcome, rule, now, doubt in itertools.product(
        (SENDING, CONFIRMING, UNCONFIRMED), EVERY_OUTCOME, rules, (NOW, NOW + 90000), (False, True)
    ):
        step = after(state, outcome, rule, now=now, possible_duplicate=doubt)
        assert step.to in FOLLOWS[state], (state, outcome, step)
        moved(drop(state), step, now)
    assert claimed(drop(READY), "me", NOW)[0].state in FOLLOWS[READY]


def test_every_state_is_in_the_table_and_leads_to_an_end() -> None:
    assert set(FOLLOWS) == set(State)
    ends = set(FINAL)
    while more := {state for state in UNFINISHED if FOLLOWS[state] & ends} - ends:
        ends |= more
    assert ends == set(State)
    assert [state for state in State if not FOLLOWS[state]] == [State.DONE, State.RELEASED]


def test_a_doubtful_drop_is_never_sent_on_the_vendors_silence() -> None:
    """From UNCONFIRMED back to READY leads only the vendor's word that it has nothing."""
    back = [outcome for outcome in EVERY_OUTCOME if after(UNCONFIRMED, outcome, ASKABLE).to is READY]
    assert back == [Absent()]


# ------------------------------------------------------------------------------------------------ what a step carries


def test_acceptance_carries_the_receipt_and_clears_old_trouble() -> None:
    step = after(UNCONFIRMED, Accepted(receipt={"file_id": "7"}), error=Error(Code.UNCONFIRMED, "x"))
    assert step.changes == {"receipt": {"file_id": "7"}, "status": Status.DELIVERED, "error": None}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Error(Code.REFUSED, "no", 422), Status.FAILED),
        (Error(Code.GAVE_UP, "no"), Status.FAILED),
        (Error(Code.UNCONFIRMED, "who knows"), Status.UNCONFIRMED),
        (Error(Code.DUPLICATE, "again"), Status.DUPLICATE),
    ],
)
def test_a_rejection_carries_its_error_and_status(error: Error, status: Status) -> None:
    step = rejected(error)
    assert (step.to, step.event, step.changes["error"], step.changes["status"]) == (REJECTED, str(error.code), error, status)


def test_a_refusal_keeps_the_vendors_own_words() -> None:
    step = after(SENDING, Refused(reason="Feil format", http_status=422, code=Code.REFUSED))
    assert step.changes["error"] == Error(Code.REFUSED, "Feil format", 422)


def test_what_pauses_an_account_costs_its_drops_no_attempt() -> None:
    assert after(SENDING, Misconfigured(scope="account")).attempt is None
    assert after(SENDING, Misconfigured(scope="target")).attempt is None


def test_what_may_have_arrived_before_is_a_possible_duplicate() -> None:
    assert after(SENDING, Pending(again_at=NOW, doubled=True)).changes["possible_duplicate"] is True
    assert "possible_duplicate" not in after(SENDING, Pending(again_at=NOW)).changes


@pytest.mark.parametrize(
    "outcome", [each for each in EVERY_OUTCOME if not isinstance(each, Misconfigured)], ids=lambda outcome: type(outcome).__name__
)
def test_each_call_is_an_attempt_in_the_sidecar(outcome: Outcome) -> None:
    attempt = after(SENDING, replace(outcome, http_status=418, trace_id="t")).attempt
    assert attempt is not None
    assert (attempt.started_at, attempt.finished_at, attempt.http_status, attempt.trace_id) == (NOW - 1, NOW, 418, "t")
    assert attempt.outcome == type(outcome).__name__.lower()
    assert attempt.message == (outcome.reason or None)


@pytest.mark.parametrize("state", [CONFIRMING, UNCONFIRMED])
@pytest.mark.parametrize("outcome", [Pending(again_at=NOW), Later()])
def test_a_question_that_changed_nothing_is_no_attempt(state: State, outcome: Outcome) -> None:
    assert (after(state, outcome).attempt is None) == (after(state, outcome).to is state)


def test_polls_are_counted_from_the_first_later() -> None:
    assert after(SENDING, Pending(again_at=NOW + 3), polls=9).changes == {"due_at": NOW + 3, "polls": 0}
    assert after(CONFIRMING, Pending(again_at=NOW + 3), polls=9).changes == {"due_at": NOW + 3, "polls": 10}


def test_a_pause_costs_no_setback() -> None:
    assert after(SENDING, Misconfigured(scope="account"), setbacks=3).changes == {"due_at": NOW}
    assert after(SENDING, Later(), setbacks=3).changes["setbacks"] == 4


# ------------------------------------------------------------------------------------------------ when to try again


@given(setbacks=st.integers(0, 10**9), dice=st.floats(0, 1, exclude_max=True), first=st.floats(0, 3600), most=st.floats(0, 86400))
def test_backoff_doubles_between_its_bounds_with_a_fifth_by_chance(setbacks: int, dice: float, first: float, most: float) -> None:
    wait = backoff(setbacks, replace(RULES, first=first, max=most), lambda: dice)
    doubled = min(first * 2.0 ** min(max(setbacks - 1, 0), 30), most)
    assert max(doubled * 0.8, 0.1) <= wait <= max(doubled * 1.2, 0.1) + 1e-9


def test_backoff_in_numbers() -> None:
    assert [backoff(n, RULES, lambda: 0.5) for n in (0, 1, 2, 3, 4, 9, 50)] == [5, 5, 10, 20, 40, 900, 900]
    assert [backoff(1, RULES, iter([dice]).__next__) for dice in (0.0, 0.999)] == [4.0, pytest.approx(6.0, abs=0.01)]


def test_two_drops_that_failed_together_are_not_tried_together() -> None:
    assert len({backoff(3, RULES, iter([dice]).__next__) for dice in (0.1, 0.2, 0.3)}) == 3


@pytest.mark.parametrize(
    ("said", "first", "least"),
    [(60, 5, 60), (0, 5, 1), (-500, 5, 1), (0.2, 5, 1), (86400, 5, 86400), (0, 0.1, 0.1), (0, 0, 0.1)],
)
@pytest.mark.parametrize("dice", [0.0, 0.999])
def test_retry_after_is_respected_with_a_floor(said: float, first: float, least: float, dice: float) -> None:
    """Even a Retry-After of 0, or a date long past, makes no hot loop."""
    wait = next_try(Later(not_before=NOW + said), 9, replace(RULES, first=first), NOW, lambda: dice) - NOW
    assert least - 1e-6 <= wait <= least + 0.1 + 1e-6


def test_without_a_word_from_the_vendor_backoff_says_when() -> None:
    assert after(SENDING, Later(), setbacks=2).changes["due_at"] == NOW + 20
    assert after(SENDING, Later(not_before=NOW + 77), setbacks=2).changes["due_at"] == pytest.approx(NOW + 77, abs=0.2)


# ------------------------------------------------------------------------------------------------ giving up


LATE = NOW + 86400


@pytest.mark.parametrize(
    ("state", "now", "to", "code"),
    [
        (SENDING, LATE - 0.1, READY, None),
        (SENDING, LATE, REJECTED, Code.GAVE_UP),
        (CONFIRMING, LATE, UNCONFIRMED, Code.UNCONFIRMED),
        (UNCONFIRMED, LATE, REJECTED, Code.UNCONFIRMED),
    ],
)
def test_giving_up_comes_after_an_attempt_and_never_forgets_a_doubt(
    state: State, now: float, to: State, code: Code | None
) -> None:
    """Only what was surely not delivered fails; what may have arrived is unconfirmed."""
    step = after(state, Later(reason="busy", http_status=503), now=now)
    assert step.to is to
    assert (step.changes["error"].code if "error" in step.changes else None) is code


@pytest.mark.parametrize("outcome", [Accepted(), Pending(again_at=LATE), Absent(), Misconfigured(scope="account")])
def test_a_word_that_is_not_later_is_heard_after_the_limit_too(outcome: Outcome) -> None:
    assert after(SENDING, outcome, now=LATE + 9).to is after(SENDING, outcome).to


def test_a_drop_without_a_limit_is_never_given_up() -> None:
    assert after(SENDING, Later(), now=NOW * 2, give_up_at=None).to is READY


def pause(kind: Any = "down", since: float = NOW, target: str = "", **more: Any) -> Pause:
    return Pause(
        **{
            "provider": "arm",
            "target": target,
            "kind": kind,
            "reason": "x",
            "since": since,
            "probe_at": since,
            "tries": 1,
            **more,
        }
    )


@pytest.mark.parametrize(
    ("pauses", "to"),
    [
        ([pause()], READY),
        ([pause("login")], READY),
        ([pause("forbidden", target=TARGET.key())], READY),
        ([pause("busy")], REJECTED),
        ([pause("forbidden", target="of-others")], REJECTED),
        ([pause(provider="office")], REJECTED),
        ([pause(since=LATE + 5)], REJECTED),
        ([], REJECTED),
    ],
)
def test_paused_time_does_not_count_while_the_pause_still_lasts(pauses: list[Pause], to: State) -> None:
    """A vendor that is out of reach for a week costs no file: each probe of the pause would else end one drop."""
    assert after(SENDING, Later(whole_account=True), now=LATE + 10, pauses=pauses).to is to


@pytest.mark.parametrize(("since", "now", "back"), [(0, 100, 100), (-50, 100, 100), (60, 100, 40), (200, 100, 0)])
def test_a_drop_gets_back_what_it_waited_itself(since: float, now: float, back: float) -> None:
    assert given_back(pause(since=NOW + since), drop(taken_at=NOW), NOW + now) == back


@pytest.mark.parametrize("doubt", [False, True])
def test_without_a_verdict_a_drop_is_held(*, doubt: bool) -> None:
    step = policy.without_verdict(drop(UNCONFIRMED, possible_duplicate=doubt), "nobody knows")
    assert (step.to, step.event) == (REJECTED, "held")
    assert step.changes["status"] is Status.UNCONFIRMED
