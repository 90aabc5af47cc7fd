"""Rounds over real folders: what goes wrong in a pool of threads must be heard."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from doubles import World

from dropd.errors import LedgerError
from dropd.ledger.base import Ledger
from dropd.model import Inbox
from dropd.pipeline import Pipeline
from dropd.recovery import Recovery
from dropd.rounds import Rounds
from dropd.spool import work
from dropd.wake import Wake


def rounds_of(world: World) -> Rounds:
    pipeline = Pipeline(world.around)
    recovery = Recovery(world.around, pipeline)
    return Rounds(world.around, pipeline, recovery.work_of, routes=("invoices",), wake=Wake(), stop=threading.Event())


def full(_: Inbox) -> None:
    raise LedgerError("no room")


def test_a_ledger_that_fails_while_an_inbox_is_red_ends_the_run(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unheard, it would leave the inbox as one that is being looked at for ever."""
    world.inbox.rename(world.inbox.with_name("unmounted"))
    monkeypatch.setattr(world.ledger, "look", full)
    with pytest.raises(LedgerError):
        rounds_of(world).run()


def test_a_ledger_that_fails_while_a_take_fails_ends_the_run(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path / "inbox", ledger, settle=0.0)

    def away(*_: Any) -> None:
        monkeypatch.setattr(world.ledger, "look", full)
        raise OSError(5, "Input/output error")

    world.drop()
    monkeypatch.setattr(work, "obstacle", away)
    with pytest.raises(LedgerError):
        rounds_of(world).run()
