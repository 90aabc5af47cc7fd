"""Filing away: a drop goes to done/ or failed/ under its final name, then its sidecar beside it; neither ever replaces anything."""

from __future__ import annotations

import contextlib
import json
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from dropd.errors import Gone, NameTaken
from dropd.fsys import FOLDER, LOOK, folder_below, lstat_at, opened, rename_noreplace, share_with, write_whole
from dropd.naming import COMPANION_SUFFIX, SIDECAR_SUFFIX
from dropd.spool.mark import OpenInbox
from dropd.spool.work import clear

_TRIAL = ".dropd-trial-"  # with the number of the process that tries


@contextlib.contextmanager
def filing_folder(inbox: OpenInbox, folder: str) -> Iterator[int]:
    """The folder at this absolute path, made where it is missing. Below the inbox no symlink is followed: droppers can write there."""
    parts = _parts_below(inbox.path, folder)
    if parts is not None:
        with folder_below(inbox.fd, parts, like=inbox.about) as fd:
            yield fd
        return
    # outside: an administrator's path; the part that exists may hold links, what is missing is made
    start, missing = _existing(folder)
    with (
        opened(str(start), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) as start_fd,
        folder_below(start_fd, missing, like=inbox.about) as fd,
    ):
        yield fd


def _parts_below(inbox: str, folder: str) -> list[str] | None:
    """The names that lead from the inbox to a folder in it; None: it lies elsewhere."""
    below = os.path.relpath(folder, inbox)
    if below.split(os.sep, 1)[0] == os.pardir:
        return None
    return [] if below == os.curdir else below.split(os.sep)


def _existing(folder: str) -> tuple[Path, list[str]]:
    """The nearest folder on this path that is there, and the names below it that are missing."""
    start, missing = Path(folder), list[str]()
    while not start.is_dir():
        missing.insert(0, start.name)
        start = start.parent
    return start, missing


def free_name(inbox: OpenInbox, folder: str, candidates: Iterable[str]) -> str:
    """The first name that neither a file, a sidecar nor a companion in the folder has."""
    with filing_folder(inbox, folder) as fd:
        for name in candidates:
            if all(lstat_at(name + suffix, fd) is None for suffix in ("", SIDECAR_SUFFIX, COMPANION_SUFFIX)):
                return name
    raise NameTaken(f"no free name in {folder}")


def place(inbox: OpenInbox, drop_id: str, name: str, folder: str, filed_as: str, *, inode: int, companion: bool) -> None:
    """Move the file from the work folder to its final name. Does nothing where it is there already.

    Raises NameTaken where another file has the name, Gone where the file is in neither place.
    """
    with filing_folder(inbox, folder) as folder_fd:
        if _in_work(inbox, drop_id, name):
            with opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd:
                try:
                    rename_noreplace(name, work_fd, filed_as, folder_fd)
                except FileExistsError:
                    raise NameTaken(f"{filed_as!r} is in use in {folder}") from None
        else:
            there = lstat_at(filed_as, folder_fd)
            if there is None or there.st_ino != inode:
                raise Gone(f"{name!r} is neither in the work folder nor in {folder}")
        _share(filed_as, folder_fd, inbox.about)
        if companion:
            _place_companion(inbox, drop_id, name, folder_fd, filed_as)
        os.fsync(folder_fd)
    os.fsync(inbox.work_fd)


def _in_work(inbox: OpenInbox, drop_id: str, name: str) -> bool:
    with contextlib.suppress(FileNotFoundError), opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd:
        return lstat_at(name, work_fd) is not None
    return False


def _place_companion(inbox: OpenInbox, drop_id: str, name: str, folder_fd: int, filed_as: str) -> None:
    with contextlib.suppress(FileNotFoundError), opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd:
        if lstat_at(name + COMPANION_SUFFIX, work_fd) is None:
            return
        try:
            rename_noreplace(name + COMPANION_SUFFIX, work_fd, filed_as + COMPANION_SUFFIX, folder_fd)
        except FileExistsError:
            raise NameTaken(f"{filed_as + COMPANION_SUFFIX!r} is in use") from None
        _share(filed_as + COMPANION_SUFFIX, folder_fd, inbox.about)


def _share(name: str, folder_fd: int, like: os.stat_result) -> None:
    with contextlib.suppress(OSError), opened(name, LOOK, dir_fd=folder_fd) as fd:
        share_with(fd, like)


def write_sidecar(inbox: OpenInbox, drop_id: str, folder: str, filed_as: str, text: str) -> None:
    """Beside the filed file, whole or not at all, durable on return. Raises NameTaken where a foreign file has its name."""
    draft = f"sidecar-{drop_id}"
    name = filed_as + SIDECAR_SUFFIX
    write_whole(draft, text.encode(), inbox.private_fd, like=inbox.about)
    with filing_folder(inbox, folder) as fd:
        try:
            rename_noreplace(draft, inbox.private_fd, name, fd)
        except FileExistsError:
            if not _is_ours(name, fd, drop_id):
                os.unlink(draft, dir_fd=inbox.private_fd)
                raise NameTaken(f"{name!r} is in use in {folder}") from None
            os.rename(draft, name, src_dir_fd=inbox.private_fd, dst_dir_fd=fd)  # an earlier try's, perhaps cut by a power failure
        os.fsync(fd)
    clear(inbox, drop_id)


