"""What all vendors' answers have in common: status rows, Retry-After, and the words for people."""

from __future__ import annotations

import pytest

from dropd.model import Code, Later, Misconfigured, Outcome, Refused, Unconfirmed
from dropd.providers.answers import Phase, Step, common, retry_at, said, trace_id, unanswered, vendor_words

NOW = 1_000_000.0
UPLOAD, DECLARE, PUT, STATUS, TOKEN = Step.UPLOAD, Step.DECLARE, Step.PUT, Step.STATUS, Step.TOKEN


def kind(outcome: Outcome | None) -> object:
    """An outcome's name with what else decides: scope, code, or whether the whole account waits."""
    if isinstance(outcome, Misconfigured):
        return ("misconfigured", outcome.scope)
    if isinstance(outcome, Refused):
        return ("refused", outcome.code)
    if isinstance(outcome, Later):
        return ("later", "all" if outcome.whole_account else "one")
    return None if outcome is None else type(outcome).__name__.lower()


ALL, ONE = ("later", "all"), ("later", "one")
ACCOUNT, TARGET = ("misconfigured", "account"), ("misconfigured", "target")
NO = ("refused", Code.REFUSED)


@pytest.mark.parametrize(
    ("status", "upload", "declare", "put", "status_call", "token"),
    [
        (200, None, None, None, None, None),
        (207, None, None, None, None, None),
        (301, ACCOUNT, ACCOUNT, ONE, ACCOUNT, ACCOUNT),
        (307, ACCOUNT, ACCOUNT, ONE, ACCOUNT, ACCOUNT),
        (400, NO, NO, NO, NO, ACCOUNT),
        (401, ACCOUNT, ACCOUNT, ONE, ACCOUNT, ACCOUNT),
        (403, TARGET, TARGET, ONE, TARGET, ACCOUNT),
        (404, NO, NO, NO, NO, ACCOUNT),
        (405, NO, NO, NO, NO, ACCOUNT),
        (408, ONE, ONE, ONE, ONE, ALL),
        (409, NO, NO, NO, NO, ACCOUNT),
        (411, NO, NO, NO, NO, ACCOUNT),
        (413, ("refused", Code.TOO_LARGE), ("refused", Code.TOO_LARGE), ("refused", Code.TOO_LARGE), None, ACCOUNT),
        (415, ("refused", Code.WRONG_TYPE), ("refused", Code.WRONG_TYPE), ("refused", Code.WRONG_TYPE), None, ACCOUNT),
        (422, NO, NO, NO, NO, ACCOUNT),
        (425, ONE, ONE, ONE, ONE, ALL),
        (429, ALL, ALL, ALL, ALL, ALL),
        (499, NO, NO, NO, NO, ACCOUNT),
        (500, "unconfirmed", ONE, ONE, ONE, ALL),
        (501, "unconfirmed", ONE, ONE, ONE, ALL),
        (502, "unconfirmed", ONE, ONE, ONE, ALL),
        (503, ALL, ALL, ALL, ALL, ALL),
        (504, "unconfirmed", ONE, ONE, ONE, ALL),
        (599, "unconfirmed", ONE, ONE, ONE, ALL),
        (999, "unconfirmed", ONE, ONE, ONE, ALL),
    ],
)
def test_the_table(status: int, upload: object, declare: object, put: object, status_call: object, token: object) -> None:
    """Each row of the outcome table, for each kind of call."""
    got = {step: kind(common(step, status, {}, b'{"message": "why"}', now=NOW)) for step in Step}
    assert (got[UPLOAD], got[DECLARE], got[PUT], got[TOKEN]) == (upload, declare, put, token)
    if status not in (413, 415):
        assert got[STATUS] == status_call
    outcome = common(UPLOAD, status, {"x-trace-id": "t-1"}, b'{"message": "why"}', now=NOW)
    if outcome is not None:
        assert (outcome.http_status, outcome.trace_id) == (status, "t-1")
        assert outcome.reason.startswith(f"The vendor answered {status}: why")


@pytest.mark.parametrize(
    ("step", "phase", "expected"),
    [
        (UPLOAD, Phase.CONNECT, ALL),
        (UPLOAD, Phase.CUT, ONE),
        (UPLOAD, Phase.WHOLE, "unconfirmed"),
        (DECLARE, Phase.CONNECT, ALL),
        (DECLARE, Phase.CUT, ONE),
        (DECLARE, Phase.WHOLE, ONE),
        (PUT, Phase.CONNECT, ONE),
        (PUT, Phase.CUT, ONE),
        (PUT, Phase.WHOLE, ONE),
        (STATUS, Phase.CONNECT, ALL),
        (STATUS, Phase.WHOLE, ONE),
        (TOKEN, Phase.CONNECT, ALL),
        (TOKEN, Phase.CUT, ALL),
        (TOKEN, Phase.WHOLE, ALL),
    ],
)
def test_no_answer(step: Step, phase: Phase, expected: object) -> None:
    outcome = unanswered(step, phase, "no answer in time")
    assert kind(outcome) == expected
    assert "no answer in time" in outcome.reason


