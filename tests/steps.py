"""One drop's steps in a world, one call each."""

from __future__ import annotations

import json
from typing import Any

from doubles import OWNER, World

from dropd.model import Code, Drop, Outcome, Taking
from dropd.pipeline import Pipeline
from dropd.recovery import Recovery

CONTENT = "a;b\n1;2\n"
DONE = ["done/invoice.csv", "done/invoice.csv.result.json"]
FAILED = ["failed/invoice.csv", "failed/invoice.csv.result.json"]


def take(world: World, seen: Taking | None = None) -> Drop:
    with world.open() as inbox:
        return Pipeline(world.around).take(inbox, seen or world.drop())


def deliver(world: World) -> Outcome | None:
    drop = world.ledger.claim("arm", OWNER, world.clock.now, ())
    assert drop is not None
    return Pipeline(world.around).deliver(drop)


def keep(world: World) -> int:
    return Recovery(world.around, Pipeline(world.around)).go_on()


def only(world: World) -> Drop:
    (drop,) = world.ledger.recent()
    return drop


def events(world: World) -> list[str]:
    return [event.event for event in world.ledger.events(only(world).id)]


def sidecar(world: World, path: str) -> dict[str, Any]:
    return json.loads(world.files()[path])  # type: ignore[no-any-return]


def only_codes(world: World) -> list[Code | None]:
    return [drop.error.code if drop.error else None for drop in world.ledger.recent()]
