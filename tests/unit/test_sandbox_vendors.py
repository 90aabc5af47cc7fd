"""The sandbox's four vendors, driven as their pages say, and refused where their pages say so."""

from __future__ import annotations

import base64
import hashlib
import time

import httpx
import jwt
import pytest

from dropd.sandbox import Sandbox, Settings
from dropd.sandbox.tokens import CREDENTIALS, private_key_pem

CASE = "6867da7788b9226bb78d716c"
UUID = "5d0c2d3e-0000-4000-8000-000000000000"
PDF = b"%PDF-1.7 hello"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


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
def http():
    with httpx.Client(trust_env=False, timeout=20) as client:
        yield client


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# ----------------------------------------------------------------------------------------------------- Amili ARM


def arm_login(box, http, **changes):
    known = CREDENTIALS["amili-arm"]
    form = {"grant_type": "client_credentials", "client_id": known.client_id, "client_secret": known.client_secret}
    return http.post(f"{box.url}/arm/token", data=form | changes)


def arm_file(data=PDF, **changes):
    plain = {"fileId": "f1", "type": "InvoiciaFormatDocFile", "name": "in.csv", "content": base64.b64encode(data).decode()}
    return plain | changes


def arm_send(box, http, *files, client="2218", body=None, token=None, **headers):
    token = token or arm_login(box, http).json()["access_token"]
    body = body if body is not None else {"metadata": {"userId": "dropd"}, "files": list(files)}
    return http.post(
        f"{box.base_urls['amili-arm']}/clients/{client}/files", json=body, headers={"Authorization": f"Bearer {token}"} | headers
    )


def test_arm_logs_in_with_a_form_and_tells_the_lifetime(box, http):
    box.token_ttl = 60
    answer = arm_login(box, http).json()
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == 60
    assert abs(answer["expires_on"] - time.time() - 60) < 5
    assert arm_login(box, http, client_secret="wrong").status_code == 401
    assert not box.violations()


def test_arm_refuses_a_login_in_json_or_by_header(box, http):
    assert http.post(f"{box.url}/arm/token", json={"grant_type": "client_credentials"}).status_code == 400
    assert arm_login(box, http, grant_type="password").status_code == 400
    assert http.post(f"{box.url}/arm/token", data={"grant_type": "client_credentials"}, auth=("a", "b")).status_code == 400
    assert len(box.violations()) == 3


def test_arm_takes_a_file_and_repeats_its_id(box, http):
    answer = arm_send(box, http, arm_file(name="åäö.csv"))
    assert answer.status_code == 200
    assert answer.json()["status"] == "PROCESSED"
    assert answer.json()["files"] == [{"fileId": "f1", "status": "PROCESSED", "result": "CREATED", "message": "File uploaded"}]
    [delivery] = box.deliveries("amili-arm")
    assert (delivery.name, delivery.sha256, delivery.size) == ("åäö.csv", sha(PDF), len(PDF))
    assert delivery.fields == {"client_id": "2218", "type": "InvoiciaFormatDocFile", "file_id": "f1", "user_id": "dropd"}
    assert not box.violations()


def test_every_vendor_takes_a_file_twice_and_counts_both(box, http):
    arm_send(box, http, arm_file())
    arm_send(box, http, arm_file())
    assert len(box.deliveries()) == 2


@pytest.mark.parametrize(
    ("change", "status"), [({"type": "Other"}, 403), ({"content": ""}, 422), ({"type": "invoiciaformatdocfile"}, 200)]
)
def test_arm_decides_by_type_and_content(box, http, change, status):
    assert arm_send(box, http, arm_file(**change)).status_code == status
    assert len(box.deliveries()) == (status == 200)
    assert not box.violations()


def test_arm_answers_207_when_one_of_two_files_is_refused(box, http):
    answer = arm_send(box, http, arm_file(), arm_file(fileId="f2", type="Other"))
    assert answer.status_code == 207
    assert [(f["fileId"], f["status"], f["result"]) for f in answer.json()["files"]] == [
        ("f1", "PROCESSED", "CREATED"),
        ("f2", "FAILED", "REJECTED"),
    ]
    assert len(box.deliveries()) == 1


