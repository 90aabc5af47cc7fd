"""An inbox and its mark: `.dropd/inbox.json`, by which the ledger knows the folder again.

An unmounted share looks like an empty folder; without the mark dropd would call it healthy, or make folders below the mount point.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from dropd.errors import InboxTrouble
from dropd.fsys import FOLDER, LOOK, lstat_at, opened, rename_noreplace, write_whole
from dropd.naming import PRIVATE

MARK = "inbox.json"
WORK = "work"
_ADOPT = "if this is the right folder, run: dropd init --adopt {route}"


@dataclass(frozen=True, slots=True)
class OpenInbox:
    """An inbox held open: its folder, dropd's private folder in it, and the work folder in that."""

    path: str
    inbox_id: str
    fd: int
    private_fd: int
    work_fd: int
    about: os.stat_result  # of the inbox: whose group and permissions filed files take


@contextlib.contextmanager
def open_inbox(path: str, *, route: str, ledger_id: str, known_id: str | None, adopt: bool = False) -> Iterator[OpenInbox]:
    """Raises InboxTrouble where the folder is missing, cannot be used, or is not the one that the ledger knows.

    `known_id`: the mark that the ledger remembers for this inbox; None on first use, when the mark is made. `adopt`: a person says that
    this is the right folder; it gets a new mark.
    """
    with contextlib.ExitStack() as stack:
        try:
            fd = stack.enter_context(opened(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            private_fd = stack.enter_context(_private(fd, make=adopt or known_id is None, route=route))
            inbox_id = _check_mark(private_fd, route=route, ledger_id=ledger_id, known_id=known_id, adopt=adopt)
            with contextlib.suppress(FileExistsError):
                os.mkdir(WORK, 0o700, dir_fd=private_fd)
                os.fsync(private_fd)
            work_fd = stack.enter_context(opened(WORK, FOLDER, dir_fd=private_fd))
            opened_inbox = OpenInbox(path, inbox_id, fd, private_fd, work_fd, os.fstat(fd))
        except OSError as error:
            raise InboxTrouble(_in_words(error)) from None
        yield opened_inbox


def _in_words(error: OSError) -> str:
    match error.errno:
        case errno.ENOENT:
            return "the folder is not there; it may be a share that is not mounted, or it was moved or deleted"
        case errno.ENOTDIR | errno.ELOOP:
            return "there is a file or a link where a folder should be"
        case errno.EACCES | errno.EPERM:
            return "dropd has no right to read and write in the folder"
        case errno.EROFS:
            return "the folder's disk is read-only"
        case errno.ENOSPC | errno.EDQUOT:
            return "the folder's disk is full"
        case _:
            return f"the folder cannot be used ({error.strerror})"


@contextlib.contextmanager
def _private(fd: int, *, make: bool, route: str) -> Iterator[int]:
    found = lstat_at(PRIVATE, fd)
    if found is None:
        if not make:
            raise InboxTrouble(
                f"dropd's mark in the folder is gone: it may be another folder, or an unmounted share; {_ADOPT.format(route=route)}"
            )
        os.mkdir(PRIVATE, 0o700, dir_fd=fd)
        os.fsync(fd)
    elif not stat.S_ISDIR(found.st_mode):
        raise InboxTrouble(f"{PRIVATE} in the folder is not a folder; somebody put it there: remove it")
    with opened(PRIVATE, FOLDER, dir_fd=fd) as private_fd:
        about = os.fstat(private_fd)
        if about.st_uid != os.geteuid():
            raise InboxTrouble(
                f"{PRIVATE} in the folder belongs to somebody else (uid {about.st_uid}); give it to dropd's user, or remove it"
            )
        if stat.S_IMODE(about.st_mode) != 0o700:  # also the setgid bit that an inbox hands down
            with contextlib.suppress(OSError):  # CIFS and vfat have no permissions to set
                os.fchmod(private_fd, 0o700)
        yield private_fd


def _check_mark(private_fd: int, *, route: str, ledger_id: str, known_id: str | None, adopt: bool) -> str:
    remedy = _ADOPT.format(route=route)
    mark = None if adopt else _read_mark(private_fd, remedy)
    if mark is not None:
        inbox_id, marked_by = mark
        if marked_by != ledger_id:
            raise InboxTrouble(f"the folder's mark belongs to another ledger: another dropd, or a lost state folder; {remedy}")
        if inbox_id != (known_id or inbox_id):
            raise InboxTrouble(f"the folder carries another inbox's mark; {remedy}")
        return inbox_id
    if not adopt and (known_id is not None or _has_work(private_fd)):
        raise InboxTrouble(f"dropd's mark in the folder is gone; {remedy}")
    inbox_id = str(uuid.uuid4())
    fresh = json.dumps({"inbox_id": inbox_id, "ledger_id": ledger_id}, indent=2) + "\n"
    write_whole(MARK + ".new", fresh.encode(), private_fd)
    if adopt:
        os.rename(MARK + ".new", MARK, src_dir_fd=private_fd, dst_dir_fd=private_fd)
    else:
        rename_noreplace(MARK + ".new", private_fd, MARK, private_fd)
    os.fsync(private_fd)
    return inbox_id


def _read_mark(private_fd: int, remedy: str) -> tuple[str, str] | None:
    """The inbox's id and the ledger's; None: there is no mark."""
    try:
        with opened(MARK, LOOK, dir_fd=private_fd) as fd:
            mark = json.loads(os.read(fd, 4096))
        inbox_id, ledger_id = mark["inbox_id"], mark["ledger_id"]
        if isinstance(inbox_id, str) and isinstance(ledger_id, str):
            return inbox_id, ledger_id
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, IsADirectoryError):
        pass
    raise InboxTrouble(f"dropd's mark in the folder cannot be read; {remedy}")


def _has_work(private_fd: int) -> bool:
    try:
        with opened(WORK, FOLDER, dir_fd=private_fd) as fd:
            return bool(os.listdir(fd))
    except FileNotFoundError:
        return False
