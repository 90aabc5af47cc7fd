"""Stopped in good order, killed at any instant, started again: nothing is lost, and nothing is sent twice without a word."""

from __future__ import annotations

import contextlib
import random
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from program import Place, Program, eventually, sandbox_process, sha256

from dropd.model import AMILI_ARM, AMILI_MEDIA, OFFICE, RECEEVE
from dropd.sandbox import Fault

VENDORS = {"arm": AMILI_ARM, "cases": AMILI_MEDIA, "debtors": RECEEVE, "office": OFFICE}


def contents_of(place: Place) -> Counter[str]:
    """Every file's content wherever it lies below the inboxes: nothing may ever be lost."""
    found: Counter[str] = Counter()
    for name in place.routes:
        for path in (place.root / name).rglob("*"):
            if path.is_file() and not path.name.endswith(".json") and not path.name.startswith(".dropd-trial-"):
                found[sha256(path.read_bytes())] += 1
    return found


def check_nothing_lost_or_doubled(place: Place, dropped: Counter[str]) -> None:
    """Every content is filed once; the vendor has it once, unless the sidecar says that this is not certain."""
    results = place.results(sum(dropped.values()))
    assert contents_of(place) == dropped
    assert Counter(about["file"]["sha256"] for about in results) == dropped
    taken = Counter(place.delivered())
    for about in results:
        times, story = taken[about["file"]["sha256"]], (about["status"], about["attempts"], about["path"])
        if about["status"] == "delivered":
            assert times >= 1, story
            assert times == 1 or about["possible_duplicate"], story
        else:
            assert about["status"] == "unconfirmed", story
            assert times <= 1 or about["possible_duplicate"], story
    for name in place.routes:
        left = [path for path in (place.root / name / ".dropd").rglob("*") if path.is_file() and path.name != "inbox.json"]
        assert left == []


# ------------------------------------------------------------------------------------------------ in good order


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_uploads_under_way_end(place, sandbox, number):
    inboxes = {account: place.route(account) for account in VENDORS}
    for account, vendor in VENDORS.items():
        sandbox.fault(Fault(vendor=vendor, step="put" if account == "office" else "upload", delay=1))
        (inboxes[account] / "a.pdf").write_bytes(b"%PDF a")
    with place.start() as program:
        eventually(lambda: len(sandbox.deliveries()) == 4)
        program.signal(number)
        assert program.wait() == 0
        assert [event["event"] for event in program.events()][-1] == "stopped"
    done = {about["route"] for about in place.sidecars() if about["status"] == "delivered"}
    assert done >= {"arm", "cases", "debtors"}  # office still has to be asked what became of it
    with place.start():
        results = place.results(4)
    assert {about["status"] for about in results} == {"delivered"}
    assert len(sandbox.deliveries()) == 4


def test_a_stop_waits_for_no_due_time_and_no_pause(place, sandbox):
    inbox = place.route("arm")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=503, headers={"Retry-After": "600"}))
    (inbox / "a.csv").write_bytes(b"a")
    with place.start() as program:
        program.wait_for("later")
        began = time.monotonic()
        assert program.stop() == 0
    assert time.monotonic() - began < 5


# ------------------------------------------------------------------------------------------------ killed


@pytest.mark.parametrize("account", VENDORS)
def test_killed_while_uploading(place, sandbox, account):
    """The vendor has the file, and dropd dies before it hears so."""
    inbox = place.route(account)
    step = "put" if account == "office" else "upload"
    for _ in range(3):
        sandbox.fault(Fault(vendor=VENDORS[account], step=step, delay=20))
    dropped = Counter()
    for n in range(6):
        (inbox / f"{n}.pdf").write_bytes(b"%%PDF %d" % n)
        dropped[sha256(b"%%PDF %d" % n)] += 1
    with place.start() as program:
        eventually(lambda: len(sandbox.deliveries()) == 6 and len(place.sidecars()) == 3)
        program.kill()
    with place.start() as program:
        place.results(6)
        assert program.stop() == 0
    check_nothing_lost_or_doubled(place, dropped)
    statuses = Counter(about["status"] for about in place.sidecars())
    if account == "office":  # its id was noted before the first byte left, so that the vendor can be asked
        assert statuses == {"delivered": 6}
    else:
        assert statuses == {"delivered": 3, "unconfirmed": 3}
        unsure = [about for about in place.sidecars() if about["status"] == "unconfirmed"]
        assert all(about["filed"].parent.name == "failed" for about in unsure)
        assert all("stopped while" in about["error"]["message"] for about in unsure)


