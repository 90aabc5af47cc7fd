"""What a pause spares the vendor and costs nobody: barred targets, busy and absent vendors, restarts, many senders."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doubles import NOW, RULES, Scripted, World
from senders import BUSY, FORBIDDEN, WHO, counts, drive, dropped, kinds, lane_of
from steps import take

from dropd.ledger.memory import MemoryLedger
from dropd.model import Accepted, Later, Outcome, Pause, Refused, State
from dropd.providers.base import Parcel
from dropd.wake import Wake


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "inbox", MemoryLedger(), ids={"client_id": "{folder}"})


# ------------------------------------------------------------------------------------------------ one target is barred


def test_a_barred_target_leaves_the_others_going(world: World) -> None:
    dropped(world, 10, "2218")
    dropped(world, 10, "2219")

    def barred(parcel: Parcel) -> Outcome:
        return FORBIDDEN if parcel.target.client_id == "2218" and world.clock.now < NOW + 3600 else Accepted()

    world.provider.always = barred
    lane = lane_of(world)
    drive(lane, world, 60)
    assert counts(world) == {State.DONE: 10, State.READY: 10}
    assert [(pause.kind, pause.target != "") for pause in world.ledger.pauses()] == [("forbidden", True)]
    drive(lane, world, 3600 + 900)
    assert counts(world) == {State.DONE: 20}
    assert world.ledger.pauses() == []
    assert len(world.provider.calls) < 20 + 15


def test_one_drop_at_a_time_probes_a_barred_target(world: World) -> None:
    dropped(world, 5)
    world.provider.script = [FORBIDDEN]
    lane = lane_of(world)
    drive(lane, world, 1)
    world.clock.now += 60
    turns = [lane._turn()[0] for _ in range(3)]
    claimed = [lane._claim(turn) for turn in turns if turn is not None]
    assert [drop is not None for drop in claimed] == [True, False, False]


# ------------------------------------------------------------------------------------------------ a vendor that is busy


def test_a_busy_vendor_is_spared(world: World) -> None:
    """50 files wait, and the vendor answers 503 for ten minutes: a dozen requests, not fifty for each round."""
    dropped(world, 50)
    world.provider.always = lambda _: BUSY if world.clock.now < NOW + 600 else Accepted()
    lane = lane_of(world)
    drive(lane, world, 600)
    assert len(world.provider.calls) < 12
    assert counts(world) == {State.READY: 50}
    drive(lane, world, 900)
    assert counts(world) == {State.DONE: 50}
    assert len(world.provider.calls) < 50 + 14


def test_nothing_is_sent_before_the_time_that_the_vendor_said(world: World) -> None:
    dropped(world, 5)
    world.provider.script = [replace(BUSY, not_before=NOW + 300)]
    lane = lane_of(world)
    drive(lane, world, 299)
    assert len(world.provider.calls) == 1
    drive(lane, world, 3)
    assert counts(world) == {State.DONE: 5}


def test_a_vendor_that_stays_down_for_days_costs_no_file(world: World) -> None:
    """With give_up_after of a day: the clock stops when it counts as down, and while it does."""
    dropped(world, 5)
    world.provider.always = lambda _: BUSY if world.clock.now < NOW + 3 * 86400 else Accepted()
    lane = lane_of(world)
    drive(lane, world, 3 * 86400 - 1)
    assert (counts(world), kinds(world)) == ({State.READY: 5}, ["down"])
    drive(lane, world, 1000)
    assert counts(world) == {State.DONE: 5}


def test_a_vendor_that_limps_is_given_up_in_the_end(world: World) -> None:
    """Now and then it takes a file, so that it is never down; the time of one that it never takes counts."""
    world.around = replace(
        world.around, accounts={"arm": replace(world.around.accounts["arm"], rules=replace(RULES, give_up_after=600))}
    )
    dropped(world, 1)
    world.provider.always = lambda _: Later(reason="this one")
    drive(lane_of(world), world, 3600)
    assert counts(world) == {State.FAILED: 1}
    assert world.ledger.recent()[0].error is not None and world.ledger.recent()[0].error.code == "gave_up"


def test_time_is_given_back_when_a_pause_ends(world: World) -> None:
    dropped(world, 2)
    world.provider.script = [WHO, Refused(reason="no")]
    lane = lane_of(world)
    before = world.ledger.recent()[0].give_up_at or 0
    drive(lane, world, 1)
    world.clock.now += 1000
    turn, _ = lane._turn()
    assert turn is not None
    lane._take_turn(turn)
    assert (world.ledger.recent(states={State.READY})[0].give_up_at or 0) == pytest.approx(before + 1001, abs=1)


# ------------------------------------------------------------------------------------------------ over a restart


def test_a_pause_goes_on_after_a_restart(world: World) -> None:
    dropped(world, 3)
    world.ledger.pause(Pause("arm", "", "login", "who?", NOW - 100, NOW + 50, 4))
    world.ledger.pause(Pause("other", "", "login", "not ours", NOW, NOW + 999, 1))
    lane = lane_of(world)
    drive(lane, world, 49)
    assert world.provider.login_calls == 0
    drive(lane, world, 2)
    assert counts(world) == {State.DONE: 3}
    assert [pause.provider for pause in world.ledger.pauses()] == ["other"]


# ------------------------------------------------------------------------------------------------ with real threads


def test_eight_senders_deliver_each_drop_once_and_end_when_told(tmp_path: Path) -> None:
    world = World(
        tmp_path / "inbox", MemoryLedger(), Scripted(BUSY, Later(reason="x"), WHO), rules=replace(RULES, first=0.01, max=0.02)
    )
    for number in range(40):
        take(world, world.drop(f"{number}.csv", str(number)))
    stop, wake, all_done = threading.Event(), Wake(), threading.Event()
    lane = lane_of(world, stop=stop, wake=wake)
    real_deliver = lane._pipeline.deliver

    def moved_on(*args: Any) -> Outcome | None:
        world.clock.now += 1  # so that what waits becomes due
        outcome = real_deliver(*args)
        if counts(world) == {State.DONE: 40}:
            all_done.set()
        return outcome

    lane._pipeline.deliver = moved_on  # type: ignore[method-assign]
    threads = [threading.Thread(target=lane.run) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        while not all_done.wait(0.05) and any(thread.is_alive() for thread in threads):
            world.clock.now += 1
            wake.notify()
    finally:
        stop.set()
        wake.notify()
        for thread in threads:
            thread.join(30)
    assert not any(thread.is_alive() for thread in threads)
    accepted = [parcel.drop_id for _, parcel in world.provider.calls]
    assert counts(world) == {State.DONE: 40}
    assert len(set(accepted)) == 40 and len(accepted) == 43  # two were Later, one was for the account