def _is_ours(name: str, folder_fd: int, drop_id: str) -> bool:
    """Whether a sidecar is this drop's own: it says so, or it is an empty file of ours that a power failure left."""
    try:
        with opened(name, LOOK, dir_fd=folder_fd) as fd:
            about = os.fstat(fd)
            content = os.read(fd, 1 << 20) if stat.S_ISREG(about.st_mode) else b"not a file"
    except OSError:  # a link, or nothing that we may read
        return False
    if not content.strip(b"\0"):
        return about.st_uid == os.geteuid()
    try:
        return bool(json.loads(content).get("drop_id") == drop_id)
    except (ValueError, AttributeError):
        return False


def take_back(inbox: OpenInbox, drop_id: str, name: str, folder: str, filed_as: str, *, inode: int, companion: bool) -> None:
    """Bring a filed file, and its companion, back into the work folder. Raises Gone where this very file is not there."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(drop_id, 0o700, dir_fd=inbox.work_fd)
    try:
        with filing_folder(inbox, folder) as folder_fd, opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd:
            there = lstat_at(filed_as, folder_fd)
            if there is None or there.st_ino != inode:
                raise FileNotFoundError
            rename_noreplace(filed_as, folder_fd, name, work_fd)
            if companion:
                _take_companion_back(name, work_fd, filed_as, folder_fd)
            os.fsync(work_fd)
            os.fsync(folder_fd)
    except FileNotFoundError:
        clear(inbox, drop_id)
        raise Gone(f"{filed_as} is not in {folder} any more") from None


def _take_companion_back(name: str, work_fd: int, filed_as: str, folder_fd: int) -> None:
    with contextlib.suppress(FileNotFoundError, FileExistsError):  # it never left the work folder
        rename_noreplace(filed_as + COMPANION_SUFFIX, folder_fd, name + COMPANION_SUFFIX, work_fd)


def finish_take_back(inbox: OpenInbox, drop_id: str, name: str, folder: str, filed_as: str, *, companion: bool) -> None:
    """What a `take_back` that died after its rename left undone: the companion, and the old name where link and unlink stood for it."""
    with filing_folder(inbox, folder) as folder_fd, opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd:
        there, here = lstat_at(filed_as, folder_fd), lstat_at(name, work_fd)
        if there is not None and here is not None and (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev):
            os.unlink(filed_as, dir_fd=folder_fd)
        if companion:
            _take_companion_back(name, work_fd, filed_as, folder_fd)


def remove_sidecar(inbox: OpenInbox, drop_id: str, folder: str, filed_as: str) -> None:
    """A sidecar means that its file is there: one whose file has gone on its way again is taken away. Foreign files stay."""
    name = filed_as + SIDECAR_SUFFIX
    with contextlib.suppress(OSError), filing_folder(inbox, folder) as fd:
        if _is_ours(name, fd, drop_id):
            os.unlink(name, dir_fd=fd)
            os.fsync(fd)


def trial(inbox: str, folder: str) -> OSError | None:
    """Prove that a file can go from the inbox to this folder by rename, or say why not; EXDEV: it is on another filesystem or mount.

    Of a folder that is not there yet, the nearest one above it that is. A missing inbox proves nothing, and is no fault.
    """
    name = f"{_TRIAL}{os.getpid()}"
    try:
        with (
            opened(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) as inbox_fd,
            _nearest(inbox, inbox_fd, folder) as target_fd,
        ):
            for fd in (inbox_fd, target_fd):
                _sweep_trials(fd)
            write_whole(name, b"", inbox_fd)
            try:
                os.rename(name, name + "-there", src_dir_fd=inbox_fd, dst_dir_fd=target_fd)
                os.unlink(name + "-there", dir_fd=target_fd)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=inbox_fd)
    except FileNotFoundError:
        return None
    except OSError as error:
        return error
    return None


def _sweep_trials(fd: int) -> None:
    """What trials left that died with their process."""
    for name in os.listdir(fd):
        if name.startswith(_TRIAL) and not os.path.exists(f"/proc/{name.removeprefix(_TRIAL).removesuffix('-there')}"):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=fd)


@contextlib.contextmanager
def _nearest(inbox: str, inbox_fd: int, folder: str) -> Iterator[int]:
    """The folder, or the nearest one above it that is there; in the inbox never through a link, as at filing."""
    parts = _parts_below(inbox, folder)
    with contextlib.ExitStack() as stack:
        if parts is None:
            yield stack.enter_context(opened(str(_existing(folder)[0]), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            return
        fd = inbox_fd
        for part in parts:
            if lstat_at(part, fd) is None:
                break
            fd = stack.enter_context(opened(part, FOLDER, dir_fd=fd))
        yield fd
