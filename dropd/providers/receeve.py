"""receeve (InDebted Receive): one multipart POST per file. Facts: docs.indebted.co, File upload use case; OpenAPI 1.53.1.

200 is answered for failures too: the verdicts are the leaves of the answer that bear `success`, either one flat object or a map of
references to objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from dropd.fields import ProviderOptions, Secret, Strict
from dropd.model import Accepted, Outcome, Refused
from dropd.providers import answers, bodies
from dropd.providers.adapter import HttpProvider, judged, segment
from dropd.providers.answers import Step
from dropd.providers.auth import Login, Trouble, basic
from dropd.providers.base import Notes, Parcel, Traits
from dropd.providers.options import HttpOptions, Text, Url, Way, parse_url, require_one_way

_BASE = "{base_url}"
_WAYS = (
    Way(frozenset({"client_id", "client_secret"}), frozenset({"token_url", "scheme"})),
    Way(frozenset({"token"}), frozenset({"scheme"})),
)


def _parse_token_url(value: Any) -> str:
    return str(value) if str(value).startswith(_BASE + "/") else parse_url(value)


class ReceeveAuth(Strict):
    """`client_id, client_secret` (and `token_url`); or `token` alone. `scheme: none` sends the token without "Bearer"."""

    client_id: Text | None = None
    client_secret: Secret | None = None
    token_url: Annotated[str, BeforeValidator(_parse_token_url), WithJsonSchema({"type": "string"})] = _BASE + "/v1/oauth2/token"
    scheme: Literal["Bearer", "none"] = "Bearer"
    token: Secret | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        require_one_way(self, _WAYS, "client_id and client_secret, or token alone")
        return self


class ReceeveOptions(HttpOptions):
    type: Literal["receeve"]
    base_url: Url
    auth: ReceeveAuth


def classify(step: Step, status: int, headers: Mapping[str, str], body: bytes | None, *, now: float = 0.0) -> Outcome:
    """What an answer to an upload comes to. Pure."""
    outcome = answers.common(step, status, headers, body, now=now)
    if outcome is not None:
        return outcome
    leaves = _leaves(answers.parse(body)) if status in (200, 201, 207) else None
    if not leaves:
        return answers.unreadable(step, status, headers, body)
    trace = answers.trace_id(headers, body)
    messages = _texts(leaves, "messages", "message")
    if not all(leaf["success"] for leaf in leaves):
        words = "; ".join(messages) or "no reason was given"
        return Refused(reason=f"The vendor did not accept the file: {words}", http_status=status, trace_id=trace)
    return Accepted(
        reason="; ".join(messages) or "The vendor accepted the file",
        receipt={"message_ids": _texts(leaves, "messageIds", "messageId"), "messages": messages},
        http_status=status,
        trace_id=trace,
    )


def _leaves(value: Any, depth: int = 0) -> list[dict[str, Any]] | None:
    """Every object that bears a verdict; None where a part of the answer has none, or none that is a plain true or false."""
    if depth > 8:
        return None
    if isinstance(value, dict) and "success" in value:
        return [value] if isinstance(value["success"], bool) else None
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    found: list[dict[str, Any]] = []
    for item in inner:
        if isinstance(item, (dict, list)):
            leaves = _leaves(item, depth + 1)
            if not leaves:
                return None
            found.extend(leaves)
    return found


def _texts(leaves: list[dict[str, Any]], *keys: str) -> list[str]:
    """The texts under the given keys of all leaves, each once."""
    values = [leaf[key] for leaf in leaves for key in keys if key in leaf]
    flat = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return list(dict.fromkeys(str(item) for item in flat if isinstance(item, (str, int)) and str(item).strip()))


class Receeve(HttpProvider):
    Options: ClassVar[type[ProviderOptions]] = ReceeveOptions
    traits = Traits(
        label="receeve",
        ids=frozenset({"client_id", "account_id", "file_type", "extra_fields"}),
        required_ids=frozenset({"client_id", "account_id"}),
        file_types=frozenset({"Invoice", "CSV", "Document"}),
    )
    own_fields = frozenset({"accountId", "documentType", "file"})
    path_ids = frozenset({"client_id"})

    def _login(self) -> Login | Trouble:
        auth = self.options.auth
        credentials = self._scrub.learn(basic(auth.client_id, self._secret["client_secret"]))
        return Login(
            "POST",
            auth.token_url.replace(_BASE, self._base),
            headers={"Authorization": f"Basic {credentials}"},
            body=lambda: bodies.form({"grant_type": "client_credentials"}),
        )

    def _authorization(self, token: str) -> Mapping[str, str]:
        return {"Authorization": token if self.options.auth.scheme == "none" else f"Bearer {token}"}

    def _send(self, parcel: Parcel, notes: Notes) -> Outcome:  # noqa: ARG002
        target = parcel.target
        fields = [("accountId", target.account_id or "")]
        if target.file_type is not None:
            fields.append(("documentType", target.file_type))
        fields.extend(target.extra_fields.items())
        body = bodies.multipart(fields, parcel.name, parcel.open, parcel.size, parcel.content_type)
        url = f"{self._base}/files/v1/{segment(target.client_id or '')}/upload_files"
        judge = partial(classify, Step.UPLOAD, now=self._clock())
        return judged(Step.UPLOAD, self._authorized(Step.UPLOAD, "POST", url, body), judge)
