"""24SevenOffice's three calls, each with its own trouble: announce, put, and the question what became of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from program import Place, eventually

from dropd.model import OFFICE
from dropd.sandbox import Fault, Sandbox


@dataclass(frozen=True)
class Row:
    """One fault, and what must become of the file. `code` None: delivered."""

    story: str
    fault: dict[str, Any]
    code: str | None = None
    announced: int | None = None
    settings: tuple[tuple[str, Any], ...] = ()


ROWS = [
    Row("no trouble", {}, None, 1),
    Row("pending for a while", {}, None, 1, settings=(("office_pending", 4),)),
    Row("sent by POST, if the vendor says so", {}, None, 1, settings=(("office_upload_method", "POST"),)),
    *(Row(f"announcing answers {s}", {"step": "upload", "status": s}, None, 2) for s in (408, 429, 500, 502, 503)),
    Row("announcing breaks off", {"step": "upload", "lose_answer": True}, None, 2),
    Row("announcing with an unknown token", {"step": "upload", "status": 401}, None, 2),
    Row("announcing is answered with nonsense", {"step": "upload", "status": 200, "body": b"[]"}, None, 2),
    *(Row(f"announcing is refused with {s}", {"step": "upload", "status": s}, "refused", 1) for s in (400, 404, 422)),
    *(Row(f"the store answers {s}", {"step": "put", "status": s, "times": 9}, None) for s in (500, 503)),
    Row("the store turns the address down once", {"step": "put", "status": 403}, None, 2),
    Row("the store turns many addresses down", {"step": "put", "status": 403, "times": 6}, None, 7),
    Row("the store's answer is lost", {"step": "put", "lose_answer": True, "times": 2}, None, 1),
    Row("the store breaks off", {"step": "put", "drop_midway": True}, None),
    *(Row(f"asking answers {s}", {"step": "status", "status": s, "times": 5}, None, 1) for s in (408, 429, 500, 503)),
    Row("asking with an unknown token", {"step": "status", "status": 401}, None, 1),
    Row("asking breaks off", {"step": "status", "lose_answer": True, "times": 3}, None, 1),
    Row("no document could be made", {"step": "status", "status": 200}, "refused", 1),
]


@pytest.fixture
def inbox(place):
    return place.route("office")


@pytest.mark.parametrize("part", range(2))
def test_what_becomes_of_a_voucher(tmp_path, part):
    """The vendor is never told a name by which a fault could find its file: one at a time, at each of several vendors."""
    lists = [ROWS[part::2][n::3] for n in range(3)]
    with ThreadPoolExecutor(3) as pool:
        for done in [pool.submit(one_after_the_other, tmp_path / str(n), rows) for n, rows in enumerate(lists)]:
            done.result()


def one_after_the_other(root: Path, rows: list[Row]) -> None:
    root.mkdir()
    with Sandbox() as sandbox:
        place = Place(root, sandbox)
        inbox = place.route("office")
        with place.start() as program:
            for number, row in enumerate(rows, start=1):
                sandbox.reset()
                for key, value in {"office_pending": 1, "office_upload_method": "PUT", **dict(row.settings)}.items():
                    setattr(sandbox, key, value)
                if row.fault:
                    sandbox.fault(Fault(vendor=OFFICE, **row.fault))
                (inbox / f"{number}.pdf").write_bytes(f"%PDF {row.story}".encode())
                about = next(about for about in place.results(number) if about["file"]["original_name"] == f"{number}.pdf")
                check(row, about, sandbox)
            assert program.stop() == 0


def check(row: Row, about: dict[str, Any], sandbox) -> None:
    story = (row.story, about["status"], about["error"], about["attempts"])
    assert (about["error"] or {}).get("code") == row.code, story
    assert about["possible_duplicate"] is False, story
    taken = [delivery.sha256 for delivery in sandbox.deliveries()]
    assert taken == ([] if row.code else [about["file"]["sha256"]]), story
    announced = sum(seen.path == "/office/v1/fileUpload" for seen in sandbox.requests())
    assert row.announced in (None, announced), (announced, story)
    assert sandbox.violations() == [], story
    if row.code is None:
        assert set(about["receipt"]) == {"file_id", "document_id"}, story


def test_a_document_that_is_never_decided_is_held_for_a_person(place, sandbox, inbox):
    place.providers["office"]["poll"] = {"first": "100ms", "max": "200ms", "give_up_after": "1s"}
    sandbox.office_pending = 10_000
    (inbox / "a.pdf").write_bytes(b"%PDF a")
    with place.start():
        about = place.result()
    assert (about["status"], about["error"]["code"]) == ("unconfirmed", "unconfirmed")
    taken = len(sandbox.deliveries())
    assert taken == 1 or about["possible_duplicate"], "a second one must be told"


def test_a_document_that_is_decided_late_is_found_by_a_retry_and_not_sent_again(place, sandbox, inbox):
    place.providers["office"]["poll"] = {"first": "100ms", "max": "200ms", "give_up_after": "1s"}
    sandbox.office_pending = 10_000
    (inbox / "a.pdf").write_bytes(b"%PDF a")
    with place.start():
        held = place.result()
        assert held["status"] == "unconfirmed"
        sandbox.office_pending = 0
        assert place.ask("retry", held["drop_id"]).returncode == 0
        eventually(lambda: [about["status"] for about in place.sidecars()] == ["delivered"])
    assert len(sandbox.deliveries()) == 1


def test_a_put_whose_answer_stays_lost_makes_no_second_document_in_silence(place, sandbox, inbox):
    sandbox.office_pending = 10_000  # when the vendor is asked about the first one, it has not decided
    sandbox.fault(Fault(vendor=OFFICE, step="put", lose_answer=True, times=3))
    (inbox / "a.pdf").write_bytes(b"%PDF a")
    with place.start():
        eventually(lambda: len(sandbox.deliveries()) == 2)
        sandbox.office_pending = 0
        about = place.result()
    assert about["status"] == "delivered"
    assert about["possible_duplicate"] is True


def test_a_put_whose_answer_stayed_lost_is_found_before_a_second_one_is_made(place, sandbox, inbox):
    sandbox.fault(Fault(vendor=OFFICE, step="put", lose_answer=True, times=3))
    sandbox.office_pending = 0
    (inbox / "a.pdf").write_bytes(b"%PDF a")
    with place.start():
        about = place.result()
    assert (about["status"], about["possible_duplicate"]) == ("delivered", False)
    assert len(sandbox.deliveries()) == 1
