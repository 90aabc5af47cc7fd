"""What a vendor's answer means, where all vendors agree. Pure: the rows of DESIGN 5's table that need no knowledge of one vendor.

Reasons made here hold the vendor's words as they came; scrub.py cleans and bounds them before anybody sees them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from dropd.model import Code, Later, Misconfigured, Outcome, Refused, Unconfirmed

RETRY_AFTER_MAX = 86400.0  # seconds; a vendor that says more is asked again after a day
UNREADABLE = "an answer that cannot be read"


class Step(StrEnum):
    """Which call an answer belongs to. Only UPLOAD must not be repeated without a verdict."""

    TOKEN = "token"  # noqa: S105
    UPLOAD = "upload"  # the file itself, to a vendor that books what it gets
    DECLARE = "declare"  # asks for a place to put the file; nothing of it has left
    PUT = "put"  # the file to a presigned URL: repeating it replaces it
    STATUS = "status"


class Phase(Enum):
    """How far a call came that got no answer."""

    CONNECT = "connect"  # not one byte was sent
    CUT = "cut"  # before the last byte of the body
    WHOLE = "whole"  # after it


# ------------------------------------------------------------------------------------------------ outcomes


def common(step: Step, status: int, headers: Mapping[str, str], body: bytes | None, *, now: float) -> Outcome | None:
    """The outcome of an answer other than 2xx; None for 2xx, where each vendor has its own word.

    `body` is None where it could not be read to its end; `now` is in seconds since the epoch.
    """
    if 200 <= status < 300:
        return None
    reason, trace = said(status, body), trace_id(headers, body)
    if 300 <= status < 400:
        reason += _elsewhere(headers)
    if status in (408, 425, 429, 503):
        everyone = status in (429, 503) or step is Step.TOKEN
        return Later(
            reason=reason, http_status=status, trace_id=trace, not_before=retry_at(headers, now=now), whole_account=everyone
        )
    if step is Step.PUT and (status in (401, 403) or status < 400):
        return Later(reason=reason, http_status=status, trace_id=trace)
    if 300 <= status < 400 or status == 401 or (400 <= status < 500 and step is Step.TOKEN):
        return Misconfigured(reason=reason, http_status=status, trace_id=trace, scope="account")
    if status == 403:
        return Misconfigured(reason=reason, http_status=status, trace_id=trace, scope="target")
    if 400 <= status < 500:
        return Refused(reason=reason, http_status=status, trace_id=trace, code=refusal_code(status))
    return undecided(step, reason, status=status, trace=trace, not_before=retry_at(headers, now=now))


def undecided(
    step: Step, reason: str, *, status: int | None = None, trace: str | None = None, not_before: float | None = None
) -> Later | Unconfirmed:
    """The whole request left and no verdict came back: doubt for an upload, harmless for all else."""
    if step is Step.UPLOAD:
        return Unconfirmed(reason=reason, http_status=status, trace_id=trace)
    everyone = step is Step.TOKEN
    return Later(reason=reason, http_status=status, trace_id=trace, not_before=not_before, whole_account=everyone)


def unreadable(step: Step, status: int, headers: Mapping[str, str], body: bytes | None) -> Later | Unconfirmed:
    """A 2xx that does not say what became of the file."""
    text = f"The vendor answered {status} with {UNREADABLE}"
    return undecided(step, text, status=status, trace=trace_id(headers, body))


def unanswered(step: Step, phase: Phase, why: str) -> Later | Unconfirmed:
    """No answer at all."""
    if phase is Phase.CONNECT:
        return Later(reason=f"The vendor could not be reached: {why}", whole_account=step is not Step.PUT)
    if phase is Phase.CUT:
        return Later(reason=f"The connection broke before everything was sent: {why}", whole_account=step is Step.TOKEN)
    return undecided(step, f"Everything was sent, and no answer came back: {why}")


def refusal_code(status: int) -> Code:
    return {413: Code.TOO_LARGE, 415: Code.WRONG_TYPE}.get(status, Code.REFUSED)


def _elsewhere(headers: Mapping[str, str]) -> str:
    """Where a redirect points, as far as it is safe to tell."""
    try:
        host = urlsplit(headers.get("location", "")).hostname
    except ValueError:
        host = None
    return f" (a redirect to {host}, which is never followed)" if host else " (a redirect, which is never followed)"


# ------------------------------------------------------------------------------------------------ Retry-After


def retry_at(headers: Mapping[str, str], *, now: float) -> float | None:
    """When Retry-After lets us come back (RFC 9110 10.2.3), by our own clock; None where it is absent or makes no sense.

    A date is measured against the answer's own Date, so that a vendor's clock may be wrong.
    """
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        until = _date(text)
        if until is None:
            return None
        said_now = _date(headers.get("date", ""))
        seconds = until - (now if said_now is None else said_now)
    return now + min(max(seconds, 0.0), RETRY_AFTER_MAX)


def _date(text: str) -> float | None:
    """Seconds since the epoch of any of the three forms of an HTTP date."""
    if not text.strip():
        return None
    try:
        parsed = parsedate_to_datetime(text)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()  # asctime has no zone: it is UTC
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None


# ------------------------------------------------------------------------------------------------ the vendor's words


def said(status: int, body: bytes | None) -> str:
    """A sentence for a person: the status and what the vendor said with it."""
    words = vendor_words(body)
    if words:
        return f"The vendor answered {status}: {words}"
    try:
        return f"The vendor answered {status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return f"The vendor answered {status}"


def parse(body: bytes | None) -> Any:
    """JSON, or None where it is none."""
    if not body:
        return None
    try:
        return json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def vendor_words(body: bytes | None) -> str:
    """What an error body has to say, whatever its form: JSON, a storage's XML, a web page, plain text."""
    if not body:
        return ""
    value = parse(body)
    if value is not None:
        return words_of(value)
    text = body.decode("utf-8", "replace").strip()
    if not text.startswith("<"):
        return "" if text == "null" or "\x00" in text else text
    tags = [re.search(rf"<{tag}[^>]*>([^<]*)</{tag}>", text, re.IGNORECASE) for tag in ("Code", "Message", "title")]
    return ": ".join(found[1].strip() for found in tags if found)


def words_of(value: Any) -> str:
    """Every text in an answer that is meant for people, each once."""
    return "; ".join(dict.fromkeys(_spoken(value)))


_SPEAKING = (
    "message",
    "messages",
    "error",
    "error_description",
    "_error",
    "detail",
    "details",
    "title",
    "payload",
    "errors",
    "validationErrors",
    "files",
)


def _spoken(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        if value.strip():
            yield value.strip()
    elif isinstance(value, list) and depth < 6:
        for item in value[:20]:
            yield from _spoken(item, depth + 1)
    elif isinstance(value, dict) and depth < 6:
        heard = [words for key in _SPEAKING if key in value for words in _spoken(value[key], depth + 1)]
        yield from heard
        if not heard:  # {"customer.name": "is required"}, {"path": "contentType", "keyword": "enum"}
            yield from (f"{key}: {item}" for key, item in list(value.items())[:20] if isinstance(item, (str, int)))


def trace_id(headers: Mapping[str, str], body: bytes | None) -> str | None:
    """By what name the vendor's support finds this call."""
    for name in ("x-trace-id", "x-request-id", "x-correlation-id", "x-amzn-requestid", "x-amz-request-id"):
        if headers.get(name):
            return headers[name]
    value = parse(body)
    found = value.get("trackingId") if isinstance(value, dict) else None
    return str(found) if isinstance(found, (str, int)) else None
