"""One daemon per state folder, by a lock that dies with its process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from dropd.commands.reading import open_ledger
from dropd.config import Config
from dropd.errors import LedgerError, Locked
from dropd.lock import held, is_held, make_state_dir

HOLD = """
import sys, time
from pathlib import Path
from dropd.lock import held
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_is_refused_and_told_of_the_first(tmp_path: Path) -> None:
    with held(tmp_path), pytest.raises(Locked, match=rf"process {os.getpid()}, since 2"), held(tmp_path):
        pytest.fail("both hold it")
    with held(tmp_path):
        pass


def test_is_held_tells_and_takes_nothing(tmp_path: Path) -> None:
    assert not is_held(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with held(tmp_path):
        assert is_held(tmp_path)
    assert not is_held(tmp_path)


def test_a_killed_holder_leaves_it_free(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        assert is_held(tmp_path)
        with pytest.raises(Locked, match=f"process {process.pid}"), held(tmp_path):
            pytest.fail("both hold it")
        process.send_signal(signal.SIGKILL)
        process.wait(30)
    with held(tmp_path):
        assert is_held(tmp_path)


def test_asking_whether_it_is_held_never_keeps_a_daemon_from_starting(tmp_path: Path) -> None:
    """`dropd status` at the wrong instant made a starting daemon think that it was the second."""
    (tmp_path / "lock").touch()
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            is_held(tmp_path)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for _ in range(50):
            with held(tmp_path):
                pass
    finally:
        stop.set()
        asking.join()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"7", b"{}", b"\xff"])
def test_a_lock_file_that_says_nothing_of_use(tmp_path: Path, content: bytes) -> None:
    with held(tmp_path):
        (tmp_path / "lock").write_bytes(content)
        with pytest.raises(Locked, match="a process that is just starting"), held(tmp_path):
            pytest.fail("both hold it")


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("mine")
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError), held(tmp_path):
        pytest.fail("followed")
    assert (tmp_path / "elsewhere").read_text() == "mine"


def test_the_state_folder_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "state"
    make_state_dir(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o755)
    make_state_dir(folder)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_state_folder_that_cannot_be_made_is_told_with_advice(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LedgerError, match="make it, owned by dropd's user"):
        make_state_dir(tmp_path / "file" / "state")


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes somebody else here")
def test_somebody_else_is_told_whose_state_folder_it_is() -> None:
    with tempfile.TemporaryDirectory() as root:  # pytest's own folders are closed to others
        os.chmod(root, 0o755)
        state = Path(root, "state")
        make_state_dir(state)
        (state / "lock").touch(0o600)
        (state / "ledger.db").touch(0o600)
        config = Config(Path(root, "config.yaml"), state, "en", None, {}, ())  # type: ignore[arg-type]
        os.seteuid(65534)
        try:
            for ask in (lambda: is_held(state), lambda: held(state).__enter__(), lambda: open_ledger(config)):
                with pytest.raises(LedgerError, match=r"the state folder .*/state is not open to you; run this as root$"):
                    ask()
        finally:
            os.seteuid(0)
