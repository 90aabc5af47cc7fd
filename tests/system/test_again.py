"""`retry` and `send`: a person's word, beside a running daemon and without one."""

from __future__ import annotations

import json

import pytest
from program import eventually, sha256

from dropd.model import AMILI_ARM, OFFICE
from dropd.sandbox import Fault

OK, NEEDS_A_PERSON, USAGE = 0, 1, 2


@pytest.fixture
def inbox(place):
    return place.route("arm")


def fail_some(place, sandbox, inbox, count=1):
    """Files that the vendor refuses, for a reason that is then gone."""
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=422, times=count))
    for n in range(count):
        (inbox / f"{n}.csv").write_bytes(b"%d" % n)
    assert place.call("run", "--once").returncode == NEEDS_A_PERSON
    return place.results(count)


# ------------------------------------------------------------------------------------------------ retry


@pytest.mark.parametrize("how", ["id", "short id", "file", "sidecar"])
def test_retry_without_a_running_daemon(place, sandbox, inbox, how):
    about = fail_some(place, sandbox, inbox)[0]
    word = {
        "id": about["drop_id"],
        "short id": about["drop_id"][-6:],
        "file": str(about["filed"]),
        "sidecar": str(about["path"]),
    }[how]
    done = place.call("retry", word)
    assert done.returncode == OK, done.stderr
    assert "not running" in done.stdout
    assert not about["path"].exists(), "a sidecar means that its file is there"
    assert not about["filed"].exists()
    assert place.delivered() == []
    assert place.call("run", "--once").returncode == OK
    again = place.result()
    assert (again["status"], again["drop_id"]) == ("delivered", about["drop_id"])
    assert [attempt["outcome"] for attempt in again["attempts"]] == ["refused", "accepted"]
    assert place.delivered() == [sha256(b"0")]
    assert place.ask("status").returncode == OK


def test_retry_beside_a_running_daemon(place, sandbox, inbox):
    about = fail_some(place, sandbox, inbox)[0]
    with place.start():
        done = place.call("retry", str(about["filed"]))
        assert done.returncode == OK
        assert "not running" not in done.stdout
        eventually(lambda: [a["status"] for a in place.sidecars()] == ["delivered"])
    assert place.delivered() == [sha256(b"0")]


def test_retry_all_of_a_route(place, sandbox, inbox):
    other = place.route("office")
    sandbox.fault(Fault(vendor=OFFICE, step="upload", status=422))
    (other / "v.pdf").write_bytes(b"%PDF v")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=422, times=3))
    for n in range(3):
        (inbox / f"{n}.csv").write_bytes(b"%d" % n)
    with place.start():
        place.results(4)
        assert place.ask("retry", "--all", "--route", "arm").returncode == OK
        eventually(lambda: len(place.delivered()) == 3)
        eventually(lambda: sorted(a["status"] for a in place.sidecars()) == ["delivered"] * 3 + ["failed"])
        assert place.ask("retry", "--all").returncode == OK
        eventually(lambda: [a["status"] for a in place.sidecars()] == ["delivered"] * 4)
    assert len(place.delivered()) == 4


def test_retry_again_and_again_of_what_is_still_refused(place, sandbox, inbox):
    about = fail_some(place, sandbox, inbox)[0]
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=422, times=2))
    for _ in range(2):
        assert place.ask("retry", about["drop_id"]).returncode == OK
        assert place.call("run", "--once").returncode == NEEDS_A_PERSON
    again = place.result()
    assert (again["status"], len(again["attempts"])) == ("failed", 3)
    assert again["filed"] == about["filed"]


def test_retry_of_one_that_waits_is_due_at_once(place, sandbox, inbox):
    place.providers["arm"]["retry"]["first"] = place.providers["arm"]["retry"]["max"] = "1h"
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=408))
    (inbox / "0.csv").write_bytes(b"0")
    with place.start() as program:
        program.wait_for("later")
        about = place.json("list")
        assert place.ask("retry", about[0]["drop_id"]).returncode == OK
        assert place.result()["status"] == "delivered"


def test_what_cannot_be_retried(place, sandbox, inbox):
    about = fail_some(place, sandbox, inbox)[0]
    (inbox / "good.csv").write_bytes(b"good")
    place.call("run", "--once")
    done = place.ask("retry", next(drop["drop_id"] for drop in place.json("list") if drop["file"] == "good.csv"))
    assert done.returncode == NEEDS_A_PERSON
    assert "done" in done.stderr
    about["filed"].unlink()
    done = place.ask("retry", about["drop_id"])
    assert done.returncode == NEEDS_A_PERSON
    assert "Traceback" not in done.stderr
    assert place.ask("show", about["drop_id"]).returncode == OK