def test_arm_knows_no_client_that_is_not_a_number(box, http):
    for client in ("unknown", "000", "22%2F18"):
        assert arm_send(box, http, arm_file(), client=client).status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"Metadata": {"userId": "x"}, "files": [arm_file()]},
        {"metadata": {"userid": "x"}, "files": [arm_file()]},
        {"metadata": {"userId": 5}, "files": [arm_file()]},
        {"metadata": {"userId": "x"}, "files": []},
        {"metadata": {"userId": "x"}, "files": [arm_file(extra="y")]},
        {"metadata": {"userId": "x"}, "files": [arm_file(content=5)]},
        {"metadata": {"userId": "x"}, "files": [arm_file(content="not base64!")]},
        {"metadata": {"userId": "x"}, "files": [arm_file(), arm_file()]},
        {"metadata": {"userId": "x"}, "files": [{k: v for k, v in arm_file().items() if k != "fileId"}]},
        [],
    ],
)
def test_arm_refuses_a_body_that_is_not_as_described(box, http, body):
    assert arm_send(box, http, body=body).status_code == 400
    assert len(box.violations()) == 1
    assert not box.deliveries()


def test_arm_lists_ten_at_most_and_counts_all(box, http):
    for i in range(12):
        arm_send(box, http, arm_file(b"content %d" % i, fileId=f"f{i}", name=f"n{i % 2}.csv"))
    headers = {"Authorization": f"Bearer {arm_login(box, http).json()['access_token']}"}
    base = f"{box.base_urls['amili-arm']}/clients/2218/files"
    whole = http.get(base, headers=headers).json()
    assert whole["summary"] == {"totalCount": 12, "maximumCount": 10}
    assert len(whole["files"]) == 10
    found = http.get(base, params={"name": "N1.CSV", "type": "invoiciaFORMATdocfile"}, headers=headers).json()
    assert found["summary"]["totalCount"] == 6
    assert base64.b64decode(found["files"][0]["content"]) == b"content 11"
    one = http.get(base, params={"logitemid": found["files"][0]["logItemId"]}, headers=headers).json()
    assert len(one["files"]) == 1
    assert not http.get(f"{box.base_urls['amili-arm']}/clients/2219/files", headers=headers).json()["files"]
    assert not box.violations()
    assert http.get(base, params={"Name": "n1.csv"}, headers=headers).status_code == 400
    assert len(box.violations()) == 1
    box.arm_shows_uploads = False
    assert http.get(base, headers=headers).json()["summary"]["totalCount"] == 0


# --------------------------------------------------------------------------------------------------- Amili media


def media_key(claims=None, key=None, algorithm="ES256"):
    return jwt.encode(claims or {"api_code": "acme", "exp": int(time.time()) + 600}, key or private_key_pem(), algorithm)


def media_login(box, http, key=None):
    return http.get(f"{box.base_urls['amili-media']}/authenticates/api-code", headers={"X-API-Key": key or media_key()})


def media_send(box, http, case=CASE, file=("a.pdf", PDF, "application/pdf"), headers=None, **data):
    headers = headers or {"X-API-Key": media_login(box, http).json()["access_token"]}
    fields = {"domain": "cases", "dotted_path": "original_invoice"} | data
    parts = [(name, (None, value)) for name, value in fields.items() if value is not None]
    parts += [("file", file)] if file else []
    return http.post(f"{box.base_urls['amili-media']}/media--upload/{case}", files=parts, headers=headers)


def test_media_takes_a_file_and_answers_with_a_signed_address(box, http):
    answer = media_send(box, http)
    assert answer.status_code == 201
    assert answer.json()["_status"] == "OK"
    assert f"/cases/{CASE}-" in answer.json()["url"]
    [delivery] = box.deliveries()
    assert (delivery.name, delivery.sha256, delivery.content_type) == ("a.pdf", sha(PDF), "application/pdf")
    assert delivery.fields == {"reference_id": CASE, "domain": "cases", "dotted_path": "original_invoice"}
    assert not box.violations()


