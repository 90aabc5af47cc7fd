"""Filing away, on a real filesystem: the file under its name, then the sidecar, and neither ever replaces anything."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from doubles import opened_inbox
from hypothesis import given
from hypothesis import strategies as st

from dropd.errors import Gone, NameTaken
from dropd.spool import filing, work
from dropd.spool.mark import OpenInbox

ID = "018bcfe5-0000-7000-8000-000000ab12cd"
OTHER = "018bcfe5-0000-7000-8000-000000000009"
SIDECAR = json.dumps({"drop_id": ID})


@pytest.fixture
def inbox(tmp_path: Path) -> Iterator[OpenInbox]:
    path = tmp_path / "inbox"
    path.mkdir()
    path.chmod(0o2770)
    with opened_inbox(path) as opened:
        yield opened


def in_work(inbox: OpenInbox, name: str = "a.csv", content: str = "abc", *, companion: bool = False) -> int:
    """A file in the work folder; its inode."""
    folder = Path(inbox.path, ".dropd", "work", ID)
    folder.mkdir(mode=0o700)
    (folder / name).write_text(content)
    (folder / name).chmod(0o600)
    if companion:
        (folder / f"{name}.meta.json").write_text("{}")
    return (folder / name).stat().st_ino


def done(inbox: OpenInbox, *below: str) -> Path:
    return Path(inbox.path, "done", *below)


def place(inbox: OpenInbox, inode: int, folder: Path | None = None, name: str = "a.csv", *, companion: bool = False) -> None:
    filing.place(inbox, ID, "a.csv", str(folder or done(inbox)), name, inode=inode, companion=companion)


def private(inbox: OpenInbox) -> list[str]:
    return sorted(os.listdir(inbox.private_fd)) + sorted(os.listdir(inbox.work_fd))


# ------------------------------------------------------------------------------------------------ the file


def test_a_file_and_its_companion_are_filed_and_the_work_folder_goes(inbox: OpenInbox) -> None:
    place(inbox, in_work(inbox, companion=True), name="b.csv", companion=True)
    filing.write_sidecar(inbox, ID, str(done(inbox)), "b.csv", SIDECAR)
    assert {path.name: path.read_text() for path in done(inbox).iterdir()} == {
        "b.csv": "abc",
        "b.csv.meta.json": "{}",
        "b.csv.result.json": SIDECAR,
    }
    assert private(inbox) == ["inbox.json", "work"]


def test_placing_again_what_is_placed_does_nothing(inbox: OpenInbox) -> None:
    inode = in_work(inbox, companion=True)
    place(inbox, inode, companion=True)
    place(inbox, inode, companion=True)
    assert sorted(os.listdir(done(inbox))) == ["a.csv", "a.csv.meta.json"]


def test_a_companion_that_stayed_behind_is_brought_after(inbox: OpenInbox) -> None:
    inode = in_work(inbox, companion=True)
    place(inbox, inode)
    place(inbox, inode, companion=True)
    assert sorted(os.listdir(done(inbox))) == ["a.csv", "a.csv.meta.json"]


@pytest.mark.parametrize(
    "make", [lambda path: path.write_text("mine"), lambda path: path.mkdir(), lambda path: path.symlink_to("x")]
)
def test_a_name_that_is_in_use_is_never_replaced(inbox: OpenInbox, make: Callable[[Path], object]) -> None:
    done(inbox).mkdir()
    make(done(inbox, "a.csv"))
    with pytest.raises(NameTaken):
        place(inbox, in_work(inbox))
    assert work.in_work(inbox, ID, "a.csv") is not None


def test_a_companions_name_that_is_in_use_is_never_replaced_and_all_comes_back(inbox: OpenInbox) -> None:
    inode = in_work(inbox, companion=True)
    done(inbox).mkdir()
    done(inbox, "a.csv.meta.json").write_text("mine")
    with pytest.raises(NameTaken):
        place(inbox, inode, companion=True)
    filing.take_back(inbox, ID, "a.csv", str(done(inbox)), "a.csv", inode=inode, companion=True)
    assert {path.name: path.read_text() for path in done(inbox).iterdir()} == {"a.csv.meta.json": "mine"}
    assert list(work.work_folders(inbox)) == [(ID, ["a.csv", "a.csv.meta.json"])]


def test_a_file_that_is_nowhere_is_gone(inbox: OpenInbox) -> None:
    with pytest.raises(Gone):
        place(inbox, 7)
    done(inbox, "a.csv").write_text("another one")
    with pytest.raises(Gone):
        place(inbox, 7)


def test_people_who_share_the_inbox_can_use_what_is_filed(inbox: OpenInbox) -> None:
    if os.geteuid() == 0:
        os.chown(inbox.path, -1, 54321)
        with opened_inbox(Path(inbox.path)) as again:
            _file_and_look(again, 54321)
    else:
        _file_and_look(inbox, os.stat(inbox.path).st_gid)


def _file_and_look(inbox: OpenInbox, gid: int) -> None:
    place(inbox, in_work(inbox, companion=True), done(inbox, "acme"), companion=True)
    filing.write_sidecar(inbox, ID, str(done(inbox, "acme")), "a.csv", SIDECAR)
    for folder in (done(inbox), done(inbox, "acme")):
        about = folder.stat()
        assert (about.st_gid, stat.S_IMODE(about.st_mode)) == (gid, 0o2770)
    for file in done(inbox, "acme").iterdir():
        about = file.stat()
        assert (about.st_gid, stat.S_IMODE(about.st_mode)) == (gid, 0o660)


# ------------------------------------------------------------------------------------------------ the folder


def test_a_link_inside_the_inbox_is_not_followed(inbox: OpenInbox, tmp_path: Path) -> None:
    """Droppers can write there: a link would lead somebody's invoices anywhere."""
    (tmp_path / "elsewhere").mkdir()
    done(inbox).symlink_to(tmp_path / "elsewhere")
    inode = in_work(inbox)
    with pytest.raises(OSError):
        place(inbox, inode)
    with pytest.raises(OSError):
        filing.write_sidecar(inbox, ID, str(done(inbox)), "a.csv", SIDECAR)
    done(inbox).unlink()
    done(inbox).mkdir()
    done(inbox, "acme").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError):
        place(inbox, inode, done(inbox, "acme"))
    assert os.listdir(tmp_path / "elsewhere") == []
    assert work.in_work(inbox, ID, "a.csv") is not None


