"""The same content once more: a duplicate, unless a person ordered it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from deaths import recovery
from doubles import NOW, Scripted, World
from steps import DONE, FAILED, deliver, keep, only, sidecar, take

from dropd.commands import again
from dropd.ledger.base import Ledger
from dropd.model import (
    Drop,
    Inbox,
    Refused,
    State,
    Status,
    Taking,
    Unconfirmed,
)
from dropd.spool import filing, work
from dropd.spool.mark import OpenInbox

# ------------------------------------------------------------------------------------------------ the same content again


def test_the_same_content_again_is_a_duplicate_and_names_the_first(world: World) -> None:
    first = take(world)
    deliver(world)
    second = take(world, world.drop("copy.csv"))
    assert (second.state, second.status, second.duplicate_of) == (State.FAILED, Status.DUPLICATE, first.id)
    told = sidecar(world, "failed/copy.csv.result.json")
    assert (told["status"], told["duplicate_of"], told["error"]["code"]) == ("duplicate", first.id, "duplicate")
    assert "delivered" in told["summary"] and "“invoice.csv”" in told["summary"]
    assert len(world.provider.calls) == 1


def test_the_same_content_under_way_counts_too(world: World) -> None:
    take(world)
    second = take(world, world.drop("copy.csv"))
    assert second.status is Status.DUPLICATE
    assert "already on its way" in sidecar(world, "failed/copy.csv.result.json")["summary"]


def test_a_doubtful_delivery_counts_too(world: World) -> None:
    world.provider.script = [Unconfirmed(reason="?")]
    take(world)
    deliver(world)
    deliver(world)
    assert take(world, world.drop("copy.csv")).status is Status.DUPLICATE
    assert "not certain" in sidecar(world, "failed/copy.csv.result.json")["summary"]


def test_other_content_another_target_or_a_refusal_is_no_duplicate(ledger: Ledger, tmp_path: Path) -> None:
    world = World(tmp_path / "inbox", ledger, Scripted(Refused(reason="no")), ids={"client_id": "2218", "account_id": "{folder}"})
    take(world, world.drop(folder="a"))
    deliver(world)
    assert take(world, world.drop(folder="a")).state is State.READY
    assert take(world, world.drop(folder="b")).state is State.READY
    assert take(world, world.drop("x.csv", "other", folder="a")).state is State.READY


# ------------------------------------------------------------------------------------------------ a person's order


def back_from_failed(world: World, name: str = "invoice.csv") -> Taking:
    os.rename(world.inbox / "failed" / name, world.inbox / name)
    return world.again(name)


def test_a_file_moved_back_from_failed_is_sent_and_its_sidecar_goes(world: World) -> None:
    world.provider.script = [Refused(reason="no")]
    take(world)
    deliver(world)
    again = take(world, back_from_failed(world))
    assert (again.state, again.person_order, again.possible_duplicate) == (State.READY, True, False)
    assert world.files() == {}
    deliver(world)
    assert sorted(world.files()) == DONE


def test_a_file_moved_back_that_fails_again_stands_in_failed_once(world: World) -> None:
    """Two drops for one file: `retry --all` would take it for the one, and complain for the other."""
    world.provider.script = [Refused(reason="no"), Refused(reason="still no")]
    take(world)
    deliver(world)
    world.clock.now += 60
    second = take(world, back_from_failed(world))
    deliver(world)
    assert [drop.id for drop in again.standing(world.ledger, None)] == [second.id]


def test_an_unconfirmed_file_moved_back_is_sent_and_says_that_it_may_be_there_twice(world: World) -> None:
    world.provider.script = [Unconfirmed(reason="?")]
    take(world)
    deliver(world)
    deliver(world)
    again = take(world, back_from_failed(world))
    assert (again.state, again.person_order, again.possible_duplicate) == (State.READY, True, True)
    deliver(world)
    told = sidecar(world, DONE[1])
    assert told["possible_duplicate"] is True and "twice" in told["summary"] and told["advice"]


def retried_unconfirmed(world: World, change: Callable[[Path], object]) -> Drop:
    """Nobody knows whether it arrived; its file in failed/ is changed, and then a person says "again"."""
    world.provider.script = [Unconfirmed(reason="?")]
    drop = take(world)
    deliver(world)
    deliver(world)
    change(world.inbox / "failed" / "invoice.csv")
    again.retry(world.ledger, world.ledger.find(drop.id)[0])
    keep(world)
    return only(world)


def test_a_daemon_that_starts_amid_a_retry_leaves_no_file_unattended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row says that the file is on its way back to work/, and the one who moves it looks dead to the daemon."""
    world.provider.script = [Refused(reason="no")]
    take(world)
    deliver(world)
    world.ledger.look(Inbox(world.route.name, str(world.inbox), world.inbox_id, None, NOW, NOW))
    really_take_back, really_clear = filing.take_back, work.clear

    def amid(*args: Any, **named: Any) -> None:
        def move_then_clear(inbox: OpenInbox, drop_id: str) -> None:
            really_take_back(*args, **named)
            really_clear(inbox, drop_id)

        with monkeypatch.context() as patched:
            patched.setattr(work, "clear", move_then_clear)
            starting = recovery(world)
            starting.rows()
            starting.go_on()

    monkeypatch.setattr(filing, "take_back", amid)
    again.retry(world.ledger, only(world))
    assert (only(world).state, len(world.work())) == (State.READY, 1)


