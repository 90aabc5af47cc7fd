"""Each vendor's own word for yes and no, as tables: what stands in a 2xx decides, never the status alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dropd.model import Accepted, Code, Later, Misconfigured, Outcome, Pending, Refused, Unconfirmed
from dropd.providers import amili_arm, amili_media, receeve
from dropd.providers import twentyfour_seven_office as office
from dropd.providers.answers import Step


def raw(body: Any) -> bytes | None:
    return body if isinstance(body, bytes) or body is None else json.dumps(body).encode()


COMMON = [
    (400, Refused),
    (404, Refused),
    (413, Refused),
    (422, Refused),
    (401, Misconfigured),
    (403, Misconfigured),
    (302, Misconfigured),
    (408, Later),
    (425, Later),
    (429, Later),
    (503, Later),
    (500, Unconfirmed),
    (502, Unconfirmed),
    (504, Unconfirmed),
]
YES: dict[str, Any] = {
    "arm": {"files": [{"fileId": "D1", "status": "PROCESSED", "result": "CREATED"}]},
    "media": {"_status": "OK", "url": "https://x"},
    "receeve": {"r": {"success": True}},
}


def judge(vendor: str, status: int, body: Any) -> Outcome:
    if vendor == "arm":
        return amili_arm.classify(Step.UPLOAD, status, {}, raw(body), file_id="D1")
    if vendor == "media":
        return amili_media.classify(Step.UPLOAD, status, {}, raw(body), reference_id="R1")
    return receeve.classify(Step.UPLOAD, status, {}, raw(body))


@pytest.mark.parametrize("vendor", ["arm", "media", "receeve"])
@pytest.mark.parametrize(("status", "expected"), COMMON)
def test_an_error_status_is_never_outvoted_by_a_yes_in_its_body(vendor: str, status: int, expected: type[Outcome]) -> None:
    assert type(judge(vendor, status, YES[vendor])) is expected
    assert type(judge(vendor, status, {"message": "why"})) is expected


@pytest.mark.parametrize("vendor", ["arm", "media", "receeve"])
@pytest.mark.parametrize("status", [200, 201, 202, 204, 206, 207, 226])
@pytest.mark.parametrize(
    "body", [None, b"", b"{", b"<html>", b"[]", b"{}", b"null", b"3", b'"ok"', b'{"files": 3}', b"\xff\xfe", b"[" * 60_000]
)
def test_a_2xx_that_says_nothing_is_doubt(vendor: str, status: int, body: bytes | None) -> None:
    assert type(judge(vendor, status, body)) is Unconfirmed


@pytest.mark.parametrize("vendor", ["arm", "media", "receeve"])
@pytest.mark.parametrize("status", [202, 203, 204, 205, 226])
def test_an_unknown_2xx_is_doubt_even_with_a_yes(vendor: str, status: int) -> None:
    assert type(judge(vendor, status, YES[vendor])) is Unconfirmed


# ------------------------------------------------------------------------------------------------ Amili ARM


def entry(**values: Any) -> dict[str, Any]:
    return {"fileId": "D1", "status": "PROCESSED", "result": "CREATED", "message": "File uploaded", **values}


@pytest.mark.parametrize("status", [200, 201, 207])
@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ([entry()], Accepted),
        ([entry(status="processed", result="Created", fileId="d1")], Accepted),
        ([entry(message=None)], Accepted),
        ([entry(fileId="other", status="FAILED"), entry()], Accepted),
        ([entry(), entry(result="FAILED", message="one of two failed")], Refused),
        ([entry(status="FAILED", message="type not enabled")], Refused),
        ([entry(status="FAILED", result=None)], Refused),
        ([entry(result="DUPLICATE")], Refused),
        ([entry(status="QUEUED")], Refused),
        ([entry(status=None)], Unconfirmed),
        ([entry(status=None, result="FAILED")], Refused),
        ([entry(result=None)], Unconfirmed),
        ([entry(status=None, result=None)], Unconfirmed),
        ([entry(fileId="other")], Unconfirmed),
        ([entry(fileId=None)], Unconfirmed),
        ([], Unconfirmed),
        (["D1"], Unconfirmed),
    ],
)
def test_arm_is_judged_by_the_entry_with_our_file_id(status: int, files: list[Any], expected: type[Outcome]) -> None:
    """The summary above the entries counts for nothing."""
    summary = {"status": "PROCESSED", "result": "CREATED", "message": "all well", "files": files}
    outcome = judge("arm", status, summary)
    assert type(outcome) is expected
    if isinstance(outcome, Accepted):
        assert outcome.receipt["file_id"] == "D1"
    if isinstance(outcome, Refused) and files[-1].get("message") == "type not enabled":
        assert "type not enabled" in outcome.reason


def test_arm_accepts_the_results_that_are_configured() -> None:
    body = raw({"files": [entry(result="Replaced")]})
    outcome = amili_arm.classify(Step.UPLOAD, 200, {}, body, file_id="D1", accepted_results=["CREATED", "REPLACED"])
    assert outcome == Accepted(reason="File uploaded", http_status=200, receipt={"file_id": "D1", "message": "File uploaded"})


# ------------------------------------------------------------------------------------------------ Amili media


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (201, {"_status": "OK", "url": "https://s/x?sig=1"}, Accepted),
        (200, {"_status": "OK"}, Accepted),
        (201, {"_status": "ok"}, Accepted),
        (201, {"url": "https://s/x?sig=1"}, Accepted),
        (201, {"url": None}, Unconfirmed),
        (201, {"_status": None, "url": "https://s"}, Unconfirmed),
        (201, {"_status": "MAYBE", "url": "https://s"}, Unconfirmed),
        (200, {"_status": "ERR", "_error": {"code": 422, "message": "Validation failed"}}, Refused),
        (201, {"_status": "ERR", "url": "https://s"}, Refused),
        (207, {"_status": "err"}, Refused),
        (400, {"_status": "ERR", "_error": {"message": "invalid domain"}}, Refused),
        (401, {"_status": "ERR"}, Misconfigured),
        (403, {"_status": "ERR"}, Misconfigured),
        (429, {"_status": "ERR"}, Later),
        (503, {"_status": "ERR"}, Later),
        (500, {"_status": "ERR"}, Unconfirmed),
    ],
)
def test_media_is_judged_by_its_status_word(status: int, body: dict[str, Any], expected: type[Outcome]) -> None:
    """ERR is a no within any success code; where the code itself says whose fault it is, the code has its row."""
    outcome = judge("media", status, body)
    assert type(outcome) is expected
    assert "https://s" not in repr(outcome)
    if isinstance(outcome, Accepted):
        assert outcome.receipt == {"reference_id": "R1"}


def test_media_tells_why() -> None:
    outcome = judge("media", 200, {"_status": "ERR", "_error": {"code": 413, "message": "too big", "details": {"file": "40 MB"}}})
    assert isinstance(outcome, Refused)
    assert outcome.code is Code.TOO_LARGE
    assert outcome.reason == "The vendor did not accept the file: too big; file: 40 MB"


# ------------------------------------------------------------------------------------------------ receeve


def leaf(success: Any, *messages: str) -> dict[str, Any]:
    return {"success": success, "messages": list(messages), "messageIds": ["m-1"]}


@pytest.mark.parametrize("status", [200, 201, 207])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"ref": leaf(True)}, Accepted),
        (leaf(True), Accepted),
        ({"a": leaf(True), "b": leaf(True)}, Accepted),
        ({"a": {"b": leaf(True)}, "c": [leaf(True)]}, Accepted),
        ({"requestId": "r", "ref": leaf(True)}, Accepted),
        ([leaf(True)], Accepted),
        ({"ref": leaf(False, "[4002] ParameterInputError: no such account")}, Refused),
        (leaf(False, "no"), Refused),
        ({"a": leaf(True), "b": leaf(False, "half of it failed")}, Refused),
        ({"ref": {"messages": []}}, Unconfirmed),
        ({"a": leaf(True), "b": {}}, Unconfirmed),
        ({"ref": leaf("true")}, Unconfirmed),
        ({"ref": leaf(1)}, Unconfirmed),
        ({"ref": leaf(None)}, Unconfirmed),
        ({"ref": True}, Unconfirmed),
        ({"message": "ok"}, Unconfirmed),
    ],
)
def test_receeve_is_judged_by_every_leaf(status: int, body: Any, expected: type[Outcome]) -> None:
    assert type(judge("receeve", status, body)) is expected


def test_receeve_keeps_ids_and_all_messages() -> None:
    body = {
        "a": {"success": True, "messages": ["one", "two"], "messageIds": ["1", "2"]},
        "b": {"success": True, "messageIds": ["3"]},
    }
    outcome = judge("receeve", 200, body)
    assert isinstance(outcome, Accepted)
    assert outcome.receipt == {"message_ids": ["1", "2", "3"], "messages": ["one", "two"]}
    refused = judge("receeve", 200, {"a": leaf(False, "x", "y"), "b": leaf(False, "z")})
    assert refused.reason == "The vendor did not accept the file: x; y; z"


# ------------------------------------------------------------------------------------------------ 24SevenOffice


@pytest.mark.parametrize(
    ("step", "status", "body", "expected"),
    [
        (Step.STATUS, 200, {"fileId": 1, "status": "Completed", "documentId": 77}, Accepted),
        (Step.STATUS, 200, {"documentId": "77"}, Accepted),
        (Step.STATUS, 200, {"status": "Completed"}, Pending),
        (Step.STATUS, 200, {"status": "Pending", "documentId": None}, Pending),
        (Step.STATUS, 200, {"status": "Failed"}, Refused),
        (Step.STATUS, 200, {"status": "VALIDATION_ERROR"}, Refused),
        (Step.STATUS, 200, {"status": "rejected by scan"}, Refused),
        (Step.STATUS, 200, {}, Later),
        (Step.STATUS, 200, b"{", Later),
        (Step.STATUS, 200, None, Later),
        (Step.STATUS, 404, {}, Pending),
        (Step.STATUS, 400, {}, Pending),
        (Step.STATUS, 410, {}, Pending),
        (Step.STATUS, 403, {}, Misconfigured),
        (Step.STATUS, 401, {}, Misconfigured),
        (Step.STATUS, 500, {}, Later),
        (Step.STATUS, 503, {}, Later),
        (Step.PUT, 200, b"", Pending),
        (Step.PUT, 201, None, Pending),
        (Step.PUT, 204, b"garbage", Pending),
        (Step.PUT, 401, b"", Later),
        (Step.PUT, 403, b"<Error><Code>AccessDenied</Code></Error>", Later),
        (Step.PUT, 302, b"", Later),
        (Step.PUT, 400, b"<Error><Code>EntityTooLarge</Code></Error>", Refused),
        (Step.PUT, 413, b"", Refused),
        (Step.PUT, 500, b"", Later),
        (Step.PUT, 503, b"", Later),
        (Step.DECLARE, 400, {"error": {"message": "contentType not supported"}}, Refused),
        (Step.DECLARE, 401, {}, Misconfigured),
        (Step.DECLARE, 403, {"error": {"message": "no access"}}, Misconfigured),
        (Step.DECLARE, 429, {}, Later),
        (Step.DECLARE, 500, {}, Later),
    ],
)
def test_office(step: Step, status: int, body: Any, expected: type[Outcome]) -> None:
    outcome = office.classify(step, status, {}, raw(body), file_id="67890", again_at=5.0, now=1.0)
    assert type(outcome) is expected
    if isinstance(outcome, Accepted):
        assert outcome.receipt == {"file_id": "67890", "document_id": "77"}
    if isinstance(outcome, Pending):
        assert outcome.again_at == 5.0


PLACE = {"uploadMethod": "PUT", "uploadUrl": "https://store.example/x?sig=a%2Fb", "fileId": 67890}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, office.Place),
        ({"fileId": "67890"}, office.Place),
        ({"uploadMethod": "post"}, office.Place),
        ({"uploadUrl": "http://127.0.0.1:9/x"}, Misconfigured),
        ({"uploadUrl": "http://store.example/x"}, Misconfigured),
        ({"uploadUrl": "ftp://store.example/x"}, Misconfigured),
        ({"uploadUrl": "https://me:pw@store.example/x"}, Misconfigured),
        ({"uploadUrl": "https://store.example/a b"}, Misconfigured),
        ({"uploadUrl": "https:///x"}, Misconfigured),
        ({"uploadUrl": "https://store.example:99999/x"}, Misconfigured),
        ({"uploadMethod": "DELETE"}, Misconfigured),
        ({"uploadMethod": None}, Later),
        ({"uploadUrl": None}, Later),
        ({"fileId": None}, Later),
        ({"fileId": True}, Later),
        ({"fileId": ".."}, Later),
        ({"fileId": "  "}, Later),
    ],
)
def test_a_place_is_used_only_when_it_is_safe(change: dict[str, Any], expected: type) -> None:
    place = office.read_place(200, {}, raw({**PLACE, **change}), loopback_http=False)
    assert type(place) is expected
    assert "sig=" not in repr(place)
    if isinstance(place, office.Place):
        assert (place.file_id, place.method) == ("67890", "PUT" if not change.get("uploadMethod") else "POST")


def test_loopback_http_only_where_the_api_itself_is_that() -> None:
    assert (
        type(office.read_place(200, {}, raw({**PLACE, "uploadUrl": "http://localhost:9/x"}), loopback_http=True)) is office.Place
    )
    outcome = office.read_place(200, {}, raw({**PLACE, "uploadUrl": "http://store.example/x"}), loopback_http=True)
    assert type(outcome) is Misconfigured
