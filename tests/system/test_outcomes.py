"""DESIGN 5's table through the real daemon: what a vendor answers, and what becomes of the file.

All rows run at once, as they would on a bad day: each has an id of its own in the path of its upload, so that its uploads can be counted.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest
from program import Place

from dropd.model import AMILI_ARM, AMILI_MEDIA, RECEEVE
from dropd.sandbox import Fault, Sandbox

ACCOUNTS = {AMILI_ARM: "arm", AMILI_MEDIA: "cases", RECEEVE: "debtors"}


@dataclass(frozen=True)
class Row:
    """One fault on the upload, and what must become of the file. `code` None: delivered. `taken`: how often the vendor took it."""

    story: str
    fault: dict[str, Any]
    code: str | None
    uploads: int
    taken: int
    status: str = ""
    only: str | None = None
    attempts: tuple[str, ...] = ()


def later(story: str, **fault: Any) -> Row:
    return Row(story, fault, None, 2, 1, "delivered", attempts=("later", "accepted"))


def doubtful(story: str, *, taken: int, **fault: Any) -> Row:
    return Row(story, fault, "unconfirmed", 1, taken, "unconfirmed", attempts=("unconfirmed",))


def refused(story: str, code: str = "refused", only: str | None = None, **fault: Any) -> Row:
    return Row(story, fault, code, 1, 0, "failed", only, attempts=("refused",))


ROWS = [
    Row("no trouble", {}, None, 1, 1, "delivered", attempts=("accepted",)),
    *(later(f"{status} passes", status=status) for status in (408, 425, 429, 503)),
    later("503 with a time to come back", status=503, headers={"Retry-After": "2"}),
    Row("503 three times", {"status": 503, "times": 3}, None, 4, 1, "delivered", attempts=("later",) * 3 + ("accepted",)),
    Row("a token that is not known any more", {"status": 401}, None, 2, 1, "delivered", attempts=("accepted",)),
    *(doubtful(f"{status}, and nothing kept", taken=0, status=status) for status in (500, 502, 504)),
    doubtful("500, and yet it was kept", taken=1, status=500, keep_file=True),
    doubtful("the answer is lost", taken=1, lose_answer=True),
    doubtful("half an answer", taken=1, headers={"Content-Length": "9999"}),
    doubtful("a page that is no answer", taken=1, status=200, body=b"<html>hello</html>", keep_file=True),
    doubtful("an empty answer", taken=1, status=200, body=b"", keep_file=True),
    *(refused(f"{status} is final", status=status) for status in (400, 404, 405, 409, 410, 422)),
    refused("413 is too large", "too_large", status=413),
    refused("415 is the wrong type", "wrong_type", status=415),
    refused("ARM 207 with our entry refused", only=AMILI_ARM, status=207),
    refused("ARM 200 with our entry refused", only=AMILI_ARM, status=200),
    refused("_status ERR in a 201", only=AMILI_MEDIA, status=201),
    refused("success false in a 200", only=RECEEVE, status=200),
]
CASES = [(vendor, row) for vendor in ACCOUNTS for row in ROWS if row.only in (None, vendor)]


def id_of(vendor: str, number: int) -> str:
    match vendor:
        case "amili-arm":
            return str(5000 + number)
        case "amili-media":
            return f"{0xABC000 + number:024x}"
        case _:
            return str(uuid.UUID(int=0x5D0C << 112 | number))


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    """A whole bad day: (vendor, story) -> (its result, its uploads, its deliveries)."""
    with Sandbox() as sandbox:
        sandbox.media_rate = ()
        place = Place(tmp_path_factory.mktemp("outcomes"), sandbox)
        pattern = r"(?P<id>\S+) .*"
        inboxes = {
            AMILI_ARM: place.route("arm", client_id="{id}", allow={"client_id": r"\d+"}, name_pattern=pattern),
            AMILI_MEDIA: place.route("cases", reference_id="{id}", name_pattern=pattern),
            RECEEVE: place.route("debtors", client_id="{id}", allow={"client_id": "[0-9a-f-]+"}, name_pattern=pattern),
        }
        for number, (vendor, row) in enumerate(CASES):
            its_id = id_of(vendor, number)
            if row.fault:
                sandbox.fault(Fault(vendor=vendor, step="upload", name=f"{its_id} ", **row.fault))
            (inboxes[vendor] / f"{its_id} {row.story}.pdf").write_bytes(f"%PDF {vendor} {row.story}".encode())
        with place.start() as program:
            results = {
                (about["provider_type"], about["file"]["original_name"].split()[0]): about for about in place.results(len(CASES))
            }
            assert program.stop() == 0
        uploads = Counter(seen.path for seen in sandbox.requests() if seen.method == "POST")
        taken = Counter(delivery.sha256 for delivery in sandbox.deliveries())
        assert sandbox.violations() == []
        found = {}
        for number, (vendor, row) in enumerate(CASES):
            its_id = id_of(vendor, number)
            about = results[vendor, its_id]
            count = sum(times for path, times in uploads.items() if f"/{its_id}" in path)
            found[vendor, row.story] = (about, count, taken[about["file"]["sha256"]])
        yield found


@pytest.mark.parametrize(("vendor", "row"), CASES, ids=[f"{vendor}: {row.story}" for vendor, row in CASES])
def test_what_becomes_of_the_file(day, vendor, row):
    about, uploads, taken = day[vendor, row.story]
    assert (about["status"], (about["error"] or {}).get("code")) == (row.status, row.code), about["attempts"]
    assert uploads == row.uploads
    assert taken == row.taken
    assert about["filed"].parent.name == ("done" if row.code is None else "failed")
    assert tuple(attempt["outcome"] for attempt in about["attempts"]) == row.attempts
    assert about["possible_duplicate"] is False
    if row.code is not None and row.fault.get("status", 0) >= 400:
        assert about["error"]["http_status"] == row.fault["status"]
        assert "the sandbox was told to answer so" in about["error"]["message"]


@pytest.mark.parametrize("vendor", ACCOUNTS)
def test_retry_after_is_kept(day, vendor):
    about, _, _ = day[vendor, "503 with a time to come back"]
    first, second = about["attempts"]
    waited = datetime.fromisoformat(second["started_at"]) - datetime.fromisoformat(first["finished_at"])
    assert waited.total_seconds() > 1.9
