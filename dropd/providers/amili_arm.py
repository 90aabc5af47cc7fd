"""Amili ARM (Norway): one POST of JSON with the file in base64. Facts: docs.amili.dev, POST /clients/{clientno}/files.

Every 2xx has a verdict per file; ours is the entry that bears our fileId, which is the drop's id. JSON keys are case-sensitive,
data values are not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from dropd.fields import ProviderOptions, Secret, Strict
from dropd.model import Accepted, Outcome, Refused
from dropd.providers import answers, bodies
from dropd.providers.adapter import HttpProvider, judged, segment
from dropd.providers.answers import Step
from dropd.providers.auth import Login, Trouble
from dropd.providers.base import Notes, Parcel, Traits
from dropd.providers.options import HttpOptions, Text, Url, Way, require_one_way

_WAYS = (
    Way(frozenset({"token_url", "client_id", "client_secret"}), frozenset({"scope", "audience"})),
    Way(frozenset({"token"})),
)


class ArmAuth(Strict):
    """`token_url, client_id, client_secret` with `scope` and `audience` where the issuer wants them; or `token` alone."""

    token_url: Url | None = None
    client_id: Text | None = None
    client_secret: Secret | None = None
    scope: Text | None = None
    audience: Text | None = None
    token: Secret | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        require_one_way(self, _WAYS, "token_url, client_id and client_secret, or token alone")
        return self


class ArmOptions(HttpOptions):
    type: Literal["amili-arm"]
    base_url: Url
    user_id: Text
    auth: ArmAuth
    accepted_results: list[Text] = Field(default=["CREATED"], min_length=1)


def classify(
    step: Step,
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    file_id: str,
    accepted_results: Collection[str] = ("CREATED",),
    now: float = 0.0,
) -> Outcome:
    """What an answer to the upload of `file_id` comes to. Pure."""
    outcome = answers.common(step, status, headers, body, now=now)
    if outcome is not None:
        return outcome
    entries = _entries(answers.parse(body), file_id) if status in (200, 201, 207) else []
    if not entries:
        return answers.unreadable(step, status, headers, body)
    trace = answers.trace_id(headers, body)
    wanted = {result.casefold() for result in accepted_results}
    said = "; ".join(dict.fromkeys(text for entry in entries if (text := _text(entry.get("message")))))
    for entry in entries:
        its_status, result = _text(entry.get("status")), _text(entry.get("result"))
        if its_status.casefold() not in ("processed", "") or result.casefold() not in (*wanted, ""):
            words = said or f"status {its_status or 'unknown'}, result {result or 'unknown'}"
            return Refused(reason=f"The vendor did not accept the file: {words}", http_status=status, trace_id=trace)
        if not its_status or not result:
            return answers.unreadable(step, status, headers, body)
    return Accepted(
        reason=said or "The vendor accepted the file",
        receipt={"file_id": file_id, "message": said or None},
        http_status=status,
        trace_id=trace,
    )


def _entries(answer: object, file_id: str) -> list[dict[str, object]]:
    """The entries that bear our id and say anything about it."""
    files = answer.get("files") if isinstance(answer, dict) else None
    if not isinstance(files, list):
        return []
    ours = [entry for entry in files if isinstance(entry, dict) and _text(entry.get("fileId")).casefold() == file_id.casefold()]
    return [entry for entry in ours if _text(entry.get("status")) or _text(entry.get("result"))]


def _text(value: object) -> str:
    return str(value).strip() if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


class AmiliArm(HttpProvider):
    Options: ClassVar[type[ProviderOptions]] = ArmOptions
    traits = Traits(
        label="Amili ARM",
        ids=frozenset({"client_id", "file_type"}),
        required_ids=frozenset({"client_id", "file_type"}),
    )
    path_ids = frozenset({"client_id"})

    def _login(self) -> Login | Trouble:
        auth = self.options.auth
        fields = {"grant_type": "client_credentials", "client_id": auth.client_id, "client_secret": self._secret["client_secret"]}
        more = {key: value for key in ("scope", "audience") if (value := getattr(auth, key)) is not None}
        return Login("POST", auth.token_url, body=lambda: bodies.form({**fields, **more}))

    def _send(self, parcel: Parcel, notes: Notes) -> Outcome:  # noqa: ARG002
        target = parcel.target
        url = f"{self._base}/clients/{segment(target.client_id or '')}/files"
        body = bodies.base64_json(
            {"metadata": {"userId": self.options.user_id}},
            {"fileId": parcel.drop_id, "type": target.file_type, "name": parcel.name},
            "content",
            parcel.open,
            parcel.size,
        )
        judge = partial(
            classify,
            Step.UPLOAD,
            file_id=parcel.drop_id,
            accepted_results=self.options.accepted_results,
            now=self._clock(),
        )
        return judged(Step.UPLOAD, self._authorized(Step.UPLOAD, "POST", url, body), judge)