def test_a_due_time_outlives_a_kill(place, sandbox):
    inbox = place.route("arm")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="upload", status=503, headers={"Retry-After": "2"}))
    with place.start() as program:
        (inbox / "a.csv").write_bytes(b"a")
        program.wait_for("later")
        told = time.monotonic()
        program.kill()
    with place.start():
        assert place.result()["status"] == "delivered"
    uploads = [seen.at for seen in sandbox.requests() if seen.path.endswith("/files")]
    assert len(uploads) == 2
    assert uploads[1] - uploads[0] >= 2.0
    assert uploads[1] - told < 10


def test_a_pause_outlives_a_kill(place, sandbox):
    place.providers["arm"]["retry"] = {"first": "2s", "max": "3s"}
    inbox = place.route("arm")
    sandbox.fault(Fault(vendor=AMILI_ARM, step="token", status=401))
    (inbox / "a.csv").write_bytes(b"a")
    with place.start() as program:
        program.wait_for("paused", kind="login")
        told = time.monotonic()
        program.kill()
    assert place.ask("status").returncode == 1
    with place.start() as program:
        assert place.result()["status"] == "delivered"
        program.wait_for("resumed")
    logins = [seen.at for seen in sandbox.requests() if seen.path == "/arm/token"]
    assert len(logins) == 2
    assert logins[1] - told > 1.2, "the restarted one did not wait"
    assert place.ask("status").returncode == 0


def test_a_second_run_is_turned_away(place):
    place.route("arm")
    with place.start() as program:
        second = place.call("run")
        assert second.returncode == 1
        assert f"process {program.pid}" in second.stderr
        assert "Traceback" not in second.stderr
        assert program.running
        assert program.stop() == 0
    with place.start() as program:
        assert program.pid


# ------------------------------------------------------------------------------------------------ killed at any instant


def drop_many(place: Place, seed: int, count: int) -> Counter[str]:
    """Files for all four vendors, with some that will be refused or need a companion."""
    dice = random.Random(seed)
    dropped: Counter[str] = Counter()
    for n in range(count):
        account = dice.choice(list(VENDORS))
        content = b"%%PDF %d %d " % (seed, n) + b"x" * dice.choice([1, 1000, 300_000])
        path = Path(place.routes[account]["inbox"], f"{seed} {n}.pdf")
        if account == "arm":
            path.with_name(f"{path.name}.meta.json").write_text('{"client": "2218"}')
        path.write_bytes(content)
        dropped[sha256(content)] += 1
    return dropped


@pytest.mark.parametrize("round_", range(2))
def test_killed_again_and_again_at_any_instant(tmp_path, round_):
    """Takes, uploads and filings are interrupted wherever the dice fall; the vendors live in another process, and live on."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    with sandbox_process() as sandbox:
        sandbox.change(media_rate=[])
        place = Place(tmp_path, sandbox)
        place.defaults["settle"] = "50ms"
        place.providers["office"]["poll"]["give_up_after"] = "2s"  # what died right before its put is Pending until then
        place.route("arm", client_id="{meta.client}", allow={"client_id": ["2218"]})
        for account in ("cases", "debtors", "office"):
            place.route(account)
        dropped: Counter[str] = Counter()
        dropper: threading.Thread | None = None
        for turn in range(6):
            with contextlib.ExitStack() as stack:
                program = stack.enter_context(Program(place.write(), place.log))
                if turn < 4:
                    dropper = threading.Thread(target=lambda turn=turn: dropped.update(drop_many(place, seed + turn, 15)))
                    dropper.start()
                time.sleep(dice.uniform(0.3, 1.5))  # the instant itself, not a wait for anything
                program.kill()
            if dropper is not None:
                dropper.join()
        with place.start() as program:
            place.results(sum(dropped.values()))
            eventually(lambda: place.json("status")["oldest_unfinished"] is None)
            assert program.stop() == 0
        check_nothing_lost_or_doubled(place, dropped)
        assert sandbox.violations() == []
