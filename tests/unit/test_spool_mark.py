"""An inbox and its mark, on a real filesystem: first use, the folder that is another, and what somebody put in the way."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from dropd.errors import InboxTrouble
from dropd.spool.mark import open_inbox
from dropd.spool.places import Places

LEDGER = "4f1a7c1e-0000-4000-8000-00000000000a"
ADOPT = "run: dropd init --adopt invoices"


def used(path: Path, known_id: str | None = None, *, ledger_id: str = LEDGER, adopt: bool = False) -> str:
    with open_inbox(str(path), route="invoices", ledger_id=ledger_id, known_id=known_id, adopt=adopt) as inbox:
        assert os.listdir(inbox.work_fd) == os.listdir(path / ".dropd" / "work")
        return inbox.inbox_id


def trouble(path: Path, known_id: str | None = None, *, ledger_id: str = LEDGER) -> str:
    before = sorted(path.rglob("*")) if path.is_dir() else []
    with pytest.raises(InboxTrouble) as caught:
        used(path, known_id, ledger_id=ledger_id)
    assert (sorted(path.rglob("*")) if path.is_dir() else []) == before  # nothing is made where something is wrong
    return caught.value.reason


def mark_of(path: Path) -> Path:
    return path / ".dropd" / "inbox.json"


def test_first_use_makes_a_private_folder_and_the_mark(tmp_path: Path) -> None:
    inbox_id = used(tmp_path)
    assert json.loads(mark_of(tmp_path).read_text()) == {"inbox_id": inbox_id, "ledger_id": LEDGER}
    for folder in (".dropd", ".dropd/work"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o700
    assert sorted(os.listdir(tmp_path / ".dropd")) == ["inbox.json", "work"]
    assert used(tmp_path) == used(tmp_path, inbox_id) == inbox_id


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    used(tmp_path)
    before = len(os.listdir("/proc/self/fd"))
    used(tmp_path)
    mark_of(tmp_path).write_text("{")
    trouble(tmp_path, "some-id")
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_missing_inbox_is_never_made(tmp_path: Path) -> None:
    """An unmounted share looks so."""
    assert "it may be a share that is not mounted" in trouble(tmp_path / "gone")
    assert "it may be a share that is not mounted" in trouble(tmp_path / "gone", "known-id")
    assert not (tmp_path / "gone").exists()


def test_an_empty_folder_in_place_of_the_known_one_is_not_it(tmp_path: Path) -> None:
    reason = trouble(tmp_path, "known-id")
    assert "an unmounted share" in reason and ADOPT in reason


@pytest.mark.parametrize(
    ("mark", "known", "says"),
    [
        (None, True, "is gone"),
        ({"inbox_id": "another", "ledger_id": LEDGER}, True, "another inbox's mark"),
        ({"inbox_id": "this", "ledger_id": "another"}, True, "belongs to another ledger"),
        ({"inbox_id": "this", "ledger_id": "another"}, False, "belongs to another ledger"),
        ("", True, "cannot be read"),
        ("", False, "cannot be read"),
        ("{", False, "cannot be read"),
        ("[]", False, "cannot be read"),
        ("7", True, "cannot be read"),
        ({"inbox_id": 7, "ledger_id": LEDGER}, False, "cannot be read"),
        ({"ledger_id": LEDGER}, True, "cannot be read"),
    ],
)
def test_a_mark_that_is_missing_broken_or_anothers_needs_a_persons_word(
    tmp_path: Path, mark: dict[str, object] | str | None, says: str, *, known: bool
) -> None:
    used(tmp_path)
    if mark is None:
        mark_of(tmp_path).unlink()
    else:
        mark_of(tmp_path).write_text(mark if isinstance(mark, str) else json.dumps(mark))
    reason = trouble(tmp_path, "this" if known else None)
    assert says in reason and ADOPT in reason


def test_a_lost_mark_with_files_in_work_needs_a_persons_word_even_on_first_use(tmp_path: Path) -> None:
    used(tmp_path)
    (tmp_path / ".dropd" / "work" / "some-drop").mkdir()
    mark_of(tmp_path).unlink()
    assert ADOPT in trouble(tmp_path)


@pytest.mark.parametrize("mark", ["", "{", json.dumps({"inbox_id": "x", "ledger_id": "another"}), None])
def test_a_persons_word_gives_a_new_mark(tmp_path: Path, mark: str | None) -> None:
    first = used(tmp_path)
    mark_of(tmp_path).write_text(mark) if mark is not None else mark_of(tmp_path).unlink()
    second = used(tmp_path, adopt=True)
    assert second != first
    assert used(tmp_path, second) == second
    assert sorted(os.listdir(tmp_path / ".dropd")) == ["inbox.json", "work"]


@pytest.mark.parametrize("known", [None, "known-id"])
def test_a_file_or_link_named_dropd_is_refused(tmp_path: Path, known: str | None) -> None:
    """Anybody who may write in the inbox could lead dropd's files elsewhere."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for number, make in enumerate((lambda path: path.symlink_to(elsewhere), lambda path: path.write_text("x"), os.mkfifo)):
        inbox = tmp_path / f"inbox-{number}"
        inbox.mkdir()
        make(inbox / ".dropd")
        assert "somebody put it there" in trouble(inbox, known)
    assert os.listdir(elsewhere) == []


