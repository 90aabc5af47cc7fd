"""What every ledger promises of one drop's life (dropd/ledger/base.py), held against each implementation alike."""

from __future__ import annotations

import threading
from dataclasses import fields, replace
from typing import Any

import pytest
from doubles import NOW, OWNER, next_id, taking
from drops import ODD, OTHER, begun, in_state, ready, sending, step, stored, to_ready

from dropd.errors import LedgerError, Lost
from dropd.ledger.base import HasTwin, Ledger
from dropd.model import Attempt, Code, Drop, Error, Inbox, Pause, Stamp, State, Status, Step, Target
from dropd.policy import FOLLOWS, rejected

# ------------------------------------------------------------------------------------------------ one drop's life


def test_a_drop_begins_in_taking_with_an_owner_and_its_first_event(ledger: Ledger) -> None:
    drop = begun(ledger)
    assert (drop.state, drop.owner, drop.attempt, drop.taken_at, drop.since) == (State.TAKING, OWNER, 0, NOW, NOW)
    assert stored(ledger, drop) == drop
    assert [(event.at, event.state, event.event) for event in ledger.events(drop.id)] == [(NOW, State.TAKING, "taking")]


def test_a_drop_may_begin_with_a_verdict(ledger: Ledger) -> None:
    """A file found in work/ without a row never passes through a state in which it could be sent."""
    drop = ledger.begin(next_id(), taking(), OWNER, NOW, rejected(Error(Code.UNCONFIRMED, "It may have been sent.")))
    assert (drop.state, drop.status, drop.owner) == (State.REJECTED, Status.UNCONFIRMED, OWNER)
    assert [event.state for event in ledger.events(drop.id)] == [State.REJECTED]


def test_an_id_begins_only_once(ledger: Ledger) -> None:
    drop = begun(ledger)
    with pytest.raises(LedgerError):
        ledger.begin(drop.id, taking(), OWNER, NOW)
    assert stored(ledger, drop) == drop


def test_every_field_of_a_drop_survives(ledger: Ledger) -> None:
    drop = begun(ledger, name=ODD, folder="på/" + ODD, inbox="/srv/" + ODD, stamp=Stamp(2**64 - 7, 2**40, -5), owner_name=None)
    everything: dict[str, Any] = {
        "sha256": "ab" * 32,
        "content_type": "text/csv",
        "target": Target(client_id="0123", extra_fields={"externalClaimRef": "å"}),
        "notes": {"id_noted": "7"},
        "receipt": {"message_ids": ["1", "2"], "n": 3, "nothing": None},
        "error": Error(Code.REFUSED, "Ugyldig \U0001f4a5 " + ODD, 422),
        "status": Status.FAILED,
        "possible_duplicate": True,
        "duplicate_of": next_id(),
        "person_order": True,
        "filed_dir": "/srv/failed/" + ODD,
        "filed_as": ODD,
        "due_at": NOW + 0.125,
        "give_up_at": NOW + 1.5,
        "finished_at": NOW + 2.5,
        "setbacks": 4,
        "polls": 5,
        "attempt": 6,
    }
    after = ledger.move(drop, step(State.REJECTED, **everything), NOW + 3)
    assert {key: getattr(after, key) for key in everything} == everything
    assert stored(ledger, drop) == after
    assert {field.name for field in fields(Drop)} == {*everything, "id", "state", "taking", "owner", "since", "taken_at"}


@pytest.mark.parametrize("inode", [1, 2**31, 2**63 - 1, 2**63, 2**64 - 1])
def test_an_inode_of_any_size_survives_and_is_found_again(ledger: Ledger, inode: int) -> None:
    """Network filesystems hand out inodes above 2^63."""
    drop = begun(ledger, stamp=Stamp(inode, 3, 7))
    failed = ledger.move(ledger.move(drop, step(State.REJECTED), NOW), step(State.FAILED), NOW)
    assert ledger.failed_file(drop.taking.inbox_id, inode) == failed


