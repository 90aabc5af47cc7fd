"""One account's senders, driven by hand: turn by turn, on a clock that stands still in between."""

from __future__ import annotations

import threading
from collections.abc import Collection

from doubles import OWNER, World
from steps import take

from dropd.fields import Rate
from dropd.lanes import Lane, Limiter
from dropd.model import Later, Misconfigured, State
from dropd.pipeline import Pipeline
from dropd.wake import Wake

BUSY = Later(reason="busy", http_status=503, whole_account=True)
WHO = Misconfigured(reason="who?", scope="account")
FORBIDDEN = Misconfigured(reason="not yours", scope="target")


def lane_of(world: World, rates: Collection[Rate] = (), stop: threading.Event | None = None, wake: Wake | None = None) -> Lane:
    around = world.around
    return Lane(
        "arm", around.accounts["arm"], world.ledger, Pipeline(around), Limiter(rates, world.clock), clock=world.clock,
        dice=around.dice, owner=OWNER, wake=wake or Wake(), stop=stop or threading.Event(), log=world.log,
    )  # fmt: skip


def dropped(world: World, count: int, folder: str = "2218") -> None:
    for number in range(count):
        take(world, world.drop(f"{number}.csv", f"{folder} {number}", folder=folder))


def drive(lane: Lane, world: World, seconds: float) -> int:
    """One sender for so long, by the clock; a call takes no time. How many turns it had."""
    end, turns = world.clock.now + seconds, 0
    while world.clock.now < end:
        turn, wait = lane._turn()
        if turn is None:
            world.clock.now += max(wait, 0.001)
            continue
        turns += 1
        assert turns < 5000, "a hot loop"
        lane._take_turn(turn)
    world.clock.now = end
    return turns


def counts(world: World) -> dict[State, int]:
    return {state: count for (_, state), count in world.ledger.counts().items()}


def kinds(world: World) -> list[str]:
    return [pause.kind for pause in world.ledger.pauses()]
