"""The ledger's memory, held against each implementation alike: what counts as the same content, and what people and recovery look up."""

from __future__ import annotations

from typing import Any

import pytest
from doubles import NOW, OWNER
from drops import ODD, begun, in_state, ready, sending, step, stored, to_ready

from dropd.ledger.base import HasTwin, Ledger
from dropd.model import FINAL, Code, Drop, Error, Stamp, State, Status, Step
from dropd.policy import rejected

# ------------------------------------------------------------------------------------------------ identities


def _led(ledger: Ledger, identity: str, *ways: Step) -> Drop:
    drop = sending(ledger, identity)
    for way in ways:
        drop = ledger.move(drop, way, NOW)
    return drop


REJECTED = {
    code: rejected(Error(code, "so"))
    for code in (Code.REFUSED, Code.UNCONFIRMED, Code.GAVE_UP, Code.CHANGED_WHILE_SENDING, Code.FILE_MISSING)
}
ACCEPTED = step(State.ACCEPTED, status=Status.DELIVERED)


@pytest.mark.parametrize(
    ("ways", "counts"),
    [
        ([], True),
        ([step(State.READY)], True),
        ([step(State.CONFIRMING)], True),
        ([step(State.UNCONFIRMED)], True),
        ([ACCEPTED], True),
        ([ACCEPTED, step(State.DONE)], True),
        ([REJECTED[Code.UNCONFIRMED]], True),
        ([REJECTED[Code.UNCONFIRMED], step(State.FAILED)], True),
        ([REJECTED[Code.REFUSED]], False),
        ([REJECTED[Code.REFUSED], step(State.FAILED)], False),
        ([REJECTED[Code.GAVE_UP], step(State.FAILED)], False),
        ([REJECTED[Code.CHANGED_WHILE_SENDING], step(State.FAILED)], False),
        ([REJECTED[Code.REFUSED], step(State.FAILED), step(State.TAKING, status=None)], True),
        ([REJECTED[Code.REFUSED], step(State.FAILED), step(State.TAKING, status=None), step(State.RELEASED)], False),
    ],
)
def test_a_twin_is_what_was_delivered_or_may_have_been_or_is_under_way(ledger: Ledger, ways: list[Step], *, counts: bool) -> None:
    twin = _led(ledger, "same", *ways)
    later = begun(ledger)
    if counts:
        with pytest.raises(HasTwin) as caught:
            ledger.ready(later, to_ready(), "same", NOW)
        assert caught.value.twin == twin
        assert stored(ledger, later) == later
        assert [event.event for event in ledger.events(later.id)] == ["taking"]
    else:
        assert ledger.ready(later, to_ready(), "same", NOW).state is State.READY


def test_a_persons_order_passes_the_twin(ledger: Ledger) -> None:
    _led(ledger, "same", ACCEPTED, step(State.DONE))
    ordered = ledger.ready(begun(ledger), to_ready(person_order=True), "same", NOW)
    assert (ordered.state, ordered.person_order) == (State.READY, True)
    assert ordered.possible_duplicate
    assert ordered.duplicate_of is not None
    assert ledger.find(ordered.id)[0] == ordered


def test_the_eldest_twin_is_named(ledger: Ledger) -> None:
    first = _led(ledger, "same", ACCEPTED)
    ledger.ready(begun(ledger), to_ready(person_order=True), "same", NOW + 5)
    with pytest.raises(HasTwin) as caught:
        ledger.ready(begun(ledger), to_ready(), "same", NOW)
    assert caught.value.twin.id == first.id


def test_a_drop_is_no_twin_of_itself_nor_of_other_content(ledger: Ledger) -> None:
    drop = _led(ledger, "same", REJECTED[Code.UNCONFIRMED], step(State.FAILED), step(State.TAKING, owner=OWNER))
    assert ledger.ready(drop, to_ready(), "same", NOW).state is State.READY
    assert ready(ledger, "other").state is State.READY


# ------------------------------------------------------------------------------------------------ for recovery and for people


def test_drops_are_found_by_either_end_of_their_id(ledger: Ledger) -> None:
    drops = [begun(ledger) for _ in range(12)]
    one = drops[3]
    assert list(ledger.find(one.id)) == [one]
    assert list(ledger.find(one.short_id)) == [one]
    assert list(ledger.find(one.short_id.upper())) == [one]
    assert [drop.id for drop in ledger.find(one.id[:8])] == [drop.id for drop in drops]
    assert list(ledger.find("%")) == list(ledger.find("_" * 6)) == []


def _failed(ledger: Ledger, filed_as: str = "a.csv", **more: Any) -> Drop:
    drop = ledger.move(begun(ledger, **more), rejected(Error(Code.EMPTY, "empty")), NOW)
    return ledger.move(drop, step(State.FAILED, filed_dir="/srv/failed", filed_as=filed_as), NOW)


def test_the_latest_drop_of_a_place_is_found(ledger: Ledger) -> None:
    _failed(ledger, ODD, name=ODD)
    latest = _failed(ledger, ODD, name=ODD)
    elsewhere = _failed(ledger, "b.csv", name=ODD, folder="acme", route="invoices")
    assert ledger.filed_at("/srv/failed", ODD) == latest
    assert ledger.filed_at("/srv/done", ODD) is None
    assert ledger.named("invoices", "", ODD) == latest
    assert ledger.named("invoices", "acme", ODD) == elsewhere
    assert ledger.named("other", "", ODD) is None


def test_a_failed_file_is_known_by_its_inode_in_its_inbox(ledger: Ledger) -> None:
    stamp = Stamp(77, 3, 1)
    _failed(ledger, stamp=stamp)
    latest = _failed(ledger, stamp=stamp)
    in_state(ledger, State.DONE)
    assert ledger.failed_file(latest.taking.inbox_id, 77) == latest
    assert ledger.failed_file("another-inbox", 77) is None
    assert ledger.failed_file(latest.taking.inbox_id, 78) is None
    ledger.move(latest, step(State.TAKING), NOW)
    assert ledger.failed_file(latest.taking.inbox_id, 77) != latest


def test_recent_is_newest_first_and_can_be_narrowed(ledger: Ledger) -> None:
    failed = _failed(ledger)
    waiting = ready(ledger)
    other = begun(ledger, route="letters")
    assert [drop.id for drop in ledger.recent()] == [other.id, waiting.id, failed.id]
    assert list(ledger.recent(limit=1)) == [other]
    assert list(ledger.recent(route="invoices", states={State.FAILED})) == [failed]
    assert list(ledger.recent(states=set())) == []
    assert ledger.counts() == {
        ("invoices", State.FAILED): 1,
        ("invoices", State.READY): 1,
        ("letters", State.TAKING): 1,
    }


def test_unfinished_is_every_drop_that_still_needs_something(ledger: Ledger) -> None:
    made = [in_state(ledger, state) for state in State]
    assert list(ledger.unfinished()) == [drop for drop in made if drop.state not in FINAL]


def test_a_ledger_keeps_its_id(ledger: Ledger) -> None:
    assert len(ledger.ledger_id) == 36