def test_words_that_no_encoding_can_hold_do_not_stop_the_ledger(ledger: Ledger) -> None:
    """A vendor's JSON may say half a character (`"\\ud800"`), and its words end up in pauses."""
    pause = Pause("arm", "", "login", "no \ud800 entry", NOW, NOW, 1)
    ledger.pause(pause)
    ledger.look(Inbox("invoices", "/srv", None, "away: \udcff", NOW, NOW, {"\udcff": "\ud800"}))
    assert [(kept.provider, kept.reason.startswith("no ")) for kept in ledger.pauses()] == [("arm", True)]
    assert [inbox.red is not None for inbox in ledger.inboxes()] == [True]


@pytest.mark.parametrize("state", list(State))
def test_only_the_steps_of_the_table_are_possible(ledger: Ledger, state: State) -> None:
    drop = in_state(ledger, state)
    before = ledger.events(drop.id)
    for to in set(State) - FOLLOWS[state]:
        with pytest.raises(LedgerError, match=f"{state} cannot become {to}"):
            ledger.move(drop, step(to), NOW)
    assert (stored(ledger, drop), ledger.events(drop.id)) == (drop, before)
    for to in FOLLOWS[state]:
        assert ledger.move(in_state(ledger, state), step(to), NOW).state is to


def test_a_step_is_told_by_one_event_with_its_data(ledger: Ledger) -> None:
    drop = sending(ledger)
    attempt = Attempt(NOW, NOW + 1, "later", 503, "Try later", "trace-1")
    after = ledger.move(drop, Step(to=State.READY, event="later", data={"reason": "busy"}, attempt=attempt), NOW + 1)
    event = ledger.events(drop.id)[-1]
    assert (event.at, event.drop_id, event.state, event.event) == (NOW + 1, drop.id, State.READY, "later")
    assert event.data["reason"] == "busy"
    assert ledger.attempts(drop.id) == [attempt]
    assert after.since == NOW + 1


def test_events_and_attempts_stand_in_order_and_apart(ledger: Ledger) -> None:
    one, two = begun(ledger), begun(ledger)
    for number in range(3):
        attempt = Attempt(NOW + number, NOW + number, "later", None, None, None)
        one = ledger.move(one, Step(to=State.TAKING, event=f"step_{number}", attempt=attempt), NOW)
        two = ledger.move(two, step(State.TAKING, event="other"), NOW)
    assert [event.event for event in ledger.events(one.id)] == ["taking", "step_0", "step_1", "step_2"]
    assert [attempt.started_at for attempt in ledger.attempts(one.id)] == [NOW, NOW + 1, NOW + 2]
    assert ledger.attempts(two.id) == []
    assert list(ledger.events("nobody")) == []


def test_since_changes_with_the_state_alone(ledger: Ledger) -> None:
    drop = begun(ledger)
    assert ledger.move(drop, step(State.TAKING), NOW + 5).since == NOW


@pytest.mark.parametrize(
    ("state", "to", "stays"),
    [
        (State.SENDING, State.ACCEPTED, True),
        (State.SENDING, State.REJECTED, True),
        (State.SENDING, State.READY, False),
        (State.SENDING, State.CONFIRMING, False),
        (State.SENDING, State.UNCONFIRMED, False),
        (State.TAKING, State.RELEASED, False),
    ],
)
def test_the_owner_stays_while_the_same_thread_goes_on(ledger: Ledger, state: State, to: State, *, stays: bool) -> None:
    drop = in_state(ledger, state)
    assert drop.owner == OWNER
    assert stored(ledger, ledger.move(drop, step(to), NOW)).owner == (OWNER if stays else None)


# ------------------------------------------------------------------------------------------------ compare-and-set


