"""Amili ADA (Sweden): one multipart POST per media file of a case. Facts: docs-alpha.amili.se, Media Upload; docs.amili.se.

The access token travels in X-API-Key. `_status: ERR` is a no whatever the HTTP code; the `url` in the answer is signed, a secret,
and kept nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal, Self

import jwt
from pydantic import Field, model_validator

from dropd.fields import Duration, ProviderOptions, RateLimit, Secret, Strict
from dropd.model import Accepted, Code, Misconfigured, Outcome, Refused, Target
from dropd.providers import answers, bodies
from dropd.providers.adapter import HttpProvider, judged, segment
from dropd.providers.answers import Step
from dropd.providers.auth import Login, Trouble
from dropd.providers.base import Notes, Parcel, Traits
from dropd.providers.options import HttpOptions, Text, Url, Way, require_one_way

DEFAULT_DOMAIN = "media--files"
PROOF_LIFE = 600  # seconds that the signed login is good for, as the vendor's guide has it

_WAYS = (
    Way(frozenset({"api_code", "private_key"}), frozenset({"algorithm"})),
    Way(frozenset({"api_code", "method"})),
    Way(frozenset({"token"})),
)


class MediaAuth(Strict):
    """`api_code, private_key` (and `algorithm`); or `api_code, method: post` from a registered address; or `token` alone."""

    api_code: Text | None = None
    private_key: Secret | None = None
    algorithm: Literal["ES256", "ES384", "ES512", "RS256", "RS384", "RS512"] = "ES256"
    method: Literal["post"] | None = None
    token: Secret | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        require_one_way(self, _WAYS, "api_code and private_key, or api_code and method: post, or token alone")
        return self


class MediaOptions(HttpOptions):
    type: Literal["amili-media"]
    base_url: Url
    auth: MediaAuth
    token_field: Text | None = None
    token_ttl: Duration | None = None
    rate: list[RateLimit] = Field(default=["10/s", "100/min"], validate_default=True)


def classify(
    step: Step, status: int, headers: Mapping[str, str], body: bytes | None, *, reference_id: str, now: float = 0.0
) -> Outcome:
    """What an answer to the upload for `reference_id` comes to. Pure."""
    outcome = answers.common(step, status, headers, body, now=now)
    if outcome is not None:
        return outcome
    answer, trace = answers.parse(body), answers.trace_id(headers, body)
    if not isinstance(answer, dict):
        return answers.unreadable(step, status, headers, body)
    verdict = answer.get("_status")
    if isinstance(verdict, str) and verdict.strip().upper() == "ERR":
        return Refused(reason=_no(answer), http_status=status, trace_id=trace, code=_code(answer))
    said_yes = isinstance(verdict, str) and verdict.strip().upper() == "OK"
    if status in (200, 201) and (said_yes or ("_status" not in answer and isinstance(answer.get("url"), str))):
        return Accepted(
            reason="The vendor accepted the file", receipt={"reference_id": reference_id}, http_status=status, trace_id=trace
        )
    return answers.unreadable(step, status, headers, body)


def _no(answer: Mapping[str, Any]) -> str:
    """The vendor's words, without the signed url that may stand beside them."""
    words = answers.words_of({key: answer[key] for key in ("_error", "message", "error", "errors") if key in answer})
    return f"The vendor did not accept the file: {words}" if words else "The vendor did not accept the file and gave no reason"


def _code(answer: Mapping[str, Any]) -> Code:
    error = answer.get("_error")
    code = error.get("code") if isinstance(error, dict) else None
    return answers.refusal_code(code) if isinstance(code, int) else Code.REFUSED


class AmiliMedia(HttpProvider):
    Options: ClassVar[type[ProviderOptions]] = MediaOptions
    traits = Traits(
        label="Amili media upload",
        ids=frozenset({"reference_id", "domain", "dotted_path"}),
        required_ids=frozenset({"reference_id"}),
        content_types=frozenset({"application/pdf", "image/jpeg", "image/png", "image/gif", "image/bmp"}),
    )
    own_fields = frozenset({"file", "domain", "dotted_path"})
    path_ids = frozenset({"reference_id"})

    def check(self, target: Target, content_type: str) -> Refused | None:
        if content_type not in (self.traits.content_types or ()):
            reason = f"{self.traits.label} takes PDF, JPEG, PNG, GIF and BMP files, and this one is {content_type}"
            return Refused(reason=reason, code=Code.WRONG_TYPE)
        if target.domain not in (None, DEFAULT_DOMAIN) and target.dotted_path is None:
            reason = f"The domain {target.domain} needs a dotted path, which is missing"
            return Refused(reason=reason, code=Code.MISSING_VALUE)
        return super().check(target, content_type)

    def _login(self) -> Login | Trouble:
        auth = self.options.auth
        url = f"{self._base}/authenticates/api-code"
        if auth.method == "post":
            return Login("POST", url, body=lambda: bodies.as_json({"api_code": auth.api_code}))
        claims = {"api_code": auth.api_code, "exp": int(self._clock()) + PROOF_LIFE}
        try:
            signed = jwt.encode(claims, self._secret["private_key"], algorithm=auth.algorithm)
        except Exception as error:  # what the key's text can raise is open-ended, and none of it may be shown
            reason = f"The private key cannot sign with {auth.algorithm} ({type(error).__name__}); see that it is a PEM key of that kind"
            return Misconfigured(reason=reason, scope="account")
        return Login("GET", url, headers=self._authorization(self._scrub.learn_for_now(signed)))

    def _authorization(self, token: str) -> Mapping[str, str]:
        return {"X-API-Key": token}

    def _send(self, parcel: Parcel, notes: Notes) -> Outcome:  # noqa: ARG002
        target = parcel.target
        reference = target.reference_id or ""
        fields = [(key, value) for key in ("domain", "dotted_path") if (value := getattr(target, key)) is not None]
        body = bodies.multipart(fields, parcel.name, parcel.open, parcel.size, parcel.content_type)
        judge = partial(classify, Step.UPLOAD, reference_id=reference, now=self._clock())
        return judged(
            Step.UPLOAD, self._authorized(Step.UPLOAD, "POST", f"{self._base}/media--upload/{segment(reference)}", body), judge
        )