def test_media_logs_in_by_a_key_of_ten_minutes_at_most(box, http):
    now = int(time.time())
    for claims in (
        {"api_code": "acme"},
        {"exp": now + 60},
        {"api_code": "other", "exp": now + 60},
        {"api_code": "acme", "exp": now - 300},
    ):
        assert media_login(box, http, media_key(claims)).status_code == 401
    assert not box.violations()
    assert media_login(box, http, media_key({"api_code": "acme", "exp": now + 3600})).status_code == 401
    assert media_login(box, http, media_key(key="x" * 40, algorithm="HS256")).status_code == 401
    assert len(box.violations()) == 1


def test_media_logs_in_by_address_while_that_is_allowed(box, http):
    url = f"{box.base_urls['amili-media']}/authenticates/api-code"
    token = http.post(url, json={"api_code": "acme"}).json()["access_token"]
    assert media_send(box, http, headers={"X-API-Key": token}).status_code == 201
    assert http.post(url, json={"api_code": "other"}).status_code == 401
    assert http.post(url, json={"apiCode": "acme"}).status_code == 422
    box.media_allows_post = False
    assert http.post(url, json={"api_code": "acme"}).status_code == 405


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"domain": "nowhere"}, 400),
        ({"dotted_path": None}, 400),
        ({"dotted_path": "../x"}, 400),
        ({"domain": None, "dotted_path": None}, 201),
        ({"file": None}, 400),
        ({"file": ("a.txt", b"x", "text/plain")}, 400),
        ({"case": "6867DA7788B9226BB78D716C"}, 404),
        ({"case": "0" * 24}, 404),
        ({"case": "short"}, 404),
        ({"extra": "x"}, 400),
        ({"headers": {"X-API-Key": "nobody"}}, 401),
        ({"headers": {"Authorization": "Bearer x"}}, 401),
    ],
)
def test_media_checks_what_its_pages_list(box, http, change, status):
    answer = media_send(box, http, **change)
    assert answer.status_code == status
    if status != 201:
        assert answer.json()["_status"] == "ERR"
        assert answer.json()["_error"]["code"] == status
    assert len(box.deliveries()) == (status == 201)


def test_media_lets_ten_pass_in_a_second_and_tells_when_to_come_back(box, http):
    headers = {"X-API-Key": media_login(box, http).json()["access_token"]}
    box.media_rate = ((10, 3600.0),)
    answers = [media_send(box, http, headers=headers) for _ in range(12)]
    assert [answer.status_code for answer in answers] == [201] * 10 + [429] * 2
    assert answers[0].headers["X-RateLimit-Remaining"] == "9"
    assert int(answers[-1].headers["Retry-After"]) > 3000
    box.media_rate = ()
    assert media_send(box, http, headers=headers).status_code == 201


# ------------------------------------------------------------------------------------------------------- receeve


def receeve_login(box, http, auth=None, **kwargs):
    known = CREDENTIALS["receeve"]
    url = f"{box.base_urls['receeve']}/v1/oauth2/token"
    return http.post(url, auth=auth or (known.client_id, known.client_secret), **({"headers": FORM} | kwargs))


def receeve_send(box, http, *more, client=UUID, file=("a.pdf", PDF, "application/pdf"), scheme="Bearer ", **data):
    token = receeve_login(box, http).json()["access_token"]
    parts = [(name, (None, value)) for name, value in ({"accountId": "acc-1"} | data).items() if value is not None]
    parts += [("file", file)] if file else []
    url = f"{box.base_urls['receeve']}/files/v1/{client}/upload_files"
    return http.post(url, files=parts + list(more), headers={"Authorization": scheme + token})


@pytest.mark.parametrize("content", [None, b"grant_type=client_credentials"])
def test_receeve_logs_in_by_basic_with_and_without_a_body(box, http, content):
    answer = receeve_login(box, http, content=content)
    assert answer.json()["expires_in"] == 3600
    assert not box.violations()


def test_receeve_refuses_other_logins(box, http):
    assert receeve_login(box, http, auth=("acme", "wrong")).status_code == 401
    assert not box.violations()
    assert receeve_login(box, http, headers={"Content-Type": "application/json"}).status_code == 400
    assert http.post(f"{box.base_urls['receeve']}/v1/oauth2/token", headers=FORM).status_code == 401
    assert len(box.violations()) == 2


