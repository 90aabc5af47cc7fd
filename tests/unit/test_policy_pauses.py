"""Who is paused by what, for how long, and what ends it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from doubles import NOW, RULES, taking

from dropd import policy
from dropd.ledger.rows import begun
from dropd.model import (
    Absent,
    Accepted,
    Changed,
    Drop,
    Later,
    Misconfigured,
    Outcome,
    Pause,
    Pending,
    Refused,
    Target,
    Unconfirmed,
)
from dropd.policy import ends_pause, pause_after

TARGET = Target(client_id="2218")
EVERY_OUTCOME: tuple[Outcome, ...] = (
    Accepted(), Pending(again_at=NOW), Later(), Later(whole_account=True), Absent(), Refused(), Misconfigured(scope="account"),
    Misconfigured(scope="target"), Changed(), Unconfirmed(),
)  # fmt: skip


def drop() -> Drop:
    return replace(begun("018bcfe5-0000-7000-8000-000000000001", taking(), "me", NOW), target=TARGET)


def pause(kind: Any = "down", since: float = NOW, **more: Any) -> Pause:
    return Pause(
        **{"provider": "arm", "target": "", "kind": kind, "reason": "x", "since": since, "probe_at": since, "tries": 1, **more}
    )


def paused_by(outcome: Outcome, current: Pause | None = None, now: float = NOW, of: Drop | None = None) -> Pause | None:
    return pause_after(of or drop(), "arm", outcome, current, RULES, now, lambda: 0.5)


@pytest.mark.parametrize(
    ("outcome", "kind", "target"),
    [
        (Misconfigured(reason="who?", scope="account"), "login", ""),
        (Misconfigured(reason="not yours", scope="target"), "forbidden", TARGET.key()),
        (Later(reason="busy", whole_account=True), "busy", ""),
        (Later(reason="this one"), None, None),
        (Accepted(), None, None),
        (Pending(again_at=NOW), None, None),
        (Absent(), None, None),
        (Refused(), None, None),
        (Changed(), None, None),
        (Unconfirmed(), None, None),
    ],
)
def test_which_outcomes_pause_whom(outcome: Outcome, kind: str | None, target: str | None) -> None:
    begun_pause = paused_by(outcome)
    assert (begun_pause.kind if begun_pause else None) == kind
    if begun_pause:
        assert begun_pause == Pause("arm", target or "", kind, outcome.reason, NOW, NOW + 5, 1)  # type: ignore[arg-type]


def test_a_login_that_cannot_be_had_holds_the_whole_account() -> None:
    """Whatever an adapter calls it: else the senders would ask for a token without rest."""
    held = pause_after(None, "arm", Later(reason="no token"), None, RULES, NOW, lambda: 0.5)
    assert held is not None and (held.kind, held.target) == ("busy", "")


def test_a_pause_that_goes_on_keeps_its_beginning_and_waits_longer() -> None:
    first = paused_by(Misconfigured(scope="account"))
    second = paused_by(Misconfigured(scope="account"), first, NOW + 5)
    assert second is not None and (second.since, second.tries, second.probe_at) == (NOW, 2, NOW + 5 + 10)


@pytest.mark.parametrize(
    ("current", "now", "kind"),
    [
        (None, NOW, "busy"),
        (pause("busy"), NOW + 299, "busy"),
        (pause("busy"), NOW + 300, "down"),
        (pause("down", since=NOW - 1), NOW, "down"),
        (pause("login"), NOW + 5, "down"),
    ],
)
def test_a_busy_vendor_counts_as_down_after_five_minutes(current: Pause | None, now: float, kind: str) -> None:
    """From then on the time does not count. A pause whose time did not count before goes on so."""
    after_that = paused_by(Later(whole_account=True), current, now)
    assert after_that is not None and after_that.kind == kind
    assert after_that.stops_the_clock is (kind == "down")


def test_a_busy_vendors_own_time_is_kept() -> None:
    held = paused_by(Later(whole_account=True, not_before=NOW + 600))
    assert held is not None and held.probe_at == pytest.approx(NOW + 600, abs=0.2)


def test_a_probe_without_a_word_lengthens_the_pause() -> None:
    longer = policy.lengthened(pause(tries=3), RULES, NOW + 50, lambda: 0.5)
    assert longer == replace(pause(tries=3), tries=4, probe_at=NOW + 50 + 40)


@pytest.mark.parametrize("outcome", EVERY_OUTCOME, ids=lambda outcome: type(outcome).__name__)
def test_any_word_on_the_file_itself_ends_a_pause(outcome: Outcome) -> None:
    assert ends_pause(outcome) is isinstance(outcome, Accepted | Pending | Refused | Absent)
