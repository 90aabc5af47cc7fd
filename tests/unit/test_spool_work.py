"""Taking a file into work/ and giving it back, on a real filesystem: nothing is ever replaced, and only the file that was seen is taken."""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles import opened_inbox

from dropd import fsys
from dropd.errors import Gone, StillWritten
from dropd.model import Stamp
from dropd.spool import work
from dropd.spool.mark import OpenInbox

ID = "018bcfe5-0000-7000-8000-000000ab12cd"
ODD = os.fsdecode(b"fakt\xe5ra.csv")


class OldKernel:
    """A libc on a filesystem that does not know RENAME_NOREPLACE: NFS, sshfs."""

    def __init__(self, code: int) -> None:
        self._code = code

    def renameat2(self, *_: object) -> int:
        ctypes.set_errno(self._code)
        return -1


@pytest.fixture(params=["renameat2", "EINVAL", "ENOSYS"])
def inbox(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenInbox]:
    with opened_inbox(tmp_path) as opened:
        if request.param != "renameat2":
            monkeypatch.setattr(fsys, "_libc", OldKernel(getattr(errno, request.param)))
        yield opened


def put(inbox: OpenInbox, name: str = "a.csv", content: str = "abc", folder: str = "") -> Stamp:
    path = Path(inbox.path, folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return Stamp.of(path.stat())


def files(inbox: OpenInbox) -> dict[str, str]:
    paths = (path for path in Path(inbox.path).rglob("*") if path.is_file() and path.name != "inbox.json")
    return {
        str(path.relative_to(inbox.path)).replace(".dropd/work", "work").replace(ID, "ID"): path.read_text() for path in paths
    }


def take(inbox: OpenInbox, stamp: Stamp, name: str = "a.csv", folder: str = "", *, companion: bool = False) -> None:
    work.take(inbox, ID, folder, name, stamp, companion=companion)


@pytest.mark.parametrize(("folder", "name"), [("", "a.csv"), ("acme/2026", "a.csv"), (ODD, ODD)])
def test_a_file_goes_to_work_and_back(inbox: OpenInbox, folder: str, name: str) -> None:
    stamp = put(inbox, name, folder=folder)
    take(inbox, stamp, name, folder)
    work.make_durable(inbox, ID, folder, name)
    assert files(inbox) == {f"work/ID/{name}": "abc"}
    assert Stamp.of(work.in_work(inbox, ID, name) or os.stat("/")) == stamp
    assert work.in_inbox(inbox, folder, name) is None
    with work.open_drop(inbox, ID, name) as reader:
        assert reader.read() == b"abc"
    assert list(work.work_folders(inbox)) == [(ID, [name])]
    assert work.give_back(inbox, ID, folder, name, companion=False) == name
    assert files(inbox) == {os.path.join(folder, name): "abc"}
    assert list(work.work_folders(inbox)) == []
    assert work.in_inbox(inbox, folder, name) is not None


def test_a_work_folder_that_a_sender_empties_meanwhile_is_passed_over(inbox: OpenInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """Senders are at work while an inbox becomes usable: it is not red for that."""
    monkeypatch.setattr(os, "listdir", lambda _: ["018bcfe5-6800-7000-8000-000000000009"])
    assert list(work.work_folders(inbox)) == []


def test_a_companion_goes_along_both_ways(inbox: OpenInbox) -> None:
    stamp = put(inbox)
    put(inbox, "a.csv.meta.json", "{}")
    take(inbox, stamp, companion=True)
    assert files(inbox) == {"work/ID/a.csv": "abc", "work/ID/a.csv.meta.json": "{}"}
    assert work.read_companion(inbox, ID, "a.csv", 1) == b"{}"
    assert work.read_companion(inbox, ID, "b.csv", 1) is None
    put(inbox, content="another one came meanwhile")
    given = work.give_back(inbox, ID, "", "a.csv", companion=True)
    assert given == "a returned ab12cd.csv"
    assert files(inbox) == {"a.csv": "another one came meanwhile", given: "abc", given + ".meta.json": "{}"}


def test_a_companion_that_went_away_is_found_missing_later(inbox: OpenInbox) -> None:
    take(inbox, put(inbox), companion=True)
    assert files(inbox) == {"work/ID/a.csv": "abc"}


def test_a_companion_whose_folder_went_away_holds_nothing_up(inbox: OpenInbox) -> None:
    take(inbox, put(inbox, folder="acme"), folder="acme")
    Path(inbox.path, "acme").rmdir()
    work.take_companion(inbox, ID, "acme", "a.csv")
    work.finish_take(inbox, ID, "acme", "a.csv", companion=True)
    assert files(inbox) == {"work/ID/a.csv": "abc"}


def test_giving_back_makes_the_sub_folder_again(inbox: OpenInbox) -> None:
    take(inbox, put(inbox, folder="acme"), folder="acme")
    Path(inbox.path, "acme").rmdir()
    work.give_back(inbox, ID, "acme", "a.csv", companion=False)
    assert files(inbox) == {"acme/a.csv": "abc"}


# ------------------------------------------------------------------------------------------------ what is not taken


@pytest.mark.parametrize("change", ["content", "replaced", "touched"])
def test_a_file_that_changed_since_it_was_seen_stays(inbox: OpenInbox, change: str) -> None:
    stamp = put(inbox)
    path = Path(inbox.path, "a.csv")
    if change == "content":
        path.write_text("abcd")
    elif change == "replaced":
        Path(inbox.path, "b").write_text("xyz")
        os.replace(Path(inbox.path, "b"), path)
    else:
        os.utime(path, ns=(0, stamp.mtime_ns + 1))
    with pytest.raises(StillWritten):
        take(inbox, stamp)
    assert list(files(inbox)) == ["a.csv"]
    assert list(work.work_folders(inbox)) == []


def test_a_file_that_is_gone_is_not_taken(inbox: OpenInbox) -> None:
    stamp = put(inbox)
    os.unlink(Path(inbox.path, "a.csv"))
    with pytest.raises(Gone):
        take(inbox, stamp)
    assert list(work.work_folders(inbox)) == []


@pytest.mark.parametrize("what", ["link", "fifo", "folder", "second name"])
def test_what_is_no_plain_file_any_more_is_not_taken(inbox: OpenInbox, tmp_path: Path, what: str) -> None:
    stamp = put(inbox)
    path = Path(inbox.path, "a.csv")
    secret = tmp_path.with_name(tmp_path.name + "-secret")
    os.rename(path, secret)
    if what == "link":
        path.symlink_to(secret)
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "folder":
        path.mkdir()
    else:
        os.link(secret, path)
    with pytest.raises(Gone):
        take(inbox, stamp)
    assert os.path.lexists(path) and secret.read_text() == "abc"
    assert list(work.work_folders(inbox)) == []


def test_a_link_among_the_folders_is_not_followed(inbox: OpenInbox, tmp_path: Path) -> None:
    outside = tmp_path.with_name(tmp_path.name + "-outside")
    outside.mkdir()
    (outside / "a.csv").write_text("abc")
    Path(inbox.path, "acme").symlink_to(outside)
    with pytest.raises(Gone):
        take(inbox, Stamp.of((outside / "a.csv").stat()), folder="acme")
    for folder in ("..", "acme/..", "."):
        with pytest.raises(Gone):
            take(inbox, Stamp(1, 1, 1), folder=folder)


def test_somebody_who_writes_at_the_instant_of_the_take_is_noticed(inbox: OpenInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = put(inbox)
    rename = work.rename_noreplace

    def written_meanwhile(source: str, source_fd: int, target: str, target_fd: int) -> None:
        if target_fd != inbox.fd:
            Path(inbox.path, "a.csv").write_text("abc and more")
        rename(source, source_fd, target, target_fd)

    monkeypatch.setattr(work, "rename_noreplace", written_meanwhile)
    with pytest.raises(StillWritten):
        take(inbox, stamp)
    assert files(inbox)["a.csv"].startswith("abc and more")
    assert list(work.work_folders(inbox)) == []


def test_a_take_that_the_disk_refuses_leaves_all_as_it_was(inbox: OpenInbox, monkeypatch: pytest.MonkeyPatch) -> None:
    stamp = put(inbox)

    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(work, "rename_noreplace", no_room)
    with pytest.raises(OSError, match="No space left"):
        take(inbox, stamp)
    assert files(inbox) == {"a.csv": "abc"}
    assert list(work.work_folders(inbox)) == []


# ------------------------------------------------------------------------------------------------ reading


def test_a_file_that_is_gone_from_work_is_gone_and_a_failing_disk_is_not_the_same(
    inbox: OpenInbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is out of descriptors for a moment must not end a drop as missing."""
    with pytest.raises(Gone):
        work.open_drop(inbox, ID, "a.csv")
    take(inbox, put(inbox))
    with pytest.raises(Gone):
        work.open_drop(inbox, ID, "b.csv")
    real = os.open

    def out_of_descriptors(path: str, *rest: int, **more: int) -> int:
        if path == "a.csv":
            raise OSError(errno.EMFILE, "Too many open files")
        return real(path, *rest, **more)

    monkeypatch.setattr(work.os, "open", out_of_descriptors)
    with pytest.raises(OSError, match="Too many open files"):
        work.open_drop(inbox, ID, "a.csv")


def test_the_hash_is_of_the_whole_content(inbox: OpenInbox) -> None:
    take(inbox, put(inbox, content="x" * (2 * 1024 * 1024 + 7)))
    with work.open_drop(inbox, ID, "a.csv") as reader:
        assert work.sha256_of(reader) == hashlib.sha256(b"x" * (2 * 1024 * 1024 + 7)).hexdigest()


def test_a_stray_file_in_the_work_folder_is_seen_by_recovery(inbox: OpenInbox) -> None:
    Path(inbox.path, ".dropd", "work", "stray").touch()
    assert list(work.work_folders(inbox)) == [("", ["stray"])]


def test_the_owner_is_a_name_or_a_number() -> None:
    assert work.owner_name_of(0) == "root"
    assert work.owner_name_of(3_999_999_999) == "3999999999"


# ------------------------------------------------------------------------------------------------ renames that never replace


def _rename(folder: Path, source: str, target: str) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fsys.rename_noreplace(source, fd, target, fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("code", [None, errno.EINVAL, errno.ENOSYS])
def test_a_rename_never_replaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None) -> None:
    if code is not None:
        monkeypatch.setattr(fsys, "_libc", OldKernel(code))
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError):
        _rename(tmp_path, "a", "b")
    assert [(tmp_path / name).read_text() for name in "ab"] == ["a", "b"]
    with pytest.raises(FileNotFoundError):
        _rename(tmp_path, "missing", "c")
    _rename(tmp_path, "a", "c")
    assert sorted(os.listdir(tmp_path)) == ["b", "c"]
    assert (tmp_path / "c").stat().st_nlink == 1


@pytest.mark.parametrize("code", [None, errno.EINVAL])
def test_a_death_between_link_and_unlink_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    """Otherwise its own first half would look like a foreign file, and a second copy be filed beside it."""
    if code is not None:
        monkeypatch.setattr(fsys, "_libc", OldKernel(code))
    (tmp_path / "a").write_text("a")
    os.link(tmp_path / "a", tmp_path / "b")
    _rename(tmp_path, "a", "b")
    assert os.listdir(tmp_path) == ["b"]
    assert (tmp_path / "b").stat().st_nlink == 1


def test_a_take_that_died_between_link_and_unlink_is_finished(inbox: OpenInbox) -> None:
    put(inbox)
    folder = Path(inbox.path, ".dropd", "work", ID)
    folder.mkdir()
    os.link(Path(inbox.path, "a.csv"), folder / "a.csv")
    put(inbox, "a.csv.meta.json", "{}")
    work.finish_take(inbox, ID, "", "a.csv", companion=True)
    assert files(inbox) == {"work/ID/a.csv": "abc", "work/ID/a.csv.meta.json": "{}"}
    put(inbox, content="a new one")
    work.finish_take(inbox, ID, "", "a.csv", companion=False)
    assert files(inbox)["a.csv"] == "a new one"


def test_an_error_that_is_no_matter_of_flags_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsys, "_libc", OldKernel(errno.EROFS))
    (tmp_path / "a").touch()
    with pytest.raises(OSError, match="Read-only"):
        _rename(tmp_path, "a", "b")


@pytest.mark.skipif(os.geteuid() != 0, reason="root becomes somebody else here")
@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (0o2770, None),
        (0o2755, "dropd has no right to move it out of its folder"),
        (0o1777, "dropd has no right to move it out of its folder"),
    ],
)
def test_a_folder_that_does_not_let_go_of_a_file_is_told_before_the_take(mode: int, reason: str | None) -> None:
    """As people make sub-folders with an ordinary umask; a take that had to fail would leave a row in the ledger at every try."""
    with tempfile.TemporaryDirectory() as root:  # pytest's own folders are closed to others
        folder = Path(root, "acc-1")
        folder.mkdir()
        Path(folder, "a.csv").write_text("abc")
        os.chmod(root, 0o777)
        os.chown(folder, 0, 65534)
        os.chmod(folder, mode)
        groups = os.getgroups()
        os.setgroups([])
        os.setegid(65534)
        os.seteuid(65534)
        try:
            with opened_inbox(Path(root)) as inbox:
                assert work.obstacle(inbox, "acc-1", "a.csv") == reason
        finally:
            os.seteuid(0)
            os.setegid(0)
            os.setgroups(groups)
