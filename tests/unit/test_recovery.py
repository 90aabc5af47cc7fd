"""After any death: every row and every file in work/ gets an owner or a verdict, and nothing doubtful is sent."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from deaths import ACCEPTED, DEAD, begun, events, recovery, restarted, sending, taken, verdict
from doubles import NOW, OWNER, Scripted, World

from dropd.ledger.base import Ledger
from dropd.model import Code, Error, State, Status, Step
from dropd.pipeline import Pipeline
from dropd.policy import rejected
from dropd.providers.base import Proof
from dropd.spool import filing

# ------------------------------------------------------------------------------------------------ TAKING


def test_died_before_the_rename_the_file_waits_in_the_inbox_for_a_new_take(world: World) -> None:
    begun(world, world.drop())
    (drop,) = restarted(world)
    assert (drop.state, drop.owner) == (State.RELEASED, None)
    assert world.files() == {"invoice.csv": "a;b\n1;2\n"}


def test_died_after_the_rename_it_goes_on_under_the_same_id(world: World) -> None:
    drop = taken(world, world.drop(folder="acme"))
    (after,) = restarted(world)
    assert (after.id, after.state, after.owner) == (drop.id, State.READY, None)
    assert after.target.client_id == "2218"
    assert world.work() == [f"{drop.id}/invoice.csv"]


def test_died_and_the_file_is_nowhere_it_is_said_loudly(world: World) -> None:
    os.unlink(world.inbox / begun(world, world.drop()).taking.name)
    (drop,) = restarted(world)
    assert drop.state is State.RELEASED
    assert world.log.events("error") == ["file_missing"]


def test_died_between_the_file_and_its_companion_both_go_on(ledger: Ledger, tmp_path: Path) -> None:
    world = World(tmp_path / "inbox", ledger, ids={"client_id": "{meta.client}"})
    world.drop("invoice.csv.meta.json", '{"client": "2219"}')
    drop = taken(world, replace(world.drop(), companion=True))
    (after,) = restarted(world)
    assert (after.id, after.state, after.target.client_id) == (drop.id, State.READY, "2219")
    assert world.files() == {}


def test_somebody_wrote_to_it_while_nobody_looked_and_it_goes_back(world: World) -> None:
    drop = taken(world, world.drop())
    (world.inbox / ".dropd" / "work" / drop.id / "invoice.csv").write_text("half of another")
    (after,) = restarted(world)
    assert after.state is State.RELEASED
    assert world.files() == {"invoice.csv": "half of another"}
    assert world.work() == []


def test_while_the_inbox_is_away_a_take_waits_for_it(world: World) -> None:
    drop = taken(world, world.drop())
    world.inbox.rename(world.inbox.with_name("unmounted"))
    recovery(world).rows()
    recovery(world).go_on()
    (waiting,) = world.ledger.unfinished()
    assert (waiting.state, waiting.owner, waiting.due_at) == (State.TAKING, None, NOW + 10)
    assert recovery(world).go_on() == 0  # not before it is due
    world.inbox.with_name("unmounted").rename(world.inbox)
    world.clock.now += 10
    assert recovery(world).go_on() == 1
    assert world.ledger.unfinished()[0].state is State.READY
    assert events(world, drop)[-1] == "ready"


# ------------------------------------------------------------------------------------------------ SENDING and after


@pytest.mark.parametrize(
    ("proof", "state", "outcome"),
    [
        (Proof.NOTHING, State.UNCONFIRMED, "unconfirmed"),
        (Proof.NOT_SENT, State.READY, "later"),
        (Proof.POLLABLE, State.CONFIRMING, "unconfirmed"),
    ],
)
def test_died_while_sending_the_notes_decide(ledger: Ledger, tmp_path: Path, proof: Proof, state: State, outcome: str) -> None:
    world = World(tmp_path / "inbox", ledger, Scripted(proves=proof))
    drop = sending(world)
    (after,) = restarted(world)
    assert (after.state, after.owner, after.due_at, after.attempt) == (state, None, NOW, 1)
    assert [attempt.outcome for attempt in ledger.attempts(drop.id)] == [outcome]
    assert world.work() == [f"{drop.id}/invoice.csv"]
    assert world.provider.calls == []


def test_died_while_sending_for_an_account_that_is_gone_nobody_can_tell(world: World) -> None:
    sending(world)
    world.around = replace(world.around, accounts={"other": world.around.accounts["arm"]})
    recovery(world).rows()
    assert world.ledger.unfinished()[0].state is State.UNCONFIRMED


def test_what_died_in_doubt_is_held_for_a_person_and_never_sent(world: World) -> None:
    sending(world)
    restarted(world)
    drop = world.ledger.claim("arm", OWNER, NOW, ())
    assert drop is not None
    Pipeline(world.around).deliver(drop)
    (after,) = world.ledger.recent()
    assert (after.state, after.status) == (State.FAILED, Status.UNCONFIRMED)
    assert world.provider.calls == []
    assert json.loads(world.files()["failed/invoice.csv.result.json"])["status"] == "unconfirmed"


@pytest.mark.parametrize("state", [State.READY, State.CONFIRMING, State.UNCONFIRMED])
def test_a_drop_that_waited_only_loses_its_dead_owner(world: World, state: State) -> None:
    drop = sending(world)
    waiting = world.ledger.move(drop, Step(to=state, event="so", changes={"due_at": NOW + 60, "owner": DEAD}), NOW)
    assert restarted(world) == [replace(waiting, owner=None)]


# ------------------------------------------------------------------------------------------------ interrupted filing


def test_died_before_filing_it_is_filed(world: World) -> None:
    verdict(world, ACCEPTED)
    (drop,) = restarted(world)
    assert drop.state is State.DONE
    assert sorted(world.files()) == ["done/invoice.csv", "done/invoice.csv.result.json"]
    assert world.work() == []


def test_died_before_a_name_was_found_it_gets_one(world: World) -> None:
    verdict(world, rejected(Error(Code.REFUSED, "no")), named=False)
    (drop,) = restarted(world)
    assert (drop.state, drop.filed_as) == (State.FAILED, "invoice.csv")
    assert sorted(world.files()) == ["failed/invoice.csv", "failed/invoice.csv.result.json"]


@pytest.mark.parametrize("sidecar", [None, "", "half", "whole"])
def test_died_between_file_and_sidecar_it_gets_its_sidecar(world: World, sidecar: str | None) -> None:
    drop = verdict(world, ACCEPTED)
    with world.open() as inbox:
        filing.place(
            inbox,
            drop.id,
            "invoice.csv",
            str(world.inbox / "done"),
            "invoice.csv",
            inode=drop.taking.stamp.inode,
            companion=False,
        )
        if sidecar == "whole":
            filing.write_sidecar(inbox, drop.id, str(world.inbox / "done"), "invoice.csv", json.dumps({"drop_id": drop.id}))
    if sidecar == "":
        (world.inbox / "done" / "invoice.csv.result.json").touch()
    elif sidecar == "half":
        (world.inbox / ".dropd" / f"sidecar-{drop.id}").write_text('{"drop_')
    (after,) = restarted(world)
    assert after.state is State.DONE
    assert sorted(world.files()) == ["done/invoice.csv", "done/invoice.csv.result.json"]
    assert json.loads(world.files()["done/invoice.csv.result.json"])["receipt"] == {"file_id": "7"}
    assert sorted(os.listdir(world.inbox / ".dropd")) == ["inbox.json", "work"]


def test_died_and_a_person_took_the_filed_file_away_the_verdict_stands(world: World) -> None:
    drop = verdict(world, ACCEPTED)
    os.unlink(world.inbox / ".dropd" / "work" / drop.id / "invoice.csv")
    (after,) = restarted(world)
    assert (after.state, after.status) == (State.DONE, Status.DELIVERED)
    assert events(world, drop)[-1] == "file_missing"
    assert world.files() == {}


def test_filing_again_never_sends_again(world: World) -> None:
    verdict(world, ACCEPTED)
    restarted(world)
    restarted(world)
    assert world.provider.calls == []
