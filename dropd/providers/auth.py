"""Tokens: one per account, renewed early and one at a time, dropped when a vendor no longer takes them.

Neither a token nor a secret stands in a repr, an exception or a reason.
"""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jwt

from dropd.model import Later, Misconfigured
from dropd.providers import answers
from dropd.providers.answers import Step
from dropd.providers.bodies import Body
from dropd.providers.http import Answer, Http, Sent

LIFE_UNKNOWN = 600.0  # seconds, where neither the answer nor the token tells
LIFE_MAX = 7 * 86400.0
MARGIN = 60.0  # renewed so long before the end, or a tenth of its life before it if that is shorter

Trouble = Later | Misconfigured


@dataclass(frozen=True, slots=True)
class Token:
    text: str = field(repr=False)
    life: float  # seconds


class Tokens(Protocol):
    def get(self) -> str | Trouble: ...

    def drop(self, failed: str) -> bool:
        """The vendor refused this token: forget it if it is still the one in hand. False where no other can be had."""


class FixedToken:
    """A token from the configuration: there is no other."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get(self) -> str:
        return self._text

    def drop(self, failed: str) -> bool:  # noqa: ARG002
        return False


class RenewedTokens:
    """Fetches a token when there is none, or when it is about to end. Thread-safe.

    Whoever waited while somebody else's renewal failed gets that failure, instead of asking again one after the other.
    """

    def __init__(self, fetch: Callable[[], Token | Trouble], *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._held: tuple[str, float] | None = None  # the token, and until when it is good
        self._failures = 0
        self._trouble: Trouble | None = None

    def get(self) -> str | Trouble:
        seen = self._failures
        token = self._good()
        if token is not None:
            return token
        with self._lock:
            token = self._good()
            if token is not None:
                return token
            if self._failures != seen and self._trouble is not None:
                return self._trouble
            fetched = self._fetch()
            if not isinstance(fetched, Token):
                self._trouble = fetched
                self._failures += 1
                return fetched
            life = min(fetched.life, LIFE_MAX)
            self._held = (fetched.text, self._monotonic() + life - min(MARGIN, life / 10))
            return fetched.text

    def drop(self, failed: str) -> bool:
        with self._lock:
            if self._held is not None and self._held[0] == failed:
                self._held = None
        return True

    def _good(self) -> str | None:
        held = self._held
        return held[0] if held is not None and self._monotonic() < held[1] else None


# ------------------------------------------------------------------------------------------------ fetching one


@dataclass(frozen=True, slots=True)
class Login:
    """How to ask for a token. Made anew for each try where `headers` hold something that ages."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: Callable[[], Body] | None = field(default=None, repr=False)


def fetch(
    http: Http, login: Login, *, clock: Callable[[], float], token_field: str | None = None, life_unknown: float | None = None
) -> Token | Trouble:
    """Asks for a token, a few times within seconds where the trouble may pass."""

    def once() -> Sent:
        return http.call(login.method, login.url, login.headers, login.body() if login.body else None)

    sent = http.call_patiently(once)
    if isinstance(sent, Answer):
        return read_token(
            sent.status, sent.headers, sent.readable, now=clock(), token_field=token_field, life_unknown=life_unknown
        )
    trouble = answers.unanswered(Step.TOKEN, sent.phase, sent.why)
    assert isinstance(trouble, Later)
    return trouble


def read_token(
    status: int,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    now: float,
    token_field: str | None = None,
    life_unknown: float | None = None,
) -> Token | Trouble:
    """What the token endpoint's answer comes to. Pure."""
    outcome = answers.common(Step.TOKEN, status, headers, body, now=now)
    if isinstance(outcome, (Later, Misconfigured)):
        return outcome
    answer = answers.parse(body)
    if isinstance(answer, dict) and (str(answer.get("_status", "")).upper() == "ERR" or isinstance(answer.get("error"), str)):
        return Misconfigured(reason=answers.said(status, body), http_status=status, scope="account")
    text = find_token(answer, token_field)
    if text is None:
        where = f" under {token_field}" if token_field else ""
        return Later(
            reason=f"The vendor's login answered {status} without a token{where}", http_status=status, whole_account=True
        )
    told = _told_life(answer, now)
    return Token(text, told or _life_inside(text, now) or life_unknown or LIFE_UNKNOWN)


_TOKEN_FIELDS = ("access_token", "accessToken", "token", "api_key", "apiKey", "api_token", "x_api_key", "jwt")


def find_token(answer: Any, token_field: str | None = None) -> str | None:
    """The token in an answer: at `token_field` (dots go deeper) where that is given, else where vendors usually put it."""
    if token_field is not None:
        for key in token_field.split("."):
            answer = answer.get(key) if isinstance(answer, dict) else None
        return answer if _usable(answer) else None
    if _usable(answer):
        return str(answer)
    if not isinstance(answer, dict):
        return None
    for inside in (answer, *(value for value in answer.values() if isinstance(value, dict))):
        for key in _TOKEN_FIELDS:
            if _usable(inside.get(key)):
                return str(inside[key])
    return None


def _usable(value: Any) -> bool:
    """Fit to stand in a header."""
    return isinstance(value, str) and 0 < len(value) <= 16384 and all("!" <= character <= "~" for character in value)


def _told_life(answer: Any, now: float) -> float | None:
    for inside in (answer, *(answer.values() if isinstance(answer, dict) else ())):
        if not isinstance(inside, dict):
            continue
        for key in ("expires_in", "expiresIn", "expires_on", "expires_at"):
            seconds = _number(inside.get(key))
            if seconds is not None and key in ("expires_on", "expires_at"):
                seconds -= now
            if seconds is not None and seconds > 0:
                return seconds
    return None


def _life_inside(token: str, now: float) -> float | None:
    """By the `exp` claim, if the token is a JWT; the vendor, not we, verifies it."""
    try:
        exp = _number(jwt.decode(token, options={"verify_signature": False}).get("exp"))
    except jwt.PyJWTError:
        return None
    return exp - now if exp is not None and exp > now else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e12 else None  # no NaN, no infinity, no nonsense


def basic(client_id: str, client_secret: str) -> str:
    """The Basic credentials as `curl -u` writes them, without RFC 6749's form encoding, as the vendor's example does."""
    return b64encode(f"{client_id}:{client_secret}".encode()).decode("ascii")
