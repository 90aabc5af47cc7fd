"""Drops that are under way while somebody changes the configuration: a renamed route, a moved inbox, another account."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from doubles import OWNER, World, route
from steps import deliver, only, sidecar, take

from dropd.commands import again
from dropd.ledger.memory import MemoryLedger
from dropd.model import Refused, State
from dropd.pipeline import Pipeline
from dropd.recovery import Recovery
from dropd.spool.places import Places
from dropd.surroundings import AGAIN, Account, Surroundings


def restarted(world: World, inbox: Path, *, looked_at: bool = True, **route_keys: str) -> Surroundings:
    """After a change of the configuration: the route as it is now, the marks as the ledger remembers them, and its first look."""
    now = route(inbox, **route_keys)
    places = Places(world.ledger.ledger_id, {world.route.name: (str(world.inbox), world.inbox_id)})
    if looked_at:
        with places.open(now.name, str(inbox)) as opened:
            places.remember(now.name, str(inbox), opened.inbox_id)
    account = world.around.accounts["arm"]
    accounts = {"arm": account, "other": Account(account.type, account.provider, account.rules, None)}
    return replace(world.around, places=places, routes={now.name: now}, accounts=accounts)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "inbox", MemoryLedger())


def send(world: World, around: Surroundings) -> None:
    drop = world.ledger.claim("arm", OWNER, world.clock.now, ())
    assert drop is not None
    Pipeline(around).deliver(drop)


def test_a_renamed_route_files_what_was_under_way_where_it_files_now(world: World) -> None:
    take(world)
    archive = world.inbox.parent / "archive"
    send(world, restarted(world, world.inbox, name="renamed", done=str(archive)))
    assert only(world).state is State.DONE
    assert sorted(os.listdir(archive)) == ["invoice.csv", "invoice.csv.result.json"]


@pytest.mark.parametrize("old", ["gone", "an empty folder", "another route's inbox"])
def test_a_moved_inbox_is_found_by_its_mark(world: World, old: str) -> None:
    take(world)
    moved = world.inbox.rename(world.inbox.parent / "moved")
    if old != "gone":
        world.inbox.mkdir()
    around = restarted(world, moved)
    if old == "another route's inbox":
        with around.places.open("new", str(world.inbox)) as opened:
            around.places.remember("new", str(world.inbox), opened.inbox_id)
    send(world, around)
    assert only(world).state is State.DONE
    assert sorted(os.listdir(moved / "done")) == ["invoice.csv", "invoice.csv.result.json"]


def test_an_inbox_that_was_not_looked_at_yet_is_waited_for_and_nothing_is_made_at_its_old_place(world: World) -> None:
    take(world)
    moved = world.inbox.rename(world.inbox.parent / "moved")
    world.inbox.mkdir()
    send(world, restarted(world, moved, looked_at=False))
    assert (only(world).state, os.listdir(world.inbox)) == (State.READY, [])
    world.clock.now += AGAIN
    send(world, restarted(world, moved))
    assert only(world).state is State.DONE


def test_a_retry_never_sends_with_the_ids_of_another_account(world: World) -> None:
    """The route leads to another account since: its ids mean something else at the old one."""
    world.provider.script = [Refused(reason="no such client")]
    take(world)
    deliver(world)
    again.retry(world.ledger, only(world))
    around = restarted(world, world.inbox, provider="other")
    (drop,) = world.ledger.adopt({State.TAKING}, OWNER, world.clock.now)
    with around.places.of(drop.taking) as inbox:
        Pipeline(around).go_on(inbox, drop)
    assert (only(world).state, len(world.provider.calls)) == (State.FAILED, 1)
    told = sidecar(world, "failed/invoice.csv.result.json")
    assert told["summary"] == (
        "Not delivered: the route 'invoices' leads to other now, and this file was taken for arm. "
        "Move it back into the inbox, and it goes to other."
    )
    assert told["advice"].startswith("Correct what this text names")


def test_drops_of_an_account_that_the_configuration_does_not_name_any_more_are_told_at_start(world: World) -> None:
    take(world)
    around = replace(world.around, accounts={})
    assert Recovery(around, Pipeline(around)).rows() == 1
    assert ("error", "account_gone", {"provider": "arm", "unfinished": 1}) in world.log.lines
    assert only(world).state is State.READY


def test_what_was_under_way_is_filed_in_its_own_inbox_where_the_route_has_another(world: World) -> None:
    """The other may be on another disk, to which no rename leads: filing would be tried for ever."""
    take(world)
    other = world.inbox.parent / "other"
    other.mkdir()
    send(world, restarted(world, other))
    assert (only(world).state, only(world).filed_dir) == (State.DONE, str(world.inbox / "done"))
