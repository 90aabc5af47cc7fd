"""The ledger as the only queue: claims and their order, ownership, pauses and the time they give back, inboxes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from doubles import NOW, OWNER, next_id, taking
from drops import OTHER, stored

from dropd.ledger.base import Ledger
from dropd.model import Drop, Inbox, Pause, State, Step, Target

ONE, TWO = Target(client_id="1"), Target(client_id="2")


def ready(ledger: Ledger, due_at: float | None = NOW, target: Target = ONE, *, taken_at: float = NOW, **more: Any) -> Drop:
    drop = ledger.begin(next_id(), taking(**more), OWNER, taken_at)
    changes = {"due_at": due_at, "give_up_at": taken_at + 1000, "target": target}
    return ledger.ready(drop, Step(to=State.READY, event="ready", changes=changes), drop.id, taken_at)


def claimed(ledger: Ledger, *held: str, now: float = NOW) -> str | None:
    drop = ledger.claim("arm", OWNER, now, held)
    return None if drop is None else drop.id


# ------------------------------------------------------------------------------------------------ claims


def test_a_claim_counts_the_attempt_before_any_byte_leaves(ledger: Ledger) -> None:
    ready(ledger)
    drop = ledger.claim("arm", OWNER, NOW + 1, ())
    assert drop is not None and stored(ledger, drop) == drop
    assert (drop.state, drop.owner, drop.attempt, drop.since) == (State.SENDING, OWNER, 1, NOW + 1)
    assert ledger.events(drop.id)[-1].event == "sending"


@pytest.mark.parametrize("state", [State.CONFIRMING, State.UNCONFIRMED])
def test_a_drop_to_be_asked_about_stays_what_it_is(ledger: Ledger, state: State) -> None:
    ready(ledger)
    drop = ledger.claim("arm", OWNER, NOW, ())
    assert drop is not None
    waiting = ledger.move(drop, Step(to=state, event="so", changes={"due_at": NOW + 5}), NOW)
    asked = ledger.claim("arm", OTHER, NOW + 5, ())
    assert asked == replace(waiting, owner=OTHER)
    assert ledger.events(drop.id)[-1].event == "asking"


def test_what_is_due_longest_comes_first_and_nothing_comes_early(ledger: Ledger) -> None:
    late, soon, early = ready(ledger, NOW + 30), ready(ledger, NOW), ready(ledger, NOW - 30)
    also_soon = ready(ledger, NOW)
    assert [claimed(ledger) for _ in range(4)] == [early.id, soon.id, also_soon.id, None]
    assert ledger.next_due("arm", ()) == NOW + 30
    assert claimed(ledger, now=NOW + 30) == late.id
    assert ledger.next_due("arm", ()) is None


def test_another_accounts_drops_are_not_touched(ledger: Ledger) -> None:
    ready(ledger, provider="office")
    assert claimed(ledger) is None
    assert ledger.next_due("arm", ()) is None
    assert ledger.next_due("office", ()) == NOW


def test_held_targets_are_passed_over(ledger: Ledger) -> None:
    barred, free = ready(ledger, NOW - 5, ONE), ready(ledger, NOW, TWO)
    assert ledger.next_due("arm", {ONE.key()}) == NOW
    assert claimed(ledger, ONE.key()) == free.id
    assert claimed(ledger, ONE.key()) is None
    assert ledger.next_due("arm", {ONE.key(), TWO.key()}) is None
    assert claimed(ledger) == barred.id


def test_what_has_no_due_time_or_an_owner_or_another_state_is_not_claimed(ledger: Ledger) -> None:
    ready(ledger, None)
    ledger.begin(next_id(), taking(), OWNER, NOW)
    ready(ledger)
    drop = ledger.claim("arm", OWNER, NOW, ())
    assert drop is not None
    ledger.move(drop, Step(to=State.ACCEPTED, event="accepted", changes={"owner": None}), NOW)
    assert claimed(ledger) is None
    assert ledger.next_due("arm", ()) is None


# ------------------------------------------------------------------------------------------------ ownership


def test_whoever_is_not_this_process_is_dead(ledger: Ledger) -> None:
    mine = ledger.begin(next_id(), taking(), OWNER, NOW)
    foreign = ledger.begin(next_id(), taking(), OTHER, NOW)
    nobodys = ready(ledger)
    assert ledger.disown(OWNER, NOW + 1) == 1
    assert stored(ledger, foreign) == replace(foreign, owner=None)
    assert [stored(ledger, mine), stored(ledger, nobodys)] == [mine, nobodys]
    last = ledger.events(foreign.id)[-1]
    assert (last.event, last.data) == ("disowned", {"owner": OTHER})
    assert ledger.disown(OWNER, NOW + 1) == 0


def test_what_nobody_owns_and_is_due_can_be_adopted_once(ledger: Ledger) -> None:
    one = ledger.begin(next_id(), taking(), OTHER, NOW)
    two = ledger.begin(next_id(), taking(), OTHER, NOW)
    ledger.begin(next_id(), taking(), OWNER, NOW)
    ready(ledger)
    ledger.disown(OWNER, NOW)
    ledger.move(stored(ledger, two), Step(to=State.TAKING, event="wait", changes={"due_at": NOW + 9}), NOW)
    assert list(ledger.adopt({State.TAKING}, OWNER, NOW)) == [replace(one, owner=OWNER)]
    assert stored(ledger, one).owner == OWNER == ledger.adopt({State.TAKING}, OWNER, NOW + 9)[0].owner
    assert list(ledger.adopt({State.TAKING}, OWNER, NOW + 9)) == []
    assert ledger.events(two.id)[-1].event == "adopted"


# ------------------------------------------------------------------------------------------------ pauses


def paused(target: str = "", kind: Any = "login", since: float = NOW) -> Pause:
    return Pause("arm", target, kind, "no", since, since + 5, 1)


def test_a_pause_stands_until_it_is_ended(ledger: Ledger) -> None:
    ledger.pause(paused())
    longer = replace(paused(), probe_at=NOW + 60, tries=2, kind="down")
    ledger.pause(longer)
    ledger.pause(paused(ONE.key(), "forbidden"))
    assert list(ledger.pauses()) == [longer, paused(ONE.key(), "forbidden")]
    assert ledger.resume("arm", "", NOW + 1) == longer
    assert ledger.resume("arm", "", NOW + 1) is None
    assert ledger.resume("office", ONE.key(), NOW + 1) is None
    assert [pause.target for pause in ledger.pauses()] == [ONE.key()]


@pytest.mark.parametrize(("kind", "back"), [("login", 100), ("forbidden", 100), ("down", 100), ("busy", 0)])
def test_paused_time_is_given_back_where_it_stopped_the_clock(ledger: Ledger, kind: str, back: float) -> None:
    drop = ready(ledger)
    ledger.pause(paused(kind=kind))
    ledger.resume("arm", "", NOW + 100)
    assert stored(ledger, drop).give_up_at == NOW + 1000 + back


def test_each_drop_gets_back_the_time_that_it_waited_itself(ledger: Ledger) -> None:
    before, during, after = ready(ledger), ready(ledger, taken_at=NOW + 60), ready(ledger, taken_at=NOW + 500)
    foreign = ready(ledger, provider="office")
    ledger.pause(paused())
    ledger.resume("arm", "", NOW + 100)
    given = [(stored(ledger, drop).give_up_at or 0) - (drop.give_up_at or 0) for drop in (before, during, after, foreign)]
    assert given == [100, 40, 0, 0]


def test_a_barred_target_gives_back_to_its_own_drops_alone(ledger: Ledger) -> None:
    barred, free = ready(ledger, target=ONE), ready(ledger, target=TWO)
    ledger.pause(paused(ONE.key(), "forbidden"))
    ledger.resume("arm", ONE.key(), NOW + 100)
    assert [stored(ledger, drop).give_up_at for drop in (barred, free)] == [NOW + 1100, NOW + 1000]


def test_finished_drops_and_those_without_a_limit_stay_as_they_are(ledger: Ledger) -> None:
    taking_now = ledger.begin(next_id(), taking(), OWNER, NOW)
    over = ready(ledger)
    over = ledger.move(ledger.move(over, Step(to=State.REJECTED, event="no"), NOW), Step(to=State.FAILED, event="filed"), NOW)
    ledger.pause(paused())
    ledger.resume("arm", "", NOW + 100)
    assert [stored(ledger, drop) for drop in (taking_now, over)] == [taking_now, over]


# ------------------------------------------------------------------------------------------------ inboxes


def test_what_was_seen_of_an_inbox_is_kept(ledger: Ledger) -> None:
    odd = b"/srv/\xff".decode("utf-8", "surrogateescape")
    well = Inbox("invoices", odd, "mark-1", None, NOW, NOW, {"notes.txt": "it is not wanted"})
    other = Inbox("letters", "/srv/letters", None, "away", NOW, None)
    ledger.look(well)
    ledger.look(other)
    assert list(ledger.inboxes()) == [well, other]
    red = replace(well, red="away", since=NOW + 1, left_alone={})
    ledger.look(red)
    assert list(ledger.inboxes()) == [red, other]


def test_a_look_that_saw_no_mark_does_not_forget_the_known_one(ledger: Ledger) -> None:
    ledger.look(Inbox("invoices", "/srv/a", "mark-1", None, NOW, NOW))
    ledger.look(Inbox("invoices", "/srv/a", None, "away", NOW, NOW))
    assert [inbox.inbox_id for inbox in ledger.inboxes()] == ["mark-1"]
    ledger.look(Inbox("invoices", "/srv/another", None, None, NOW, NOW))
    assert [inbox.inbox_id for inbox in ledger.inboxes()] == [None]
