"""Worlds in which dropd died at some instant, and how they look after the next start."""

from __future__ import annotations

from dataclasses import replace

from doubles import NOW, World, next_id

from dropd.model import Drop, State, Status, Step, Taking
from dropd.pipeline import Pipeline
from dropd.recovery import Recovery
from dropd.spool import work

DEAD = "this-host:999:dead"


def recovery(world: World) -> Recovery:
    return Recovery(world.around, Pipeline(world.around))


def restarted(world: World) -> list[Drop]:
    """As the daemon starts: rows, what stands between two steps, files in work/. Every drop, eldest first."""
    recovering = recovery(world)
    recovering.rows()
    recovering.go_on()
    with world.open() as inbox:
        recovering.work_of(inbox, world.route.name)
    return list(reversed(world.ledger.recent()))


def begun(world: World, seen: Taking) -> Drop:
    return world.ledger.begin(next_id(), seen, DEAD, NOW)


def taken(world: World, seen: Taking) -> Drop:
    """Died right after the rename."""
    drop = begun(world, seen)
    with world.open() as inbox:
        work.take(inbox, drop.id, seen.folder, seen.name, seen.stamp, companion=False)
    return drop


def ready(world: World, name: str = "invoice.csv") -> Drop:
    with world.open() as inbox:
        drop = Pipeline(replace(world.around, owner=DEAD)).take(inbox, world.drop(name))
    assert drop.state is State.READY
    return drop


def sending(world: World) -> Drop:
    ready(world)
    drop = world.ledger.claim("arm", DEAD, NOW, ())
    assert drop is not None
    return drop


def events(world: World, drop: Drop) -> list[str]:
    return [event.event for event in world.ledger.events(drop.id)]


ACCEPTED = Step(
    to=State.ACCEPTED, event="accepted", changes={"status": Status.DELIVERED, "receipt": {"file_id": "7"}, "finished_at": NOW}
)


def verdict(world: World, step: Step, named: bool = True) -> Drop:
    drop = sending(world)
    kind = "done" if step.to is State.ACCEPTED else "failed"
    name = {"filed_dir": str(world.inbox / kind), "filed_as": "invoice.csv"} if named else {}
    return world.ledger.move(drop, replace(step, changes={**step.changes, "finished_at": NOW, **name}), NOW)
