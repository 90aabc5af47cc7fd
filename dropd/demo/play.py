"""The play: vendors and daemon start, files are dropped chapter by chapter, everything ends and is looked at."""

from __future__ import annotations

import contextlib
import io
import logging
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from dropd.config import load
from dropd.daemon import Daemon
from dropd.demo import telling
from dropd.demo.files import Chapter, File, chapters
from dropd.demo.proof import differences
from dropd.observe.logs import Redactor, configure
from dropd.providers.registry import kinds
from dropd.sandbox import Sandbox

PATIENCE = 25.0
"""Seconds after which a file that has not been filed counts as lost."""


def run_demo(*, keep: bool) -> int:
    """0 when everything came out as told and the vendors' books agree, else 1. `keep` leaves the folders and says where they are."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # an old terminal may know no curly quotes
    out = Console(highlight=False)
    with _ended_by_signals(), _folder(out, keep=keep) as root:
        began = time.monotonic()
        play, sandbox = chapters(), Sandbox()
        files = [file for chapter in play for file in chapter.files]
        telling.opening(out)
        _perform(out, root, sandbox, play)
        telling.folders(out, root)
        telling.sidecars(out, root, files)
        telling.books(out, sandbox)
        wrong = differences(root, sandbox, files)
        telling.verdict(out, files, wrong, time.monotonic() - began)
    return 1 if wrong else 0


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the play as Ctrl-C does, and a second one does not disturb the tidying up."""

    def end(_number: int, _frame: FrameType | None) -> None:
        for number in before:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before: dict[signal.Signals, object] = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        before[number] = signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]


@contextlib.contextmanager
def _folder(out: Console, *, keep: bool) -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="dropd-demo-"))
    try:
        yield root
    finally:
        if keep:
            telling.kept(out, root)
        else:
            shutil.rmtree(root, ignore_errors=True)
            telling.next_steps(out)


def _perform(out: Console, root: Path, sandbox: Sandbox, play: Sequence[Chapter]) -> None:
    """All chapters, one after the other; whatever happens, no thread is left. Raises what ended the daemon."""
    redactor = Redactor()
    log = configure(style="console", level="info", redactor=redactor, stream=out.file)  # type: ignore[arg-type]
    ears = _Ears()
    logging.getLogger().addHandler(ears)
    with sandbox:
        config = load(sandbox.write_config(root), kinds())
        daemon = Daemon(config, kinds(), log, redactor)
        failures: list[BaseException] = []

        def run() -> None:
            try:
                daemon.run()
            except BaseException as error:
                failures.append(error)
                ears.stop()

        thread = threading.Thread(target=run, name="daemon")
        until = time.monotonic() + PATIENCE
        thread.start()
        try:
            for number, chapter in enumerate(play, start=1):
                telling.chapter(out, number, chapter)
                _drop(root, sandbox, chapter)
                ears.wait_for(chapter.files, until)
        except BaseException:
            logging.getLogger().handlers[:] = [logging.NullHandler()]  # how it breaks off is no part of the story
            daemon.stop()
            sandbox.stop()  # cuts what is under way, so that the daemon need not wait for it
            raise
        finally:
            daemon.stop()
            thread.join()
    if failures:
        raise failures[0]


def _drop(root: Path, sandbox: Sandbox, chapter: Chapter) -> None:
    """What four people would do with a file manager, after the vendors were told how to behave."""
    if chapter.logins_expire:
        sandbox.expire_tokens()
    for fault in chapter.faults:
        sandbox.fault(fault)
    for file in chapter.files:
        path = root / file.inbox / file.path
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(file.content)


class _Ears(logging.Handler):
    """Hears in the log what has come to its end, after the line about it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self._news = threading.Condition()
        self._filed: set[tuple[str, str]] = set()
        self._paused: set[str] = set()
        self._stopped = False

    def emit(self, record: logging.LogRecord) -> None:
        event = record.msg if isinstance(record.msg, dict) else {}
        with self._news:
            match event.get("event"):
                case "filed":
                    self._filed.add((event["route"], event["file"]))
                case "paused":
                    self._paused.add(event["provider"])
                case "resumed":
                    self._paused.discard(event["provider"])
            self._news.notify_all()

    def stop(self) -> None:
        """Nothing more will be heard."""
        with self._news:
            self._stopped = True
            self._news.notify_all()

    def wait_for(self, files: Iterable[File], until: float) -> None:
        """Until all of them are filed and nobody is paused, or `until` (monotonic) has come."""
        wanted = {(file.inbox, file.path) for file in files}
        with self._news:
            self._news.wait_for(
                lambda: self._stopped or (wanted <= self._filed and not self._paused), max(0.0, until - time.monotonic())
            )
