"""What the vendors' options share: addresses, texts, and the choice between ways to log in.

Every message reads `what is wrong; what to write instead`, and repeats no value that could be a secret.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, WithJsonSchema, field_validator

from dropd.fields import ProviderOptions

_EXAMPLE = "https://api.example.com/v1"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name alone; nothing is resolved."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def is_loopback_http(url: str) -> bool:
    """Whether an address that has passed `parse_url` is plain http to this machine."""
    return urlsplit(url).scheme == "http"


def parse_url(value: Any) -> str:
    """An address of a vendor: https, or plain http for a loopback host; no user name, query or fragment."""
    text = str(value).strip()
    if not text or not all("!" <= character <= "~" for character in text):
        raise ValueError(f"the address is empty or has characters that no address has; write one like {_EXAMPLE}")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(f"this is not an address; write one like {_EXAMPLE}") from None
    if "@" in parts.netloc:
        raise ValueError("the address holds a user name or password; write it without, secrets stand under auth")
    if "?" in text or "#" in text:
        raise ValueError(f"the address has a query or fragment; write it without what follows ? or #, like {_EXAMPLE}")
    if parts.scheme not in ("http", "https") or not host or port == 0:
        raise ValueError(f"{text!r} is not a web address; write one like {_EXAMPLE}")
    if parts.scheme == "http" and not is_loopback(host):
        raise ValueError(f"{text!r} is plain http, which others can read; write https:// (http is for loopback hosts alone)")
    return text


def parse_text(value: Any) -> str:
    """A text with something in it, fit for a header."""
    text = str(value).strip()
    if not text or not text.isprintable():
        raise ValueError("the value is empty or has control characters; write a plain text")
    return text


def parse_proxy(value: Any) -> str:
    """`http://host:port` or `https://host:port`; a proxy within one's own network is mostly plain http."""
    text = str(value).strip()
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https") or parts.path not in ("", "/") or not text.isascii():
        raise ValueError("this is not the address of a proxy; write one like http://proxy.example.com:3128")
    if "@" in parts.netloc:
        raise ValueError("the address holds a user name or password; use a proxy that lets this machine through without")
    return text


def _schema(pattern: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "pattern": pattern, "examples": list(examples)})


Url = Annotated[str, BeforeValidator(parse_url), _schema(r"^https?://[^?#@\s]+$", _EXAMPLE)]
Text = Annotated[str, BeforeValidator(parse_text), WithJsonSchema({"type": "string", "minLength": 1})]


class HttpOptions(ProviderOptions):
    """The keys of every provider, with its proxy looked at."""

    @field_validator("proxy", mode="before")
    @classmethod
    def _proxy(cls, value: Any) -> str | None:
        return None if value is None else parse_proxy(value)


@dataclass(frozen=True, slots=True)
class Way:
    """One way to log in: the keys it needs, and those it may have beside."""

    needs: frozenset[str]
    may: frozenset[str] = frozenset()

    def fits(self, given: set[str]) -> bool:
        return self.needs <= given <= self.needs | self.may


def require_one_way(auth: BaseModel, ways: Sequence[Way], remedy: str) -> None:
    """Raises ValueError unless the keys that were written are those of exactly one way."""
    given = {key for key in auth.model_fields_set if getattr(auth, key) is not None}
    if any(way.fits(given) for way in ways):
        return
    if not given:
        raise ValueError(f"auth is empty; write {remedy}")
    nearest = max(ways, key=lambda way: (len(given & (way.needs | way.may)), -len(way.needs - given)))
    missing, extra = sorted(nearest.needs - given), sorted(given - nearest.needs - nearest.may)
    what = f"auth lacks {' and '.join(missing)}" if missing else f"auth has {' and '.join(extra)} beside another way to log in"
    raise ValueError(f"{what}; write {remedy}")