@pytest.mark.parametrize("moved_by", [step(State.RELEASED), step(State.TAKING, owner=OTHER), step(State.TAKING, attempt=1)])
def test_who_comes_second_has_lost(ledger: Ledger, moved_by: Step) -> None:
    """State, owner and attempt are compared; a loser writes nothing."""
    drop = begun(ledger)
    moved = ledger.move(drop, moved_by, NOW)
    events = ledger.events(drop.id)
    for write in (
        lambda: ledger.move(drop, step(State.REJECTED), NOW),
        lambda: ledger.ready(drop, to_ready(), "an-identity", NOW),
        lambda: ledger.note(drop, {"a": "b"}, NOW),
    ):
        with pytest.raises(Lost):
            write()
    assert (stored(ledger, drop), ledger.events(drop.id)) == (moved, events)


def test_a_drop_that_never_was_is_lost(ledger: Ledger) -> None:
    drop = replace(begun(ledger), id=next_id())
    with pytest.raises(Lost):
        ledger.move(drop, step(State.RELEASED), NOW)
    assert list(ledger.events(drop.id)) == []


def test_a_step_writes_what_it_changes_and_nothing_else(ledger: Ledger) -> None:
    """Time given back while a call was under way is not taken away by the call's own step."""
    ledger.pause(Pause("arm", "", "login", "no", NOW, NOW, 1))
    drop = sending(ledger)
    ledger.resume("arm", "", NOW + 100)
    ledger.move(drop, step(State.READY, due_at=NOW + 200), NOW + 101)
    assert stored(ledger, drop).give_up_at == NOW + 86400 + 100


def test_eight_threads_claim_each_drop_once(ledger: Ledger) -> None:
    made = {ready(ledger).id for _ in range(40)}
    got: list[str] = []
    start = threading.Barrier(8)

    def work() -> None:
        start.wait(10)
        while (drop := ledger.claim("arm", OWNER, NOW, ())) is not None:
            got.append(drop.id)
            ledger.move(drop, step(State.ACCEPTED), NOW)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(got) == sorted(made)
    assert ledger.counts() == {("invoices", State.ACCEPTED): 40}
    assert all([event.event for event in ledger.events(drop)] == ["taking", "ready", "sending", "stepped"] for drop in made)


def test_of_eight_threads_one_moves_a_drop(ledger: Ledger) -> None:
    drop = begun(ledger)
    won: list[int] = []
    lost: list[int] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        start.wait(10)
        try:
            ledger.move(drop, step(State.RELEASED, event=f"by_{number}"), NOW)
            won.append(number)
        except Lost:
            lost.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(won), len(lost)) == (1, 7)
    assert [event.event for event in ledger.events(drop.id)] == ["taking", f"by_{won[0]}"]


def test_of_eight_threads_one_reserves_an_identity(ledger: Ledger) -> None:
    waiting = [begun(ledger) for _ in range(8)]
    came: list[State] = []
    twins: list[str] = []
    start = threading.Barrier(8)

    def work(drop: Drop) -> None:
        start.wait(10)
        try:
            came.append(ledger.ready(drop, to_ready(), "same", NOW).state)
        except HasTwin as error:
            twins.append(error.twin.id)

    threads = [threading.Thread(target=work, args=(drop,)) for drop in waiting]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert came == [State.READY]
    assert len(twins) == 7 and len(set(twins)) == 1


# ------------------------------------------------------------------------------------------------ notes


def test_notes_add_up_and_are_there_for_the_next_reader(ledger: Ledger) -> None:
    drop = sending(ledger)
    drop = ledger.note(drop, {"id_noted": "7"}, NOW)
    drop = ledger.note(drop, {"put_started": "yes", "id_noted": "8"}, NOW)
    assert drop.notes == stored(ledger, drop).notes == {"id_noted": "8", "put_started": "yes"}
    assert stored(ledger, drop).state is State.SENDING
    assert [event.event for event in ledger.events(drop.id)][-2:] == ["noted", "noted"]
