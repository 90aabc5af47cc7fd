"""After any death: files in work/ that no row knows, and retries that a person had ordered."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deaths import ACCEPTED, ready, restarted, sending, verdict
from doubles import NOW, OWNER, Scripted, World

from dropd.commands import again
from dropd.ledger.base import Ledger
from dropd.model import Accepted, Code, Drop, Inbox, Refused, State, Status, Unconfirmed
from dropd.pipeline import Pipeline
from dropd.spool import filing, work

# ------------------------------------------------------------------------------------------------ files in work/ without a row


def orphan(world: World, *names: str, folder: str = "018bcfe5-6800-7000-8000-00000000dead") -> Path:
    path = world.inbox / ".dropd" / "work" / folder
    path.mkdir()
    for name in names:
        (path / name).write_text("abc")
    return path


def test_an_orphan_is_held_as_unconfirmed_and_never_sent(world: World) -> None:
    orphan(world, "invoice.csv")
    (drop,) = restarted(world)
    assert (drop.state, drop.status, drop.attempt) == (State.FAILED, Status.UNCONFIRMED, 0)
    assert drop.error is not None and drop.error.code is Code.UNCONFIRMED
    sidecar = json.loads(world.files()["failed/invoice.csv.result.json"])
    assert (sidecar["status"], sidecar["summary"][:12]) == ("unconfirmed", "Not certain:")
    assert world.files()["failed/invoice.csv"] == "abc"
    assert (world.work(), world.provider.calls) == ([], [])
    assert "orphan_held" in world.log.events("error")
    assert restarted(world) == [drop]


def test_an_orphan_that_a_person_moves_back_is_sent_as_a_possible_duplicate(world: World) -> None:
    orphan(world, "invoice.csv")
    restarted(world)
    os.rename(world.inbox / "failed" / "invoice.csv", world.inbox / "invoice.csv")
    with world.open() as inbox:
        drop = Pipeline(world.around).take(inbox, world.again("invoice.csv"))
    assert (drop.state, drop.person_order, drop.possible_duplicate) == (State.READY, True, True)


def test_what_an_unfinished_row_knows_is_no_orphan(world: World) -> None:
    drop = ready(world)
    assert restarted(world) == [drop]
    assert world.log.events("error") == []
    assert world.work() == [f"{drop.id}/invoice.csv"]


def test_an_orphans_companion_is_filed_with_it(world: World) -> None:
    orphan(world, "invoice.csv", "invoice.csv.meta.json")
    restarted(world)
    assert sorted(world.files()) == ["failed/invoice.csv", "failed/invoice.csv.meta.json", "failed/invoice.csv.result.json"]


def test_an_empty_work_folder_is_cleared_away(world: World) -> None:
    path = orphan(world)
    assert restarted(world) == []
    assert not path.exists()


@pytest.mark.parametrize("folder", ["", "not a drop's id", os.fsdecode(b"\xff")])
def test_what_dropd_did_not_put_there_is_left_and_told(world: World, folder: str) -> None:
    path = orphan(world, "x.csv", folder=folder) if folder else world.inbox / ".dropd" / "work"
    (path / "x.csv").write_text("abc")
    assert restarted(world) == []
    assert (path / "x.csv").exists()
    assert "left_in_work" in world.log.events("error")


def test_a_file_beside_a_finished_row_is_left_and_told(world: World) -> None:
    verdict(world, ACCEPTED)
    (drop,) = restarted(world)
    orphan(world, "invoice.csv", folder=drop.id)
    assert restarted(world) == [drop]
    assert world.work() == [f"{drop.id}/invoice.csv"]
    assert "left_in_work" in world.log.events("error")


def test_an_orphan_that_cannot_be_read_holds_no_inbox_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan(world, "invoice.csv")

    def broken(*_: Any) -> Any:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(work, "open_drop", broken)
    (drop,) = restarted(world)
    assert (drop.status, drop.sha256) == (Status.UNCONFIRMED, None)


# ------------------------------------------------------------------------------------------------ interrupted retry


def failed(world: World, outcome: Any) -> Drop:
    world.provider.script = [outcome]
    with world.open() as inbox:
        Pipeline(world.around).take(inbox, world.drop())
    drop = world.ledger.claim("arm", OWNER, NOW, ())
    assert drop is not None
    Pipeline(world.around).deliver(drop)
    while (more := world.ledger.claim("arm", OWNER, NOW, ())) is not None:
        Pipeline(world.around).deliver(more)
    (drop,) = world.ledger.recent()
    assert drop.state is State.FAILED
    world.ledger.look(Inbox(world.route.name, str(world.inbox), world.inbox_id, None, NOW, NOW))
    return drop


def test_a_retry_that_died_before_the_file_moved_is_failed_as_before(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unconfirmed drop that forgot its doubt would let the next copy of the file be sent."""
    drop = failed(world, Unconfirmed(reason="no answer"))

    def died(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(again.filing, "take_back", died)
        with pytest.raises(KeyboardInterrupt):
            again.retry(world.ledger, drop)
    (after,) = restarted(world)
    assert (after.state, after.status, after.error) == (State.FAILED, Status.UNCONFIRMED, drop.error)
    assert (after.filed_dir, after.filed_as) == (drop.filed_dir, drop.filed_as)
    assert sorted(world.files()) == ["failed/invoice.csv", "failed/invoice.csv.result.json"]


def test_a_retry_that_died_after_the_file_moved_goes_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drop = failed(world, Refused(reason="no"))

    def died(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(again.filing, "remove_sidecar", died)
        with pytest.raises(KeyboardInterrupt):
            again.retry(world.ledger, drop)
    (after,) = restarted(world)
    assert (after.id, after.state, after.person_order) == (drop.id, State.READY, True)
    assert (after.status, after.error, after.filed_as, after.finished_at) == (None, None, None, None)
    assert world.files() == {}  # no sidecar without its file


def test_a_retry_that_died_between_the_file_and_its_companion_takes_no_other_file_s(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new file of the same name waits in the inbox with its own companion, which names another client."""
    world = World(tmp_path / "inbox", ledger, Scripted(Refused(reason="no")), ids={"client_id": "{meta.client}"})
    world.drop("invoice.csv.meta.json", '{"client": "2219"}')
    with world.open() as inbox:
        Pipeline(world.around).take(inbox, replace(world.drop(), companion=True))
    Pipeline(world.around).deliver(ledger.claim("arm", OWNER, NOW, ()))
    (drop,) = ledger.recent()
    moving = filing.rename_noreplace

    def dies(name: str, *more: Any) -> None:
        if name.endswith(".meta.json"):
            raise KeyboardInterrupt
        moving(name, *more)

    with monkeypatch.context() as patched:
        patched.setattr(filing, "rename_noreplace", dies)
        with pytest.raises(KeyboardInterrupt):
            again.retry(ledger, drop)
    world.drop("invoice.csv", "new content")
    world.drop("invoice.csv.meta.json", '{"client": "9999"}')
    (after,) = restarted(world)
    assert (after.id, after.state, after.target.client_id) == (drop.id, State.READY, "2219")
    assert sorted(world.files()) == ["invoice.csv", "invoice.csv.meta.json"]


def test_a_retry_goes_to_the_vendor_again(world: World) -> None:
    drop = failed(world, Refused(reason="no"))
    assert again.retry(world.ledger, drop).state is State.TAKING
    assert world.files() == {}
    restarted(world)
    claimed = world.ledger.claim("arm", OWNER, NOW, ())
    assert claimed is not None and claimed.attempt == 2
    assert isinstance(Pipeline(world.around).deliver(claimed), Accepted)
    assert sorted(world.files()) == ["done/invoice.csv", "done/invoice.csv.result.json"]


def test_a_retry_of_a_file_that_is_gone_is_undone_as_it_was(world: World) -> None:
    drop = failed(world, Unconfirmed(reason="no answer"))
    os.unlink(world.inbox / "failed" / "invoice.csv")
    with pytest.raises(again.CannotRetry, match="cannot be taken from"):
        again.retry(world.ledger, drop)
    (after,) = world.ledger.recent()
    assert replace(after, since=drop.since) == drop


def test_a_doubt_stays_a_doubt_even_if_the_file_is_gone(world: World) -> None:
    drop = sending(world)
    os.unlink(world.inbox / ".dropd" / "work" / drop.id / "invoice.csv")
    assert [after.state for after in restarted(world)] == [State.UNCONFIRMED]