@pytest.mark.parametrize("scheme", ["Bearer ", ""])
def test_receeve_takes_one_file_and_answers_with_a_map(box, http, scheme):
    answer = receeve_send(box, http, externalClaimRef="ref-9", documentType="Invoice", scheme=scheme)
    assert answer.status_code == 200
    verdict = answer.json()["ref-9"]
    assert verdict["success"] is True
    assert len(verdict["messageIds"]) == 1
    [delivery] = box.deliveries()
    assert (delivery.name, delivery.sha256, delivery.content_type) == ("a.pdf", sha(PDF), "application/pdf")
    assert delivery.fields == {"client_id": UUID, "account_id": "acc-1", "document_type": "Invoice", "externalClaimRef": "ref-9"}
    assert not box.violations()


def test_receeve_says_no_inside_a_200(box, http):
    answer = receeve_send(box, http, accountId="unknown-7")
    assert answer.status_code == 200
    assert [verdict["success"] for verdict in answer.json().values()] == [False]
    assert not box.deliveries()


def test_receeve_takes_an_unknown_document_type_and_sets_none(box, http):
    assert receeve_send(box, http, documentType="Letter").status_code == 200
    assert "document_type" not in box.deliveries()[0].fields


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"client": "acme"}, 400),
        ({"client": "00000000-0000-0000-0000-000000000000"}, 403),
        ({"accountId": None}, 400),
        ({"file": None}, 400),
        ({"colour": "red"}, 400),
        ({"externalClaimRef": "a", "productReference": "b"}, 400),
    ],
)
def test_receeve_refuses_what_is_not_as_described(box, http, change, status):
    answer = receeve_send(box, http, **change)
    assert answer.status_code == status
    assert "message" in answer.json()
    assert not box.deliveries()


def test_receeve_wants_exactly_one_file(box, http):
    assert receeve_send(box, http, ("file", ("b.pdf", PDF, "application/pdf"))).status_code == 400
    assert "more than one file" in box.violations()[0]


def test_receeve_can_be_told_to_want_a_claim(box, http):
    box.receeve_needs_claim = True
    assert receeve_send(box, http).status_code == 400
    assert receeve_send(box, http, productReference="p").status_code == 200


# ------------------------------------------------------------------------------------------------- 24SevenOffice


def office_login(box, http, as_json=False, **changes):
    known = CREDENTIALS["24sevenoffice"]
    body = {
        "grant_type": "client_credentials",
        "client_id": known.client_id,
        "client_secret": known.client_secret,
        "audience": "https://api.24sevenoffice.com",
        "login_organization": "777",
    } | changes
    return http.post(f"{box.url}/office/oauth/token", **({"json": body} if as_json else {"data": body}))


class Office:
    def __init__(self, box, http):
        self.box, self.http = box, http
        self.url = f"{box.base_urls['24sevenoffice']}/fileUpload"
        self.headers = {"Authorization": f"Bearer {office_login(box, http).json()['access_token']}"}

    def announce(self, content_type="application/pdf", **kwargs):
        return self.http.post(self.url, **({"json": {"contentType": content_type}, "headers": self.headers} | kwargs))

    def status(self, file_id):
        return self.http.get(f"{self.url}/{file_id}", headers=self.headers)


def put(http, url, content=PDF, content_type="application/pdf", **headers):
    return http.put(url, content=content, headers={"Content-Type": content_type, **headers})


@pytest.fixture
def office(box, http):
    return Office(box, http)


@pytest.mark.parametrize("as_json", [False, True])
def test_office_logs_in_for_one_organisation(box, http, as_json):
    assert office_login(box, http, as_json).status_code == 200
    assert office_login(box, http, as_json, client_secret="wrong").status_code == 401
    assert office_login(box, http, as_json, login_organization="1").status_code == 403
    assert not box.violations()
    assert office_login(box, http, as_json, audience="other").status_code == 403
    assert office_login(box, http, as_json, login_organization="").status_code == 400
    assert len(box.violations()) == 2


