"""Where files end, under which names, whose they are, and what a person may do with them there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time

import pytest
from program import eventually, sha256

from dropd.model import AMILI_ARM, RECEEVE
from dropd.sandbox import Fault


def test_a_delivered_file_lies_in_done_with_its_result(place):
    inbox = place.route("arm", match=["*.csv"])
    with place.start():
        (inbox / "invoices.csv").write_bytes(b"a;b\n1;2\n")
        about = place.result()
    assert about["filed"] == inbox / "done" / "invoices.csv"
    assert about["filed"].read_bytes() == b"a;b\n1;2\n"
    assert about["status"] == "delivered"
    assert about["file"]["sha256"] == sha256(b"a;b\n1;2\n")
    assert place.delivered() == [sha256(b"a;b\n1;2\n")]
    assert sorted(os.listdir(inbox)) == [".dropd", "done"]
    assert eventually(lambda: not os.listdir(inbox / ".dropd" / "work"))
    assert place.sandbox.violations() == []


# ------------------------------------------------------------------------------------------------ where


def test_done_and_failed_by_date_and_outside_the_inbox(place, sandbox):
    done, failed = place.root / "archive" / "{yyyy}" / "{mm}-{dd}", place.root / "trouble" / "{yyyy}{mm}"
    inbox = place.route("arm", done=str(done), failed=str(failed))
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=422, name="bad"))
    before = time.localtime()
    (inbox / "good.csv").write_bytes(b"good")
    (inbox / "bad.csv").write_bytes(b"bad")
    with place.start():
        results = place.results(2)
    days = {before, time.localtime()}  # the run may have seen midnight
    expected = {place.root / "archive" / time.strftime("%Y/%m-%d", day) / "good.csv" for day in days}
    expected |= {place.root / "trouble" / time.strftime("%Y%m", day) / "bad.csv" for day in days}
    assert {about["filed"] for about in results} <= expected
    assert all(about["filed"].is_file() for about in results)
    assert os.listdir(inbox) == [".dropd"]


def test_dates_inside_the_inbox_are_never_looked_into(place):
    inbox = place.route("arm", done=str(place.root / "arm" / "done" / "{yyyy}" / "{mm}"), subfolders="deep")
    with place.start() as program:
        (inbox / "a.csv").write_bytes(b"a")
        about = place.result()
        assert about["filed"].parent == inbox / "done" / time.strftime("%Y/%m")
        taken = len(program.events("taken"))
        (inbox / "deep" / "er").mkdir(parents=True)
        (inbox / "deep" / "er" / "b.csv").write_bytes(b"b")
        assert {about["file"]["folder"] for about in place.results(2)} == {"", "deep/er"}
        assert len(program.events("taken")) == taken + 1


def test_sub_folders_are_mirrored(place, sandbox):
    inbox = place.route("debtors", subfolders=True, account_id="{folder}")
    sandbox.fault(Fault(vendor=RECEEVE, step="upload", status=422, name="bad"))
    for folder in ("acc-1", "acc-2"):
        (inbox / folder).mkdir()
        for name in ("same.pdf", "bad.pdf"):
            (inbox / folder / name).write_bytes(f"%PDF {folder} {name}".encode())
    with place.start():
        results = place.results(4)
    found = {about["filed"].relative_to(inbox).as_posix(): about["status"] for about in results}
    assert sorted(found.values()) == ["delivered"] * 3 + ["failed"]
    failed = next(path for path, status in found.items() if status == "failed")
    assert failed in ("failed/acc-1/bad.pdf", "failed/acc-2/bad.pdf")
    assert set(found) - {failed} < {f"done/acc-{n}/{name}.pdf" for n in (1, 2) for name in ("same", "bad")}
    assert sorted(os.listdir(inbox)) == [".dropd", "acc-1", "acc-2", "done", "failed"], "people's own folders stay"


# ------------------------------------------------------------------------------------------------ under which name


def test_a_name_that_is_in_use_is_made_unique(place):
    inbox = place.route("arm")
    (inbox / "done").mkdir()
    (inbox / "done" / "file.csv").write_bytes(b"somebody's own")
    (inbox / "done" / "sidecar.csv.result.json").write_bytes(b"somebody's own")
    (inbox / "file.csv").write_bytes(b"1")
    (inbox / "sidecar.csv").write_bytes(b"2")
    (inbox / "free.csv").write_bytes(b"3")
    place.call("run", "--once")
    filed = {}
    for path in (inbox / "done").glob("*.result.json"):
        with contextlib.suppress(ValueError):
            about = json.loads(path.read_bytes())
            filed[about["file"]["original_name"]] = about["file"]["filed_as"]
            assert (inbox / "done" / about["file"]["filed_as"]).is_file()
            assert path.name == about["file"]["filed_as"] + ".result.json"
    assert filed["free.csv"] == "free.csv"
    assert re.fullmatch(r"file \d{8}-\d{6} [0-9a-f]{6}\.csv", filed["file.csv"])
    assert re.fullmatch(r"sidecar \d{8}-\d{6} [0-9a-f]{6}\.csv", filed["sidecar.csv"])
    assert (inbox / "done" / "file.csv").read_bytes() == b"somebody's own"
    assert (inbox / "done" / "sidecar.csv.result.json").read_bytes() == b"somebody's own"


def test_the_same_name_with_new_content_is_an_ordinary_file(place):
    inbox = place.route("arm")
    with place.start():
        for n in range(3):
            (inbox / "daily.csv").write_bytes(b"%d" % n)
            results = place.results(n + 1)
    assert {about["status"] for about in results} == {"delivered"}
    assert {about["file"]["original_name"] for about in results} == {"daily.csv"}
    assert len({about["filed"] for about in results}) == 3
    assert place.delivered() == [sha256(b"%d" % n) for n in range(3)]


def test_long_names_leave_room_for_the_result(place):
    inbox = place.route("arm")
    names = ["x" * 251 + ".csv", "ø" * 125 + ".csv", "y" * 255]
    with place.start():
        for turn in range(2):
            for name in names:
                (inbox / name).write_bytes(f"{turn} {name}".encode())
            results = place.results(len(names) * (turn + 1))
    assert {about["status"] for about in results} == {"delivered"}
    assert all(len(os.fsencode(path)) <= 255 for path in os.listdir(inbox / "done"))
    assert {about["file"]["original_name"] for about in results} == set(names)
    assert all(about["filed"].is_file() for about in results)


# ------------------------------------------------------------------------------------------------ whose


@pytest.fixture
def group() -> int:
    """A group that is not the one new files get by themselves."""
    others = [number for number in ({4242} if os.geteuid() == 0 else set(os.getgroups())) if number != os.getegid()]
    if not others and os.environ.get("CI") != "true":
        pytest.skip("this user has one group alone")
    return others[0]


def test_filed_files_are_for_the_people_of_the_inbox(place, sandbox, group):
    inbox = place.route("arm", subfolders=True, client_id="2218")
    os.chown(inbox, -1, group)
    inbox.chmod(0o2775)
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=422, name="bad"))
    (inbox / "sub").mkdir()
    for name in ("good.csv", "bad.csv", "sub/deep.csv"):
        (inbox / name).write_bytes(name.encode())
        os.chown(inbox / name, -1, os.getegid())
        (inbox / name).chmod(0o600)
    with place.start():
        results = place.results(3)
    for about in results:
        for path in (about["filed"], about["path"]):
            assert (path.stat().st_gid, stat.S_IMODE(path.stat().st_mode)) == (group, 0o664), path
        folder = about["filed"].parent.stat()
        assert (folder.st_gid, stat.S_IMODE(folder.st_mode)) == (group, 0o2775)
    private = (inbox / ".dropd").stat()
    assert stat.S_IMODE(private.st_mode) == 0o700
    assert stat.S_IMODE(place.state.stat().st_mode) == 0o700


def test_a_closed_inbox_stays_closed(place):
    inbox = place.route("arm")
    inbox.chmod(0o750)
    (inbox / "a.csv").write_bytes(b"a")
    (inbox / "a.csv").chmod(0o666)
    place.call("run", "--once")
    about = place.result()
    assert stat.S_IMODE(about["filed"].stat().st_mode) == 0o640
    assert stat.S_IMODE(about["path"].stat().st_mode) == 0o640
    assert stat.S_IMODE(about["filed"].parent.stat().st_mode) == 0o750


# ------------------------------------------------------------------------------------------------ again


def test_moving_a_file_from_failed_back_into_the_inbox_sends_it_again(place, sandbox):
    inbox = place.route("arm")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=422))
    (inbox / "a.csv").write_bytes(b"a")
    with place.start():
        first = place.result()
        assert first["status"] == "failed"
        first["filed"].rename(inbox / "a.csv")
        eventually(lambda: place.delivered() == [sha256(b"a")])
        again = eventually(lambda: [about for about in place.sidecars() if about["status"] == "delivered"])[0]
        assert again["filed"] == inbox / "done" / "a.csv"
        assert not first["path"].exists(), "a sidecar means that its file is there"
        assert eventually(lambda: place.ask("status").returncode == 0)


def test_moving_back_what_is_in_doubt_is_an_order_too(place, sandbox):
    inbox = place.route("arm")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", lose_answer=True))
    (inbox / "a.csv").write_bytes(b"a")
    with place.start():
        first = place.result()
        assert first["status"] == "unconfirmed"
        first["filed"].rename(inbox / "a.csv")
        again = eventually(lambda: [about for about in place.sidecars() if about["status"] == "delivered"])[0]
    assert again["possible_duplicate"] is True
    assert "twice" in again["summary"]
    assert len(place.delivered()) == 2


def test_a_corrected_file_after_a_refusal_is_sent(place, sandbox):
    inbox = place.route("arm")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=422))
    (inbox / "a.csv").write_bytes(b"wrong")
    with place.start():
        place.results(1)
        (inbox / "a.csv").write_bytes(b"right")
        statuses = {about["file"]["sha256"]: about["status"] for about in place.results(2)}
    assert statuses == {sha256(b"wrong"): "failed", sha256(b"right"): "delivered"}


def test_the_unchanged_file_dropped_anew_after_a_refusal_is_sent(place, sandbox):
    """It was surely not delivered, so that it is no duplicate of anything."""
    inbox = place.route("arm")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=422))
    (inbox / "a.csv").write_bytes(b"a")
    with place.start():
        place.results(1)
        (inbox / "a.csv").write_bytes(b"a")
        eventually(lambda: place.delivered() == [sha256(b"a")])
        place.results(2)


# ------------------------------------------------------------------------------------------------ duplicates


def test_the_same_content_for_the_same_target_is_a_duplicate(place):
    inbox = place.route("arm")
    with place.start() as program:
        (inbox / "first.csv").write_bytes(b"same")
        first = place.result()
        (inbox / "second.csv").write_bytes(b"same")
        (inbox / "first.csv").write_bytes(b"same")
        place.results(3)
        program.stop()
    duplicates = [about for about in place.sidecars() if about["status"] == "duplicate"]
    assert len(duplicates) == 2
    for about in duplicates:
        assert about["filed"].parent == inbox / "failed"
        assert about["duplicate_of"] == first["drop_id"]
        assert about["error"]["code"] == "duplicate"
        assert about["attempts"] == []
    assert any("first.csv" in about["summary"] for about in duplicates)
    assert place.delivered() == [sha256(b"same")]
    duplicates[0]["filed"].rename(inbox / "once more.csv")  # a person insists
    assert place.call("run", "--once").returncode == 0
    assert place.delivered() == [sha256(b"same")] * 2


def test_twins_dropped_at_once_are_sent_once(place):
    inbox = place.route("arm")
    for n in range(8):
        (inbox / f"{n}.csv").write_bytes(b"same")
    with place.start():
        results = place.results(8)
    assert sorted(about["status"] for about in results) == ["delivered"] + ["duplicate"] * 7
    assert place.delivered() == [sha256(b"same")]


def test_the_same_content_for_another_target_is_an_ordinary_file(place):
    inbox = place.route("debtors", subfolders=True, account_id="{folder}")
    other = place.route("office")
    (other / "a.pdf").write_bytes(b"%PDF same")
    for folder in ("acc-1", "acc-2"):
        (inbox / folder).mkdir()
        (inbox / folder / "a.pdf").write_bytes(b"%PDF same")
    with place.start():
        results = place.results(3)
    assert {about["status"] for about in results} == {"delivered"}
    assert place.delivered() == [sha256(b"%PDF same")] * 3
