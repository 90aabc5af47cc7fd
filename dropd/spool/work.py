"""Taking a file out of an inbox into `work/<drop id>/`, reading it there, and giving it back."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pwd
import stat
from collections.abc import Iterator
from typing import BinaryIO

from dropd.errors import Gone, NameTaken, StillWritten
from dropd.fsys import FOLDER, LOOK, folder_below, lstat_at, opened, rename_noreplace
from dropd.model import Stamp
from dropd.naming import COMPANION_SUFFIX, display, filed_names
from dropd.spool.mark import OpenInbox

_HASH_BLOCK = 1 << 20


def parts_of(folder: str) -> list[str]:
    return folder.split("/") if folder else []


def owner_name_of(uid: int) -> str:
    """The login name of a file's owner, or their number."""
    try:
        return display(pwd.getpwuid(uid).pw_name)
    except KeyError:
        return str(uid)


def obstacle(inbox: OpenInbox, folder: str, name: str) -> str | None:
    """Why a file cannot be taken, for people; None: nothing speaks against it."""
    try:
        with folder_below(inbox.fd, parts_of(folder)) as folder_fd, opened(name, LOOK, dir_fd=folder_fd) as fd:
            return _held(folder_fd, fd)
    except FileNotFoundError:
        return None  # gone again, which the take finds out by itself
    except PermissionError:
        return "dropd has no right to read it"
    except OSError as error:
        return f"it cannot be opened ({error.strerror})"


def _held(folder_fd: int, fd: int) -> str | None:
    """Why the folder does not let go of the file: a sticky one does so for the owners of the two alone. None: it does."""
    user, folder = os.geteuid(), os.fstat(folder_fd)
    if os.fstatvfs(folder_fd).f_flag & os.ST_RDONLY:
        return "its disk is read-only"
    sticky = folder.st_mode & stat.S_ISVTX and user not in (0, folder.st_uid, os.fstat(fd).st_uid)
    if sticky or not os.access(".", os.W_OK | os.X_OK, dir_fd=folder_fd, effective_ids=True):
        return "dropd has no right to move it out of its folder"
    return None


def take(inbox: OpenInbox, drop_id: str, folder: str, name: str, stamp: Stamp, *, companion: bool) -> None:
    """Move the file, and its companion, into the work folder, never replacing. `make_durable` makes it last.

    Raises Gone where it is no longer there or no longer a plain file of this inbox, StillWritten where it changed since it was seen; the
    file then stands in the inbox as before.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder_fd = stack.enter_context(folder_below(inbox.fd, parts_of(folder)))
            fd = stack.enter_context(opened(name, LOOK, dir_fd=folder_fd))
        except OSError as error:
            raise Gone(f"it cannot be opened any more ({error.strerror})") from None
        _check(os.fstat(fd), stamp)
        os.mkdir(drop_id, 0o700, dir_fd=inbox.work_fd)
        work_fd = stack.enter_context(opened(drop_id, FOLDER, dir_fd=inbox.work_fd))
        try:
            rename_noreplace(name, folder_fd, name, work_fd)
        except OSError as error:
            os.rmdir(drop_id, dir_fd=inbox.work_fd)
            if isinstance(error, FileNotFoundError):
                raise Gone("it was taken back, or renamed") from None
            raise
        taken = os.stat(name, dir_fd=work_fd, follow_symlinks=False)
        if Stamp.of(taken) != stamp or not stat.S_ISREG(taken.st_mode):
            give_back(inbox, drop_id, folder, name, companion=companion)
            raise StillWritten("it changed while it was taken")
        if companion:
            take_companion(inbox, drop_id, folder, name)


def make_durable(inbox: OpenInbox, drop_id: str, folder: str, name: str) -> None:
    """The file's content and its new place survive a power cut when this returns."""
    with opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd:
        with opened(name, LOOK, dir_fd=work_fd) as fd:
            os.fsync(fd)
        os.fsync(work_fd)
    os.fsync(inbox.work_fd)
    with contextlib.suppress(FileNotFoundError), folder_below(inbox.fd, parts_of(folder)) as folder_fd:
        os.fsync(folder_fd)


def take_companion(inbox: OpenInbox, drop_id: str, folder: str, name: str) -> None:
    """Bring `<name>.meta.json` to its file. One that is no longer there is found missing when the target is resolved."""
    companion = name + COMPANION_SUFFIX
    with (
        contextlib.suppress(FileNotFoundError, FileExistsError),
        folder_below(inbox.fd, parts_of(folder)) as folder_fd,
        opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd,
    ):
        rename_noreplace(companion, folder_fd, companion, work_fd)


