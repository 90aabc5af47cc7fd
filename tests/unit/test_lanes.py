"""Who may be sent to now: an ordinary day, refused logins, and one probe at a time."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from doubles import World
from senders import FORBIDDEN, WHO, counts, drive, dropped, kinds, lane_of

from dropd.fields import Rate
from dropd.ledger.memory import MemoryLedger
from dropd.model import Accepted, Later, Outcome, State, Unconfirmed
from dropd.providers.base import Parcel


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "inbox", MemoryLedger(), ids={"client_id": "{folder}"})


# ------------------------------------------------------------------------------------------------ an ordinary day


def test_what_is_due_is_delivered_and_then_there_is_rest(world: World) -> None:
    dropped(world, 10)
    lane = lane_of(world)
    assert drive(lane, world, 1) == 10
    assert counts(world) == {State.DONE: 10}
    assert lane._turn() == (None, 60.0)


def test_a_later_of_one_drop_holds_no_other_up(world: World) -> None:
    dropped(world, 3)
    world.provider.script = [Later(reason="this one")]
    drive(lane_of(world), world, 4)
    assert counts(world) == {State.DONE: 2, State.READY: 1}
    assert world.ledger.pauses() == []


def test_the_rate_is_kept(world: World) -> None:
    dropped(world, 7)
    lane = lane_of(world, [Rate(2, 10.0)])
    drive(lane, world, 9.9)
    assert counts(world)[State.DONE] == 2
    drive(lane, world, 21)
    assert counts(world) == {State.DONE: 7}  # at 0, 10, 20 and 30


def test_a_turn_without_a_call_costs_no_place_of_the_rate(world: World) -> None:
    world.provider.logins = [WHO, WHO]
    dropped(world, 1)
    drive(lane_of(world, [Rate(1, 3600.0)]), world, 60)
    assert counts(world) == {State.DONE: 1}


def test_an_error_of_the_code_ends_the_loop_and_gives_its_place_back(world: World) -> None:
    dropped(world, 1)
    world.provider.script = [RuntimeError("a fault")]
    lane = lane_of(world, [Rate(1, 3600.0)])
    turn, _ = lane._turn()
    assert turn is not None
    with pytest.raises(RuntimeError, match="a fault"):
        lane._take_turn(turn)
    assert lane._limiter._under_way == 0


# ------------------------------------------------------------------------------------------------ a login that is refused


def test_a_refused_login_pauses_the_account_and_fails_no_file(world: World) -> None:
    """500 good files in failed/ after a password change: not here."""
    dropped(world, 20)
    world.provider.logins = [WHO] * 6
    lane = lane_of(world)
    drive(lane, world, 3 * 60)
    assert counts(world) == {State.READY: 20}
    assert (kinds(world), world.provider.calls) == (["login"], [])
    assert all(drop.attempt == 0 for drop in world.ledger.recent())
    drive(lane, world, 6 * 60)
    assert counts(world) == {State.DONE: 20}
    assert world.ledger.pauses() == []
    assert [event for event in world.log.events("warning") if event in ("paused", "resumed")] == ["paused", "resumed"]


def test_a_refused_login_is_asked_ever_more_rarely(world: World) -> None:
    dropped(world, 50)
    world.provider.logins = [WHO] * 10_000
    drive(lane_of(world), world, 86400)
    assert world.provider.login_calls < 110  # 900 s apart in the end


def test_a_login_that_cannot_be_had_makes_no_hot_loop_whatever_it_is_called(world: World) -> None:
    dropped(world, 5)
    world.provider.logins = [Later(reason="no token")] * 10_000
    drive(lane_of(world), world, 3600)
    assert world.provider.login_calls < 20
    assert kinds(world) == ["down"]


def test_a_token_refused_at_the_upload_pauses_too(world: World) -> None:
    dropped(world, 5)
    world.provider.script = [WHO]
    lane = lane_of(world)
    drive(lane, world, 4)
    assert (kinds(world), world.provider.verbs(), counts(world)) == (["login"], ["send"], {State.READY: 5})
    drive(lane, world, 2)
    assert counts(world) == {State.DONE: 5}


# ------------------------------------------------------------------------------------------------ one probe at a time


def test_while_one_probes_the_others_wait(world: World) -> None:
    dropped(world, 5)
    world.provider.script = [WHO]
    lane = lane_of(world)
    drive(lane, world, 1)
    world.clock.now += 60
    turn, _ = lane._turn()
    assert turn is not None and turn.probes == {""}
    assert [lane._turn()[0] for _ in range(3)] == [None] * 3
    lane._take_turn(turn)
    assert world.ledger.pauses() == []
    assert lane._turn()[0] is not None


def test_an_answer_to_a_call_that_began_before_ends_no_pause(world: World) -> None:
    """It tells nothing of how the vendor is now."""
    dropped(world, 5)
    lane = lane_of(world)
    arrived, answer = threading.Event(), threading.Event()

    def slow(_: Parcel) -> Outcome:
        arrived.set()
        assert answer.wait(30)
        return Accepted()

    world.provider.script = [slow, WHO]
    early, _ = lane._turn()
    assert early is not None
    thread = threading.Thread(target=lane._take_turn, args=(early,))
    thread.start()
    assert arrived.wait(30)
    drive(lane, world, 1)
    assert kinds(world) == ["login"]
    answer.set()
    thread.join(30)
    assert counts(world)[State.DONE] == 1
    assert kinds(world) == ["login"]


def test_a_turn_that_was_given_before_the_pause_makes_no_call(world: World) -> None:
    dropped(world, 5)
    lane = lane_of(world)
    turns = [lane._turn()[0] for _ in range(4)]
    world.provider.script = [WHO]
    for turn in turns:
        assert turn is not None
        lane._take_turn(turn)
    assert world.provider.verbs() == ["send"]
    assert lane._limiter._under_way == 0


@pytest.mark.parametrize("word", [Later(reason="this one"), Unconfirmed(reason="?"), FORBIDDEN])
def test_a_probe_that_told_nothing_of_the_account_makes_no_hot_loop(world: World, word: Outcome) -> None:
    dropped(world, 50)
    world.provider.script = [WHO]
    world.provider.always = lambda _: word
    drive(lane_of(world), world, 600)
    assert len(world.provider.calls) < 60


def test_a_barred_target_shows_that_the_account_is_let_in_again(world: World) -> None:
    dropped(world, 1)
    world.provider.script = [WHO, FORBIDDEN]
    drive(lane_of(world), world, 6)
    assert world.provider.verbs() == ["send", "send"]
    assert kinds(world) == ["forbidden"]


def test_an_answer_to_a_call_that_began_before_lengthens_no_pause(world: World) -> None:
    """Four senders that hear of one trouble are one trouble."""
    dropped(world, 2)
    lane = lane_of(world)
    early, _ = lane._turn()
    assert early is not None

    def meanwhile(_: Parcel) -> Outcome:
        world.provider.script = [WHO]
        drive(lane, world, 1)
        return WHO

    world.provider.script = [meanwhile]
    lane._take_turn(early)
    assert [(pause.kind, pause.tries) for pause in world.ledger.pauses()] == [("login", 1)]