def test_a_link_in_place_of_the_work_folder_is_refused(tmp_path: Path) -> None:
    used(tmp_path)
    (tmp_path / ".dropd" / "work").rmdir()
    (tmp_path / ".dropd" / "work").symlink_to(tmp_path)
    assert "a file or a link" in trouble(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_private_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    used(tmp_path)
    os.chown(tmp_path / ".dropd", 65534, -1)
    assert "belongs to somebody else (uid 65534)" in trouble(tmp_path)


def test_a_private_folder_that_others_can_read_is_closed(tmp_path: Path) -> None:
    used(tmp_path)
    (tmp_path / ".dropd").chmod(0o755)
    used(tmp_path)
    assert stat.S_IMODE((tmp_path / ".dropd").stat().st_mode) == 0o700


@pytest.mark.parametrize("what", ["file", "link-to-file"])
def test_an_inbox_that_is_no_folder(tmp_path: Path, what: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link-to-file").symlink_to("file")
    with pytest.raises(InboxTrouble, match="there is a file or a link where a folder should be"):
        used(tmp_path / what)


def test_an_inbox_may_itself_be_reached_by_a_link(tmp_path: Path) -> None:
    """The administrator chose its path."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert used(tmp_path / "link") == used(tmp_path / "real")


def test_places_remember_the_mark_of_each_inbox(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.mkdir()
    other.mkdir()
    mark = used(one)
    places = Places(LEDGER, {"invoices": (str(one), mark)})
    with places.open("invoices", str(one)) as inbox:
        assert inbox.inbox_id == mark
    assert places.mark_of("invoices", str(other)) is None  # another inbox of this route: its first use
    mark_of(one).unlink()
    with pytest.raises(InboxTrouble), places.open("invoices", str(one)):
        pytest.fail("opened")
    with places.open("invoices", str(other)) as inbox:
        places.remember("invoices", str(other), inbox.inbox_id)
        assert places.mark_of("invoices", str(other)) == inbox.inbox_id


def test_two_inboxes_never_share_a_mark(tmp_path: Path) -> None:
    """A copy of an inbox, or the same folder by two paths: else whichever route looked first would decide where a file goes."""
    one, copy = tmp_path / "one", tmp_path / "copy"
    one.mkdir()
    mark = used(one)
    places = Places(LEDGER, {})
    places.remember("invoices", str(one), mark)
    places.remember("invoices", str(one), mark)
    with pytest.raises(InboxTrouble, match=f"it is the same folder as {one}, or a copy of it .* run: dropd init --adopt other"):
        places.remember("other", str(copy), mark)
