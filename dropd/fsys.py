"""A few calls on folders by descriptor that Python does not offer as dropd needs them. Linux."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
from collections.abc import Iterable, Iterator

_RENAME_NOREPLACE = 1
_libc = ctypes.CDLL(None, use_errno=True)

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO, or a file under somebody's lease, must not hang
LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@contextlib.contextmanager
def opened(path: str | bytes, flags: int, mode: int = 0o600, dir_fd: int | None = None) -> Iterator[int]:
    """A descriptor that is closed at the end."""
    fd = os.open(path, flags, mode, dir_fd=dir_fd)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def folder_below(fd: int, parts: Iterable[str], *, like: os.stat_result | None = None) -> Iterator[int]:
    """The folder that is reached from `fd` by names alone, never through a symlink.

    `like`: missing folders are made, with the group and permissions of this one. Raises OSError.
    """
    current = os.dup(fd)
    try:
        for part in parts:
            if part in ("", ".", ".."):
                raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), part)
            if like is not None:
                make_folder(part, current, like)
            below = os.open(part, FOLDER, dir_fd=current)
            os.close(current)
            current = below
        yield current
    finally:
        os.close(current)


def make_folder(name: str, dir_fd: int, like: os.stat_result) -> None:
    """Make it if it is missing, usable by the people who can use `like`."""
    try:
        os.mkdir(name, 0o700, dir_fd=dir_fd)
    except FileExistsError:
        return
    with opened(name, FOLDER, dir_fd=dir_fd) as fd:
        share_with(fd, like, folder=True)
    os.fsync(dir_fd)


def share_with(fd: int, like: os.stat_result, *, folder: bool = False) -> None:
    """Give group and permissions as far as the rights and the file system allow: some people's files are not ours to change."""
    mode = stat.S_IMODE(like.st_mode)
    with contextlib.suppress(OSError):
        if os.fstat(fd).st_gid != like.st_gid:
            os.fchown(fd, -1, like.st_gid)
    with contextlib.suppress(OSError):
        os.fchmod(fd, mode & 0o2777 if folder else mode & 0o666)


def rename_noreplace(source: str, source_fd: int, target: str, target_fd: int) -> None:
    """Rename, and refuse with FileExistsError where the target exists.

    NFS and sshfs do not know RENAME_NOREPLACE (EINVAL): there link and unlink do the same in two steps. Where an earlier try died between
    them, source and target are one file, and the second step is made up for.
    """
    try:
        _rename_or_link(source, source_fd, target, target_fd)
    except FileExistsError:
        there, here = lstat_at(target, target_fd), lstat_at(source, source_fd)
        if there is None or here is None or (there.st_ino, there.st_dev) != (here.st_ino, here.st_dev):
            raise
        os.unlink(source, dir_fd=source_fd)


def _rename_or_link(source: str, source_fd: int, target: str, target_fd: int) -> None:
    result = _libc.renameat2(source_fd, os.fsencode(source), target_fd, os.fsencode(target), _RENAME_NOREPLACE)
    if result == 0:
        return
    code = ctypes.get_errno()
    if code not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(code, os.strerror(code), target)
    os.link(source, target, src_dir_fd=source_fd, dst_dir_fd=target_fd, follow_symlinks=False)
    os.unlink(source, dir_fd=source_fd)


def lstat_at(name: str, dir_fd: int) -> os.stat_result | None:
    """None where there is nothing of that name."""
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def write_whole(name: str, data: bytes, dir_fd: int, *, like: os.stat_result | None = None) -> None:
    """A new file with this content, on the disk when the call returns. What stood under the name is replaced."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name, dir_fd=dir_fd)
    with opened(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=dir_fd) as fd:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]
        if like is not None:
            share_with(fd, like)
        os.fsync(fd)
