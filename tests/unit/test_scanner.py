"""One look at real folders: which files are drops, which are left alone and said so, and where it does not look."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from dropd.intake.scanner import DEEPEST, Look, LookRules, Seen, look
from dropd.model import Stamp


def rules(**more: Any) -> LookRules:
    fields = {"match": ("*",), "ignore": (), "levels": 0, "keep_out": frozenset({"done", "failed"}), "companions": False}
    return LookRules(**{**fields, **more})


def looked(inbox: Path, **more: Any) -> Look:
    fd = os.open(inbox, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return look(fd, rules(**more))
    finally:
        os.close(fd)


def names(found: Look) -> list[str]:
    return sorted(f"{seen.folder}/{seen.name}".lstrip("/") for seen in found.files)


def put(path: Path, content: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def test_a_plain_file_is_a_drop_with_its_stamp_and_owner(tmp_path: Path) -> None:
    path = put(tmp_path / "a.csv", "abc")
    about = path.stat()
    assert looked(tmp_path) == Look([Seen("", "a.csv", Stamp(about.st_ino, 3, about.st_mtime_ns), about.st_uid)], {})


def test_nothing_is_changed_and_no_descriptor_left_open(tmp_path: Path) -> None:
    put(tmp_path / "acme" / "deep" / "a.csv")
    before = len(os.listdir("/proc/self/fd"))
    looked(tmp_path, levels=-1)
    looked(tmp_path, levels=1)
    assert len(os.listdir("/proc/self/fd")) == before
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["acme", "acme/deep", "acme/deep/a.csv"]


def test_names_that_are_no_utf8_are_drops_like_any_other(tmp_path: Path) -> None:
    name = os.fsdecode(b"faktur\xe5\n.csv")
    put(tmp_path / name)
    assert names(looked(tmp_path)) == [name]


# ------------------------------------------------------------------------------------------------ left alone, and said


def test_what_is_no_plain_file_is_left_alone(tmp_path: Path) -> None:
    secret = put(tmp_path.with_name(tmp_path.name + "-secret"))
    (tmp_path / "link.csv").symlink_to(secret)
    (tmp_path / "dangling.csv").symlink_to("nowhere")
    (tmp_path / "linked-folder").symlink_to(tmp_path.parent)
    os.mkfifo(tmp_path / "pipe.csv")
    os.link(secret, tmp_path / "hard.csv")
    found = looked(tmp_path, levels=-1)
    assert found.files == []
    link = "it is a link to another place, and only plain files are taken"
    assert found.left_alone == {
        "link.csv": link,
        "dangling.csv": link,
        "linked-folder": link,
        "pipe.csv": "it is not a plain file",
        "hard.csv": "the same file has a second name elsewhere (a hard link), and only plain files are taken",
    }


def test_a_name_that_fits_no_pattern_is_left_alone_loudly(tmp_path: Path) -> None:
    put(tmp_path / "a.CSV")
    put(tmp_path / os.fsdecode(b"b\xff.pdf"))
    found = looked(tmp_path, match=("*.csv", "x*"))
    assert names(found) == ["a.CSV"]
    assert found.left_alone == {r"b\xff.pdf": "its name fits none of the patterns of this inbox (*.csv, x*)"}


def test_temporary_names_are_passed_over_in_silence(tmp_path: Path) -> None:
    for name in (".hidden.csv", "a.csv.part", "~$a.docx", "Kladd.csv", "Thumbs.db"):
        put(tmp_path / name)
    put(tmp_path / "@eaDir" / "a.csv")
    assert looked(tmp_path, ignore=("kladd*",), levels=-1) == Look([], {})


def test_a_result_file_is_never_a_drop_and_never_passed_over_in_silence(tmp_path: Path) -> None:
    put(tmp_path / "a.csv.result.json")
    found = looked(tmp_path)
    assert found.files == []
    assert found.left_alone == {"a.csv.result.json": "it is a result file of dropd's, which is never sent; it can be deleted"}


def test_files_of_an_overlay_are_files_of_their_folder(other_filesystem: Path) -> None:
    """In a container a file's device differs from its folder's."""
    for name in ("lower", "upper", "work", "inbox"):
        (other_filesystem / name).mkdir()
    inbox = other_filesystem / "inbox"
    layers = ",".join(f"{layer}dir={other_filesystem / layer}" for layer in ("lower", "upper", "work"))
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(inbox)], check=True)
    try:
        put(inbox / "a.csv")
        put(inbox / "acme" / "b.csv")
        found = looked(inbox, levels=1)
        assert (names(found), found.left_alone) == (["a.csv", "acme/b.csv"], {})
    finally:
        subprocess.run(["umount", str(inbox)], check=True)


# ------------------------------------------------------------------------------------------------ sub-folders


def _tree(inbox: Path) -> None:
    for path in ("a.csv", "acme/b.csv", "acme/2026/c.csv", "done/d.csv", "failed/acme/e.csv", ".dropd/work/1/f.csv"):
        put(inbox / path)


def test_a_sub_folder_on_another_filesystem_is_left_alone(tmp_path: Path, other_filesystem: Path) -> None:
    put(other_filesystem / "a.csv")
    found = looked(tmp_path, levels=1)
    assert found.files == []
    assert found.left_alone == {"mounted/": "it is another filesystem than the inbox, and no file can be moved out of it"}


def test_thousands_of_sub_folders_need_no_descriptor_each(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in range(300):
        put(tmp_path / f"account-{number}" / "a.csv")
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    try:
        found = looked(tmp_path, levels=1)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (len(found.files), found.left_alone) == (300, {})


def test_a_tree_without_end_is_looked_into_so_far(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(DEEPEST + 5):
        deep = deep / "d"
    put(deep / "a.csv")
    found = looked(tmp_path, levels=-1)
    assert found.files == []
    assert list(found.left_alone.values()) == [f"it lies more than {DEEPEST} folders deep"]


def test_sub_folders_are_left_alone_unless_they_are_wanted(tmp_path: Path) -> None:
    _tree(tmp_path)
    found = looked(tmp_path)
    assert names(found) == ["a.csv"]
    assert found.left_alone == {"acme/": "it is a folder, and this inbox takes files alone"}


def test_one_level_of_sub_folders(tmp_path: Path) -> None:
    _tree(tmp_path)
    found = looked(tmp_path, levels=1)
    assert names(found) == ["a.csv", "acme/b.csv"]
    assert found.left_alone == {"acme/2026/": "it is a folder below a sub-folder, and this inbox takes one level of them"}


def test_all_levels_of_sub_folders_but_done_failed_and_dropds_own(tmp_path: Path) -> None:
    _tree(tmp_path)
    found = looked(tmp_path, levels=-1)
    assert names(found) == ["a.csv", "acme/2026/c.csv", "acme/b.csv"]
    assert found.left_alone == {}


def test_done_of_the_same_name_further_down_is_a_folder_like_any_other(tmp_path: Path) -> None:
    put(tmp_path / "acme" / "done" / "a.csv")
    assert names(looked(tmp_path, levels=-1)) == ["acme/done/a.csv"]


@pytest.mark.parametrize("levels", [0, 1, -1])
def test_a_folder_that_holds_done_is_not_complained_of(tmp_path: Path, levels: int) -> None:
    put(tmp_path / "archive" / "done" / "a.csv")
    assert looked(tmp_path, levels=levels, keep_out=frozenset({"archive/done", "archive/failed"})) == Look([], {})


@contextmanager
def as_somebody_else() -> Iterator[None]:
    """root reads everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_sub_folder_that_cannot_be_read_is_told_and_holds_nothing_up(tmp_path: Path) -> None:
    put(tmp_path / "closed" / "a.csv")
    put(tmp_path / "open" / "b.csv")
    tmp_path.chmod(0o755)
    (tmp_path / "closed").chmod(0)
    fd = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with as_somebody_else():
            found = look(fd, rules(levels=-1))
    finally:
        os.close(fd)
        (tmp_path / "closed").chmod(0o700)
    assert names(found) == ["open/b.csv"]
    assert found.left_alone == {"closed/": "the folder cannot be read (Permission denied)"}