def test_a_file_in_place_of_the_folder_is_an_error_of_the_disk(inbox: OpenInbox) -> None:
    done(inbox).write_text("mine")
    with pytest.raises(NotADirectoryError):
        place(inbox, in_work(inbox))
    assert done(inbox).read_text() == "mine"


def test_done_may_lie_outside_even_behind_an_administrators_link(inbox: OpenInbox, tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "archive").symlink_to("real")
    place(inbox, in_work(inbox), tmp_path / "archive" / "2026" / "acme")
    assert (tmp_path / "real" / "2026" / "acme" / "a.csv").read_text() == "abc"
    assert stat.S_IMODE((tmp_path / "real" / "2026").stat().st_mode) == 0o2770


def test_the_first_free_name_is_free_of_sidecars_and_companions_too(inbox: OpenInbox) -> None:
    names = ["a.csv", "b.csv", "c.csv", "d.csv"]
    assert filing.free_name(inbox, str(done(inbox)), names) == "a.csv"
    done(inbox, "a.csv").touch()
    done(inbox, "b.csv.result.json").touch()
    done(inbox, "c.csv.meta.json").symlink_to("nowhere")
    assert filing.free_name(inbox, str(done(inbox)), names) == "d.csv"
    with pytest.raises(NameTaken):
        filing.free_name(inbox, str(done(inbox)), names[:3])


# ------------------------------------------------------------------------------------------------ the sidecar


def sidecar(inbox: OpenInbox) -> Path:
    return done(inbox, "a.csv.result.json")


def write(inbox: OpenInbox) -> None:
    filing.write_sidecar(inbox, ID, str(done(inbox)), "a.csv", SIDECAR)


@pytest.mark.parametrize("torn", ["", "\0" * 300, json.dumps({"drop_id": ID, "old": True})])
def test_a_sidecar_of_our_own_that_was_cut_or_is_older_is_replaced(inbox: OpenInbox, torn: str) -> None:
    done(inbox).mkdir()
    sidecar(inbox).write_text(torn)
    write(inbox)
    assert sidecar(inbox).read_text() == SIDECAR
    assert private(inbox) == ["inbox.json", "work"]


@pytest.mark.parametrize("foreign", ["mine", json.dumps({"drop_id": OTHER}), "[]", '"x"', "7"])
def test_a_foreign_file_in_place_of_the_sidecar_is_never_replaced(inbox: OpenInbox, foreign: str) -> None:
    done(inbox).mkdir()
    sidecar(inbox).write_text(foreign)
    with pytest.raises(NameTaken):
        write(inbox)
    assert sidecar(inbox).read_text() == foreign
    assert private(inbox) == ["inbox.json", "work"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_empty_sidecar_of_somebody_else_is_never_replaced(inbox: OpenInbox) -> None:
    done(inbox).mkdir()
    sidecar(inbox).touch()
    os.chown(sidecar(inbox), 65534, -1)
    with pytest.raises(NameTaken):
        write(inbox)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to("nowhere")])
