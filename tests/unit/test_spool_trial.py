"""The trial at the start: whether a file can go from an inbox to done and failed by one rename, and how a person is told if not."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from doubles import opened_inbox, route

from dropd.checks import check_folders
from dropd.spool import filing, work
from dropd.spool.mark import OpenInbox

ID = "018bcfe5-0000-7000-8000-000000ab12cd"


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[OpenInbox]:
    path = tmp_path / "inbox"
    path.mkdir()
    with opened_inbox(path) as opened:
        yield opened


def done(inbox: OpenInbox, *below: str) -> Path:
    return Path(inbox.path, "done", *below)


def told(inbox: Path, **folders: Any) -> list[str]:
    config: Any = SimpleNamespace(
        file="c.yaml", routes=[route(inbox, line=7, **{key: str(path) for key, path in folders.items()})]
    )
    return [str(problem) for problem in check_folders(config)]


def test_a_trial_leaves_nothing_behind(inbox: OpenInbox, tmp_path: Path) -> None:
    for folder in (done(inbox), done(inbox, "2026"), tmp_path / "archive" / "2026"):
        assert filing.trial(inbox.path, str(folder)) is None
    done(inbox).mkdir()
    assert filing.trial(inbox.path, str(done(inbox))) is None
    assert sorted(os.listdir(inbox.path)) == [".dropd", "done"]
    assert os.listdir(done(inbox)) == []
    assert sorted(os.listdir(tmp_path)) == ["inbox"]


def test_a_missing_inbox_proves_nothing(tmp_path: Path) -> None:
    assert filing.trial(str(tmp_path / "gone"), str(tmp_path / "gone" / "done")) is None
    assert os.listdir(tmp_path) == []


def test_a_link_that_filing_would_refuse_is_told_at_start(inbox: OpenInbox, tmp_path: Path) -> None:
    done(inbox).symlink_to(tmp_path)
    error = filing.trial(inbox.path, str(done(inbox)))
    assert error is not None and error.errno in (errno.ENOTDIR, errno.ELOOP)
    assert sorted(os.listdir(inbox.path)) == [".dropd", "done"]


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes somebody else here")
def test_a_folder_that_cannot_even_be_looked_at_is_told_at_start(inbox: OpenInbox, tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    os.seteuid(65534)
    try:
        error = filing.trial("/tmp", str(closed / "done"))
    finally:
        os.seteuid(0)
    assert error is not None and error.errno == errno.EACCES


def test_a_folder_on_another_filesystem_is_told_at_start(inbox: OpenInbox, other_filesystem: Path) -> None:
    error = filing.trial(inbox.path, str(other_filesystem / "done"))
    assert error is not None and error.errno == errno.EXDEV
    assert os.listdir(other_filesystem) == [] and os.listdir(inbox.path) == [".dropd"]


def test_filing_to_another_filesystem_leaves_the_file_in_work(inbox: OpenInbox, other_filesystem: Path) -> None:
    folder = Path(inbox.path, ".dropd", "work", ID)
    folder.mkdir()
    (folder / "a.csv").write_text("abc")
    with pytest.raises(OSError) as caught:
        filing.place(inbox, ID, "a.csv", str(other_filesystem), "a.csv", inode=7, companion=False)
    assert caught.value.errno == errno.EXDEV
    assert work.in_work(inbox, ID, "a.csv") is not None and os.listdir(other_filesystem) == []


def test_what_is_wrong_with_a_folder_is_told_with_advice(inbox: OpenInbox, tmp_path: Path, other_filesystem: Path) -> None:
    (tmp_path / "file").touch()
    done(inbox).symlink_to(tmp_path)
    problems = told(Path(inbox.path), failed=other_filesystem / "{yyyy}")
    assert problems == [
        (
            f"c.yaml:7: routes[invoices].done: {inbox.path}/done leads over a file or a link, and inside the inbox {inbox.path} only real "
            "folders are used; remove it, or write the folder that is meant as done"
        ),
        (
            f"c.yaml:7: routes[invoices].failed: {other_filesystem} is on another filesystem or mount than the inbox {inbox.path}; choose a "
            "folder on the same one, so that a file can be moved there whole"
        ),
    ]


def test_a_missing_inbox_is_no_problem_of_the_configuration(tmp_path: Path) -> None:
    assert told(tmp_path / "gone") == []


def test_what_a_dead_trial_left_is_swept_away_and_a_living_ones_is_not(tmp_path: Path) -> None:
    done = tmp_path / "done"
    done.mkdir()
    for folder, name in (
        (tmp_path, ".dropd-trial-99999999"),
        (done, ".dropd-trial-99999999-there"),
        (done, ".dropd-trial-1-there"),
    ):
        (folder / name).touch()
    assert filing.trial(str(tmp_path), str(done)) is None
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".dropd-trial-1-there", "done"]


def test_two_routes_whose_inboxes_are_one_folder_by_a_link_are_told_at_start(inbox: OpenInbox, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(inbox.path)
    routes = [route(Path(inbox.path), line=7), route(tmp_path / "gone", name="gone", line=8), route(link, name="other", line=9)]
    config: Any = SimpleNamespace(file="c.yaml", routes=routes)
    (problem,) = check_folders(config)
    assert str(problem) == (
        f"c.yaml:9: routes[other].inbox: {link} is the same folder as {inbox.path}, the inbox of invoices, line 7; "
        "give each route an inbox of its own"
    )
