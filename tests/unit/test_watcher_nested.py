"""Folders made one inside the other, as `mkdir -p` and a copied tree make them, do not end the watching; nor does a link to the inbox."""

from __future__ import annotations

import threading
from pathlib import Path

from dropd.intake.watcher import Watcher


def test_a_tree_that_appears_at_once_is_watched_to_its_leaves_and_warns_of_nothing(tmp_path: Path) -> None:
    """watchdog warns when it meets a new folder twice; as an error that ended its thread, and as a warning it filled the terminal."""
    looks = threading.Semaphore(0)
    watcher = Watcher(lambda: None)
    watcher.start()
    try:
        assert watcher.watch(str(tmp_path), recursive=True, keep_out=(), look_again=looks.release) is None
        for number in range(40):
            (tmp_path / str(number) / "b" / "c").mkdir(parents=True)
        while looks.acquire(timeout=0.5):  # until the folders' own events have come
            pass
        (tmp_path / "39" / "b" / "c" / "x.csv").touch()
        assert looks.acquire(timeout=20)
    finally:
        watcher.stop()


def test_an_inbox_that_is_a_link_to_a_folder_is_watched(tmp_path: Path) -> None:
    looks = threading.Semaphore(0)
    folder, link = tmp_path / "folder", tmp_path / "link"
    (folder / "done").mkdir(parents=True)
    link.symlink_to(folder)
    watcher = Watcher(lambda: None)
    watcher.start()
    try:
        assert watcher.watch(str(link), recursive=True, keep_out=("done",), look_again=looks.release) is None
        (folder / "done" / "x.csv").touch()
        assert not looks.acquire(timeout=0.5), "what dropd files raised a look"
        (folder / "x.csv").touch()
        assert looks.acquire(timeout=20)
        watcher.unwatch(str(link))
    finally:
        watcher.stop()
