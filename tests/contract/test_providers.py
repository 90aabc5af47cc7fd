"""The adapters against a vendor on a raw socket: phases, replays, presigned bytes, and secrets that never show."""

from __future__ import annotations

import gzip
import io
import json
import logging
import re
import socket
import ssl
import threading
import time
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import jwt
import pytest
import trustme
from contract.rawserver import Heard, RawServer, Say
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dropd.model import (
    Accepted,
    Changed,
    Code,
    Later,
    Misconfigured,
    Outcome,
    Pending,
    Refused,
    Target,
    Unconfirmed,
)
from dropd.providers.base import Parcel, Proof, Provider
from dropd.providers.registry import kinds

KEY = ec.generate_private_key(ec.SECP256R1())
SECRETS = {
    "secret": "hush-hush-client-secret",
    "token": "hush-hush-static-token",
    "key": KEY.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode(),
}
UPLOADS = {
    "amili-arm": "/v1/clients/2218/files",
    "amili-media": "/v1/media--upload/6867da7788b9226bb78d716c",
    "receeve": "/v1/files/v1/5d0c2d3e/upload_files",
}
TARGETS = {
    "amili-arm": Target(client_id="2218", file_type="InvoiciaFormatDocFile"),
    "amili-media": Target(reference_id="6867da7788b9226bb78d716c", domain="cases", dotted_path="original_invoice"),
    "receeve": Target(client_id="5d0c2d3e", account_id="A1", file_type="Document", extra_fields={"externalClaimRef": "ø"}),
    "24sevenoffice": Target(),
}
ONE_STEP = sorted(UPLOADS)
BIG = 3_000_000


class Memory:
    """Notes that keep every save."""

    def __init__(self, **notes: str) -> None:
        self.notes = dict(notes)
        self.saves: list[dict[str, str]] = []

    def get(self, key: str) -> str | None:
        return self.notes.get(key)

    def save(self, **notes: str) -> None:
        self.saves.append(notes)
        self.notes.update(notes)


class Vendor:
    """The four vendors' good behaviour, each step of which a test may replace by path."""

    def __init__(self) -> None:
        self.instead: dict[str, list[Say]] = {}  # by path: what is said first, in order; a lone last one stays
        self.always: dict[str, Say] = {}
        self.before: dict[str, Say] = {}  # said before the body was read
        self.tokens = 0
        self.places = 0
        self.server = RawServer(self.answer)
        self.server.before = lambda heard: self.before.get(heard.path)

    @property
    def url(self) -> str:
        return self.server.url

    def answer(self, heard: Heard) -> Say:
        path = heard.path
        if self.instead.get(path):
            return self.instead[path].pop(0)
        return self.always[path] if path in self.always else self.good(heard)

    def good(self, heard: Heard) -> Say:
        path = heard.path
        if path.endswith(("/token", "/api-code")):
            self.tokens += 1
            return Say(200, {"access_token": f"fetched-token-{self.tokens}", "expires_in": 3600})
        if path.endswith("/files"):
            file_id = json.loads(heard.body)["files"][0]["fileId"]
            entry = {"fileId": file_id, "status": "PROCESSED", "result": "CREATED", "message": "File uploaded"}
            return Say(200, {"status": "PROCESSED", "files": [entry]})
        if "/media--upload/" in path:
            return Say(201, {"_status": "OK", "url": "https://storage.example/x?X-Goog-Signature=5ecret5ecret"})
        if path.endswith("/upload_files"):
            return Say(200, {"ref": {"success": True, "messages": ["done"], "messageIds": ["m-1"]}})
        if path == "/v1/fileUpload":
            self.places += 1
            return Say(200, self.place(self.places), {"X-Trace-Id": "trace-1"})
        if path.startswith("/store/"):
            return Say(200)
        return Say(200, {"fileId": 1, "status": "Pending"})

    def place(self, number: int, method: str = "PUT") -> dict[str, Any]:
        return {"uploadMethod": method, "uploadUrl": f"{self.url}/store/{number}{QUERY}", "fileId": 67889 + number}

    def uploads(self, kind: str) -> list[Heard]:
        return self.server.calls(UPLOADS[kind])


QUERY = "?X-Amz-Credential=AK%2F2026%2feu&sig=a%2Bb+c==&x~y|z&empty=&q='()*!;:@,$&%7E"


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    vendor = Vendor()
    with vendor.server:
        yield vendor


Make = Callable[..., Provider]


@pytest.fixture
def make(vendor: Vendor) -> Iterator[Make]:
    made: list[Provider] = []

    def build(
        kind: str, *, auth: dict[str, Any] | None = None, now: float = 1000.0, url: str | None = None, **more: Any
    ) -> Provider:
        url = url or vendor.url
        auths = {
            "amili-arm": {"token_url": f"{url}/token", "client_id": "acme", "client_secret": {"env": "secret"}},
            "amili-media": {"api_code": "acme-code", "private_key": {"env": "key"}},
            "receeve": {"client_id": "acme", "client_secret": {"env": "secret"}},
            "24sevenoffice": {
                "client_id": "acme",
                "client_secret": {"env": "secret"},
                "organization": "777",
                "token_url": f"{url}/token",
            },
        }
        keys: dict[str, Any] = {"type": kind, "base_url": f"{url}/v1", "auth": auth or auths[kind], **more}
        keys.setdefault("timeout", {"connect": "5s", "write": "5s", "read": "5s"})
        if kind == "amili-arm":
            keys["user_id"] = "dropd"
        cls = kinds()[kind]
        options = cls.Options.model_validate(keys)
        provider = cls("acc", options, clock=lambda: now, secrets=lambda place: SECRETS[place.env], stop=threading.Event())
        made.append(provider)
        return provider

    yield build
    for provider in made:
        provider.close()


