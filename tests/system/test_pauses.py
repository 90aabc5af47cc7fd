"""Trouble that is not the file's: an account or a target waits, no file fails for it, and all goes on by itself."""

from __future__ import annotations

import json

from program import eventually

from dropd.model import AMILI_ARM, AMILI_MEDIA, OFFICE, RECEEVE
from dropd.sandbox import Fault

VENDORS = {"arm": AMILI_ARM, "cases": AMILI_MEDIA, "debtors": RECEEVE, "office": OFFICE}


def test_a_refused_login_pauses_the_account_and_fails_no_file(place, sandbox):
    for number, (account, vendor) in enumerate(VENDORS.items()):
        inbox = place.route(account)
        sandbox.fault(Fault(vendor=vendor, step="token", status=(401, 403, 400, 404)[number], times=10_000))
        for n in range(5):
            (inbox / f"{n}.pdf").write_bytes(f"%PDF {account} {n}".encode())
    with place.start() as program:
        program.wait_for("paused", count=4, kind="login")
        eventually(lambda: len(program.events("taken")) == 20)
        about = place.ask("status", "--json")
        assert about.returncode == 1
        status = json.loads(about.stdout)
        assert {pause["provider"] for pause in status["pauses"]} == set(VENDORS)
        assert all(pause["whole_account"] and pause["kind"] == "login" for pause in status["pauses"])
        assert [route["failed"] for route in status["routes"]] == [0, 0, 0, 0]
        assert sandbox.deliveries() == []
        assert place.sidecars() == []
        tokens = len(sandbox.requests())
        sandbox.reset()
        results = place.results(20)
        program.wait_for("resumed", count=4)
    assert tokens < 80, "a refused login is asked again and again"
    assert all(about["status"] == "delivered" for about in results)
    assert all(attempt["outcome"] != "refused" for about in results for attempt in about["attempts"])
    assert sorted(place.delivered()) == sorted(about["file"]["sha256"] for about in results)
    assert place.ask("status").returncode == 0


def test_a_forbidden_target_waits_alone(place, sandbox):
    inboxes = {
        account: place.route(account, subfolders=True, **ids)
        for account, ids in {
            "arm": {"client_id": "{folder}", "allow": {"client_id": r"\d+"}},
            "cases": {"reference_id": "{folder}"},
            "debtors": {"account_id": "{folder}"},
        }.items()
    }
    names = {"arm": ("2218", "2219"), "cases": ("a" * 24, "b" * 24), "debtors": ("acc-1", "acc-2")}
    for account, inbox in inboxes.items():
        sandbox.fault(Fault(vendor=VENDORS[account], step="upload", status=403, times=10_000, name="barred"))
        barred, free = names[account]
        for n in range(3):
            for folder, name in ((barred, "barred"), (free, "free")):
                (inbox / folder).mkdir(exist_ok=True)
                (inbox / folder / f"{name} {n}.pdf").write_bytes(f"%PDF {account} {name} {n}".encode())
    with place.start() as program:
        free = place.results(9)
        assert {about["file"]["original_name"].split()[0] for about in free} == {"free"}
        program.wait_for("paused", count=3, kind="forbidden")
        status = place.ask("status", "--json")
        assert status.returncode == 1
        pauses = json.loads(status.stdout)["pauses"]
        assert [pause["whole_account"] for pause in pauses] == [False] * 3
        sandbox.reset()
        later = place.results(18)
    assert all(about["status"] == "delivered" for about in later)


def test_a_vendor_that_is_out_of_reach_is_waited_for(place, sandbox):
    inboxes = [place.route(account) for account in VENDORS]
    place.write()
    sandbox.stop()
    for inbox in inboxes:
        (inbox / "a.pdf").write_bytes(b"%PDF " + inbox.name.encode())
    with place.start() as program:
        program.wait_for("paused", count=4, kind="busy")
        assert place.json("status")["needs_attention"] is False
        sandbox.start()
        results = place.results(4)
    assert {about["status"] for about in results} == {"delivered"}
    assert len(sandbox.deliveries()) == 4


def test_what_never_gets_through_is_given_up_in_its_time(place, sandbox):
    place.providers["arm"]["retry"]["give_up_after"] = "1s"
    inbox = place.route("arm")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=503, times=10_000))
    (inbox / "a.csv").write_bytes(b"a")
    with place.start():
        about = place.result()
    assert (about["status"], about["error"]["code"], about["error"]["http_status"]) == ("failed", "gave_up", 503)
    assert {attempt["outcome"] for attempt in about["attempts"]} == {"later"}
    assert sandbox.deliveries() == []


def test_time_spent_paused_does_not_count(place, sandbox):
    place.providers["arm"]["retry"]["give_up_after"] = "1s"
    inbox = place.route("arm")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="token", status=401, times=10_000))
    (inbox / "a.csv").write_bytes(b"a")
    with place.start() as program:
        paused = program.wait_for("paused")
        taken = eventually(lambda: place.json("list"))[0]["taken_at"]
        assert paused
        eventually(lambda: sum(seen.path == "/arm/token" for seen in sandbox.requests()) >= 8, within=20)
        sandbox.reset()
        about = place.result()
    assert about["status"] == "delivered"
    assert about["taken_at"][:19] == taken[:19]
