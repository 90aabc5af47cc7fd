"""The sandbox as a server: faults strike where they are told to, large bodies pass through, another process can steer it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
import urllib.error

import httpx
import pytest
import yaml

from dropd.sandbox import Fault, RemoteSandbox, Sandbox, Settings
from dropd.sandbox.tokens import CREDENTIALS, private_key_pem

ARM, RECEEVE, OFFICE = "amili-arm", "receeve", "24sevenoffice"
UUID = "5d0c2d3e-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def running():
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def box(running):
    running.reset()
    running.change(**vars(Settings()))
    return running


@pytest.fixture
def web():
    with httpx.Client(trust_env=False, timeout=20) as client:
        yield client


def form(vendor, **more):
    known = CREDENTIALS[vendor]
    return {"grant_type": "client_credentials", "client_id": known.client_id, "client_secret": known.client_secret} | more


def arm_token(box, web):
    return web.post(f"{box.url}/arm/token", data=form(ARM))


def arm(box, web, name="in.csv", token=None):
    file = {"fileId": "f1", "type": "InvoiciaFormatDocFile", "name": name, "content": "aGVq"}
    token = token or arm_token(box, web).json()["access_token"]
    body = {"metadata": {"userId": "dropd"}, "files": [file]}
    return web.post(f"{box.url}/arm/v1/clients/2218/files", json=body, headers={"Authorization": f"Bearer {token}"})


def receeve_headers(box, web):
    known = CREDENTIALS[RECEEVE]
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = web.post(f"{box.url}/receeve/v1/oauth2/token", auth=(known.client_id, known.client_secret), headers=kind)
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def receeve(box, web, file, name="a.pdf"):
    url = f"{box.url}/receeve/files/v1/{UUID}/upload_files"
    parts = [("accountId", (None, "acc-1")), ("file", (name, file, "application/pdf"))]
    return web.post(url, files=parts, headers=receeve_headers(box, web))


class Zeros:
    """A readable file of any size that holds nothing in memory."""

    def __init__(self, size):
        self.size, self.at = size, 0

    def read(self, size=-1):
        size = min(size if size >= 0 else self.size, self.size - self.at)
        self.at += size
        return b"\0" * size

    def seek(self, offset, whence=0):
        self.at = {0: 0, 1: self.at, 2: self.size}[whence] + offset
        return self.at

    def tell(self):
        return self.at


# -------------------------------------------------------------------------------------------------------- faults


def test_a_fault_strikes_as_often_as_it_says_and_keeps_nothing(box, web):
    box.fault(Fault(vendor=ARM, step="upload", times=2, status=503, headers={"Retry-After": "7"}))
    answers = [arm(box, web) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["Retry-After"] == "7"
    assert answers[0].json()["status"] == "FAILED"
    assert len(box.deliveries()) == 1
    assert not box.violations()


def test_a_fault_may_keep_the_file_although_it_says_no(box, web):
    box.fault(Fault(vendor=ARM, step="upload", status=500, body=b"oops", keep_file=True))
    answer = arm(box, web)
    assert (answer.status_code, answer.content) == (500, b"oops")
    assert len(box.deliveries()) == 1


def test_a_lost_answer_leaves_the_file_with_the_vendor(box, web):
    box.fault(Fault(vendor=ARM, step="upload", lose_answer=True))
    with pytest.raises(httpx.RemoteProtocolError):
        arm(box, web)
    assert len(box.deliveries()) == 1
    assert box.requests()[-1].status is None


def test_a_connection_dropped_midway_leaves_nothing(box, web):
    box.fault(Fault(vendor=RECEEVE, step="upload", drop_midway=True))
    with pytest.raises(httpx.TransportError):
        receeve(box, web, Zeros(64 * 2**20))
    assert not box.deliveries()


def test_a_fault_waits_for_the_file_it_names(box, web):
    box.fault(Fault(vendor=ARM, step="upload", name="bad", status=500))
    box.fault(Fault(vendor=RECEEVE, step="upload", name="bad", drop_midway=True))
    assert arm(box, web, "good.csv").status_code == 200
    assert arm(box, web, "a-bad-one.csv").status_code == 500
    assert receeve(box, web, b"x", "good.pdf").status_code == 200
    with pytest.raises(httpx.TransportError):
        receeve(box, web, b"x", "bad.pdf")
    assert [delivery.name for delivery in box.deliveries()] == ["good.csv", "good.pdf"]


def test_a_delay_comes_between_the_work_and_the_answer(box, web):
    box.fault(Fault(vendor=ARM, step="upload", delay=60))
    token = arm_token(box, web).json()["access_token"]
    with httpx.Client(trust_env=False, timeout=httpx.Timeout(20, read=0.2)) as hasty, pytest.raises(httpx.ReadTimeout):
        arm(box, hasty, token=token)
    assert len(box.deliveries()) == 1


def test_half_an_answer_is_sent_when_the_length_promises_more(box, web):
    box.fault(Fault(vendor=ARM, step="upload", status=200, body=b'{"status"', headers={"Content-Length": "500"}))
    with pytest.raises(httpx.RemoteProtocolError):
        arm(box, web)


@pytest.mark.parametrize(
    ("vendor", "reads"),
    [
        (ARM, lambda answer: answer["files"][0]["result"] == "REJECTED"),
        (RECEEVE, lambda answer: not answer["reference"]["success"]),
    ],
)
def test_a_success_code_without_a_body_says_no_as_the_vendor_would(box, web, vendor, reads):
    box.fault(Fault(vendor=vendor, step="upload", status=200))
    answer = arm(box, web) if vendor == ARM else receeve(box, web, b"x")
    assert answer.status_code == 200
    assert reads(answer.json())
    assert not box.deliveries()


def test_a_fault_may_strike_any_step_of_an_office_upload(box, web):
    audience = {"audience": "https://api.24sevenoffice.com", "login_organization": "777"}
    box.fault(Fault(vendor=OFFICE, step="token", status=503))
    login = [web.post(f"{box.url}/office/oauth/token", data=form(OFFICE, **audience)) for _ in range(2)]
    assert [answer.status_code for answer in login] == [503, 200]
    headers = {"Authorization": f"Bearer {login[1].json()['access_token']}"}
    announced = web.post(f"{box.url}/office/v1/fileUpload", json={"contentType": "application/pdf"}, headers=headers).json()
    box.fault(Fault(vendor=OFFICE, step="put", status=500, name=str(announced["fileId"])))
    kind = {"Content-Type": "application/pdf"}
    puts = [web.put(announced["uploadUrl"], content=b"x", headers=kind) for _ in range(2)]
    assert [answer.status_code for answer in puts] == [500, 200]
    assert "<Error>" in puts[0].text
    assert len(box.deliveries(OFFICE)) == 1
    box.fault(Fault(vendor=OFFICE, step="status", status=200))
    status = web.get(f"{box.url}/office/v1/fileUpload/{announced['fileId']}", headers=headers)
    assert status.json() == {"fileId": announced["fileId"], "status": "Failed"}
    assert not box.deliveries(OFFICE)
    assert not box.violations()


def test_a_fault_for_nobody_is_refused():
    with pytest.raises(ValueError, match="no such vendor"):
        Fault(vendor="nobody", step="upload")


# -------------------------------------------------------------------------------------------------------- tokens


def test_tokens_end_all_at_once_and_by_time(box, web):
    token = arm_token(box, web).json()["access_token"]
    assert arm(box, web, token=token).status_code == 200
    box.expire_tokens()
    assert arm(box, web, token=token).status_code == 401
    box.token_ttl = 0
    assert arm(box, web).status_code == 401
    assert not box.violations()


def test_a_token_of_one_vendor_is_nothing_to_another(box, web):
    token = arm_token(box, web).json()["access_token"]
    url = f"{box.url}/office/v1/fileUpload"
    assert web.post(url, json={"contentType": "a/b"}, headers={"Authorization": f"Bearer {token}"}).status_code == 401


# -------------------------------------------------------------------------------------------------------- bodies


def test_a_chunked_upload_is_refused_and_noted(box, web):
    headers = {"Authorization": f"Bearer {arm_token(box, web).json()['access_token']}", "Content-Type": "application/json"}
    answer = web.post(f"{box.url}/arm/v1/clients/2218/files", content=iter([b"{}"]), headers=headers)
    assert answer.status_code == 411
    assert "chunked" in box.violations()[0]


def test_a_body_over_the_limit_is_refused_before_it_is_read(box, web):
    box.max_body = 1000
    assert receeve(box, web, b"x" * 2000).status_code == 413
    assert receeve(box, web, b"x" * 100).status_code == 200


def test_a_missing_token_is_answered_before_the_body_is_sent(box):
    line = http.client.HTTPConnection("127.0.0.1", int(box.url.rpartition(":")[2]), timeout=20)
    try:
        line.putrequest("POST", "/arm/v1/clients/2218/files")
        line.putheader("Content-Length", str(2**30))
        line.endheaders()
        with line.getresponse() as answer:
            assert answer.status == 401
    finally:
        line.close()


def test_a_client_that_dies_in_its_body_delivers_nothing(box, web):
    headers = receeve_headers(box, web)
    line = http.client.HTTPConnection("127.0.0.1", int(box.url.rpartition(":")[2]), timeout=20)
    line.putrequest("POST", f"/receeve/files/v1/{UUID}/upload_files")
    for name, value in {**headers, "Content-Length": "1000", "Content-Type": "multipart/form-data; boundary=b"}.items():
        line.putheader(name, value)
    line.endheaders(b"--b\r\n")
    line.close()
    eventually(lambda: box.requests()[-1].path.endswith("upload_files"))
    assert box.requests()[-1].status is None
    assert not box.deliveries()


def test_large_files_pass_in_constant_memory(box, web):
    """Resident memory of the whole process, client and sandbox: far below the size of what goes through."""
    size = 192 * 2**20
    before = resident()
    peak = Peak()
    with peak:
        assert receeve(box, web, Zeros(size)).status_code == 200
        headers = {"Authorization": f"Bearer {arm_token(box, web).json()['access_token']}", "Content-Type": "application/json"}
        head = b'{"metadata":{"userId":"u"},"files":[{"fileId":"1","type":"DocAttachment","name":"big","content":"'
        block = base64.b64encode(b"\0" * 48 * 2**10)
        length = len(head) + size // (48 * 2**10) * len(block) + 4

        def body():
            yield head
            for _ in range(size // (48 * 2**10)):
                yield block
            yield b'"}]}'

        headers["Content-Length"] = str(length)
        assert web.post(f"{box.url}/arm/v1/clients/2218/files", content=body(), headers=headers).status_code == 200
    assert [delivery.size for delivery in box.deliveries()] == [size, size // (48 * 2**10) * 48 * 2**10]
    assert box.deliveries()[0].sha256 == zeros_sha256(size)
    assert peak.bytes - before < 48 * 2**20


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


class Peak(threading.Thread):
    """Looks at the resident memory many times a second."""

    def __init__(self):
        super().__init__(daemon=True)
        self.bytes, self.over = 0, threading.Event()

    def run(self):
        while not self.over.wait(0.02):
            self.bytes = max(self.bytes, resident())

    def __enter__(self):
        self.start()

    def __exit__(self, *error):
        self.over.set()
        self.join()


def zeros_sha256(size):
    digest, block = hashlib.sha256(), b"\0" * 2**20
    for _ in range(size // 2**20):
        digest.update(block)
    return digest.hexdigest()


def eventually(holds, patience=20.0):
    deadline = time.monotonic() + patience
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


# -------------------------------------------------------------------------------------------------------- server


def test_unknown_addresses_are_violations_and_queries_are_not_remembered(box, web):
    assert web.get(f"{box.url}/nowhere?secret=1").status_code == 404
    assert web.get(f"{box.url}/arm/token").status_code == 405
    assert [seen.path for seen in box.requests()] == ["/nowhere", "/arm/token"]
    assert len(box.violations()) == 2


def test_stop_cuts_what_is_under_way_and_the_sandbox_can_come_back(web):
    box = Sandbox()
    with pytest.raises(RuntimeError):
        _ = box.url
    with box:
        url = box.url
        box.fault(Fault(vendor=ARM, step="upload", delay=600))
        token = arm_token(box, web).json()["access_token"]
        lost = []

        def send():
            try:
                arm(box, web, token=token)
            except httpx.TransportError as error:
                lost.append(error)

        thread = threading.Thread(target=send)
        thread.start()
        eventually(box.deliveries)
    thread.join(20)
    assert len(lost) == 1
    with pytest.raises(httpx.ConnectError):
        web.get(url)
    with box:
        assert box.url == url
        assert arm(box, web, token=token).status_code == 200
        assert len(box.deliveries()) == 2


def test_a_taken_port_is_said_at_once(box):
    with pytest.raises(OSError, match="in use"):
        Sandbox(int(box.url.rpartition(":")[2])).start()


def test_a_configuration_names_every_account_and_hides_every_secret(box, tmp_path):
    config = yaml.load(box.write_config(tmp_path).read_text(), yaml.BaseLoader)
    assert {name: block["type"] for name, block in config["providers"].items()} == {
        "arm": "amili-arm",
        "cases": "amili-media",
        "debtors": "receeve",
        "office": "24sevenoffice",
    }
    for block in config["providers"].values():
        assert block["base_url"] == box.base_urls[block["type"]]
    assert [route["name"] for route in config["routes"]] == ["acme-invoices", "case-originals", "debtor-letters", "vouchers"]
    assert all(os.path.isdir(route["inbox"]) for route in config["routes"])
    assert config["providers"] == box.provider_blocks(tmp_path / "secrets")
    secrets = sorted((tmp_path / "secrets").iterdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in secrets] == [0o600] * 4
    assert all(path.read_text() not in (tmp_path / "config.yaml").read_text() for path in secrets)
    assert (tmp_path / "secrets" / "amili.pem").read_text() == private_key_pem()


def test_a_sandbox_of_another_process_is_steered_over_its_address(web, tmp_path):
    command = [sys.executable, "-m", "dropd.sandbox", "--root", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            ready = json.loads(process.stdout.readline())
            assert ready["config"] == str(tmp_path / "config.yaml")
            far = RemoteSandbox(ready["url"])
            far.change(arm_types={"InvoiciaFormatDocFile"}, media_rate=())
            far.fault(Fault(vendor=ARM, step="upload", status=500, body=b"\xff", headers={"X-A": "b"}))
            assert arm(far, web).content == b"\xff"
            assert arm(far, web).status_code == 200
            [delivery] = far.deliveries(ARM)
            assert (delivery.name, delivery.fields["client_id"]) == ("in.csv", "2218")
            assert not far.deliveries(OFFICE)
            assert not far.violations()
            assert [seen.status for seen in far.requests()] == [200, 500, 200, 200]
            far.expire_tokens()
            far.reset()
            assert not far.requests()
            with pytest.raises(urllib.error.HTTPError) as refused:
                far.change(nonsense=1)
            refused.value.close()
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