def parcel(kind: str, content: bytes = b"%PDF-1.7 hello", **more: Any) -> Parcel:
    values: dict[str, Any] = {
        "drop_id": "0192-drop",
        "name": "blåbær.pdf",
        "size": len(content),
        "content_type": "application/pdf",
        "target": TARGETS[kind],
        "open": lambda: io.BytesIO(content),
    }
    return Parcel(**{**values, **more})


def send(provider: Provider, what: Parcel, notes: Memory | None = None) -> Outcome:
    """Sends, and holds every outcome to what holds for all: a reason for people, without secrets."""
    outcome = provider.send(what, notes or Memory())
    shown = repr(outcome) + repr(provider)
    for secret in (*SECRETS.values(), "fetched-token-", "5ecret", "sig=a", "YWNtZT"):
        assert secret not in shown
    assert outcome.reason
    return outcome


# ------------------------------------------------------------------------------------------------ what leaves


def test_arm_sends_what_the_vendor_documents(vendor: Vendor, make: Make) -> None:
    content = bytes(range(256)) * 40
    outcome = send(make("amili-arm"), parcel("amili-arm", content))
    assert outcome == Accepted(
        reason="File uploaded", http_status=200, receipt={"file_id": "0192-drop", "message": "File uploaded"}
    )
    token, upload = vendor.server.heard
    assert (token.method, token.target, token.header("content-type")) == ("POST", "/token", "application/x-www-form-urlencoded")
    assert token.body == b"grant_type=client_credentials&client_id=acme&client_secret=hush-hush-client-secret"
    assert (upload.method, upload.target) == ("POST", "/v1/clients/2218/files")
    assert upload.header("authorization") == "Bearer fetched-token-1"
    assert upload.header("content-type") == "application/json"
    assert upload.header("transfer-encoding") is None
    document = json.loads(upload.body)
    assert b64decode(document["files"][0].pop("content"), validate=True) == content
    assert document == {
        "metadata": {"userId": "dropd"},
        "files": [{"fileId": "0192-drop", "type": "InvoiciaFormatDocFile", "name": "blåbær.pdf"}],
    }


def test_arm_sends_scope_and_audience_where_they_are_given(vendor: Vendor, make: Make) -> None:
    auth = {
        "token_url": f"{vendor.url}/token",
        "client_id": "a",
        "client_secret": {"env": "secret"},
        "scope": "x y",
        "audience": "z",
    }
    assert make("amili-arm", auth=auth).login() is None
    assert vendor.server.heard[0].body.endswith(b"&scope=x+y&audience=z")