def test_a_doubt_outlives_a_file_that_was_saved_unchanged_before_the_retry(world: World) -> None:
    """Given back to the inbox with its new date, it would be a drop without a past, and be sent as if for the first time."""
    drop = retried_unconfirmed(world, os.utime)
    assert (drop.state, drop.person_order, drop.possible_duplicate) == (State.READY, True, True)
    deliver(world)
    assert sidecar(world, DONE[1])["possible_duplicate"] is True


def test_a_doubt_outlives_a_file_that_was_corrected_before_the_retry(world: World) -> None:
    corrected = retried_unconfirmed(world, lambda file: file.write_text("corrected"))
    assert corrected.state is State.RELEASED
    assert take(world, world.again("invoice.csv")).possible_duplicate is False
    assert take(world, world.drop("copy.csv")).status is Status.DUPLICATE
    assert "not certain" in sidecar(world, "failed/copy.csv.result.json")["summary"]


def refused_after_doubt(world: World) -> None:
    """Held for want of an answer, ordered once more, and then refused: what the first try came to is as unknown as before."""
    world.provider.script = [Unconfirmed(reason="?"), Refused(reason="no")]
    drop = take(world)
    deliver(world)
    deliver(world)
    again.retry(world.ledger, world.ledger.find(drop.id)[0])
    keep(world)
    deliver(world)
    assert (only(world).status, only(world).possible_duplicate) == (Status.FAILED, True)


def test_a_doubt_outlives_a_refusal_when_the_file_is_moved_back(world: World) -> None:
    refused_after_doubt(world)
    drop = take(world, back_from_failed(world))
    assert (drop.state, drop.person_order, drop.possible_duplicate) == (State.READY, True, True)


def test_a_doubt_outlives_a_refusal_when_a_copy_is_dropped(world: World) -> None:
    refused_after_doubt(world)
    assert take(world, world.drop("copy.csv")).status is Status.DUPLICATE
    assert "not certain" in sidecar(world, "failed/copy.csv.result.json")["summary"]


def test_a_duplicate_moved_back_is_sent(world: World) -> None:
    first = take(world)
    deliver(world)
    take(world, world.drop("copy.csv"))
    again = take(world, back_from_failed(world, "copy.csv"))
    assert (again.state, again.person_order) == (State.READY, True)
    assert (again.possible_duplicate, again.duplicate_of) == (True, first.id)


def test_a_copy_of_an_unconfirmed_file_is_no_order(world: World) -> None:
    world.provider.script = [Unconfirmed(reason="?")]
    take(world)
    deliver(world)
    deliver(world)
    assert take(world, world.drop("invoice.csv")).status is Status.DUPLICATE


def test_a_corrected_file_is_an_ordinary_drop_and_the_old_sidecar_stays_with_the_old_file(world: World) -> None:
    world.provider.script = [Refused(reason="no")]
    take(world)
    deliver(world)
    drop = take(world, world.drop(content="corrected"))
    assert (drop.state, drop.person_order) == (State.READY, False)
    assert sorted(world.files()) == FAILED