def test_office_takes_bytes_and_makes_a_document_a_little_later(box, http, office):
    announced = office.announce().json()
    file_id = announced["fileId"]
    assert isinstance(file_id, int)
    assert announced["uploadMethod"] == "PUT"
    assert "%2F" in announced["uploadUrl"] and "+" in announced["uploadUrl"] and "~" in announced["uploadUrl"]
    assert office.status(file_id).json() == {"fileId": file_id, "status": "Pending"}
    assert put(http, announced["uploadUrl"]).status_code == 200
    assert office.status(file_id).json()["status"] == "Pending"
    done = office.status(file_id).json()
    assert done["status"] == "Completed"
    [delivery] = box.deliveries()
    assert (delivery.name, delivery.sha256, delivery.content_type) == ("", sha(PDF), "application/pdf")
    assert delivery.fields == {"file_id": str(file_id), "document_id": str(done["documentId"]), "organization": "777"}
    assert not box.violations()


def test_office_a_second_put_replaces_the_first_until_the_document_is_made(box, http, office):
    box.office_pending = 0
    announced = office.announce().json()
    for content in (b"one", b"two"):
        assert put(http, announced["uploadUrl"], content).status_code == 200
    assert [delivery.sha256 for delivery in box.deliveries()] == [sha(b"two")]
    assert office.status(announced["fileId"]).json()["status"] == "Completed"
    used_up = put(http, announced["uploadUrl"])
    assert used_up.status_code == 403
    assert "<Code>AccessDenied</Code>" in used_up.text
    assert len(box.deliveries()) == 1


def test_office_one_upload_of_nothing_fails(box, http, office):
    box.office_pending = 0
    announced = office.announce().json()
    assert put(http, announced["uploadUrl"], b"").status_code == 200
    assert office.status(announced["fileId"]).json() == {"fileId": announced["fileId"], "status": "Failed"}
    assert not box.deliveries()


@pytest.mark.parametrize(
    ("change", "status", "violates"),
    [
        ({"url": lambda url: url.replace("%2F", "/")}, 403, True),
        ({"url": lambda url: url.replace("Put+Object", "Put%20Object")}, 403, True),
        ({"url": lambda url: url.partition("?")[0]}, 403, True),
        ({"url": lambda url: url.replace("/attachments/", "/attachments/9")}, 403, False),
        ({"Authorization": "Bearer x"}, 400, True),
        ({"X-API-Key": "x"}, 400, True),
        ({"content_type": "text/plain"}, 403, True),
        ({"content_type": "application/pdf; charset=utf-8"}, 403, True),
        ({"content": iter([b"chunked"])}, 501, True),
        ({"content": b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--x--'}, 200, True),
    ],
)
def test_office_the_presigned_upload_is_as_strict_as_s3(box, http, office, change, status, violates):
    change = dict(change)
    url = change.pop("url", lambda url: url)(office.announce().json()["uploadUrl"])
    answer = put(http, url, **change)
    assert answer.status_code == status
    assert bool(box.violations()) == violates
    if status != 200:
        assert answer.headers["Content-Type"].startswith("application/xml")
        assert not box.deliveries()


def test_office_an_address_expires(box, http, office):
    box.office_upload_ttl = 0
    assert put(http, office.announce().json()["uploadUrl"]).status_code == 403
    assert not box.violations()


def test_office_the_method_is_the_one_that_was_told(box, http, office):
    box.office_upload_method = "POST"
    announced = office.announce().json()
    assert announced["uploadMethod"] == "POST"
    assert put(http, announced["uploadUrl"]).status_code == 403
    headers = {"Content-Type": "application/pdf"}
    assert http.post(announced["uploadUrl"], content=PDF, headers=headers).status_code == 200


def test_office_refuses_what_is_not_as_described(box, http, office):
    assert office.announce("nonsense").status_code == 400
    assert not box.violations()
    assert office.announce(json={"contenttype": "application/pdf"}).status_code == 400
    assert office.announce(headers={}).status_code == 401
    assert len(box.violations()) == 2
    assert office.announce(headers={"Authorization": "Bearer nobody"}).json()["error"]["name"] == "Unauthorized"


def test_office_a_file_belongs_to_its_organisation(box, http, office):
    file_id = office.announce().json()["fileId"]
    other = Office(box, http)
    other.headers = {"Authorization": f"Bearer {office_login(box, http, login_organization='778').json()['access_token']}"}
    assert other.status(file_id).status_code == 404
    assert "trackingId" in other.status(file_id).json()
