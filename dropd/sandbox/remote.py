"""A sandbox in another process, steered over its control addresses."""

from __future__ import annotations

import json
import urllib.request
from typing import Any
from urllib.parse import quote

from dropd.sandbox.address import Address
from dropd.sandbox.control import PREFIX
from dropd.sandbox.words import Delivery, Fault, Seen

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
_PATIENCE = 30.0  # seconds


class RemoteSandbox(Address):
    """The same verbs as Sandbox. Raises URLError when nobody answers, HTTPError when the sandbox does not understand."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    @property
    def url(self) -> str:
        return self._url

    def deliveries(self, vendor: str | None = None) -> list[Delivery]:
        query = "" if vendor is None else f"?vendor={quote(vendor)}"
        return [Delivery(**found) for found in self._call(f"deliveries{query}")]

    def violations(self) -> list[str]:
        return list(self._call("violations"))

    def requests(self) -> list[Seen]:
        return [Seen(**found) for found in self._call("requests")]

    def fault(self, fault: Fault) -> None:
        self._call("faults", fault.as_json())

    def change(self, **settings: Any) -> None:
        """Set what Settings lists, by name."""
        plain = {name: sorted(value) if isinstance(value, (set, frozenset)) else value for name, value in settings.items()}
        self._call("settings", plain)

    def expire_tokens(self) -> None:
        self._call("expire_tokens", {})

    def reset(self) -> None:
        self._call("reset", {})

    def _call(self, what: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + PREFIX + what, data, {"Content-Type": "application/json"})  # noqa: S310 - our own http address
        with _OPENER.open(request, timeout=_PATIENCE) as answer:
            return json.load(answer)
