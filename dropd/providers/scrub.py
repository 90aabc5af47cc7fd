"""Keeps secrets out of what people read: every reason and receipt of an outcome passes through here."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from dropd import naming
from dropd.model import Accepted, Outcome

REASON_MAX = 2048  # bytes
_HIDDEN = "***"
_NAMES = (
    r"access_token|refresh_token|id_token|token|client_secret|api_key|apikey|x-api-key|password|assertion|signature|sig"
    r"|x-(?:amz|goog)-(?:signature|credential|security-token)|awsaccesskeyid|googleaccessid"
)
_PATTERNS = (
    (re.compile(r"(https?://)[^\s/@\"'<>?#]+@"), rf"\1{_HIDDEN}@"),
    (re.compile(r"(https?://[^\s?#\"'<>]+)[?#][^\s\"'<>]*"), rf"\1?{_HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic)\s+(?:(?=\S*\d)[\w.~+/=-]{8,}|[\w.~+/=-]{20,})", re.IGNORECASE), rf"\1 {_HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"), _HIDDEN),
    (re.compile(rf"\b({_NAMES})=[^\s&\"'<>]+", re.IGNORECASE), rf"\1={_HIDDEN}"),
    (re.compile(rf"(\"(?:{_NAMES})\"\s*:\s*\")[^\"]*", re.IGNORECASE), rf"\1{_HIDDEN}"),
)


class Scrubber:
    """Knows the secrets of one account. Thread-safe.

    `learn` is for what stays secret as long as the process lives, `learn_for_now` for tokens and presigned URLs, which
    change: the latest hundred are remembered.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lasting: set[str] = set()
        self._passing: deque[str] = deque(maxlen=128)
        self._known: tuple[str, ...] = ()  # longest first, so that no secret hides another's end

    def __repr__(self) -> str:
        return "Scrubber()"

    def learn(self, secret: str) -> str:
        """Remembers a secret, in the forms in which it travels, and returns it."""
        pieces = [line for line in secret.splitlines() if not line.startswith("-----")] if "\n" in secret else [secret]
        with self._lock:
            self._lasting.update(form for piece in pieces for form in (piece, quote(piece, safe="")) if len(form) > 3)
            self._sort()
        return secret

    def learn_for_now(self, secret: str) -> str:
        with self._lock:
            if secret not in self._passing:
                self._passing.append(secret)
                self._sort()
        return secret

    def _sort(self) -> None:
        self._known = tuple(sorted({*self._lasting, *self._passing}, key=len, reverse=True))

    def text(self, text: str) -> str:
        """One line without secrets, control characters or more than 2 KiB."""
        for secret in self._known:
            text = text.replace(secret, _HIDDEN)
        for pattern, instead in _PATTERNS:
            text = pattern.sub(instead, text)
        text = " ".join(text.split())
        if not text.isprintable():
            text = naming.display(text)
        short = naming.cut_to_bytes(text, REASON_MAX - 3)
        return text if short == text else short + "…"

    def outcome(self, outcome: Outcome) -> Outcome:
        """The same outcome with every text of the vendor's cleaned."""
        trace_id = self.text(outcome.trace_id)[:200] if outcome.trace_id else None
        if isinstance(outcome, Accepted):
            receipt = {key: self._value(value) for key, value in outcome.receipt.items()}
            return replace(outcome, reason=self.text(outcome.reason), trace_id=trace_id, receipt=receipt)
        return replace(outcome, reason=self.text(outcome.reason), trace_id=trace_id)

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if isinstance(value, Mapping):
            return {key: self._value(item) for key, item in value.items()}
        return value
