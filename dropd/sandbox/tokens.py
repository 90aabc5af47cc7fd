"""Who may log in, which tokens live, and what a login must look like: RFC 6749 4.4 where the vendor follows it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dropd.model import AMILI_ARM, OFFICE, RECEEVE
from dropd.sandbox.bodies import BadBody


@dataclass(frozen=True, slots=True)
class Credentials:
    client_id: str
    client_secret: str


CREDENTIALS: Mapping[str, Credentials] = {
    vendor: Credentials("acme", f"{vendor}-sandbox-secret-not-to-be-seen") for vendor in (AMILI_ARM, RECEEVE, OFFICE)
}
"""The one account each OAuth vendor knows; the same in every sandbox, so that a restarted one still takes a written configuration."""

API_CODE = "acme"
_KEY = ec.derive_private_key(int.from_bytes(hashlib.sha256(b"dropd sandbox").digest(), "big"), ec.SECP256R1())
PUBLIC_KEY = _KEY.public_key()


def private_key_pem() -> str:
    """The key registered for API_CODE. Made of a known text: worth nothing outside the sandbox."""
    return _KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


class TokenBook:
    """The living access tokens of all vendors. A token belongs to one vendor and to one subject (client, organisation, api code)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}

    def issue(self, vendor: str, subject: str, ttl: float) -> str:
        token = secrets.token_urlsafe(32)
        with self._lock:
            self._tokens[vendor, token] = (subject, time.monotonic() + ttl)
        return token

    def subject(self, vendor: str, token: str) -> str | None:
        """Whose token it is; None when unknown or expired."""
        with self._lock:
            subject, until = self._tokens.get((vendor, token), ("", 0.0))
        return subject if time.monotonic() < until else None

    def expire_all(self) -> None:
        with self._lock:
            self._tokens.clear()


def read_form(data: bytes) -> dict[str, str]:
    """An application/x-www-form-urlencoded body; RFC 6749 3.2: no parameter twice. Raises BadBody."""
    try:
        pairs = parse_qsl(data.decode("ascii"), keep_blank_values=True, strict_parsing=bool(data), errors="strict")
    except ValueError:
        raise BadBody("the body is not a form") from None
    if len(dict(pairs)) != len(pairs):
        raise BadBody("a parameter stands twice in the form")
    return dict(pairs)


def read_basic(header: str) -> Credentials | None:
    """HTTP Basic, RFC 7617; None when the header is anything else."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return Credentials(client_id, secret) if colon else None
