"""Tokens: fetched once, renewed in time, one renewal at a time."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest

from dropd.model import Later, Misconfigured
from dropd.providers.auth import FixedToken, RenewedTokens, Token, find_token, read_token

NOW = 1_700_000_000.0
JWT = jwt.encode({"exp": int(NOW) + 500}, "k" * 32, algorithm="HS256")
OLD_JWT = jwt.encode({"exp": int(NOW) - 500}, "k" * 32, algorithm="HS256")


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Vendor:
    """Gives numbered tokens, or trouble."""

    def __init__(self, life: float = 3600.0) -> None:
        self.life = life
        self.calls = 0
        self.trouble: Later | Misconfigured | None = None
        self.before: Callable[[], object] = lambda: None

    def __call__(self) -> Token | Later | Misconfigured:
        self.calls += 1
        self.before()
        return self.trouble or Token(f"token-{self.calls}", self.life)


@pytest.mark.parametrize(("life", "good_for"), [(3600, 3540), (600, 540), (100, 90), (1, 0.9), (1e9, 7 * 86400 - 60)])
def test_a_token_is_renewed_before_its_end(life: float, good_for: float) -> None:
    """By a minute, or a tenth of its life where that is less."""
    hand, vendor = Hand(), Vendor(life)
    tokens = RenewedTokens(vendor, monotonic=hand)
    assert tokens.get() == "token-1"
    hand.now += good_for - 0.01
    assert tokens.get() == "token-1"
    hand.now += 0.02
    assert tokens.get() == "token-2"


def test_only_the_token_that_failed_is_dropped() -> None:
    vendor = Vendor()
    tokens = RenewedTokens(vendor)
    first = tokens.get()
    assert isinstance(first, str)
    assert tokens.drop(first)
    assert tokens.get() == "token-2"
    assert tokens.drop(first)  # somebody else's late 401 for the old one
    assert tokens.get() == "token-2"
    assert vendor.calls == 2


def at_once(count: int, do: Callable[[], Any]) -> list[Any]:
    """Calls from as many threads at the same moment."""
    gate, results, lock = threading.Barrier(count), [], threading.Lock()

    def run() -> None:
        gate.wait(10)
        found = do()
        with lock:
            results.append(found)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(results) == count
    return results


def test_eight_threads_make_one_renewal() -> None:
    vendor = Vendor()
    tokens = RenewedTokens(vendor)
    assert at_once(8, tokens.get) == ["token-1"] * 8
    assert vendor.calls == 1

    def replay() -> str:
        tokens.drop("token-1")
        found = tokens.get()
        assert isinstance(found, str)
        return found

    assert at_once(8, replay) == ["token-2"] * 8
    assert vendor.calls == 2


def test_who_waited_for_a_renewal_that_failed_shares_its_failure() -> None:
    """Eight senders must not knock eight times at a door that is shut; the next round asks again."""
    vendor = Vendor()
    vendor.trouble = Later(reason="down", whole_account=True)
    tokens = RenewedTokens(vendor)
    waiting = threading.Semaphore(0)

    class Counted:
        """The lock, telling who has come to it."""

        def __init__(self) -> None:
            self.lock = threading.Lock()

        def __enter__(self) -> None:
            waiting.release()
            self.lock.acquire()

        def __exit__(self, *_: object) -> None:
            self.lock.release()

    tokens._lock = Counted()  # type: ignore[assignment]

    def all_have_come() -> None:
        for _ in range(8):
            assert waiting.acquire(timeout=10)

    vendor.before = all_have_come
    assert at_once(8, tokens.get) == [vendor.trouble] * 8
    assert vendor.calls == 1
    vendor.before, vendor.trouble = (lambda: None), None
    assert tokens.get() == "token-2"


def test_a_fixed_token_has_no_other() -> None:
    tokens = FixedToken("t")
    assert tokens.get() == "t"
    assert tokens.drop("t") is False


# ------------------------------------------------------------------------------------------------ the endpoint's answer


@pytest.mark.parametrize(
    ("answer", "life"),
    [
        ({"access_token": "abc", "expires_in": 3600}, 3600),
        ({"access_token": "abc", "expires_in": "3600"}, 3600),
        ({"access_token": "abc", "expires_on": NOW + 50}, 50),
        ({"access_token": "abc"}, 600),
        ({"access_token": "abc", "expires_in": 0}, 600),
        ({"access_token": "abc", "expires_in": True}, 600),
        ({"access_token": "abc", "expires_in": "NaN"}, 600),
        ({"access_token": "abc", "expires_in": "soon"}, 600),
        ({"access_token": "abc", "expires_in": 10**400}, 600),
        ({"access_token": JWT}, 500),
        ({"access_token": JWT, "expires_in": 60}, 60),
        ({"access_token": OLD_JWT}, 600),
        ({"token": "abc"}, 600),
        ({"api_key": "abc"}, 600),
        ({"data": {"token": "abc", "expires_in": 7}}, 7),
        ("abc", 600),
    ],
)
def test_tokens_are_found_where_vendors_put_them(answer: Any, life: float) -> None:
    found = read_token(200, {}, json.dumps(answer).encode(), now=NOW)
    assert isinstance(found, Token)
    assert found.life == pytest.approx(life)
    assert found.text not in repr(found)


def test_a_configured_life_counts_only_where_nothing_tells() -> None:
    for answer, life in (({"token": "abc"}, 99), ({"token": "abc", "expires_in": 5}, 5), ({"token": JWT}, 500)):
        found = read_token(200, {}, json.dumps(answer).encode(), now=NOW, life_unknown=99)
        assert isinstance(found, Token)
        assert found.life == life


@pytest.mark.parametrize(
    ("field", "answer", "found"),
    [
        ("key", {"key": "abc", "access_token": "other"}, "abc"),
        ("data.key", {"data": {"key": "abc"}}, "abc"),
        ("key", {"access_token": "other"}, None),
        ("a.b", {"a": "x"}, None),
        (None, {"access_token": "has space"}, None),
        (None, {"access_token": "line\r\nbreak"}, None),
        (None, {"access_token": ""}, None),
        (None, {"access_token": 5}, None),
        (None, ["abc"], None),
        (None, None, None),
    ],
)
def test_a_token_must_be_where_it_is_said_and_fit_a_header(field: str | None, answer: Any, found: str | None) -> None:
    assert find_token(answer, field) == found


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, {"error": "invalid_client", "error_description": "no such client"}, Misconfigured),
        (401, {}, Misconfigured),
        (403, {"error": "access_denied"}, Misconfigured),
        (404, {}, Misconfigured),
        (302, {}, Misconfigured),
        (200, {"_status": "ERR", "_error": {"message": "no"}}, Misconfigured),
        (200, {"error": "invalid_client"}, Misconfigured),
        (200, {}, Later),
        (200, None, Later),
        (200, b"<html>", Later),
        (204, b"", Later),
        (408, {}, Later),
        (429, {}, Later),
        (500, {}, Later),
        (502, b"<html>", Later),
        (503, {}, Later),
    ],
)
def test_trouble_at_the_endpoint(status: int, body: Any, expected: type) -> None:
    raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    found = read_token(status, {"retry-after": "7"}, raw, now=NOW)
    assert type(found) is expected
    if isinstance(found, Later):
        assert found.whole_account
        assert status not in (429, 503) or found.not_before == NOW + 7
    if isinstance(found, Misconfigured):
        assert found.scope == "account"
        assert status != 400 or found.reason == "The vendor answered 400: invalid_client; no such client"


def test_the_time_is_measured_by_a_clock_that_nobody_sets() -> None:
    tokens = RenewedTokens(Vendor())
    assert tokens._monotonic is time.monotonic
