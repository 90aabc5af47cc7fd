"""The adapters against the sandbox, which was written from the vendors' pages and never from what dropd sends."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dropd.model import (
    AMILI_ARM,
    AMILI_MEDIA,
    OFFICE,
    RECEEVE,
    Accepted,
    Code,
    Later,
    Misconfigured,
    Outcome,
    Pending,
    Refused,
    Target,
    Unconfirmed,
)
from dropd.providers.base import Parcel, Provider
from dropd.providers.registry import kinds
from dropd.sandbox import Fault, Sandbox

ACCOUNTS = {AMILI_ARM: "arm", AMILI_MEDIA: "cases", RECEEVE: "debtors", OFFICE: "office"}
CASE = "6867da7788b9226bb78d716c"
CLIENT = "5d0c2d3e-0000-4000-8000-000000000000"
TARGETS = {
    AMILI_ARM: Target(client_id="2218", file_type="InvoiciaFormatDocFile"),
    AMILI_MEDIA: Target(reference_id=CASE, domain="cases", dotted_path="original_invoice"),
    RECEEVE: Target(client_id=CLIENT, account_id="A1", file_type="Document", extra_fields={"externalClaimRef": "blå"}),
    OFFICE: Target(file_type="application/pdf"),
}
VENDORS = sorted(ACCOUNTS)
ONE_STEP = [AMILI_ARM, AMILI_MEDIA, RECEEVE]
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 100


class Memory:
    def __init__(self) -> None:
        self.notes: dict[str, str] = {}

    def get(self, key: str) -> str | None:
        return self.notes.get(key)

    def save(self, **notes: str) -> None:
        self.notes.update(notes)


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """Clean, with nothing that a correct client would not do at the end."""
    running.reset()
    running.media_rate = ()
    running.token_ttl, running.max_body, running.office_pending, running.office_upload_method = 3600.0, None, 1, "PUT"
    yield running
    assert running.violations() == []


class Bench:
    """One account per vendor."""

    def __init__(self, sandbox: Sandbox, root: Path) -> None:
        self.blocks = sandbox.provider_blocks(root)
        self.made: list[Provider] = []

    def provider(self, vendor: str, **more: Any) -> Provider:
        kind = kinds()[vendor]
        keys = {**self.blocks[ACCOUNTS[vendor]], "timeout": {"connect": "5s", "write": "5s", "read": "5s"}, **more}
        options = kind.Options.model_validate(keys)
        provider = kind(
            ACCOUNTS[vendor], options, clock=time.time, secrets=lambda place: str(place.reveal()), stop=threading.Event()
        )
        self.made.append(provider)
        return provider


@pytest.fixture
def bench(sandbox: Sandbox, tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(sandbox, tmp_path)
    yield bench
    for provider in bench.made:
        provider.close()


def parcel(vendor: str, content: bytes = PDF, **more: Any) -> Parcel:
    target = replace(TARGETS[vendor], **more.pop("target", {}))
    values = {"name": 'blåbær "1".pdf', "content_type": "application/pdf", **more}
    return Parcel(drop_id="0192-drop", size=len(content), target=target, open=lambda: io.BytesIO(content), **values)


def delivered(provider: Provider, what: Parcel) -> Outcome:
    """Sends, and polls where the vendor says "later", until there is a verdict."""
    notes = Memory()
    outcome = provider.send(what, notes)
    polls = 0
    while isinstance(outcome, Pending):
        assert polls < 10
        outcome = provider.poll(replace(what, polls=polls, since=time.time()), notes)
        polls += 1
    return outcome


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("size", [1, 2, 3, len(PDF), 700_000, 2_500_000])
def test_a_file_arrives_as_it_is(sandbox: Sandbox, bench: Bench, vendor: str, size: int) -> None:
    content = (PDF * (size // len(PDF) + 1))[:size]
    outcome = delivered(bench.provider(vendor), parcel(vendor, content))
    assert isinstance(outcome, Accepted), outcome
    (one,) = sandbox.deliveries(vendor)
    assert (one.sha256, one.size) == (hashlib.sha256(content).hexdigest(), size)
    if vendor != OFFICE:
        assert one.name in ('blåbær "1".pdf', "blåbær %221%22.pdf")
    keys = {AMILI_ARM: {"file_id", "message"}, AMILI_MEDIA: {"reference_id"}, RECEEVE: {"message_ids", "messages"}}
    assert set(outcome.receipt) == keys.get(vendor, {"file_id", "document_id"})


def test_what_receeve_was_told(sandbox: Sandbox, bench: Bench) -> None:
    assert isinstance(delivered(bench.provider(RECEEVE), parcel(RECEEVE)), Accepted)
    (one,) = sandbox.deliveries(RECEEVE)
    assert one.fields == {"client_id": CLIENT, "account_id": "A1", "document_type": "Document", "externalClaimRef": "blå"}
    assert one.content_type == "application/pdf"


def test_office_by_post(sandbox: Sandbox, bench: Bench) -> None:
    sandbox.office_upload_method = "POST"
    assert isinstance(delivered(bench.provider(OFFICE), parcel(OFFICE)), Accepted)


@pytest.mark.parametrize("vendor", VENDORS)
def test_tokens_that_lapse_are_renewed(sandbox: Sandbox, bench: Bench, vendor: str) -> None:
    provider = bench.provider(vendor)
    assert provider.login() is None
    sandbox.expire_tokens()
    assert isinstance(delivered(provider, parcel(vendor)), Accepted)
    assert len(sandbox.deliveries(vendor)) == 1


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_wrong_secret_is_the_accounts_fault(sandbox: Sandbox, bench: Bench, tmp_path: Path, vendor: str) -> None:
    provider = bench.provider(vendor)
    provider._secret["client_secret"] = "wrong"  # type: ignore[attr-defined]
    if vendor == AMILI_MEDIA:
        block = {"auth": {"api_code": "nobody", "method": "post"}}
        provider = bench.provider(vendor, **block)
    outcome = provider.login()
    assert isinstance(outcome, Misconfigured)
    assert outcome.scope == "account"
    assert outcome.http_status in (401, 403)


@pytest.mark.parametrize("vendor", ONE_STEP)
@pytest.mark.parametrize(
    ("fault", "expected", "kept"),
    [
        ({"status": 503, "headers": {"Retry-After": "60"}}, Later, 0),
        ({"status": 429}, Later, 0),
        ({"status": 408}, Later, 0),
        ({"status": 422}, Refused, 0),
        ({"status": 403}, Misconfigured, 0),
        ({"status": 307, "headers": {"Location": "/x"}}, Misconfigured, 0),
        ({"status": 500}, Unconfirmed, 0),
        ({"status": 500, "keep_file": True}, Unconfirmed, 1),
        ({"status": 200}, Refused, 0),
        ({"status": 200, "body": b"<html>"}, Unconfirmed, 0),
        ({"lose_answer": True}, Unconfirmed, 1),
        ({"headers": {"Content-Length": "100000"}}, Unconfirmed, 1),
    ],
)
def test_faults_after_the_whole_body(
    sandbox: Sandbox, bench: Bench, vendor: str, fault: dict[str, Any], expected: type[Outcome], kept: int
) -> None:
    sandbox.fault(Fault(vendor=vendor, step="upload", **fault))
    outcome = bench.provider(vendor).send(parcel(vendor), Memory())
    assert type(outcome) is expected, outcome
    assert len(sandbox.deliveries(vendor)) == kept
    if isinstance(outcome, Later) and outcome.http_status == 503:
        assert outcome.not_before is not None
        assert 55 < outcome.not_before - time.time() <= 60


@pytest.mark.parametrize("vendor", ONE_STEP)
def test_a_connection_cut_in_mid_body_is_surely_not_delivered(sandbox: Sandbox, bench: Bench, vendor: str) -> None:
    sandbox.fault(Fault(vendor=vendor, step="upload", drop_midway=True))
    outcome = bench.provider(vendor).send(parcel(vendor, PDF * 2000), Memory())
    assert isinstance(outcome, Later)
    assert not outcome.whole_account
    assert sandbox.deliveries(vendor) == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("size", [30_000, 40_000_000])
def test_a_file_too_large_for_the_vendor(sandbox: Sandbox, bench: Bench, vendor: str, size: int) -> None:
    """413 is said before the body was read."""
    sandbox.max_body = 20_000
    outcome = delivered(bench.provider(vendor), parcel(vendor, b"x" * size))
    assert isinstance(outcome, Refused), outcome
    assert outcome.code is Code.TOO_LARGE


@pytest.mark.parametrize("step", ["upload", "put", "status"])
@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 500}, {"lose_answer": True}, {"status": 429}])
def test_office_is_in_doubt_about_nothing(sandbox: Sandbox, bench: Bench, step: Any, fault: dict[str, Any]) -> None:
    """Whatever stumbles, for however long, the file waits; and once all is well, it arrives once."""
    sandbox.fault(Fault(vendor=OFFICE, step=step, times=9, **fault))
    provider, notes = bench.provider(OFFICE), Memory()
    outcome = provider.send(parcel(OFFICE), notes)
    if step == "status":
        assert isinstance(outcome, Pending)
        outcome = provider.poll(parcel(OFFICE, since=time.time()), notes)
    assert isinstance(outcome, Later), outcome


def test_office_after_an_interrupted_put_sends_once(sandbox: Sandbox, bench: Bench) -> None:
    """The PUT arrived, its answers were lost, the process came back: the vendor is asked before anything is sent again."""
    sandbox.office_pending = 0
    sandbox.fault(Fault(vendor=OFFICE, step="put", times=3, lose_answer=True))
    provider, notes = bench.provider(OFFICE), Memory()
    assert isinstance(provider.send(parcel(OFFICE), notes), Later)
    outcome = provider.send(parcel(OFFICE), notes)
    assert isinstance(outcome, Accepted)
    assert len(sandbox.deliveries(OFFICE)) == 1


def test_office_with_places_that_lapse(sandbox: Sandbox, bench: Bench) -> None:
    sandbox.fault(Fault(vendor=OFFICE, step="put", times=2, status=403))
    assert isinstance(delivered(bench.provider(OFFICE), parcel(OFFICE)), Accepted)
    assert len(sandbox.deliveries(OFFICE)) == 1


def test_office_refuses_a_file(sandbox: Sandbox, bench: Bench) -> None:
    sandbox.fault(Fault(vendor=OFFICE, step="status", status=200))
    assert isinstance(delivered(bench.provider(OFFICE), parcel(OFFICE)), Refused)
    assert sandbox.deliveries(OFFICE) == []


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "headers": {"Retry-After": "3"}}, {"lose_answer": True}])
def test_a_login_that_is_down_makes_the_account_wait(sandbox: Sandbox, bench: Bench, vendor: str, fault: dict[str, Any]) -> None:
    sandbox.fault(Fault(vendor=vendor, step="token", times=3, **fault))
    outcome = bench.provider(vendor).login()
    assert isinstance(outcome, Later)
    assert outcome.whole_account
    sandbox.reset()


@pytest.mark.parametrize(
    ("vendor", "change", "expected"),
    [
        (AMILI_ARM, {"client_id": "0"}, Refused),
        (AMILI_ARM, {"file_type": "Unknown"}, Misconfigured),
        (AMILI_MEDIA, {"reference_id": "0" * 24}, Refused),
        (AMILI_MEDIA, {"domain": "elsewhere"}, Refused),
        (RECEEVE, {"account_id": "unknown-1"}, Refused),
        (RECEEVE, {"client_id": "00000000-0000-0000-0000-000000000000"}, Misconfigured),
    ],
)
def test_the_vendors_own_noes(
    sandbox: Sandbox, bench: Bench, vendor: str, change: dict[str, str], expected: type[Outcome]
) -> None:
    outcome = bench.provider(vendor).send(parcel(vendor, target=change), Memory())
    assert type(outcome) is expected, outcome
    assert len(outcome.reason) > 30
    assert sandbox.deliveries(vendor) == []


def test_a_vendor_that_was_down(tmp_path: Path) -> None:
    sandbox = Sandbox()
    with sandbox:
        bench = Bench(sandbox, tmp_path)
        providers = [bench.provider(vendor) for vendor in VENDORS]
        assert [provider.login() for provider in providers] == [None] * 4
    for vendor, provider in zip(VENDORS, providers, strict=True):
        outcome = provider.send(parcel(vendor), Memory())
        assert isinstance(outcome, Later)
        assert outcome.whole_account
    with sandbox:
        for vendor, provider in zip(VENDORS, providers, strict=True):
            assert isinstance(delivered(provider, parcel(vendor)), Accepted)
            provider.close()
