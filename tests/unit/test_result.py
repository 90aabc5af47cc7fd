"""The sidecar to the field, as DESIGN 2.4 promises it: other programs read it."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from doubles import LABEL, taking
from hypothesis import given
from hypothesis import strategies as st

from dropd.ledger.rows import begun
from dropd.model import Attempt, Code, Drop, Error, Stamp, Status, Target
from dropd.result import as_text, result, timestamp

OSLO = timezone(timedelta(hours=1))
TAKEN = datetime(2026, 11, 20, 14, 2, 59, 500_000, tzinfo=OSLO).timestamp()
FINISHED = datetime(2026, 11, 20, 14, 3, tzinfo=OSLO).timestamp()
ID = "018bcfe5-0000-7000-8000-000000000001"
ODD = os.fsdecode(b"fakt\xe5ra.csv")


def drop(**more: Any) -> Drop:
    about = taking("invoices.csv", stamp=Stamp(7, 20480, int((TAKEN - 60) * 1e9)))
    values = {
        "attempt": 2,
        "status": Status.DELIVERED,
        "target": Target(client_id="2218", file_type="InvoiciaFormatDocFile"),
        "receipt": {"file_id": "f-7", "message": "File uploaded"},
        "finished_at": FINISHED,
        "sha256": "ab" * 32,
        "content_type": "text/csv",
        "filed_as": "invoices.csv",
        "filed_dir": "/srv/done",
    }
    return replace(begun(ID, about, "me", TAKEN), **{**values, **more})


ATTEMPTS = [
    Attempt(TAKEN, TAKEN + 0.1, "later", 503, "Busy", None),
    Attempt(TAKEN + 0.2, FINISHED, "accepted", 200, None, "trace-9"),
]


def made(one: Drop, attempts: list[Attempt] | None = None, **more: Any) -> dict[str, Any]:
    text = as_text(result(one, attempts or [], label=LABEL, version="1.2.3", host="box", tz=OSLO, **more))
    return json.loads(text.encode())  # type: ignore[no-any-return]


def test_a_delivered_file() -> None:
    expected = {
        "schema": "dropd.result/1",
        "status": "delivered",
        "summary": "Delivered to arm (Amili ARM) for client 2218 on 20 November 2026 at 14:03.",
        "advice": None,
        "drop_id": ID,
        "route": "invoices",
        "provider": "arm",
        "provider_type": "amili-arm",
        "target": {
            "client_id": "2218",
            "account_id": None,
            "reference_id": None,
            "file_type": "InvoiciaFormatDocFile",
            "domain": None,
            "dotted_path": None,
            "extra_fields": {},
        },
        "file": {
            "original_name": "invoices.csv",
            "folder": "",
            "filed_as": "invoices.csv",
            "size": 20480,
            "sha256": "ab" * 32,
            "content_type": "text/csv",
            "owner": "anna",
            "modified_at": "2026-11-20T14:01:59.500+01:00",
        },
        "receipt": {"file_id": "f-7", "message": "File uploaded"},
        "error": None,
        "possible_duplicate": False,
        "duplicate_of": None,
        "attempts": [
            {
                "number": 1,
                "started_at": "2026-11-20T14:02:59.500+01:00",
                "finished_at": "2026-11-20T14:02:59.600+01:00",
                "outcome": "later",
                "http_status": 503,
                "message": "Busy",
                "trace_id": None,
            },
            {
                "number": 2,
                "started_at": "2026-11-20T14:02:59.700+01:00",
                "finished_at": "2026-11-20T14:03:00.000+01:00",
                "outcome": "accepted",
                "http_status": 200,
                "message": None,
                "trace_id": "trace-9",
            },
        ],
        "taken_at": "2026-11-20T14:02:59.500+01:00",
        "finished_at": "2026-11-20T14:03:00.000+01:00",
        "dropd_version": "1.2.3",
        "host": "box",
    }
    assert made(drop(), ATTEMPTS) == expected
    assert json.dumps(made(drop(), ATTEMPTS)) == json.dumps(expected)  # in this order


@pytest.mark.parametrize(
    ("status", "error", "shown"),
    [
        (Status.FAILED, Error(Code.REFUSED, "no", 422), {"code": "refused", "message": "no", "http_status": 422}),
        (Status.UNCONFIRMED, Error(Code.UNCONFIRMED, "?"), {"code": "unconfirmed", "message": "?", "http_status": None}),
        (Status.DUPLICATE, Error(Code.DUPLICATE, "d"), {"code": "duplicate", "message": "d", "http_status": None}),
        (Status.DELIVERED, Error(Code.UNCONFIRMED, "an old doubt"), None),
        (Status.DELIVERED, None, None),
    ],
)
def test_status_and_error(status: Status, error: Error | None, shown: dict[str, Any] | None) -> None:
    content = made(drop(status=status, error=error, receipt=None))
    assert (content["status"], content["error"], content["receipt"]) == (str(status), shown, None)
    assert (content["advice"] is None) == (status is Status.DELIVERED)


def test_a_duplicate_names_the_earlier_one() -> None:
    twin = drop(taking=taking("first.csv"))
    content = made(
        drop(status=Status.DUPLICATE, error=Error(Code.DUPLICATE, "d"), duplicate_of=twin.id), duplicate_of=twin, attempts=[]
    )
    assert content["duplicate_of"] == twin.id
    assert "“first.csv”" in content["summary"]


def test_bytes_that_are_no_utf8_are_spelled_out_everywhere() -> None:
    about = replace(drop().taking, name=ODD, folder=ODD, owner_name=ODD)
    target = Target(client_id=ODD, extra_fields={ODD: ODD})
    one = drop(taking=about, filed_as=ODD, target=target, receipt={ODD: [ODD, {"deep": ODD}], "n": 7})
    spelled = r"fakt\xe5ra.csv"
    content = made(one, [Attempt(TAKEN, TAKEN, "later", None, ODD, ODD)])
    assert content["file"]["original_name"] == content["file"]["filed_as"] == content["file"]["folder"] == spelled
    assert content["file"]["owner"] == spelled
    assert content["target"]["client_id"] == content["target"]["extra_fields"][spelled] == spelled
    assert content["receipt"] == {spelled: [spelled, {"deep": spelled}], "n": 7}
    assert content["attempts"][0]["message"] == content["attempts"][0]["trace_id"] == spelled


anything = st.text(st.characters(exclude_categories=()))


@given(anything, anything)
def test_whatever_stands_in_it_the_sidecar_can_be_written_and_read(name: str, words: str) -> None:
    """It is written after the delivery: what raises here would leave the file in work/ for ever."""
    one = drop(
        taking=taking(name, folder=name, owner_name=name),
        filed_as=name,
        content_type=words,
        status=Status.FAILED,
        error=Error(Code.REFUSED, words),
        target=Target(client_id=words, extra_fields={words: words}),
        receipt={words: words},
        duplicate_of=None,
    )
    content = made(one, [Attempt(TAKEN, TAKEN, "later", None, words, words)], duplicate_of=one)
    assert content["schema"] == "dropd.result/1"


@pytest.mark.parametrize("mtime_ns", [0, -1, -(2**63), 2**63 - 1])
def test_a_file_may_be_dated_anywhere(mtime_ns: int) -> None:
    assert made(drop(taking=taking(stamp=Stamp(7, 3, mtime_ns))))["file"]["modified_at"][-6] in "+-"


def test_a_stamp_holds_any_date_that_a_file_can_have(tmp_path: Any) -> None:
    path = tmp_path / "x"
    path.touch()
    os.utime(path, ns=(0, 2**63 + 5))  # the year 2262, and beyond: some filesystems keep it
    assert Stamp.of(os.stat(path)).mtime_ns < 2**63
    assert Stamp.of(os.stat(path)) == Stamp.of(os.stat(path))


def test_times_are_rfc_3339_with_offset() -> None:
    assert timestamp(TAKEN, OSLO) == "2026-11-20T14:02:59.500+01:00"
    assert timestamp(None) is None
    assert datetime.fromisoformat(timestamp(TAKEN) or "").timestamp() == TAKEN


def test_every_field_of_a_target_is_shown() -> None:
    assert list(made(drop())["target"]) == [field.name for field in fields(Target)]


def test_it_is_fit_to_be_opened_by_a_person() -> None:
    text = as_text(result(drop(taking=taking("blåbær.csv")), [], label=LABEL, version="1", host="box", tz=OSLO))
    assert text.endswith("}\n")
    assert '\n    "original_name": "blåbær.csv",\n' in text