def test_what_is_no_file_in_place_of_the_sidecar_is_never_replaced(inbox: OpenInbox, make: Callable[[Path], object]) -> None:
    done(inbox).mkdir()
    make(sidecar(inbox))
    mode = os.lstat(sidecar(inbox)).st_mode
    with pytest.raises(NameTaken):
        write(inbox)
    assert os.lstat(sidecar(inbox)).st_mode == mode
    filing.remove_sidecar(inbox, ID, str(done(inbox)), "a.csv")
    assert os.lstat(sidecar(inbox)).st_mode == mode


def test_a_draft_that_a_death_left_behind_is_no_hindrance(inbox: OpenInbox) -> None:
    Path(inbox.path, ".dropd", f"sidecar-{ID}").write_text("half")
    write(inbox)
    assert sidecar(inbox).read_text() == SIDECAR


def test_only_our_own_sidecar_is_taken_away(inbox: OpenInbox) -> None:
    filing.remove_sidecar(inbox, ID, str(done(inbox)), "a.csv")
    write(inbox)
    filing.remove_sidecar(inbox, OTHER, str(done(inbox)), "a.csv")
    assert sidecar(inbox).exists()
    filing.remove_sidecar(inbox, ID, str(done(inbox)), "a.csv")
    assert not sidecar(inbox).exists()


# ------------------------------------------------------------------------------------------------ back to work


def test_a_filed_file_comes_back_to_work(inbox: OpenInbox) -> None:
    inode = in_work(inbox, companion=True)
    place(inbox, inode, name="b.csv", companion=True)
    filing.write_sidecar(inbox, ID, str(done(inbox)), "b.csv", SIDECAR)
    filing.take_back(inbox, ID, "a.csv", str(done(inbox)), "b.csv", inode=inode, companion=True)
    assert list(work.work_folders(inbox)) == [(ID, ["a.csv", "a.csv.meta.json"])]
    assert os.listdir(done(inbox)) == ["b.csv.result.json"]


def test_a_neighbour_that_only_looks_like_a_companion_stays(inbox: OpenInbox) -> None:
    inode = in_work(inbox)
    place(inbox, inode)
    done(inbox, "a.csv.meta.json").write_text("somebody's notes")
    filing.take_back(inbox, ID, "a.csv", str(done(inbox)), "a.csv", inode=inode, companion=False)
    assert os.listdir(done(inbox)) == ["a.csv.meta.json"]


@pytest.mark.parametrize("there", [False, True])
def test_another_file_under_that_name_is_not_taken_back(inbox: OpenInbox, *, there: bool) -> None:
    done(inbox).mkdir()
    if there:
        done(inbox, "a.csv").write_text("another one")
    with pytest.raises(Gone):
        filing.take_back(inbox, ID, "a.csv", str(done(inbox)), "a.csv", inode=7, companion=False)
    assert list(work.work_folders(inbox)) == []
    assert os.listdir(done(inbox)) == (["a.csv"] if there else [])


@given(st.lists(st.sampled_from(["place", "sidecar", "back", "remove", "foreign file", "foreign sidecar"]), max_size=12))
def test_whatever_happens_in_any_order_nothing_is_lost_or_replaced(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str]
) -> None:
    path = tmp_path_factory.mktemp("inbox")
    with opened_inbox(path) as inbox:
        inode = in_work(inbox)
        done(inbox).mkdir()
        foreign: dict[str, str] = {}
        for step in steps:
            try:
                if step == "place":
                    place(inbox, inode)
                elif step == "sidecar":
                    write(inbox)
                elif step == "back":
                    filing.take_back(inbox, ID, "a.csv", str(done(inbox)), "a.csv", inode=inode, companion=False)
                elif step == "remove":
                    filing.remove_sidecar(inbox, ID, str(done(inbox)), "a.csv")
                else:
                    name = "a.csv" if step == "foreign file" else "a.csv.result.json"
                    with (done(inbox) / name).open("x") as file:
                        file.write("mine")
                    foreign[name] = "mine"
            except (NameTaken, Gone, FileExistsError):
                pass
        ours = [p for p in path.rglob("*") if p.is_file() and p.stat().st_ino == inode]
        assert [p.read_text() for p in ours] == ["abc"]
        assert {name: done(inbox, name).read_text() for name in foreign} == foreign
