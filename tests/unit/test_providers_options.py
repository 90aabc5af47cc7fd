"""The options of the four adapters: exact keys and defaults, one way to log in, addresses that keep secrets."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from dropd.fields import Rate
from dropd.providers.options import parse_url
from dropd.providers.registry import kinds

SECRET = {"env": "A_SECRET"}
GOOD: dict[str, list[dict[str, Any]]] = {
    "amili-arm": [
        {"token_url": "https://a.example/token", "client_id": "acme", "client_secret": SECRET},
        {"token_url": "https://a.example/token", "client_id": "acme", "client_secret": SECRET, "scope": "s", "audience": "a"},
        {"token": SECRET},
    ],
    "amili-media": [
        {"api_code": "acme", "private_key": SECRET},
        {"api_code": "acme", "private_key": {"file": "/k.pem"}, "algorithm": "RS512"},
        {"api_code": "acme", "method": "post"},
        {"token": SECRET},
    ],
    "receeve": [
        {"client_id": "acme", "client_secret": SECRET},
        {"client_id": "acme", "client_secret": SECRET, "token_url": "{base_url}/v1/oauth2/token", "scheme": "none"},
        {"client_id": "acme", "client_secret": SECRET, "token_url": "https://a.example/t", "scheme": "Bearer"},
        {"token": {"credential": "t"}, "scheme": "none"},
    ],
    "24sevenoffice": [
        {"client_id": "acme", "client_secret": SECRET, "organization": "777"},
        {
            "client_id": "acme",
            "client_secret": SECRET,
            "organization": "777",
            "token_url": "https://l/t",
            "audience": "https://a",
        },
        {"token": SECRET},
    ],
}
BAD: dict[str, list[dict[str, Any]]] = {
    "amili-arm": [{}, {"client_id": "acme", "client_secret": SECRET}, {"token": SECRET, "client_id": "acme"}, {"scope": "s"}],
    "amili-media": [
        {},
        {"api_code": "acme"},
        {"api_code": "acme", "private_key": SECRET, "method": "post"},
        {"api_code": "acme", "method": "post", "algorithm": "ES256"},
        {"private_key": SECRET},
        {"api_code": "acme", "private_key": SECRET, "algorithm": "HS256"},
        {"api_code": "acme", "private_key": SECRET, "algorithm": "none"},
        {"api_code": "acme", "method": "get"},
    ],
    "receeve": [{}, {"client_id": "acme"}, {"token": SECRET, "client_secret": SECRET}, {"token": SECRET, "scheme": "Basic"}],
    "24sevenoffice": [{}, {"client_id": "acme", "client_secret": SECRET}, {"token": SECRET, "organization": "777"}],
}
BASE = {"amili-arm": {"user_id": "dropd"}, "amili-media": {}, "receeve": {}, "24sevenoffice": {}}


def options(kind: str, auth: dict[str, Any], **more: Any) -> Any:
    keys = {"type": kind, "base_url": "https://api.example/v1", **BASE[kind], "auth": auth, **more}
    return kinds()[kind].Options.model_validate(keys)


@pytest.mark.parametrize(("kind", "auth"), [(kind, auth) for kind, ways in GOOD.items() for auth in ways])
def test_each_way_to_log_in_is_taken(kind: str, auth: dict[str, Any]) -> None:
    found = options(kind, auth)
    for key, value in auth.items():
        assert value == SECRET or getattr(found.auth, key) is not None


@pytest.mark.parametrize(("kind", "auth"), [(kind, auth) for kind, ways in BAD.items() for auth in ways])
def test_anything_else_is_refused_once_and_with_a_remedy(kind: str, auth: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        options(kind, auth)
    errors = caught.value.errors()
    assert len(errors) == 1
    if errors[0]["type"] == "value_error":
        assert "; write " in errors[0]["msg"]


@pytest.mark.parametrize(
    ("kind", "auth", "message"),
    [
        ("amili-arm", {"client_id": "a", "client_secret": SECRET}, "auth lacks token_url; write token_url, client_id and"),
        ("amili-arm", {"token": SECRET, "client_id": "a"}, "auth has client_id beside another way to log in; write"),
        ("amili-media", {"api_code": "a"}, "; write api_code and private_key, or api_code and method: post, or token alone"),
        ("24sevenoffice", {"client_id": "a", "client_secret": SECRET}, "auth lacks organization; write"),
        ("receeve", {}, "auth is empty; write client_id and client_secret, or token alone"),
    ],
)
def test_the_message_says_what_is_missing(kind: str, auth: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        options(kind, auth)
    assert message in caught.value.errors()[0]["msg"]


def test_defaults() -> None:
    """As DESIGN 2.1 has them."""
    arm = options("amili-arm", GOOD["amili-arm"][0])
    assert arm.accepted_results == ["CREATED"]
    assert (arm.concurrency, arm.rate, arm.max_size, arm.proxy, arm.tls.ca) == (4, [], None, None, None)
    assert (arm.timeout.connect, arm.timeout.write, arm.timeout.read) == (10, 60, 120)
    media = options("amili-media", GOOD["amili-media"][0])
    assert media.rate == [Rate(10, 1.0), Rate(100, 60.0)]
    assert media.auth.algorithm == "ES256"
    assert (media.token_field, media.token_ttl) == (None, None)
    assert options("amili-media", GOOD["amili-media"][0], rate=["5/h"]).rate == [Rate(5, 3600.0)]
    assert options("receeve", GOOD["receeve"][0]).auth.scheme == "Bearer"
    office = kinds()["24sevenoffice"].Options.model_validate({"type": "24sevenoffice", "auth": GOOD["24sevenoffice"][0]})
    assert office.base_url == "https://rest.api.24sevenoffice.com/v1"  # type: ignore[attr-defined]
    assert office.auth.token_url == "https://login.24sevenoffice.com/oauth/token"  # type: ignore[attr-defined]
    assert office.auth.audience == "https://api.24sevenoffice.com"  # type: ignore[attr-defined]
    assert (office.poll.first, office.poll.max, office.poll.give_up_after) == (1, 30, 600)  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", sorted(GOOD))
def test_unknown_keys_are_refused_and_the_schema_is_json(kind: str) -> None:
    with pytest.raises(ValidationError) as caught:
        options(kind, GOOD[kind][0], grant="x")
    assert [error["type"] for error in caught.value.errors()] == ["extra_forbidden"]
    schema = kinds()[kind].Options.model_json_schema()
    assert schema["properties"]["type"]["const"] == kind
    if kind == "amili-media":
        assert schema["properties"]["rate"]["default"] == ["10/s", "100/min"]


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.com",
        "https://api.example.com:8443/v1/",
        "http://127.0.0.1:80/x",
        "http://[::1]:9",
        "http://localhost",
        "http://127.9.9.9",
    ],
)
def test_good_addresses(url: str) -> None:
    assert parse_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.example.com",
        "ftp://api.example.com",
        "http://api.example.com",
        "http://10.0.0.1",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "https://",
        "https://api.example.com/a b",
        "https://bücher.example",
        "https://api.example.com?x=1",
        "https://api.example.com/?",
        "https://api.example.com#f",
        "https://api.example.com:0",
        "https://api.example.com:99999",
        "https://[::1",
    ],
)
def test_bad_addresses(url: str) -> None:
    with pytest.raises(ValueError, match=r"; write "):
        parse_url(url)


def test_a_password_in_an_address_is_not_repeated() -> None:
    for address in ("https://me:hush@api.example.com", "https://api.example.com/?key=hush"):
        with pytest.raises(ValueError) as caught:
            parse_url(address)
        assert "hush" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["proxy:3128", "socks5://p:1", "http://me:hush@p:1", "http://p:1/path"])
def test_bad_proxies(proxy: str) -> None:
    with pytest.raises(ValidationError) as caught:
        options("amili-arm", GOOD["amili-arm"][0], proxy=proxy)
    assert "hush" not in caught.value.errors()[0]["msg"]
