"""What status, list and show say of a ledger: which drop is meant, what needs a person, and tables that people can read."""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doubles import OWNER, next_id, route, taking

from dropd import lock, wording
from dropd.commands import reading, tables
from dropd.config import Config
from dropd.ledger.base import Ledger
from dropd.ledger.memory import MemoryLedger
from dropd.ledger.sql import SqlLedger
from dropd.model import Code, Drop, Error, Inbox, Pause, State, Status, Step, Target, identity
from dropd.policy import rejected

EVIL = "a\x1b]0;owned\x07\x1b[2J\r\n\u202ef[red]dp.csv\udcff"
ESCAPED = "a\\x1b]0;owned\\x07\\x1b[2J\\x0d\\x0a\\u202ef[red]dp.csv\\xff"
TARGET = Target(client_id="2218", file_type="Invoice", extra_fields={"ref": "x"})


class Place:
    """One route with its inbox, and a ledger in which drops are brought to any end."""

    def __init__(self, root: Path, ledger: Ledger) -> None:
        self.inbox = root / "inbox"
        self.state_dir = root / "state"
        for folder in ("done", "failed"):
            (self.inbox / folder).mkdir(parents=True, exist_ok=True)
        self.state_dir.mkdir(exist_ok=True)
        self.ledger = ledger
        self.config = Config(root / "config.yaml", self.state_dir, "en", None, {"arm": None}, (route(self.inbox),))  # type: ignore[arg-type]
        self._contents = itertools.count()

    def drop(self, name: str = "a.csv", *, drop_id: str | None = None, folder: str = "") -> Drop:
        """In READY."""
        now = time.time()
        drop = self.ledger.begin(drop_id or next_id(), taking(name, inbox=str(self.inbox), folder=folder), OWNER, now)
        changes = {"sha256": f"{next(self._contents):064x}", "target": TARGET, "due_at": now, "give_up_at": now + 100}
        step = Step(to=State.READY, event="ready", changes=changes)
        return self.ledger.ready(drop, step, identity("arm", TARGET, changes["sha256"]), now)

    def done(self, name: str = "a.csv", **more: Any) -> Drop:
        return self._filed(self._sending(self.drop(name, **more)), Step(to=State.ACCEPTED, event="accepted", changes={
            "receipt": {"file_id": "4711", "message": "File uploaded"}, "status": Status.DELIVERED}))  # fmt: skip

    def failed(self, name: str = "a.csv", *, error: Error | None = None, present: bool = True, **more: Any) -> Drop:
        step = rejected(error or Error(Code.REFUSED, "no such client", 422))
        drop = self._filed(self._sending(self.drop(name, **more)), step)
        if present:
            Path(drop.filed_dir or "").mkdir(parents=True, exist_ok=True)
            Path(drop.filed_dir or "", drop.filed_as or "").write_bytes(b"abc")
        return drop

    def _sending(self, drop: Drop) -> Drop:
        found = self.ledger.claim("arm", OWNER, time.time(), ())
        assert found is not None
        assert found.id == drop.id
        return found

    def _filed(self, drop: Drop, verdict: Step) -> Drop:
        now = time.time()
        good = verdict.to is State.ACCEPTED
        folder = os.path.join(self.inbox, "done" if good else "failed", drop.taking.folder).rstrip("/")
        changes = {**verdict.changes, "filed_dir": folder, "filed_as": drop.taking.name, "finished_at": now, "due_at": None}
        drop = self.ledger.move(drop, replace(verdict, changes=changes), now)
        return self.ledger.move(drop, Step(to=State.DONE if good else State.FAILED, event="filed"), now)

    def look(self, *, red: str | None = None, left_alone: dict[str, str] | None = None) -> None:
        self.ledger.look(Inbox("invoices", str(self.inbox), "id", red, time.time(), time.time(), left_alone or {}))

    def status(self) -> dict[str, Any]:
        return reading.status(self.config, self.ledger)