def form_fields(heard: Heard) -> list[tuple[str, bytes]]:
    boundary = str(heard.header("content-type")).partition("boundary=")[2].encode()
    parts = heard.body.split(b"--" + boundary)
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    out = []
    for part in parts[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        found = re.search(rb'name="([^"]*)"', head)
        assert found
        out.append((found[1].decode(), value.removesuffix(b"\r\n")))
    return out


def test_media_sends_what_the_vendor_documents(vendor: Vendor, make: Make) -> None:
    outcome = send(make("amili-media"), parcel("amili-media"))
    assert isinstance(outcome, Accepted)
    assert outcome.receipt == {"reference_id": "6867da7788b9226bb78d716c"}
    token, upload = vendor.server.heard
    assert (token.method, token.target, token.header("authorization")) == ("GET", "/v1/authenticates/api-code", None)
    claims = jwt.decode(str(token.header("x-api-key")), KEY.public_key(), ["ES256"], options={"verify_exp": False})
    assert claims == {"api_code": "acme-code", "exp": 1600}
    assert (upload.target, upload.header("x-api-key")) == (UPLOADS["amili-media"], "fetched-token-1")
    assert upload.header("authorization") is None
    assert form_fields(upload) == [("domain", b"cases"), ("dotted_path", b"original_invoice"), ("file", b"%PDF-1.7 hello")]
    assert b'filename="bl\xc3\xa5b\xc3\xa6r.pdf"\r\nContent-Type: application/pdf\r\n' in upload.body


def test_media_logs_in_by_post(vendor: Vendor, make: Make) -> None:
    assert make("amili-media", auth={"api_code": "acme-code", "method": "post"}).login() is None
    token = vendor.server.heard[0]
    assert (token.method, token.body, token.header("content-type")) == ("POST", b'{"api_code":"acme-code"}', "application/json")


def test_media_takes_its_token_from_where_it_is_told(vendor: Vendor, make: Make) -> None:
    vendor.always["/v1/authenticates/api-code"] = Say(200, {"result": {"key": "fetched-token-9"}, "token": "wrong"})
    send(make("amili-media", token_field="result.key"), parcel("amili-media"))
    assert vendor.uploads("amili-media")[0].header("x-api-key") == "fetched-token-9"


def test_media_says_when_its_key_cannot_sign(make: Make) -> None:
    auth = {"api_code": "acme-code", "private_key": {"env": "secret"}}
    outcome = send(make("amili-media", auth=auth), parcel("amili-media"))
    assert isinstance(outcome, Misconfigured)
    assert outcome.scope == "account"
    assert "ES256" in outcome.reason


@pytest.mark.parametrize(("scheme", "shown"), [("Bearer", "Bearer fetched-token-1"), ("none", "fetched-token-1")])
def test_receeve_sends_what_the_vendor_documents(vendor: Vendor, make: Make, scheme: str, shown: str) -> None:
    auth = {"client_id": "acme", "client_secret": {"env": "secret"}, "scheme": scheme}
    outcome = send(make("receeve", auth=auth), parcel("receeve"))
    assert isinstance(outcome, Accepted)
    assert outcome.receipt == {"message_ids": ["m-1"], "messages": ["done"]}
    token, upload = vendor.server.heard
    assert (token.method, token.target) == ("POST", "/v1/v1/oauth2/token")  # below base_url, whatever that is
    assert b64decode(str(token.header("authorization")).removeprefix("Basic ")) == b"acme:hush-hush-client-secret"
    assert (upload.target, upload.header("authorization")) == (UPLOADS["receeve"], shown)
    fields = [
        ("accountId", b"A1"),
        ("documentType", b"Document"),
        ("externalClaimRef", "ø".encode()),
        ("file", b"%PDF-1.7 hello"),
    ]
    assert form_fields(upload) == fields


def test_receeve_leaves_out_a_type_that_is_not_given(vendor: Vendor, make: Make) -> None:
    send(make("receeve"), parcel("receeve", target=Target(client_id="5d0c2d3e", account_id="A1")))
    assert [key for key, _ in form_fields(vendor.uploads("receeve")[0])] == ["accountId", "file"]


def test_ids_are_one_segment_of_the_path(vendor: Vendor, make: Make) -> None:
    provider = make("receeve")
    send(provider, parcel("receeve", target=Target(client_id="a/b?c#d%2e e~ø", account_id="x")))
    assert vendor.server.heard[-1].target == "/v1/files/v1/a%2Fb%3Fc%23d%252e%20e~%C3%B8/upload_files"


@pytest.mark.parametrize("client", ["", ".", "..", "a\nb", "a\x00", "\x7f", "\udcff"])
def test_ids_that_are_no_segment_are_refused_before_anything_is_sent(vendor: Vendor, make: Make, client: str) -> None:
    provider = make("receeve")
    target = Target(client_id=client, account_id="x")
    refused = provider.check(target, "application/pdf")
    assert refused is not None
    assert refused.code is Code.NOT_ALLOWED
    assert isinstance(send(provider, parcel("receeve", target=target)), Refused)
    assert vendor.server.heard == []


@pytest.mark.parametrize(
    ("kind", "target", "content_type", "code"),
    [
        ("amili-arm", Target(file_type="x"), "text/csv", Code.MISSING_VALUE),
        ("amili-arm", Target(client_id="1"), "text/csv", Code.MISSING_VALUE),
        ("amili-arm", Target(client_id="1", file_type="x"), "text/csv", None),
        ("amili-media", Target(reference_id="1"), "image/png", None),
        ("amili-media", Target(reference_id="1", domain="media--files"), "image/png", None),
        ("amili-media", Target(reference_id="1"), "text/csv", Code.WRONG_TYPE),
        ("amili-media", Target(reference_id="1", domain="cases"), "image/png", Code.MISSING_VALUE),
        ("receeve", Target(client_id="1", account_id="2", file_type="Letter"), "text/csv", Code.NOT_ALLOWED),
        ("receeve", Target(client_id="1", account_id="2", extra_fields={"x": "a\udcffb"}), "text/csv", Code.NOT_ALLOWED),
        ("24sevenoffice", Target(file_type="application/pdf\r\nX: y"), "text/csv", Code.NOT_ALLOWED),
        ("24sevenoffice", Target(), "text/csv", None),
    ],
)
def test_what_a_vendor_cannot_take_is_known_before(
    make: Make, kind: str, target: Target, content_type: str, code: Code | None
) -> None:
    refused = make(kind).check(target, content_type)
    assert (refused.code if refused else None) is code


# ------------------------------------------------------------------------------------------------ phases


def test_refused_connections_are_the_whole_accounts_trouble(make: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for kind in (*ONE_STEP, "24sevenoffice"):
        outcome = send(make(kind, url=url), parcel(kind))
        assert isinstance(outcome, Later), kind
        assert outcome.whole_account
        outcome = send(make(kind, url=url, auth={"token": {"env": "token"}}), parcel(kind))
        assert isinstance(outcome, Later), kind
        assert outcome.whole_account
        assert "could not be reached" in outcome.reason


@pytest.mark.parametrize("kind", ONE_STEP)
@pytest.mark.parametrize("how", ["nothing", "reset", "half", "garbage"])
@pytest.mark.parametrize("size", [10, BIG])
def test_a_lost_answer_after_the_whole_body_is_doubt(vendor: Vendor, make: Make, kind: str, how: str, size: int) -> None:
    vendor.always[UPLOADS[kind]] = Say(200, {"files": []}, how=how)
    outcome = send(make(kind), parcel(kind, b"x" * size))
    assert isinstance(outcome, Unconfirmed)
    assert [heard.complete for heard in vendor.uploads(kind)] == [True]


@pytest.mark.parametrize("kind", ONE_STEP)
def test_no_answer_in_time_is_doubt(vendor: Vendor, make: Make, kind: str) -> None:
    provider = make(kind, timeout={"connect": "5s", "write": "5s", "read": "200ms"})
    assert provider.login() is None
    gate = threading.Event()
    answer = vendor.server.answer
    vendor.server.answer = lambda heard: (gate.wait(10), answer(heard))[1]
    try:
        outcome = send(provider, parcel(kind))
    finally:
        gate.set()
    assert isinstance(outcome, Unconfirmed)
    assert "no answer in time" in outcome.reason


@pytest.mark.parametrize("kind", ONE_STEP)
@pytest.mark.parametrize("how", ["nothing", "reset"])
def test_a_body_cut_before_its_end_is_surely_not_delivered(vendor: Vendor, make: Make, kind: str, how: str) -> None:
    vendor.before[UPLOADS[kind]] = Say(how=how, after=100_000)
    outcome = send(make(kind), parcel(kind, b"x" * 30_000_000))
    assert isinstance(outcome, Later)
    assert not outcome.whole_account


@pytest.mark.parametrize("kind", ONE_STEP)
def test_a_vendor_that_stops_reading_is_surely_not_delivered(vendor: Vendor, make: Make, kind: str) -> None:
    provider = make(kind, timeout={"connect": "5s", "write": "200ms", "read": "5s"})
    assert provider.login() is None
    gate = threading.Event()
    vendor.server.before = lambda heard: (gate.wait(10), Say(after=0, how="nothing"))[1] if heard.path == UPLOADS[kind] else None
    try:
        outcome = send(provider, parcel(kind, b"x" * 60_000_000))
    finally:
        gate.set()
    assert isinstance(outcome, Later)
    assert "stopped reading" in outcome.reason


@pytest.mark.parametrize("kind", ONE_STEP)
@pytest.mark.parametrize(
    ("status", "expected"),
    [(413, Refused), (422, Refused), (403, Misconfigured), (503, Later), (500, Later), (200, Later)],
)
def test_an_early_answer_is_judged_by_its_status(
    vendor: Vendor, make: Make, kind: str, status: int, expected: type[Outcome]
) -> None:
    """While the body is still going: a no is a no, but neither a yes nor a breakdown can be about a file that is not there."""
    vendor.before[UPLOADS[kind]] = Say(status, {"message": "early"}, after=0, headers={"Connection": "close"})
    outcome = send(make(kind), parcel(kind, b"x" * 60_000_000))
    assert type(outcome) is expected
    assert outcome.http_status == status
    if status == 413:
        assert isinstance(outcome, Refused)
        assert outcome.code is Code.TOO_LARGE


@pytest.mark.parametrize("kind", ONE_STEP)
@pytest.mark.parametrize("status", [200, 422])
def test_an_answer_without_end_is_not_read_for_ever(vendor: Vendor, make: Make, kind: str, status: int) -> None:
    vendor.always[UPLOADS[kind]] = Say(status, b'{"message": "' + b"x" * 5_000_000, how="whole")
    outcome = send(make(kind), parcel(kind))
    assert type(outcome) is (Unconfirmed if status == 200 else Refused)
    assert len(outcome.reason.encode()) <= 2048


YES = {
    "amili-arm": {"files": [{"fileId": "0192-drop", "status": "PROCESSED", "result": "CREATED"}]},
    "amili-media": {"_status": "OK"},
    "receeve": {"success": True},
}
MALFORMED = [
    b"",
    b"\r\n",
    b"HTTP/1.1",
    b"HTTP/1.1 200",
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n{}",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 99 Odd\r\n\r\n",
    b"HTTP/2 200\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot zipped",
    b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n{}",
    b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\nContent-Length: 0\r\n\r\n",
]


@pytest.mark.parametrize("raw", MALFORMED, ids=range(len(MALFORMED)))
def test_no_answer_is_so_odd_that_it_raises(vendor: Vendor, make: Make, raw: bytes) -> None:
    """Whatever a vendor, or something on the way to it, writes: an upload that left whole ends in doubt, or at the account."""
    vendor.always[UPLOADS["receeve"]] = Say(verbatim=raw)
    outcome = send(make("receeve"), parcel("receeve"))
    assert isinstance(outcome, Misconfigured if b" 302 " in raw else Unconfirmed)


@pytest.mark.parametrize("kind", ONE_STEP)
def test_answers_in_every_honest_form_are_read(vendor: Vendor, make: Make, kind: str) -> None:
    yes = json.dumps(YES[kind]).encode()
    zipped = gzip.compress(yes)
    chunks = b"".join(b"%x;a=b\r\n%b\r\n" % (len(piece), piece) for piece in (yes[:5], yes[5:]))
    for raw in (
        b"HTTP/1.0 200 OK\r\n\r\n" + yes,
        b"HTTP/1.1 200\r\nContent-Length: %d\r\n\r\n" % len(yes) + yes,
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + yes,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\nTrailer: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(zipped) + zipped,
    ):
        vendor.always[UPLOADS[kind]] = Say(verbatim=raw)
        assert isinstance(send(make(kind), parcel(kind)), Accepted), raw


def test_a_zip_bomb_is_only_an_answer_that_is_too_long(vendor: Vendor, make: Make) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    vendor.always[UPLOADS["receeve"]] = Say(200, bomb, {"Content-Encoding": "gzip"})
    assert isinstance(send(make("receeve"), parcel("receeve")), Unconfirmed)


@pytest.mark.parametrize("kind", sorted(TARGETS))
def test_the_logs_hold_no_secret_even_at_their_most_talkative(
    vendor: Vendor, make: Make, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    with caplog.at_level(logging.DEBUG):
        vendor.instead[UPLOADS.get(kind, "/v1/fileUpload")] = [Say(401, {})]
        send(make(kind), parcel(kind))
    told = caplog.text
    for secret in (*SECRETS.values(), "fetched-token-", "sig=a", "YWNtZT", "eyJ"):
        assert secret not in told


@pytest.mark.parametrize("kind", ONE_STEP)
def test_a_redirect_is_not_followed(vendor: Vendor, make: Make, kind: str) -> None:
    vendor.always[UPLOADS[kind]] = Say(307, headers={"Location": f"{vendor.url}/elsewhere"})
    outcome = send(make(kind), parcel(kind))
    assert isinstance(outcome, Misconfigured)
    assert outcome.scope == "account"
    assert vendor.server.calls("/elsewhere") == []


@pytest.mark.parametrize("kind", [*ONE_STEP, "24sevenoffice"])
@pytest.mark.parametrize("change", [b"", b"%PDF-1.7 hell", b"%PDF-1.7 hello!"])
def test_a_file_that_changed_is_never_delivered(vendor: Vendor, make: Make, kind: str, change: bytes) -> None:
    outcome = send(make(kind), parcel(kind, open=lambda: io.BytesIO(change)))
    assert isinstance(outcome, Changed)
    assert not any(heard.complete for heard in vendor.server.heard if heard.path in {*UPLOADS.values(), "/store/1"})


@pytest.mark.parametrize("kind", [*ONE_STEP, "24sevenoffice"])
def test_a_file_that_cannot_be_read_waits(make: Make, kind: str) -> None:
    def broken() -> BinaryIO:
        raise OSError(5, "Input/output error")

    outcome = send(make(kind), parcel(kind, open=broken))
    assert isinstance(outcome, Later)
    assert not outcome.whole_account
    assert "Input/output error" in outcome.reason


def test_connections_are_kept(vendor: Vendor, make: Make) -> None:
    provider = make("amili-arm")
    for _ in range(5):
        assert isinstance(send(provider, parcel("amili-arm")), Accepted)
    assert vendor.server.connections == 1


def test_a_vendor_that_closes_unannounced_raises_doubt_once(vendor: Vendor, make: Make) -> None:
    """Its close and our next file pass each other on the way: once bitten, each call gets a connection of its own for a while."""
    yes = b'{"success": true}'
    vendor.always[UPLOADS["receeve"]] = Say(verbatim=b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(yes), yes))
    provider = make("receeve", auth={"token": {"env": "token"}})
    outcomes = [type(send(provider, parcel("receeve"))) for _ in range(300)]
    assert len(outcomes) - outcomes.count(Accepted) <= 1


def test_after_a_broken_connection_calls_stand_alone_for_a_while(vendor: Vendor, make: Make) -> None:
    provider = make("receeve", auth={"token": {"env": "token"}})
    vendor.instead[UPLOADS["receeve"]] = [Say(how="nothing")]
    assert isinstance(send(provider, parcel("receeve")), Unconfirmed)
    for _ in range(2):
        assert isinstance(send(provider, parcel("receeve")), Accepted)
    provider._http._wary_until = 0.0  # type: ignore[attr-defined]
    assert isinstance(send(provider, parcel("receeve")), Accepted)
    assert [heard.header("connection") for heard in vendor.server.heard] == [None, "close", "close", None]


def test_cookies_are_never_sent_back(vendor: Vendor, make: Make) -> None:
    provider = make("receeve")
    vendor.instead[UPLOADS["receeve"]] = [Say(200, {"r": {"success": True}}, {"Set-Cookie": "a=b; Path=/"})]
    send(provider, parcel("receeve"))
    send(provider, parcel("receeve"))
    assert len(vendor.uploads("receeve")) == 2
    assert all(heard.header("cookie") is None for heard in vendor.server.heard)


def test_the_environment_has_no_say(vendor: Vendor, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert isinstance(send(make("receeve"), parcel("receeve")), Accepted)


def test_a_proxy_is_used_where_one_is_given(vendor: Vendor, make: Make) -> None:
    """Everything goes through it, the presigned address still byte for byte."""
    away = "http://127.0.0.1:9"
    places = {"uploadMethod": "PUT", "uploadUrl": f"{away}/store/1{QUERY}", "fileId": 1}
    vendor.server.answer = lambda heard: Say(200, places if heard.method == "POST" else b"")
    outcome = send(make("24sevenoffice", url=away, auth={"token": {"env": "token"}}, proxy=vendor.url), parcel("24sevenoffice"))
    assert isinstance(outcome, Pending)
    assert [heard.target for heard in vendor.server.heard] == [f"{away}/v1/fileUpload", f"{away}/store/1{QUERY}"]
    assert vendor.server.heard[1].header("authorization") is None


# ------------------------------------------------------------------------------------------------ tokens


@pytest.mark.parametrize("kind", ONE_STEP)
@pytest.mark.parametrize("size", [14, BIG])
def test_a_token_that_lapsed_is_renewed_and_the_body_sent_again(vendor: Vendor, make: Make, kind: str, size: int) -> None:
    vendor.instead[UPLOADS[kind]] = [Say(401, {"message": "expired"})]
    content = bytes(range(256)) * (size // 256 + 1)
    outcome = send(make(kind), parcel(kind, content))
    assert isinstance(outcome, Accepted)
    first, second = vendor.uploads(kind)
    assert len(first.body) == len(second.body)
    assert first.complete
    assert second.complete
    header = "x-api-key" if kind == "amili-media" else "authorization"
    assert str(first.header(header)).endswith("fetched-token-1")
    assert str(second.header(header)).endswith("fetched-token-2")


@pytest.mark.parametrize("kind", ONE_STEP)
def test_a_second_401_is_the_accounts_fault(vendor: Vendor, make: Make, kind: str) -> None:
    vendor.always[UPLOADS[kind]] = Say(401, {"message": "not you, fetched-token-2"})
    outcome = send(make(kind), parcel(kind))
    assert isinstance(outcome, Misconfigured)
    assert outcome.scope == "account"
    assert len(vendor.uploads(kind)) == 2


@pytest.mark.parametrize("kind", ONE_STEP)
def test_a_fixed_token_is_tried_once(vendor: Vendor, make: Make, kind: str) -> None:
    vendor.always[UPLOADS[kind]] = Say(401, {"message": "not you"})
    outcome = send(make(kind, auth={"token": {"env": "token"}}), parcel(kind))
    assert isinstance(outcome, Misconfigured)
    assert len(vendor.server.heard) == 1


TOKEN_PATHS = {
    "amili-arm": "/token",
    "amili-media": "/v1/authenticates/api-code",
    "receeve": "/v1/v1/oauth2/token",
    "24sevenoffice": "/token",
}


@pytest.mark.parametrize("kind", sorted(TOKEN_PATHS))
def test_a_refused_login_pauses_the_account_and_keeps_the_vendors_words(vendor: Vendor, make: Make, kind: str) -> None:
    secret = "eyJhbGciOiJFUzI1NiJ9.eyJhIjoxfQ.c2ln" if kind == "amili-media" else "hush-hush-client-secret"
    vendor.always[TOKEN_PATHS[kind]] = Say(401, {"error": "invalid_client", "error_description": f"{secret} is wrong"})
    provider = make(kind)
    for outcome in (send(provider, parcel(kind)), provider.login()):
        assert isinstance(outcome, Misconfigured)
        assert outcome.scope == "account"
        assert outcome.reason == "The vendor answered 401: invalid_client; *** is wrong"
    assert all(heard.path == TOKEN_PATHS[kind] for heard in vendor.server.heard)


@pytest.mark.parametrize("kind", sorted(TOKEN_PATHS))
@pytest.mark.parametrize(
    "say",
    [
        Say(429, headers={"Retry-After": "7"}),
        Say(503),
        Say(500),
        Say(200, b"<html>"),
        Say(200, {}),
        Say(how="nothing"),
        Say(how="half", body={}),
    ],
)
def test_trouble_with_the_login_makes_the_account_wait(vendor: Vendor, make: Make, kind: str, say: Say) -> None:
    vendor.always[TOKEN_PATHS[kind]] = say
    outcome = send(make(kind), parcel(kind))
    assert isinstance(outcome, Later)
    assert outcome.whole_account
    assert outcome.not_before == (1007.0 if say.status == 429 else None)
    asked = len(vendor.server.heard)
    assert asked <= 3
    assert asked == 1 or say.status not in (429, 503)


def test_a_login_that_stumbles_is_tried_again_at_once(vendor: Vendor, make: Make) -> None:
    vendor.instead["/token"] = [Say(502), Say(how="nothing")]
    assert make("amili-arm").login() is None
    assert len(vendor.server.heard) == 3


def test_stopping_cuts_the_tries_short(vendor: Vendor, make: Make) -> None:
    vendor.always["/token"] = Say(502)
    provider = make("amili-arm")
    provider._stop.set()  # type: ignore[attr-defined]
    assert isinstance(provider.login(), Later)
    assert len(vendor.server.heard) == 1


def test_eight_senders_renew_once(vendor: Vendor, make: Make) -> None:
    provider = make("receeve", concurrency="8")
    gate = threading.Barrier(8)
    outcomes: list[Outcome] = []

    def run() -> None:
        gate.wait(10)
        outcomes.append(send(provider, parcel("receeve")))

    for number in (1, 2):
        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert vendor.tokens == number
        provider._tokens.drop(f"fetched-token-{number}")  # type: ignore[attr-defined]
    assert [type(outcome) for outcome in outcomes] == [Accepted] * 16


# ------------------------------------------------------------------------------------------------ 24SevenOffice

OFFICE = "24sevenoffice"


def test_office_puts_the_file_where_it_is_told(vendor: Vendor, make: Make) -> None:
    """Byte for byte, without credentials, the Content-Type as declared, and the id noted durably before."""
    notes = Memory()
    vendor.server.answer = watched = Watch(vendor, notes)
    outcome = send(make(OFFICE), parcel(OFFICE), notes)
    assert outcome == Pending(again_at=1001.0, reason="The vendor has the file and looks at it", http_status=200)
    token, declare, put = vendor.server.heard
    assert token.body == (
        b"grant_type=client_credentials&audience=https%3A%2F%2Fapi.24sevenoffice.com&client_id=acme"
        b"&client_secret=hush-hush-client-secret&login_organization=777"
    )
    assert (declare.method, declare.target, declare.body) == ("POST", "/v1/fileUpload", b'{"contentType":"application/pdf"}')
    assert declare.header("authorization") == "Bearer fetched-token-1"
    assert (put.method, put.target) == ("PUT", f"/store/1{QUERY}")
    assert [key.lower() for key, _ in put.headers] == ["host", "content-type", "content-length"]
    assert (put.header("content-type"), put.header("content-length"), put.body) == ("application/pdf", "14", b"%PDF-1.7 hello")
    assert notes.saves == [{"id_noted": "67890", "put_started": "67890"}]
    assert watched.noted_at_put == ["67890"]


class Watch:
    """What the notes held when the PUT came."""

    def __init__(self, vendor: Vendor, notes: Memory) -> None:
        self.vendor, self.notes = vendor, notes
        self.noted_at_put: list[str | None] = []

    def __call__(self, heard: Heard) -> Say:
        if heard.path.startswith("/store/"):
            self.noted_at_put.append(self.notes.get("put_started"))
        return self.vendor.answer(heard)


def test_office_uses_the_method_it_is_told_and_the_routes_type(vendor: Vendor, make: Make) -> None:
    vendor.always["/v1/fileUpload"] = Say(200, vendor.place(1, method="POST"))
    content_type = 'text/csv; charset="utf-8"'
    outcome = send(make(OFFICE), parcel(OFFICE, target=Target(file_type=content_type)))
    assert isinstance(outcome, Pending)
    _, declare, put = vendor.server.heard
    assert json.loads(declare.body) == {"contentType": content_type}
    assert (put.method, put.header("content-type")) == ("POST", content_type)


@pytest.mark.parametrize("size", [0, 1, 300_000, BIG])
def test_office_sends_any_size_exactly(vendor: Vendor, make: Make, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    assert isinstance(send(make(OFFICE), parcel(OFFICE, content[:size])), Pending)
    put = vendor.server.calls("/store/1")[0]
    assert put.body == content[:size]
    assert put.header("content-length") == str(size)


@pytest.mark.parametrize("status", [401, 403])
def test_office_asks_for_a_fresh_place_when_one_has_lapsed(vendor: Vendor, make: Make, status: int) -> None:
    notes = Memory()
    expired = b"<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>"
    vendor.always["/store/1"] = vendor.always["/store/2"] = Say(status, expired)
    outcome = send(make(OFFICE), parcel(OFFICE), notes)
    assert isinstance(outcome, Pending)
    assert [heard.path for heard in vendor.server.heard if heard.path.startswith("/store/")] == [
        "/store/1",
        "/store/2",
        "/store/3",
    ]
    assert notes.notes == {"id_noted": "67892", "put_started": "67892"}


def test_office_gives_up_after_three_fresh_places(vendor: Vendor, make: Make) -> None:
    for number in range(1, 9):
        vendor.always[f"/store/{number}"] = Say(403, b"<Error><Code>AccessDenied</Code><Message>expired</Message></Error>")
    outcome = send(make(OFFICE), parcel(OFFICE))
    assert isinstance(outcome, Later)
    assert not outcome.whole_account
    assert "AccessDenied: expired" in outcome.reason
    assert vendor.places == 4


@pytest.mark.parametrize("say", [Say(500), Say(how="nothing"), Say(how="reset"), Say(after=10, how="nothing")])
def test_office_repeats_a_put_that_stumbled(vendor: Vendor, make: Make, say: Say) -> None:
    vendor.instead["/store/1"] = [say]
    if say.after is not None:
        vendor.instead["/store/1"] = []
        first = iter([say])
        vendor.server.before = lambda heard: next(first, None) if heard.path == "/store/1" else None
    outcome = send(make(OFFICE), parcel(OFFICE, b"x" * BIG))
    assert isinstance(outcome, Pending)
    assert [heard.complete for heard in vendor.server.calls("/store/1")][-1]
    assert vendor.places == 1


@pytest.mark.parametrize("say", [Say(500), Say(how="nothing"), Say(302, headers={"Location": "/elsewhere"}), Say(408)])
def test_office_comes_back_later_when_the_store_stays_down(vendor: Vendor, make: Make, say: Say) -> None:
    vendor.always["/store/1"] = say
    outcome = send(make(OFFICE), parcel(OFFICE))
    assert isinstance(outcome, Later)
    assert not outcome.whole_account
    assert len(vendor.server.calls("/store/1")) <= 3
    assert vendor.server.calls("/elsewhere") == []


def test_office_is_told_no_by_the_store(vendor: Vendor, make: Make) -> None:
    vendor.always["/store/1"] = Say(400, b"<Error><Code>EntityTooLarge</Code><Message>too big</Message></Error>")
    outcome = send(make(OFFICE), parcel(OFFICE))
    assert isinstance(outcome, Refused)
    assert outcome.reason == "The vendor answered 400: EntityTooLarge: too big"


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (Say(400, {"error": {"message": "contentType is not supported"}, "trackingId": "t-9"}), Refused),
        (Say(403, {}), Misconfigured),
        (Say(500, {}), Later),
        (Say(how="nothing"), Later),
        (Say(200, {"fileId": 1}), Later),
        (Say(200, b"<html>"), Later),
        (Say(200, {"uploadMethod": "PUT", "uploadUrl": "http://store.example/x?sig=5ecret", "fileId": 1}), Misconfigured),
        (Say(200, {"uploadMethod": "PATCH", "uploadUrl": "https://store.example/x?sig=5ecret", "fileId": 1}), Misconfigured),
    ],
)
def test_office_without_a_place_sends_nothing(vendor: Vendor, make: Make, say: Say, expected: type[Outcome]) -> None:
    vendor.always["/v1/fileUpload"] = say
    notes = Memory()
    outcome = send(make(OFFICE), parcel(OFFICE), notes)
    assert type(outcome) is expected
    assert notes.saves == []
    assert outcome.trace_id == ("t-9" if say.status == 400 else None)


def test_office_renews_its_token(vendor: Vendor, make: Make) -> None:
    vendor.instead["/v1/fileUpload"] = [Say(401, {})]
    assert isinstance(send(make(OFFICE), parcel(OFFICE)), Pending)
    assert vendor.tokens == 2


def test_office_does_not_send_again_what_has_arrived(vendor: Vendor, make: Make) -> None:
    vendor.always["/v1/fileUpload/5"] = Say(200, {"status": "Completed", "documentId": 9})
    outcome = send(make(OFFICE), parcel(OFFICE), Memory(id_noted="5", put_started="5"))
    assert isinstance(outcome, Accepted)
    assert outcome.receipt == {"file_id": "5", "document_id": "9"}
    assert vendor.places == 0


@pytest.mark.parametrize("say", [Say(200, {"status": "Pending"}), Say(200, {"status": "Failed"}), Say(404)])
def test_office_sends_again_what_has_not(vendor: Vendor, make: Make, say: Say) -> None:
    vendor.always["/v1/fileUpload/5"] = say
    notes = Memory(id_noted="5", put_started="5")
    assert isinstance(send(make(OFFICE), parcel(OFFICE), notes), Pending)
    assert len(vendor.server.calls("/v1/fileUpload/5")) == 1
    assert notes.get("put_started") == "67890"


def test_office_does_not_send_again_while_nobody_can_tell(vendor: Vendor, make: Make) -> None:
    vendor.always["/v1/fileUpload/5"] = Say(503)
    assert isinstance(send(make(OFFICE), parcel(OFFICE), Memory(id_noted="5", put_started="5")), Later)
    assert vendor.places == 0


@pytest.mark.parametrize(
    ("say", "expected"),
    [
        (Say(200, {"status": "Completed", "documentId": 9}), Accepted),
        (Say(200, {"status": "Pending"}), Pending),
        (Say(200, {"status": "Failed"}), Refused),
        (Say(404), Pending),
        (Say(500), Later),
        (Say(how="nothing"), Later),
        (Say(401), Misconfigured),
    ],
)
def test_office_polls(vendor: Vendor, make: Make, say: Say, expected: type[Outcome]) -> None:
    vendor.always["/v1/fileUpload/5"] = say
    outcome = make(OFFICE).poll(parcel(OFFICE, since=990.0), Memory(put_started="5"))
    assert type(outcome) is expected


def test_office_polls_ever_more_rarely_and_gives_up(vendor: Vendor, make: Make) -> None:
    provider, notes = make(OFFICE), Memory(put_started="5")
    waits = []
    for polls in (0, 1, 2, 4, 5, 10, 5000):
        outcome = provider.poll(parcel(OFFICE, polls=polls, since=1000.0), notes)
        assert isinstance(outcome, Pending)
        waits.append(outcome.again_at - 1000.0)
    assert waits == [1, 2, 4, 16, 30, 30, 30]
    near = provider.poll(parcel(OFFICE, polls=9, since=1000.0 - 590), notes)
    assert isinstance(near, Pending)
    assert near.again_at == 1010.0  # one last time at the limit
    over = provider.poll(parcel(OFFICE, polls=9, since=1000.0 - 600), notes)
    assert isinstance(over, Unconfirmed)
    vendor.always["/v1/fileUpload/5"] = Say(200, {"documentId": 9})
    assert isinstance(provider.poll(parcel(OFFICE, polls=9, since=0.0), notes), Accepted)


def test_office_can_tell_from_its_notes(make: Make) -> None:
    provider = make(OFFICE)
    assert provider.proof({}) is Proof.NOT_SENT
    assert provider.proof({"id_noted": "5", "put_started": "5"}) is Proof.POLLABLE
    assert isinstance(provider.poll(parcel(OFFICE), Memory()), Unconfirmed)


def test_office_asks(vendor: Vendor, make: Make) -> None:
    provider = make(OFFICE)
    assert isinstance(provider.ask(parcel(OFFICE), Memory()), Unconfirmed)
    assert isinstance(provider.ask(parcel(OFFICE), Memory(put_started="5")), Unconfirmed)
    vendor.always["/v1/fileUpload/5"] = Say(200, {"documentId": 9})
    assert isinstance(provider.ask(parcel(OFFICE), Memory(put_started="5")), Accepted)


@pytest.mark.parametrize("kind", ONE_STEP)
def test_the_others_cannot_be_asked_and_say_so(vendor: Vendor, make: Make, kind: str) -> None:
    provider = make(kind)
    assert isinstance(provider.ask(parcel(kind), Memory()), Unconfirmed)
    assert isinstance(provider.poll(parcel(kind), Memory()), Unconfirmed)
    assert provider.proof({}) is Proof.NOTHING
    assert not provider.traits.can_ask
    assert vendor.server.heard == []


# ------------------------------------------------------------------------------------------------ TLS


def test_a_proxy_sees_the_host_of_a_presigned_address_and_nothing_more(make: Make, tmp_path: Path) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("store.example").configure_cert(context)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    place = json.dumps({"uploadMethod": "PUT", "uploadUrl": f"https://store.example/a{QUERY}", "fileId": 1}).encode()
    heard: list[str] = []

    def serve() -> None:
        for _ in range(2):
            connection, _ = listener.accept()
            with connection:
                heard.append(connection.recv(65536).decode())
                if heard[-1].startswith("POST"):
                    said = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(place)
                    connection.sendall(said + place)
                    continue
                connection.sendall(b"HTTP/1.1 200 Go\r\n\r\n")
                with context.wrap_socket(connection, server_side=True) as line:
                    heard.append(line.recv(65536).decode())
                    while "%PDF-1.7 hello" not in heard[-1]:
                        heard[-1] += line.recv(65536).decode()
                    line.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=serve)
        thread.start()
        proxy = f"http://127.0.0.1:{listener.getsockname()[1]}"
        more = {"proxy": proxy, "tls": {"ca": str(tmp_path / "ca.pem")}}
        outcome = send(
            make("24sevenoffice", url="http://127.0.0.1:9", auth={"token": {"env": "token"}}, **more), parcel("24sevenoffice")
        )
        thread.join(10)
    assert isinstance(outcome, Pending)
    _, connect, put = heard
    assert connect.split("\r\n")[0] == "CONNECT store.example:443 HTTP/1.1"
    assert "sig" not in connect
    assert put.split("\r\n")[0] == f"PUT /a{QUERY} HTTP/1.1"


def test_tls_is_verified_and_its_trust_can_be_set(tmp_path: Path, make: Make) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("localhost").configure_cert(context)
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        url = f"https://localhost:{listener.getsockname()[1]}"

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                try:
                    with context.wrap_socket(connection, server_side=True) as line:
                        line.recv(65536)
                        line.sendall(b"HTTP/1.1 422 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                except (ssl.SSLError, OSError):
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        auth = {"token": {"env": "token"}}
        outcome = send(make("amili-arm", url=url, auth=auth), parcel("amili-arm"))
        assert isinstance(outcome, Later)
        assert outcome.whole_account
        assert "certificate verify failed" in outcome.reason
        outcome = send(make("amili-arm", url=url, auth=auth, tls={"ca": str(tmp_path / "ca.pem")}), parcel("amili-arm"))
        assert isinstance(outcome, Refused)
        thread.join(10)


def test_nothing_waits_longer_than_it_was_told(vendor: Vendor, make: Make) -> None:
    """A connection that is never answered ends by its time-out, not by the pool's."""
    provider = make("amili-arm", auth={"token": {"env": "token"}}, timeout={"connect": "1s", "write": "1s", "read": "100ms"})
    gate = threading.Event()
    vendor.server.answer = lambda heard: (gate.wait(10), Say(500))[1]
    started = time.monotonic()
    outcome = send(provider, parcel("amili-arm"))
    gate.set()
    assert isinstance(outcome, Unconfirmed)
    assert time.monotonic() - started < 5
