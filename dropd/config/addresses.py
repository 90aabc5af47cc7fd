"""Are the addresses of an account fit to carry a login: https, except to this very machine. Never repeats what may hold a password."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Address, ip_address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from dropd.config.report import Report, shown
from dropd.config.tree import Path

_LOOPBACK = IPv4Network("127.0.0.0/8")


def is_loopback(host: str) -> bool:
    """127.0.0.0/8, ::1 and localhost; no other name is looked up."""
    if host.casefold() == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address == IPv6Address("::1") if isinstance(address, IPv6Address) else address in _LOOPBACK


def check_addresses(data: Any, at: Path, report: Report) -> None:
    """Every `base_url`, `…_url` and `proxy` in an account's keys, at any depth."""
    if isinstance(data, list):
        for index, item in enumerate(data):
            check_addresses(item, (*at, index), report)
    if not isinstance(data, dict):
        return
    for key, value in data.items():
        path = (*at, key)
        if not isinstance(value, str):
            check_addresses(value, path, report)
        elif value.startswith("{base_url}/"):
            continue  # made of an address that is looked at by itself
        elif (key == "proxy" or key.endswith("_url")) and not report.is_bad(path):
            mistake = _proxy(value) if key == "proxy" else _address(value)
            if mistake:
                report.add(path, *mistake)
                report.spoil(path)


def _split(text: str) -> SplitResult | None:
    """None where the text is no address at all."""
    if any(character.isspace() or character in "\\\x7f" or ord(character) < 0x20 for character in text):
        return None
    try:
        parts = urlsplit(text)
        return parts if parts.hostname and (parts.port is None or parts.port > 0) else None
    except ValueError:
        return None


def _address(text: str) -> tuple[str, str] | None:
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https"):
        return "this is not a web address", "write https://HOST/PATH"
    if "@" in parts.netloc:
        return "a user name or password stands in the address", "write https://HOST/PATH without it, a login belongs under auth"
    if parts.query or parts.fragment or text.endswith(("?", "#")):
        return (
            "the address has a ? or # part, which cannot be appended to",
            "write it up to the path alone, like https://HOST/PATH",
        )
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return (
            f"plain http would show the login to everybody on the way to {shown(parts.hostname or '')}",
            f"write https://{parts.netloc}{parts.path}",
        )
    return None


def _proxy(text: str) -> tuple[str, str] | None:
    parts = _split(text)
    if parts is None or parts.scheme not in ("http", "https"):
        return "this is not the address of a proxy", "write http://HOST:PORT"
    if "@" in parts.netloc:
        return (
            "a user name or password stands in the file itself",
            "write http://HOST:PORT, and let the proxy know this machine by its address",
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return "a proxy's address has nothing after host and port", "write http://HOST:PORT"
    return None
