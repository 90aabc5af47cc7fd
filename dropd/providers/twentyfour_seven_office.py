"""24SevenOffice: ask for a place, put the file there, ask what became of it. Facts: rest-api.developer.24sevenoffice.com, /fileUpload.

A 2xx to the PUT does not mean that the file was accepted: the status call tells, with the `documentId` that is linked later. Each
new place has a new fileId, and unused ones lapse: starting over before a PUT books nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator

from dropd.fields import Duration, ProviderOptions, Secret, Strict
from dropd.model import Accepted, Later, Misconfigured, Outcome, Pending, Refused, Target, Unconfirmed
from dropd.providers import answers, bodies
from dropd.providers.adapter import HttpProvider, is_segment, judged, segment
from dropd.providers.answers import Step
from dropd.providers.auth import Login, Trouble
from dropd.providers.base import Notes, Parcel, Proof, Traits
from dropd.providers.http import Answer, Http, NoAnswer, Sent
from dropd.providers.options import HttpOptions, Text, Url, Way, is_loopback, is_loopback_http, require_one_way

FRESH_URLS = 3

_WAYS = (
    Way(frozenset({"client_id", "client_secret", "organization"}), frozenset({"token_url", "audience"})),
    Way(frozenset({"token"})),
)


class OfficeAuth(Strict):
    """`client_id, client_secret, organization` (and `token_url`, `audience`); or `token` alone. A token is good for one organization."""

    client_id: Text | None = None
    client_secret: Secret | None = None
    organization: Text | None = None
    token_url: Url = "https://login.24sevenoffice.com/oauth/token"  # noqa: S105
    audience: Text = "https://api.24sevenoffice.com"
    token: Secret | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        require_one_way(self, _WAYS, "client_id, client_secret and organization, or token alone")
        return self


class Poll(Strict):
    """How often the vendor is asked what became of a file, and when that ends."""

    first: Duration = 1.0
    max: Duration = 30.0
    give_up_after: Duration = 600.0


class OfficeOptions(HttpOptions):
    type: Literal["24sevenoffice"]
    base_url: Url = "https://rest.api.24sevenoffice.com/v1"
    auth: OfficeAuth
    poll: Poll = Poll()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file may be put. The url is a secret."""

    method: str
    url: str = field(repr=False)
    file_id: str


def classify(
    step: Step,
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    file_id: str | None = None,
    again_at: float = 0.0,
    now: float = 0.0,
) -> Outcome:
    """What an answer to PUT or STATUS comes to, or to a DECLARE that gave no place. Pure."""
    trace = answers.trace_id(headers, body)
    outcome = answers.common(step, status, headers, body, now=now)
    if step is Step.STATUS and isinstance(outcome, Refused):
        # 404 soon after the PUT, above all: a no to the question is none to the file, which is there
        return Pending(again_at=again_at, reason=outcome.reason, http_status=status, trace_id=trace)
    if outcome is not None:
        return outcome
    if step is Step.PUT:
        return Pending(again_at=again_at, reason="The vendor has the file and looks at it", http_status=status, trace_id=trace)
    answer = answers.parse(body)
    if step is not Step.STATUS or not isinstance(answer, dict):
        return answers.unreadable(step, status, headers, body)
    document_id, word = identifier(answer.get("documentId")), str(answer.get("status", ""))
    if document_id is not None:
        receipt = {"file_id": file_id, "document_id": document_id}
        return Accepted(reason=f"The vendor says {word or 'done'}", receipt=receipt, http_status=status, trace_id=trace)
    if any(no in word.casefold() for no in ("fail", "error", "reject")):
        words = "; ".join(filter(None, (word, answers.vendor_words(body) if _has_words(answer) else "")))
        return Refused(reason=f"The vendor did not accept the file: {words}", http_status=status, trace_id=trace)
    if not word:
        return answers.unreadable(step, status, headers, body)
    return Pending(again_at=again_at, reason=f"The vendor says {word}", http_status=status, trace_id=trace)


def _has_words(answer: Mapping[str, Any]) -> bool:
    return any(key in answer for key in ("message", "messages", "error", "errors", "detail"))


def read_place(status: int, headers: Mapping[str, str], body: bytes | None, *, loopback_http: bool) -> Place | Outcome:
    """The place in a 2xx to DECLARE; an outcome where there is none that may be used. Pure."""
    answer = answers.parse(body)
    if not isinstance(answer, dict):
        return answers.unreadable(Step.DECLARE, status, headers, body)
    method, url, file_id = answer.get("uploadMethod"), answer.get("uploadUrl"), identifier(answer.get("fileId"))
    if not isinstance(method, str) or not isinstance(url, str) or file_id is None or not is_segment(file_id):
        return answers.unreadable(Step.DECLARE, status, headers, body)
    trace = answers.trace_id(headers, body)
    if method.upper() not in ("PUT", "POST"):
        reason = "The vendor wants the file sent by a method other than PUT or POST, which is not done"
        return Misconfigured(reason=reason, http_status=status, trace_id=trace, scope="account")
    if not _may_be_used(url, loopback_http=loopback_http):
        reason = "The vendor wants the file sent to an address that is not https, which is not done"
        return Misconfigured(reason=reason, http_status=status, trace_id=trace, scope="account")
    return Place(method.upper(), url, file_id)


