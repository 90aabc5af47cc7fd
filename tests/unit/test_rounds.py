"""Rounds over real folders: what goes wrong in a pool of threads must be heard."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doubles import World
from program import eventually

from dropd.errors import LedgerError
from dropd.ledger.base import Ledger
from dropd.model import Inbox
from dropd.pipeline import Pipeline
from dropd.recovery import Recovery
from dropd.rounds import Rounds
from dropd.spool import work
from dropd.wake import Wake


def rounds_of(world: World, stop: threading.Event | None = None) -> Rounds:
    pipeline = Pipeline(world.around)
    recovery = Recovery(world.around, pipeline)
    return Rounds(world.around, pipeline, recovery.work_of, routes=("invoices",), wake=Wake(), stop=stop or threading.Event())


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


class StoppedWhenAsked(threading.Event):
    """Set by another thread, which then wakes the loop, right while the loop asks for it the second time: after its first look."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        self.wake: Callable[[], None] = lambda: None

    def is_set(self) -> bool:
        was = super().is_set()
        self.asked += 1
        if self.asked == 2:
            other = threading.Thread(target=self._end, args=(self.wake,))
            other.start()
            other.join(0.2)  # where the loop asks with its lock held, the other waits for that
        return was

    def _end(self, wake: Callable[[], None]) -> None:
        self.set()
        wake()


def test_a_stop_that_comes_while_the_loop_asks_for_it_is_not_slept_through(ledger: Ledger, tmp_path: Path) -> None:
    stop = StoppedWhenAsked()
    rounds = rounds_of(World(tmp_path / "inbox", ledger, scan_every=3600.0), stop)
    stop.wake = rounds.wake
    looping = threading.Thread(target=rounds.run, daemon=True)
    looping.start()
    looping.join(10.0)
    assert not looping.is_alive()


def test_an_inbox_that_does_not_answer_is_told_of_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Since when it hangs, the ledger keeps; a text that changes with every second would begin anew each time."""
    answers, minutes = threading.Event(), itertools.count(time.monotonic(), 61.0)
    rounds = Rounds(
        world.around,
        Pipeline(world.around),
        lambda *_: answers.wait(30.0),
        routes=("invoices",),
        wake=Wake(),
        stop=threading.Event(),
    )
    monkeypatch.setattr("dropd.rounds.time", SimpleNamespace(monotonic=lambda: next(minutes)))
    for _ in range(4):
        rounds._send_out()
    answers.set()
    assert world.log.events("error") == ["inbox_red"]


def test_a_file_that_cannot_be_taken_counts_as_waiting(ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`run --once` must not say that all is well while it lies there."""
    world = World(tmp_path / "inbox", ledger, settle=0.0)
    world.drop()
    monkeypatch.setattr(work, "obstacle", lambda *_: "dropd has no right to read it")
    stop = threading.Event()
    rounds = rounds_of(world, stop)
    looping = threading.Thread(target=rounds.run)
    looping.start()
    try:
        eventually(lambda: rounds.is_quiet(since=0.0), "never quiet")
        assert rounds.waiting() == 1
    finally:
        stop.set()
        rounds.wake()
        looping.join()
