"""When disks fail and names are in use: the verdict is kept, filing alone is done again, and nothing is ever replaced."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from doubles import NOW, World
from steps import CONTENT, DONE, deliver, events, keep, only, sidecar, take

from dropd.ledger.base import Ledger
from dropd.ledger.memory import MemoryLedger
from dropd.model import (
    Accepted,
    Outcome,
    State,
)
from dropd.pipeline import Pipeline
from dropd.spool import filing, work
from dropd.surroundings import AGAIN

# ------------------------------------------------------------------------------------------------ disks that fail


def test_an_inbox_that_is_away_when_its_drop_is_due(world: World) -> None:
    take(world)
    away = world.inbox.rename(world.inbox.with_name("unmounted"))
    assert deliver(world) is None
    assert (only(world).state, only(world).due_at, world.provider.calls) == (State.READY, NOW + AGAIN, [])
    away.rename(world.inbox)
    world.clock.now += AGAIN
    deliver(world)
    assert only(world).state is State.DONE


def test_a_disk_that_fails_before_anything_is_sent_costs_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    take(world)

    def broken(*_: Any) -> Any:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(work, "open_drop", broken)
        assert deliver(world) is None
    assert (only(world).state, only(world).due_at, world.provider.calls) == (State.READY, NOW + AGAIN, [])


def test_a_disk_that_fails_as_a_changed_file_goes_back_raises_no_doubt(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it left: an exception here would end the process, and the next one would hold the file as unconfirmed."""
    drop = take(world)
    (world.inbox / ".dropd" / "work" / drop.id / "invoice.csv").write_text("longer than it was")

    def full(*_: Any, **__: Any) -> Any:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(work, "give_back", full)
        assert deliver(world) is None
    assert (only(world).state, only(world).due_at, world.provider.calls) == (State.READY, NOW + AGAIN, [])
    world.clock.now += AGAIN
    deliver(world)
    assert only(world).state is State.RELEASED
    assert world.files() == {"invoice.csv": "longer than it was"}


def test_a_disk_that_fails_while_hashing_is_tried_again_by_the_keeper(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Any) -> str:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(work, "sha256_of", broken)
        assert take(world).state is State.TAKING
    assert keep(world) == 0
    world.clock.now += AGAIN
    assert keep(world) == 1
    assert only(world).state is State.READY


def test_a_disk_that_fails_in_the_midst_of_taking_leaves_no_drop_without_somebody_who_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Owned by a thread that has gone on to other files, it would stand still until the next start, and `run --once` never end."""

    def broken(*_: Any, **__: Any) -> Any:
        raise OSError(5, "Input/output error")

    seen = world.drop()
    with world.open() as inbox, monkeypatch.context() as patched:
        patched.setattr(os, "stat", broken)
        drop = Pipeline(world.around).take(inbox, seen)
    assert (drop.state, drop.owner) == (State.TAKING, None)
    world.clock.now += AGAIN
    assert keep(world) == 1
    assert only(world).state is State.READY


def test_an_inbox_that_goes_away_while_its_file_is_sent_the_verdict_is_kept(world: World) -> None:
    """And filing alone is done later."""
    take(world)
    away = world.inbox.with_name("unmounted")

    def accepted(_: Any) -> Outcome:
        world.inbox.rename(away)
        return Accepted(receipt={"file_id": "7"})

    world.provider.script = [accepted]
    deliver(world)
    assert (only(world).state, only(world).receipt, only(world).owner) == (State.ACCEPTED, {"file_id": "7"}, None)
    away.rename(world.inbox)
    world.clock.now += AGAIN
    assert keep(world) == 1
    assert (only(world).state, sorted(world.files()), world.provider.verbs()) == (State.DONE, DONE, ["send"])


def test_filing_that_fails_is_tried_alone_and_ever_more_rarely(world: World) -> None:
    (world.inbox / "done").write_text("in the way")
    take(world)
    deliver(world)
    waits = []
    for _ in range(5):
        assert only(world).state is State.ACCEPTED
        waits.append((only(world).due_at or 0) - world.clock.now)
        world.clock.now = only(world).due_at or 0
        assert keep(world) == 1
    assert waits == [10, 10, 20, 40, 60]
    (world.inbox / "done").unlink()
    world.clock.now += 60
    keep(world)
    assert (only(world).state, sorted(world.files()), world.provider.verbs()) == (State.DONE, DONE, ["send"])
    assert only(world).finished_at == NOW  # of the verdict


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes somebody else here")
def test_a_folder_that_may_not_be_written_to() -> None:
    with tempfile.TemporaryDirectory() as root:  # pytest's own folders are closed to others
        os.chmod(root, 0o711)
        inbox, done = Path(root, "inbox"), Path(root, "closed")
        inbox.mkdir()
        os.chown(inbox, 65534, 65534)
        done.mkdir(mode=0o755)
        os.seteuid(65534)
        try:
            world = World(inbox, MemoryLedger(), done=str(done))
            take(world)
            deliver(world)
            assert (only(world).state, "filing_failed" in world.log.events("warning")) == (State.ACCEPTED, True)
            os.seteuid(0)
            os.chown(done, 65534, 65534)
            os.seteuid(65534)
            world.clock.now += AGAIN
            keep(world)
        finally:
            os.seteuid(0)
        assert (only(world).state, world.provider.verbs()) == (State.DONE, ["send"])
        assert sorted(os.listdir(done)) == ["invoice.csv", "invoice.csv.result.json"]


# ------------------------------------------------------------------------------------------------ names that are in use


def test_a_name_in_use_becomes_another_that_tells_when(world: World) -> None:
    world.drop(content="an older one", folder="done")
    take(world)
    deliver(world)
    filed = only(world).filed_as or ""
    assert filed.startswith("invoice 20") and filed.endswith(f" {only(world).short_id}.csv")
    assert world.files()["done/invoice.csv"] == "an older one"
    assert world.files()[f"done/{filed}"] == CONTENT
    assert sidecar(world, f"done/{filed}.result.json")["file"]["filed_as"] == filed


@pytest.mark.parametrize("which", ["invoice.csv", "invoice.csv.result.json"])
def test_a_name_that_is_taken_after_it_was_chosen(world: World, monkeypatch: pytest.MonkeyPatch, which: str) -> None:
    take(world)
    placing, writing = filing.place, filing.write_sidecar
    came: list[str] = []

    def somebody_is_quicker(*args: Any, **more: Any) -> None:
        if not came:
            came.append(which)
            world.drop(which, "mine", folder="done")
        (writing if "result" in which else placing)(*args, **more)

    monkeypatch.setattr(filing, "write_sidecar" if "result" in which else "place", somebody_is_quicker)
    deliver(world)
    drop = only(world)
    assert (drop.state, world.files()[f"done/{which}"]) == (State.DONE, "mine")
    assert sorted(world.files()) == sorted([f"done/{which}", f"done/{drop.filed_as}", f"done/{drop.filed_as}.result.json"])
    assert "name_taken" in events(world)
    assert world.work() == []


def test_the_sub_folder_and_the_date_are_mirrored(ledger: Ledger, tmp_path: Path) -> None:
    world = World(tmp_path / "inbox", ledger, done=f"{tmp_path}/archive/{{yyyy}}")
    take(world, world.drop(folder="acme/deep"))
    deliver(world)
    assert (only(world).filed_dir or "").startswith(f"{tmp_path}/archive/2027/acme/deep")
    assert os.path.exists(f"{only(world).filed_dir}/invoice.csv.result.json")