def identifier(value: Any) -> str | None:
    """An id that the vendor writes as a number or as a text."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        return None
    return str(value).strip() or None


def _may_be_used(url: str, *, loopback_http: bool) -> bool:
    """https; plain http to this machine alone, and only where base_url is that as well; no user name, nothing unprintable."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    if not host or "@" in parts.netloc or not all("!" <= character <= "~" for character in url):
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and loopback_http and is_loopback(host))


class TwentyFourSevenOffice(HttpProvider):
    Options: ClassVar[type[ProviderOptions]] = OfficeOptions
    traits = Traits(
        label="24SevenOffice",
        ids=frozenset({"file_type"}),
        required_ids=frozenset(),
        file_type_is_content_type=True,
        requests_per_send=2,
    )

    def __init__(self, name: str, options: Any, **outside: Any) -> None:
        super().__init__(name, options, **outside)
        self._storage = Http(options, stop=self._stop)  # never shown a credential

    def close(self) -> None:
        super().close()
        self._storage.close()

    def check(self, target: Target, content_type: str) -> Refused | None:
        return super().check(target, target.file_type or content_type)

    def proof(self, notes: Mapping[str, str]) -> Proof:
        return Proof.POLLABLE if notes.get("put_started") else Proof.NOT_SENT

    def _login(self) -> Login | Trouble:
        auth = self.options.auth
        fields = {
            "grant_type": "client_credentials",
            "audience": auth.audience,
            "client_id": auth.client_id,
            "client_secret": self._secret["client_secret"],
            "login_organization": auth.organization,
        }
        return Login("POST", auth.token_url, body=lambda: bodies.form(fields))

    # -------------------------------------------------------------------------------- sending

    def _send(self, parcel: Parcel, notes: Notes) -> Outcome:
        earlier, doubled = notes.get("put_started"), False
        if earlier:  # an earlier try may have brought it there after all
            outcome = self._status(earlier, again_at=0.0)
            if isinstance(outcome, (Accepted, Later, Misconfigured)):
                return outcome
            doubled = isinstance(outcome, Pending) and notes.get("put_left") == earlier
        content_type = parcel.target.file_type or parcel.content_type
        outcome = Later(reason="The vendor gave no place for the file")
        for _ in range(1 + FRESH_URLS):
            place = self._declare(content_type)
            if not isinstance(place, Place):
                return place
            notes.save(id_noted=place.file_id, put_started=place.file_id)
            outcome = self._put(place, parcel, content_type, notes)
            if outcome.http_status not in (401, 403):
                break
        return replace(outcome, doubled=doubled) if isinstance(outcome, Pending) else outcome

    def _declare(self, content_type: str) -> Place | Outcome:
        body = bodies.as_json({"contentType": content_type})
        sent = self._authorized(Step.DECLARE, "POST", f"{self._base}/fileUpload", body)
        if isinstance(sent, Answer) and 200 <= sent.status < 300:
            return read_place(sent.status, sent.headers, sent.readable, loopback_http=is_loopback_http(self._base))
        return judged(Step.DECLARE, sent, partial(classify, Step.DECLARE, now=self._clock()))

    def _put(self, place: Place, parcel: Parcel, content_type: str, notes: Notes) -> Outcome:
        """To the storage: exactly what was declared and nothing else; 401 and 403 are its word for a URL that has lapsed.

        Where the file left whole and no answer came back, `put_left` is noted: the storage may have it.
        """
        self._scrub.learn_for_now(place.url)
        body = bodies.raw(parcel.open, parcel.size, content_type)

        def once() -> Sent:
            return self._storage.call_presigned(place.method, place.url, body)

        sent = self._http.call_patiently(once)
        if body.whole and isinstance(sent, NoAnswer):
            notes.save(put_left=place.file_id)
        now = self._clock()
        judge = partial(classify, Step.PUT, file_id=place.file_id, again_at=now + self.options.poll.first, now=now)
        return judged(Step.PUT, sent, judge)

    # -------------------------------------------------------------------------------- asking

    def _poll(self, parcel: Parcel, notes: Notes) -> Outcome:
        file_id = notes.get("put_started")
        if not file_id:
            return Unconfirmed(reason="The vendor's id for this file was not noted, so that it cannot be asked")
        poll, now = self.options.poll, self._clock()
        limit = parcel.since + poll.give_up_after
        wait = min(poll.first * 2 ** min(parcel.polls, 30), poll.max)
        outcome = self._status(file_id, again_at=min(now + wait, max(limit, now)))
        if isinstance(outcome, Pending) and now >= limit:
            return Unconfirmed(
                reason=f"The vendor, asked by its number {file_id}, did not decide in time. {outcome.reason}",
                http_status=outcome.http_status,
                trace_id=outcome.trace_id,
            )
        return outcome

    def _ask(self, parcel: Parcel, notes: Notes) -> Outcome:  # noqa: ARG002
        file_id = notes.get("put_started")
        outcome = self._status(file_id, again_at=0.0) if file_id else None
        if isinstance(outcome, (Accepted, Later)):
            return outcome
        return Unconfirmed(reason=outcome.reason if outcome else "The vendor has no id for this file")

    def _status(self, file_id: str, *, again_at: float) -> Outcome:
        url = f"{self._base}/fileUpload/{segment(file_id)}"
        judge = partial(classify, Step.STATUS, file_id=file_id, again_at=again_at, now=self._clock())
        return judged(Step.STATUS, self._authorized(Step.STATUS, "GET", url), judge)
