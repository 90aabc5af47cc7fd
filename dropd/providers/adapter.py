"""What the four adapters share: one account's connections and token, an upload with one renewal, and clean reasons.

A subclass says which calls make a delivery (`_send`), how to log in (`_login`), and how its token is shown (`_authorization`).
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, ClassVar
from urllib.parse import quote

from dropd.fields import ProviderOptions
from dropd.model import Changed, Code, Later, Outcome, Refused, Target, Unconfirmed
from dropd.providers import answers
from dropd.providers.answers import Step
from dropd.providers.auth import FixedToken, Login, RenewedTokens, Token, Tokens, Trouble, fetch
from dropd.providers.base import Clock, Notes, Parcel, Proof, Traits
from dropd.providers.bodies import Body, BodyChanged, BodyUnreadable
from dropd.providers.http import Answer, Http, NoAnswer, Sent
from dropd.providers.scrub import Scrubber

Judge = Callable[[int, Mapping[str, str], bytes | None], Outcome]
"""A classify() with all but the answer filled in."""


class HttpProvider(ABC):
    """A provider over HTTP. Thread-safe."""

    Options: ClassVar[type[ProviderOptions]]
    traits: ClassVar[Traits]
    own_fields: ClassVar[frozenset[str]] = frozenset()
    path_ids: ClassVar[frozenset[str]] = frozenset()  # ids that become one segment of a URL's path

    def __init__(self, name: str, options: Any, *, clock: Clock, secrets: Callable[[Any], str], stop: threading.Event) -> None:
        self.name = name
        self.options = options
        self._clock = clock
        self._stop = stop
        self._scrub = Scrubber()
        self._secret = {
            key: self._scrub.learn(secrets(place))
            for key in ("token", "client_secret", "private_key")
            if (place := getattr(options.auth, key, None)) is not None
        }
        self._base = options.base_url.rstrip("/")
        self._http = Http(options, stop=stop)
        self._tokens: Tokens = FixedToken(self._secret["token"]) if "token" in self._secret else RenewedTokens(self._fetch)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    # -------------------------------------------------------------------------------- the interface

    def check(self, target: Target, content_type: str) -> Refused | None:
        """Whether every id is there and fit to be sent."""
        for key in sorted(self.traits.ids - {"extra_fields"}):
            value = getattr(target, key)
            if value is None:
                if key in self.traits.required_ids:
                    return Refused(reason=f"The {_words(key)} is missing", code=Code.MISSING_VALUE)
            elif not _sendable(value) or (key in self.path_ids and not is_segment(value)):
                return Refused(reason=f"The {_words(key)} {value!a} cannot be sent to this vendor", code=Code.NOT_ALLOWED)
        for key, value in target.extra_fields.items():
            if not _sendable(key) or not _sendable(value):
                return Refused(reason=f"The field {key!a} has characters that cannot be sent", code=Code.NOT_ALLOWED)
        if self.traits.file_types is not None and target.file_type not in (None, *self.traits.file_types):
            known = ", ".join(sorted(self.traits.file_types))
            return Refused(reason=f"The file type {target.file_type!r} is none of {known}", code=Code.NOT_ALLOWED)
        if not _sendable(content_type) or not content_type.isascii():
            return Refused(reason=f"The content type {content_type!a} cannot be sent", code=Code.NOT_ALLOWED)
        return None

    def login(self) -> Outcome | None:
        token = self._tokens.get()
        return None if isinstance(token, str) else self._scrub.outcome(token)

    def send(self, parcel: Parcel, notes: Notes) -> Outcome:
        refused = self.check(parcel.target, parcel.content_type)
        if refused is not None:
            return self._scrub.outcome(refused)
        try:
            outcome = self._send(parcel, notes)
        except BodyChanged as error:
            outcome = Changed(reason=f"While it was sent, {error}")
        except BodyUnreadable as error:
            outcome = Later(reason=f"While it was sent, {error}")
        return self._scrub.outcome(outcome)

    def poll(self, parcel: Parcel, notes: Notes) -> Outcome:
        return self._scrub.outcome(self._poll(parcel, notes))

    def ask(self, parcel: Parcel, notes: Notes) -> Outcome:
        return self._scrub.outcome(self._ask(parcel, notes))

    def proof(self, notes: Mapping[str, str]) -> Proof:  # noqa: ARG002
        return Proof.NOTHING

    def close(self) -> None:
        self._http.close()

    # -------------------------------------------------------------------------------- what a vendor says of itself

    @abstractmethod
    def _send(self, parcel: Parcel, notes: Notes) -> Outcome:
        """The calls that make a delivery."""

    def _poll(self, parcel: Parcel, notes: Notes) -> Outcome:  # noqa: ARG002
        return Unconfirmed(reason=f"{self.traits.label} cannot be asked what became of a file")

    def _ask(self, parcel: Parcel, notes: Notes) -> Outcome:
        return self._poll(parcel, notes)

    @abstractmethod
    def _login(self) -> Login | Trouble:
        """The call that gets a token."""

    def _authorization(self, token: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token}"}

    # -------------------------------------------------------------------------------- calls

    def _fetch(self) -> Token | Trouble:
        login = self._login()
        if not isinstance(login, Login):
            return login
        options = self.options
        fetched = fetch(
            self._http,
            login,
            clock=self._clock,
            token_field=getattr(options, "token_field", None),
            life_unknown=getattr(options, "token_ttl", None),
        )
        if isinstance(fetched, Token):
            self._scrub.learn_for_now(fetched.text)
        return fetched

    def _authorized(self, step: Step, method: str, url: str, body: Body | None = None) -> Sent | Trouble:
        """A call with a token; after a 401 once more with a new one."""
        for renewed in (False, True):
            token = self._tokens.get()
            if not isinstance(token, str):
                return token
            call = partial(self._http.call, method, url, self._authorization(token), body)
            sent = self._http.call_patiently(call) if step is Step.STATUS else call()
            if renewed or not isinstance(sent, Answer) or sent.status != 401 or not self._tokens.drop(token):
                break
        return sent


def judged(step: Step, sent: Sent | Trouble, judge: Judge) -> Outcome:
    """The outcome of a call, with how much of the body had left taken into account."""
    if isinstance(sent, NoAnswer):
        return answers.unanswered(step, sent.phase, sent.why)
    if not isinstance(sent, Answer):
        return sent
    outcome = judge(sent.status, sent.headers, sent.readable)
    if not sent.whole and (sent.status < 300 or isinstance(outcome, Unconfirmed)):
        # no vendor can have booked what it did not get: a verdict on half a file is none
        reason = f"The vendor answered {sent.status} before it had the whole file"
        return Later(reason=reason, http_status=sent.status, trace_id=outcome.trace_id)
    return outcome


def is_segment(value: str) -> bool:
    """Whether a text can stand as one segment of a path."""
    return value not in ("", ".", "..") and _sendable(value)


def segment(value: str) -> str:
    return quote(value, safe="")


def _sendable(value: str) -> bool:
    """Something, without control characters, and with no byte that is not UTF-8."""
    return bool(value) and all(
        character >= " " and character != "\x7f" and not "\ud800" <= character <= "\udfff" for character in value
    )


def _words(key: str) -> str:
    return key.replace("_", " ")