def test_retry_of_a_doubtful_one_tells_that_it_may_be_there_twice(place, sandbox, inbox):
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", lose_answer=True))
    (inbox / "a.csv").write_bytes(b"a")
    assert place.call("run", "--once").returncode == NEEDS_A_PERSON
    assert place.ask("retry", place.result()["drop_id"]).returncode == OK
    assert place.call("run", "--once").returncode == OK
    about = place.result()
    assert (about["status"], about["possible_duplicate"]) == ("delivered", True)
    assert about["advice"]
    assert len(place.delivered()) == 2


# ------------------------------------------------------------------------------------------------ send


@pytest.mark.parametrize("beside", [True, False])
def test_send(place, sandbox, inbox, beside):
    original = place.root / "from elsewhere.csv"
    original.write_bytes(b"sent")
    program = place.start() if beside else None
    try:
        done = place.call("send", str(original), "--route", "arm", "--json")
        assert done.returncode == OK, done.stderr
        assert json.loads(done.stdout)["status"] == "delivered"
        assert original.read_bytes() == b"sent"
        about = place.result()
        assert about["file"]["original_name"] == original.name
        sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=422))
        original.write_bytes(b"refused")
        done = place.call("send", str(original), "--route", "arm")
        assert done.returncode == NEEDS_A_PERSON
        assert "the sandbox was told to answer so" in done.stdout
        assert original.read_bytes() == b"refused"
    finally:
        if program is not None:
            assert program.stop() == 0
    assert place.delivered() == [sha256(b"sent")]


@pytest.mark.parametrize("beside", [True, False])
def test_send_where_the_name_is_in_use(place, inbox, beside):
    place.defaults["settle"] = "1s"
    (place.root / "a.csv").write_bytes(b"sent")
    (inbox / "a.csv").write_bytes(b"dropped by somebody else")
    program = place.start() if beside else None
    try:
        done = place.call("send", str(place.root / "a.csv"), "--route", "arm", "--json")
    finally:
        if program is not None:
            assert program.stop() == 0
    assert done.returncode == OK, done.stderr
    about = json.loads(done.stdout)
    assert about["sha256"] == sha256(b"sent")
    assert about["file"].startswith("a ")
    assert about["file"].endswith(".csv")
    assert place.call("run", "--once").returncode == OK
    assert sorted(place.delivered()) == sorted([sha256(b"sent"), sha256(b"dropped by somebody else")])


def test_send_into_a_sub_folder_and_with_a_companion(place, inbox):
    place.route("debtors", subfolders=True, account_id="{folder}")
    place.route("arm", "meta", client_id="{meta.client}", allow={"client_id": ["2219"]})
    file = place.root / "letter.pdf"
    file.write_bytes(b"%PDF letter")
    done = place.call("send", str(file), "--route", "debtors", "--folder", "acc-9")
    assert done.returncode == OK, done.stderr
    assert place.sandbox.deliveries()[0].fields["account_id"] == "acc-9"
    assert place.call("send", str(file), "--route", "meta").returncode == NEEDS_A_PERSON
    file.with_name("letter.pdf.meta.json").write_text('{"client": "2219"}')
    done = place.call("send", str(file), "--route", "meta")
    assert done.returncode == OK, done.stderr
    assert place.sandbox.deliveries()[1].fields["client_id"] == "2219"
    assert file.with_name("letter.pdf.meta.json").exists()


def test_what_cannot_be_sent(place, inbox):
    file = place.root / "a.csv"
    file.write_bytes(b"a")
    assert place.call("send", str(file), "--route", "nobody").returncode == USAGE
    assert place.call("send", str(file)).returncode == USAGE
    assert place.call("send", str(place.root), "--route", "arm").returncode == USAGE
    assert place.call("send", str(file), "--route", "arm", "--folder", "../up").returncode == NEEDS_A_PERSON
    inbox.rmdir()
    assert place.call("send", str(file), "--route", "arm").returncode == NEEDS_A_PERSON
    assert not inbox.exists()
    assert place.delivered() == []


def test_send_waits_no_longer_than_it_may(place, sandbox, inbox):
    file = place.root / "a.csv"
    file.write_bytes(b"a")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=503, headers={"Retry-After": "600"}))
    done = place.call("send", str(file), "--route", "arm", "--wait", "1s")
    assert done.returncode == NEEDS_A_PERSON
    assert "Traceback" not in done.stderr