# ------------------------------------------------------------------------------------------------ companions


def test_a_file_waits_for_its_companion_and_a_companion_for_its_file(tmp_path: Path) -> None:
    put(tmp_path / "whole.csv")
    companion = put(tmp_path / "whole.csv.meta.json", "{}").stat()
    put(tmp_path / "alone.csv")
    put(tmp_path / "orphan.csv.meta.json")
    found = looked(tmp_path, companions=True, match=("*.csv",))
    assert [(seen.name, seen.companion) for seen in found.files] == [("whole.csv", Stamp.of(companion))]
    assert found.left_alone == {
        "alone.csv": "it waits for its companion 'alone.csv.meta.json'",
        "orphan.csv.meta.json": "it waits for the file 'orphan.csv' that it belongs to",
    }


def test_a_companion_that_is_a_link_is_none(tmp_path: Path) -> None:
    put(tmp_path / "a.csv")
    (tmp_path / "a.csv.meta.json").symlink_to(put(tmp_path.with_name(tmp_path.name + "-meta.json")))
    assert looked(tmp_path, companions=True).files == []


def test_without_companions_a_meta_json_is_a_file_of_its_own(tmp_path: Path) -> None:
    put(tmp_path / "a.csv.meta.json")
    assert names(looked(tmp_path)) == ["a.csv.meta.json"]