# ------------------------------------------------------------------------------------------------ Retry-After

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120),
        ({"retry-after": " 0 "}, 0),
        ({"retry-after": "99999999999999999999"}, 86400),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": DATE}, 60),
        ({"retry-after": "Sunday, 06-Nov-94 08:50:37 GMT", "date": DATE}, 60),
        ({"retry-after": "Sun Nov  6 08:50:37 1994", "date": DATE}, 60),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 -0000", "date": DATE}, 60),
        ({"retry-after": "Sun, 06 Nov 1994 08:50:37 GMT", "date": "Sun Nov  6 08:49:37 1994"}, 60),
        ({"retry-after": "Sun, 06 Nov 1994 08:00:00 GMT", "date": DATE}, 0),
        ({"retry-after": "Tue, 08 Nov 1994 08:49:37 GMT", "date": DATE}, 86400),
        ({"retry-after": "Mon, 12 Jan 1970 13:47:40 GMT"}, 60),  # without a Date, our own clock is now
        ({"retry-after": "Mon, 12 Jan 1970 13:47:40 GMT", "date": "nonsense"}, 60),
    ],
)
def test_retry_after_in_all_its_forms(headers: dict[str, str], seconds: float) -> None:
    assert retry_at(headers, now=NOW) == NOW + seconds
    outcome = common(Step.UPLOAD, 429, headers, None, now=NOW)
    assert isinstance(outcome, Later)
    assert outcome.not_before == NOW + seconds


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "1.5", "²", "10, 20", "99 Foo 9999", "Sun, 99 Nov 1994 99:99:99 GMT", "0x10", "\x00"]
)
def test_a_retry_after_that_makes_no_sense_is_ignored(text: str) -> None:
    assert retry_at({"retry-after": text}, now=NOW) is None


# ------------------------------------------------------------------------------------------------ words


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "type not enabled for client 2218"}', "type not enabled for client 2218"),
        (b'\xef\xbb\xbf{"message": "with a mark"}', "with a mark"),
        (b'{"error": "invalid_client", "error_description": "wrong secret"}', "invalid_client; wrong secret"),
        (
            b'{"_status":"ERR","_error":{"code":422,"message":"Validation failed","details":{"customer.name":"is missing"}}}',
            "Validation failed; customer.name: is missing",
        ),
        (
            b'{"error":{"name":"Bad","message":"invalid","payload":{"validationErrors":[{"path":"contentType","keyword":"enum"}]}}}',
            "invalid; path: contentType; keyword: enum",
        ),
        (b'{"files":[{"fileId":"1","status":"FAILED","message":"no"}]}', "no"),
        (b'{"errors":["one","two","one"]}', "one; two"),
        (b'{"fault": "odd"}', "fault: odd"),
        (
            b"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>",
            "AccessDenied: Request has expired",
        ),
        (b"<html><head><title>502 Bad Gateway</title></head></html>", "502 Bad Gateway"),
        (b"upstream is down", "upstream is down"),
        (b"\x00\x01\x02", ""),
        (b"", ""),
        (None, ""),
        (b"[" * 60_000, ""),
        (b"null", ""),
    ],
)
def test_the_vendors_words(body: bytes | None, words: str) -> None:
    found = vendor_words(body)
    assert found == words or (body is not None and body.startswith(b"[[") and set(found) == {"["})


def test_without_words_the_status_speaks() -> None:
    assert said(404, b"") == "The vendor answered 404 (Not Found)"
    assert said(599, None) == "The vendor answered 599"


def test_a_redirect_tells_no_more_than_the_host() -> None:
    outcome = common(Step.UPLOAD, 302, {"location": "https://evil.example/path?token=abc"}, None, now=NOW)
    assert outcome is not None
    assert "evil.example" in outcome.reason
    assert "token" not in outcome.reason


def test_trace_ids() -> None:
    assert trace_id({"x-trace-id": "a", "x-request-id": "b"}, None) == "a"
    assert trace_id({}, b'{"error": {}, "trackingId": "c"}') == "c"
    assert trace_id({}, b"[]") is None


def test_nothing_of_an_upload_is_final_without_a_verdict() -> None:
    """No status at all turns an upload's server error into a refusal or a yes."""
    for status in (*range(500, 503), *range(504, 600)):
        assert isinstance(common(Step.UPLOAD, status, {"retry-after": "1"}, None, now=NOW), Unconfirmed)