@pytest.fixture(params=["memory", "sql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    ledger: Ledger = MemoryLedger() if request.param == "memory" else SqlLedger(tmp_path / "ledger.db")
    yield Place(tmp_path, ledger)
    ledger.close()


Printed = Callable[..., str]


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Printed:
    """What a printer writes: to a pipe, or to a plain terminal of 80 columns."""

    def run(printer: Callable[[Any], None], about: Any, *, terminal: bool = False) -> str:
        out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
        monkeypatch.setattr(sys, "stdout", out)
        for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "TERM", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
            monkeypatch.delenv(name, raising=False)
        if terminal:
            monkeypatch.setattr(out, "isatty", lambda: True, raising=False)
            monkeypatch.setenv("TERM", "dumb")
        printer(about)
        return out.buffer.getvalue().decode()  # type: ignore[attr-defined]

    return run


# ------------------------------------------------------------------------------------------------ which drop is meant


def test_a_drop_is_found_by_its_id_its_beginning_and_its_end(place):
    drop = place.done(drop_id="0193aaaa-0000-7000-8000-00000000beef")
    place.done("b.csv", drop_id="0193bbbb-0000-7000-8000-00000000cafe")
    for wanted in (drop.id, drop.id[:8], drop.short_id, "beef"):
        assert reading.find_drop(place.ledger, place.config, wanted).id == drop.id


def test_an_id_that_fits_several_or_none_or_is_too_short_is_refused_in_words(place):
    for end in ("beef", "cafe"):
        place.done(f"{end}.csv", drop_id=f"0193aaaa-0000-7000-8000-00000000{end}")
    with pytest.raises(reading.NotFound, match="2 drops have an id like 0193"):
        reading.find_drop(place.ledger, place.config, "0193")
    for wanted in ("ffff", "eef", ""):
        with pytest.raises(reading.NotFound, match="no drop has the id"):
            reading.find_drop(place.ledger, place.config, wanted)


@pytest.mark.parametrize("ending", ["", ".result.json"])
def test_a_drop_is_found_by_its_filed_file_and_by_its_result_from_anywhere(place, ending, monkeypatch):
    drop = place.failed("x.csv")
    monkeypatch.chdir(place.inbox)
    for wanted in (f"{place.inbox}/failed/x.csv{ending}", f"failed/x.csv{ending}", f"./failed/../failed/x.csv{ending}"):
        assert reading.find_drop(place.ledger, place.config, wanted).id == drop.id
    monkeypatch.chdir(place.inbox / "failed")
    assert reading.find_drop(place.ledger, place.config, "x.csv").id == drop.id


def test_a_drop_is_found_by_where_it_was_dropped_and_the_latest_of_a_name_counts(place):
    place.done("x.csv")
    later = place.done("x.csv")
    below = place.done("x.csv", folder="acc-1/deep")
    assert reading.find_drop(place.ledger, place.config, f"{place.inbox}/x.csv").id == later.id
    assert reading.find_drop(place.ledger, place.config, f"{place.inbox}/acc-1/deep/x.csv").id == below.id


def test_a_drop_is_found_through_a_symlink_to_its_folder(place, tmp_path):
    drop = place.failed("x.csv")
    (tmp_path / "link").symlink_to(place.inbox)
    for wanted in ("link/failed/x.csv", "link/x.csv"):
        assert reading.find_drop(place.ledger, place.config, str(tmp_path / wanted)).id == drop.id


def test_a_path_without_a_drop_is_refused_in_words_and_escaped(place):
    with pytest.raises(reading.NotFound, match="no drop is known at") as caught:
        reading.find_drop(place.ledger, place.config, f"{place.inbox}/{EVIL}")
    assert ESCAPED in str(caught.value)
    for wanted in ("/etc/passwd", "x" * 5000, "/" + "x" * 5000):
        with pytest.raises(reading.NotFound):
            reading.find_drop(place.ledger, place.config, wanted)


def test_an_id_counts_although_a_file_here_has_the_same_name(place, tmp_path, monkeypatch):
    drop = place.done(drop_id="0193aaaa-0000-7000-8000-00000000beef")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "beef").touch()
    assert reading.find_drop(place.ledger, place.config, "beef").id == drop.id


# ------------------------------------------------------------------------------------------------ what needs a person


def test_nothing_needs_a_person_where_all_is_well(place):
    place.look()
    place.done()
    about = place.status()
    assert not about["needs_attention"]
    assert not about["running"]
    assert about["oldest_unfinished"] is None
    (line,) = about["routes"]
    assert (line["done"], line["failed"], line["waiting"], line["red"]) == (1, 0, 0, None)


def test_waiting_needs_nobody(place):
    place.drop()
    about = place.status()
    assert not about["needs_attention"]
    assert about["routes"][0]["waiting"] == 1
    assert about["oldest_unfinished"]["state"] == "ready"


@pytest.mark.parametrize("code", [Code.REFUSED, Code.UNCONFIRMED, Code.DUPLICATE])
def test_a_file_in_failed_needs_a_person_until_it_is_moved_away(place, code):
    drop = place.failed(error=Error(code, "no"))
    assert place.status()["needs_attention"]
    assert [one["drop_id"] for one in place.status()["standing_in_failed"]] == [drop.id]
    os.rename(place.inbox / "failed" / "a.csv", place.inbox / "a.csv")
    assert not place.status()["needs_attention"]
    assert place.status()["routes"][0]["failed"] == 1


@pytest.mark.parametrize(
    ("kind", "target", "needs"), [("login", "", True), ("forbidden", "t", True), ("down", "", True), ("busy", "", False)]
)
def test_a_pause_needs_a_person_unless_the_vendor_is_but_busy(place, kind, target, needs):
    now = time.time()
    place.ledger.pause(Pause("arm", target, kind, "why", now, now + 60, 1))
    about = place.status()
    assert about["needs_attention"] is needs
    assert (about["pauses"][0]["kind"], about["pauses"][0]["whole_account"]) == (kind, target == "")


def test_a_red_inbox_needs_a_person(place):
    place.look(red="it is not there")
    assert place.status()["needs_attention"]


def test_a_running_daemon_is_seen_by_its_lock(place):
    with lock.held(place.state_dir):
        assert place.status()["running"]


def test_where_dropd_never_ran_there_is_an_empty_ledger_and_nothing_is_made(place, tmp_path):
    config = replace(place.config, state_dir=tmp_path / "elsewhere")
    ledger = reading.open_ledger(config)
    assert ledger.recent() == []
    assert not reading.status(config, ledger)["needs_attention"]
    assert not (tmp_path / "elsewhere").exists()


# ------------------------------------------------------------------------------------------------ tables for people


def busy_place(place: Place) -> None:
    """Something of everything."""
    place.done("6867da7788b9226bb78d716c-scan.png")
    place.failed("letter.pdf", error=Error(Code.REFUSED, "The vendor answered 422: " + "the amount of a row is missing; " * 4))
    place.failed(EVIL, folder="acc-\x1b[1m", error=Error(Code.UNCONFIRMED, f"lost {EVIL}"))
    place.drop("waiting.csv")
    place.look(red=f"gone {EVIL}", left_alone={ESCAPED: f"why {EVIL}"})
    now = time.time()
    place.ledger.pause(Pause("arm", "", "login", f"refused {EVIL}", now, now + 60, 1))


def harmless(text: str) -> bool:
    return not any(ch != "\n" and (ord(ch) < 32 or 0x7F <= ord(ch) < 0xA0 or ch == "\u202e") for ch in text)


@pytest.mark.parametrize("terminal", [False, True])
def test_no_name_and_no_reason_steers_the_terminal(place, printed, terminal):
    busy_place(place)
    drops = place.ledger.recent()
    texts = [
        printed(reading.print_status, place.status(), terminal=terminal),
        printed(reading.print_list, drops, terminal=terminal),
    ]
    texts += [printed(reading.print_show, reading.show(place.ledger, drop), terminal=terminal) for drop in drops]
    assert all(map(harmless, texts))
    if not terminal:
        assert ESCAPED in texts[0]
        assert ESCAPED in texts[1]


def test_the_tables_fit_eighty_columns(place, printed):
    busy_place(place)
    text = printed(reading.print_list, place.ledger.recent(), terminal=True)
    text += printed(reading.print_status, place.status(), terminal=True).replace(str(place.inbox), "")
    assert [line for line in text.splitlines() if len(line) > 80 and ESCAPED[:12] not in line] == []
    assert "…" not in text


def test_in_a_pipe_every_drop_and_every_reason_is_one_whole_line(place, printed):
    busy_place(place)
    lines = printed(reading.print_list, place.ledger.recent()).splitlines()
    assert lines[0].split() == ["id", "taken", "state", "route", "file"]
    assert any(line.endswith("invoices  6867da7788b9226bb78d716c-scan.png") and "delivered" in line for line in lines)
    assert any(line.strip().startswith("The vendor answered 422") and line.count("missing") == 4 for line in lines)
    assert all(line == line.rstrip() for line in lines)


def test_status_names_what_stands_in_failed_and_stops_at_ten(place, printed):
    for number in range(12):
        place.failed(f"f{number}.csv")
    text = printed(reading.print_status, place.status())
    assert "These 12 files were not delivered" in text
    assert text.count(f"{place.inbox}/failed/f") == 10
    assert "and 2 more: dropd list --state failed" in text
    assert "arm (Amili ARM)" in text


def test_status_tells_what_waits_for_a_route_or_an_account_that_was_renamed(place, printed):
    place.done("b.csv")
    place.drop()
    place.config = replace(place.config, routes=(route(place.inbox, name="renamed"),))
    about = place.status()
    assert [(row["route"], row["configured"], row["waiting"]) for row in about["routes"]] == [
        ("renamed", True, 0),
        ("invoices", False, 1),
    ]
    assert (about["stranded"], about["needs_attention"]) == ([], False), "its account still delivers it"
    assert "not configured" in printed(reading.print_status, about)
    place.config = replace(place.config, providers={"arm-2": None})
    about = place.status()
    assert (about["stranded"], about["needs_attention"]) == ([{"provider": "arm", "drops": 1}], True)
    said = printed(reading.print_status, about)
    assert "1 drop waits for arm, which the configuration does not name any more.\n  Give the account its name back" in said


def test_status_tells_of_red_inboxes_pauses_and_what_is_left_alone(place, printed):
    busy_place(place)
    text = printed(reading.print_status, place.status())
    for words in (
        "dropd is not running",
        "The inbox of invoices cannot be used: gone",
        "Left alone in the inbox of invoices",
        "arm is paused since",
        "its login is refused",
        "The oldest unfinished drop is waiting.csv of invoices",
        "These 2 files were not delivered, or not surely",
    ):
        assert words in text


def test_an_empty_list_says_so(printed):
    assert printed(reading.print_list, []) == "There are no such drops.\n"


def test_show_tells_the_story_and_breaks_nothing_that_is_copied(place, printed):
    drop = place.failed("x.csv")
    text = printed(reading.print_show, reading.show(place.ledger, drop), terminal=True)
    assert text.splitlines()[0] == "x.csv  failed"
    assert f"{place.inbox}/failed/x.csv" in text
    assert drop.sha256 in text
    assert str(wording.advice(drop)) in " ".join(text.split())
    story = text[text.index("What happened") :]
    assert [words in story for words in ("ready to be sent", "sending begins", "refused: no such client", "filed")] == [True] * 4


def test_show_names_the_twin_of_a_duplicate(place, printed):
    first = place.done("first.csv")
    second = place.failed("second.csv", error=Error(Code.DUPLICATE, f"The same content is drop {first.id}."))
    twin = replace(second, duplicate_of=first.id)
    about = reading.show(place.ledger, twin)
    assert "first.csv" in about["summary"]
    assert first.id in printed(reading.print_show, about)
    assert f"the same content as drop {first.short_id}" in printed(reading.print_list, [twin])


def test_show_as_json_has_the_receipt_and_every_event(place):
    about = json.loads(reading.to_json(reading.show(place.ledger, place.done())))
    assert about["receipt"] == {"file_id": "4711", "message": "File uploaded"}
    assert [event["event"] for event in about["events"]] == ["taking", "ready", "sending", "accepted", "filed"]
    assert about["advice"] is None


def test_json_is_ascii_whatever_the_names_are(place):
    busy_place(place)
    for value in (place.status(), [reading.as_json(drop) for drop in place.ledger.recent()]):
        assert reading.to_json(value).isascii()


@pytest.mark.parametrize(
    ("seconds", "words"), [(0, "0 s ago"), (119, "119 s ago"), (121, "2 min ago"), (7300, "2 h ago"), (400_000, "4 days ago")]
)
def test_how_long_ago_is_said_in_one_unit(seconds, words):
    assert tables.ago(reading.timestamp(time.time() - seconds)) == words
    assert tables.ago(None) == "never"
