"""`dropd send`: one file through the real route, as if it had been dropped."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from dropd import lock
from dropd.commands.reading import open_ledger
from dropd.config import Config, Route, Subfolders
from dropd.daemon import Daemon
from dropd.errors import DropdError
from dropd.fsys import opened, rename_noreplace
from dropd.ledger.base import Ledger
from dropd.model import FINAL, Drop, State
from dropd.naming import COMPANION_SUFFIX, display, filed_names
from dropd.observe.logs import Redactor
from dropd.providers.base import Provider
from dropd.surroundings import Log


class CannotSend(DropdError):
    """Why the file did not get into the inbox."""


def drop_copy(route: Route, file: Path, folder: str) -> str:
    """Copy a file, and its companion, into the inbox under a free name. The name it got. Raises CannotSend."""
    if folder and (route.subfolders is Subfolders.NONE or any(part in ("", ".", "..") for part in folder.split("/"))):
        raise CannotSend(
            f"the route {route.name} does not take files from a sub-folder {display(folder)!r}; see subfolders in its configuration"
        )
    if not route.inbox.is_dir():
        raise CannotSend(f"the inbox {route.inbox} is not there; make it, or mount it")
    target = route.inbox / folder
    companion = file.with_name(file.name + COMPANION_SUFFIX)
    if route.wants_companion and not companion.is_file():
        raise CannotSend(f"the route {route.name} needs a companion file beside it: {display(companion.name)}")
    try:
        target.mkdir(exist_ok=True, parents=True)
        return _copy(file, target, companion if route.wants_companion else None)
    except OSError as error:
        raise CannotSend(f"{display(str(file))} cannot be copied to {display(str(target))} ({error.strerror})") from None


def _copy(file: Path, target: Path, companion: Path | None) -> str:
    """The companion goes first: without one of its own, the file could meet another's that waits there."""
    draft = target / f".dropd-send-{os.getpid()}"
    beside = draft.with_name(draft.name + COMPANION_SUFFIX)
    try:
        shutil.copyfile(file, draft, follow_symlinks=True)
        if companion is not None:
            shutil.copyfile(companion, beside)
        with opened(str(target), os.O_RDONLY | os.O_DIRECTORY) as fd:
            stamp = time.strftime("%Y%m%d-%H%M%S")
            for name in filed_names(file.name, stamp=stamp, short_id=str(os.getpid()), companion=True):
                if os.path.lexists(target / name):
                    continue
                with contextlib.suppress(FileExistsError):
                    if companion is not None:
                        rename_noreplace(beside.name, fd, name + COMPANION_SUFFIX, fd)
                    try:
                        rename_noreplace(draft.name, fd, name, fd)
                    except FileExistsError:  # since a moment ago
                        if companion is not None:
                            rename_noreplace(name + COMPANION_SUFFIX, fd, beside.name, fd)
                        continue
                    return name
    finally:
        draft.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
    raise CannotSend(f"no free name for {display(file.name)} in {display(str(target))}")


class Verdict:
    """Follows one copied file through the ledger until it is filed, or nothing happens to it for `wait` seconds."""

    def __init__(self, route: str, folder: str, name: str, wait: float, *, since: float) -> None:
        """`since`: when the copy had not begun. What was taken before, under the same name, is another drop."""
        self._where = (route, folder, name)
        self._wait = wait
        self._since = since
        self._changed = time.monotonic()
        self.drop: Drop | None = None

    def __call__(self, ledger: Ledger) -> bool:
        """Whether it is over."""
        found = ledger.named(*self._where)
        if found is not None and found.taken_at >= self._since:
            if (
                self.drop is None
                or (found.state, found.attempt) != (self.drop.state, self.drop.attempt)
                or found.state is State.SENDING
            ):
                self._changed = time.monotonic()
            self.drop = found
        over = self.drop is not None and self.drop.state in FINAL
        return over or time.monotonic() - self._changed > self._wait


def send(
    config: Config,
    kinds: Mapping[str, type[Provider]],
    log: Log,
    redactor: Redactor,
    route: Route,
    file: Path,
    *,
    folder: str,
    wait: float,
) -> Drop | None:
    """The drop as it stands at the end; None where it was not even taken. Delivers by itself where no daemon runs."""
    lock.is_held(config.state_dir)  # raises where this user may not ask, before anything is copied
    since = time.time()
    name = drop_copy(route, file, folder)
    verdict = Verdict(route.name, folder, name, wait + route.settle, since=since)
    if not lock.is_held(config.state_dir):
        Daemon(config, kinds, log, redactor, routes=(route,)).run(until=verdict)
        return verdict.drop
    while not _look(config, verdict):
        time.sleep(0.2)
    return verdict.drop


def _look(config: Config, verdict: Verdict) -> bool:
    ledger = open_ledger(config)
    try:
        return verdict(ledger)
    finally:
        ledger.close()
