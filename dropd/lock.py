"""One `dropd run` per state folder: a lock that the kernel drops with the process, however it ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import time
from collections.abc import Iterator
from pathlib import Path

from dropd.errors import LedgerError, Locked


def make_state_dir(path: Path) -> None:
    """Made if missing, 0700. Raises LedgerError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
    except OSError as error:
        raise LedgerError(f"the state folder {path} cannot be used ({error.strerror}); make it, owned by dropd's user") from None


@contextlib.contextmanager
def held(state_dir: Path) -> Iterator[None]:
    """Hold the lock. Raises Locked, naming the process that has it, and LedgerError."""
    fd = _open(state_dir, os.O_CREAT)
    try:
        if not _locked(fd):
            raise Locked(f"another dropd runs with the state folder {state_dir}: {_holder(fd)}")
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "since": time.strftime("%Y-%m-%d %H:%M:%S")}).encode(), 0)
        yield
    finally:
        os.close(fd)


def closed(state_dir: Path) -> str:
    """What to do as somebody who is not dropd's user."""
    try:
        owner = pwd.getpwuid(state_dir.stat().st_uid).pw_name
    except (OSError, KeyError):
        owner = "dropd's user"
    return f"the state folder {state_dir} is not open to you; run this as {owner}"


def _open(state_dir: Path, flags: int = 0) -> int:
    try:
        return os.open(state_dir / "lock", os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | flags, 0o600)
    except PermissionError:
        raise LedgerError(closed(state_dir)) from None


def _locked(fd: int) -> bool:
    """Whether the lock is ours now. `is_held` takes it for an instant, so that one refusal proves nothing."""
    for pause in (0.02, 0.1, 0.2, None):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if pause is not None:
                time.sleep(pause)
        else:
            return True
    return False


def is_held(state_dir: Path) -> bool:
    """Whether a daemon runs on this state folder now. Raises LedgerError where this user may not know."""
    try:
        fd = _open(state_dir)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _holder(fd: int) -> str:
    try:
        about = json.loads(os.pread(fd, 200, 0))
        return f"process {about['pid']}, since {about['since']}"
    except (ValueError, KeyError, TypeError):
        return "a process that is just starting"