def finish_take(inbox: OpenInbox, drop_id: str, folder: str, name: str, *, companion: bool) -> None:
    """What a take that died after its rename left undone: the companion, and the old name where link and unlink stood for the rename."""
    there, here = in_inbox(inbox, folder, name), in_work(inbox, drop_id, name)
    if there is not None and here is not None and (there.st_ino, there.st_dev) == (here.st_ino, here.st_dev):
        with folder_below(inbox.fd, parts_of(folder)) as folder_fd:
            os.unlink(name, dir_fd=folder_fd)
    if companion:
        take_companion(inbox, drop_id, folder, name)


def _check(about: os.stat_result, stamp: Stamp) -> None:
    if not stat.S_ISREG(about.st_mode) or about.st_nlink != 1:
        raise Gone("it is no longer a plain file of this folder")
    if Stamp.of(about) != stamp:
        raise StillWritten("it changed after it was seen")


def give_back(inbox: OpenInbox, drop_id: str, folder: str, name: str, *, companion: bool) -> str:
    """The file returns to where it came from, under a free name. The name it got."""
    with (
        folder_below(inbox.fd, parts_of(folder), like=inbox.about) as folder_fd,
        opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd,
    ):
        for candidate in filed_names(name, stamp="returned", short_id=drop_id[-6:], companion=companion):
            try:
                rename_noreplace(name, work_fd, candidate, folder_fd)
            except FileExistsError:
                continue
            if companion:
                with contextlib.suppress(FileNotFoundError, FileExistsError):
                    rename_noreplace(name + COMPANION_SUFFIX, work_fd, candidate + COMPANION_SUFFIX, folder_fd)
            os.fsync(folder_fd)
            clear(inbox, drop_id)
            return candidate
    raise NameTaken(f"no free name for {name!r} in the inbox")


def clear(inbox: OpenInbox, drop_id: str) -> None:
    """Remove the drop's work folder, if it is empty."""
    with contextlib.suppress(OSError):
        os.rmdir(drop_id, dir_fd=inbox.work_fd)


def in_work(inbox: OpenInbox, drop_id: str, name: str) -> os.stat_result | None:
    """What is known of the file in the work folder; None: it is not there."""
    try:
        with opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd:
            return lstat_at(name, work_fd)
    except (FileNotFoundError, NotADirectoryError):
        return None


def in_inbox(inbox: OpenInbox, folder: str, name: str) -> os.stat_result | None:
    """What is known of a file of the inbox; None: it is not there."""
    try:
        with folder_below(inbox.fd, parts_of(folder)) as folder_fd:
            return lstat_at(name, folder_fd)
    except OSError:
        return None


def open_drop(inbox: OpenInbox, drop_id: str, name: str) -> BinaryIO:
    """A reader of the file in the work folder, from the first byte; it outlives the inbox. Raises Gone, and OSError where the disk fails."""
    try:
        with opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd:
            fd = os.open(name, LOOK, dir_fd=work_fd)
    except (FileNotFoundError, NotADirectoryError):
        raise Gone("it is not in the work folder any more") from None
    return io.FileIO(fd, "rb")  # unbuffered: bodies and hashing read in large blocks


def sha256_of(reader: BinaryIO) -> str:
    """Of the whole content, in constant memory."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_HASH_BLOCK))
    while count := reader.readinto(buffer):  # type: ignore[attr-defined]
        digest.update(buffer[:count])
    return digest.hexdigest()


def read_companion(inbox: OpenInbox, drop_id: str, name: str, limit: int) -> bytes | None:
    """The companion's bytes, at most `limit` + 1 of them; None: there is none."""
    try:
        with (
            opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as work_fd,
            opened(name + COMPANION_SUFFIX, LOOK, dir_fd=work_fd) as fd,
        ):
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return None
            return os.read(fd, limit + 1)
    except OSError:
        return None


def work_folders(inbox: OpenInbox) -> Iterator[tuple[str, list[str]]]:
    """Each folder in work/ and the names in it, for recovery."""
    for drop_id in sorted(os.listdir(inbox.work_fd)):
        try:
            with opened(drop_id, FOLDER, dir_fd=inbox.work_fd) as fd:
                yield drop_id, sorted(os.listdir(fd))
        except FileNotFoundError:  # filed away since the listing: senders are at work beside the recovery
            continue
        except NotADirectoryError:
            yield "", [drop_id]
