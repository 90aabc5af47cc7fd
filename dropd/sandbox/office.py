"""24SevenOffice: POST /fileUpload, the presigned upload, and GET /fileUpload/{fileId}.

Sources: rest-api.developer.24sevenoffice.com/doc/v1 (post-fileupload, getfileuploadstatus, get-access-token), the vendor's OpenAPI document.
The store behind the presigned address is not named; it behaves as S3 does (AWS, "Download and upload objects with presigned URLs").
"""

from __future__ import annotations

import itertools
import re
import secrets
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from xml.sax.saxutils import escape

from starlette.responses import Response

from dropd.model import OFFICE
from dropd.sandbox.bodies import Digest, strict_json
from dropd.sandbox.call import Call, Handler, House, Refusal, Vendor, say
from dropd.sandbox.tokens import CREDENTIALS, Credentials, read_form
from dropd.sandbox.words import Delivery, Step

AUDIENCE = "https://api.24sevenoffice.com"
_CONTENT_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]*/[a-z0-9][a-z0-9!#$&^_.+-]*( *; *[a-z0-9-]+=[^;]+)*", re.IGNORECASE)


@dataclass(slots=True)
class _Upload:
    """One fileId, from its presigned address to its document."""

    file_id: int
    document_id: int
    organization: str
    content_type: str
    query: bytes
    until: float
    stored: bool = False
    failed: bool = False
    delivery: Delivery | None = None
    polls: int = 0
    decided: bool = False


class Office(Vendor):
    name = OFFICE

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self._ids = itertools.count(67890)
        self.reset()

    def reset(self) -> None:
        self._uploads: dict[str, _Upload] = {}

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [
            ("POST", r"/office/oauth/token", self.token),
            ("POST", r"/office/v1/fileUpload", self.announce),
            ("GET", r"/office/v1/fileUpload/(?P<file_id>[^/]+)", self.status),
            ("PUT|POST", r"/attachments/(?P<file_id>[^/]+)", self.store),
        ]

    def error(self, status: int, message: str, step: Step | None = None) -> Response:
        """Three voices: the login's (Auth0's form), the store's XML, and the API's own error body with its trackingId."""
        if step == "token":
            return say(
                status, {"error": "access_denied" if status in (401, 403) else "invalid_request", "error_description": message}
            )
        if step == "put":
            return _xml(status, "InternalError" if status >= 500 else "AccessDenied", message)
        name = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound"}.get(status, "Error")
        tracking = str(uuid.uuid4())
        body = {"error": {"name": name, "message": message, "payload": {"errors": []}}, "trackingId": tracking}
        return say(status, body, {"X-Trace-Id": tracking})

    def no_inside_success(self, call: Call, status: int) -> Response:
        upload = call.known.get("upload")
        if call.step == "status" and isinstance(upload, _Upload):
            upload.failed = upload.decided = True
            if upload.delivery is not None:
                self.house.journal.withdrawn(upload.delivery)
            return _traced(status, {"fileId": upload.file_id, "status": "Failed"})
        return self.error(status, "refused", call.step)

    # ---------------------------------------------------------------------------------------------------- login

    async def token(self, call: Call) -> Response:
        """A form as documented, or JSON as the public clients send it; a token is good for one organisation."""
        call.begin("token")
        body = await call.small_body()
        if call.media_type() == "application/x-www-form-urlencoded":
            given: Any = read_form(body)
        elif call.media_type() == "application/json":
            given = strict_json(body)
        else:
            raise call.refuse(400, "the Content-Type must be a form or JSON", violates=True)
        if not isinstance(given, dict) or given.get("grant_type") != "client_credentials":
            raise call.refuse(400, "the grant_type must be client_credentials", violates=True)
        if Credentials(str(given.get("client_id")), str(given.get("client_secret"))) != CREDENTIALS[self.name]:
            raise call.refuse(401, "Unauthorized")
        if given.get("audience") != AUDIENCE:
            raise call.refuse(403, f"Service not found: {given.get('audience')}", violates=True)
        organization = given.get("login_organization")
        if not organization:
            raise call.refuse(400, "login_organization is missing", violates=True)
        if organization not in self.house.settings.office_organizations:
            raise call.refuse(403, f"the client is not approved for organization {organization}")
        ttl = self.house.settings.token_ttl
        token = self.house.tokens.issue(self.name, str(organization), ttl)
        scope = "api.accounting.transaction:write"
        return say(200, {"access_token": token, "expires_in": int(ttl), "scope": scope, "token_type": "Bearer"})

    # ------------------------------------------------------------------------------------------------- announce

    async def announce(self, call: Call) -> Response:
        organization = call.bearer()
        call.begin("upload")
        if call.media_type() != "application/json":
            raise call.refuse(400, "the Content-Type must be application/json", violates=True)
        body = strict_json(await call.small_body())
        if not isinstance(body, dict) or set(body) != {"contentType"}:
            raise call.refuse(400, "the body must hold contentType (case-sensitive) and nothing else", violates=True)
        content_type = body["contentType"]
        if not isinstance(content_type, str) or not _CONTENT_TYPE.fullmatch(content_type):
            raise call.refuse(400, f"the contentType {str(content_type)[:100]!r} is none")
        upload = self._announced(organization, content_type)
        if call.keeps:
            self._uploads[str(upload.file_id)] = upload
        url = f"{self.house.url}/attachments/{upload.file_id}?{upload.query.decode()}"
        method = self.house.settings.office_upload_method
        return _traced(200, {"uploadMethod": method, "uploadUrl": url, "fileId": upload.file_id})

    def _announced(self, organization: str, content_type: str) -> _Upload:
        """A fresh fileId with its address, whose query holds every character that a client is tempted to write another way."""
        file_id = next(self._ids)
        ttl = self.house.settings.office_upload_ttl
        day = datetime.now(UTC)
        query = (
            f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=SANDBOX%2F{day:%Y%m%d}%2Feu-north-1%2Fs3%2Faws4_request"
            f"&X-Amz-Date={day:%Y%m%dT%H%M%SZ}&X-Amz-Expires={int(ttl)}&X-Amz-SignedHeaders=content-type%3Bhost"
            f"&x-id=Put+Object~{file_id}|a%2bb&empty=&X-Amz-Signature={secrets.token_hex(32)}"
        )
        return _Upload(file_id, 500_000 + file_id, organization, content_type, query.encode(), time.monotonic() + ttl)

    # ---------------------------------------------------------------------------------------------------- store

    async def store(self, call: Call) -> Response:
        """The presigned upload. A second one before the document is made replaces the first; afterwards the address is used up."""
        call.step = "put"
        upload = self._signed(call)
        call.begin("put", call.ids["file_id"])
        call.exact_length(chunked=501)
        digest = Digest()
        async for chunk in call.chunks():
            digest.write(chunk)
        if digest.head.startswith(b"--") and b"content-disposition: form-data" in digest.head.lower():
            call.violation("the presigned upload holds a multipart body instead of the file's bytes")
        if call.keeps:
            self._stored(upload, digest)
        return Response(b"", 200, {"ETag": f'"{digest.sha256[:32]}"'})

    def _signed(self, call: Call) -> _Upload:
        """The upload this request is signed for, or the store's refusal."""
        for header in ("authorization", "x-api-key"):
            if header in call.headers:
                call.violation(f"{header} on a presigned upload")
                raise Refusal(_xml(400, "InvalidArgument", "Only one auth mechanism allowed"))
        upload = self._uploads.get(call.ids["file_id"])
        if upload is None:
            raise call.refuse(403, "Access Denied")
        if call.request.scope["query_string"] != upload.query:
            call.violation("the presigned query did not come back byte for byte")
            raise Refusal(_xml(403, "SignatureDoesNotMatch", "The signature does not match the query"))
        if call.request.method != self.house.settings.office_upload_method:
            call.violation("the presigned upload was made with another method than the one told")
            raise Refusal(_xml(403, "SignatureDoesNotMatch", "The signature does not match the method"))
        if call.headers.get("content-type") != upload.content_type:
            call.violation(f"the presigned upload's Content-Type is not the declared {upload.content_type}")
            raise Refusal(_xml(403, "SignatureDoesNotMatch", "The signature does not match the Content-Type"))
        if time.monotonic() >= upload.until:
            raise call.refuse(403, "Request has expired")
        if upload.decided:
            raise call.refuse(403, "The upload is complete")
        return upload

    def _stored(self, upload: _Upload, digest: Digest) -> None:
        fields = {
            "file_id": str(upload.file_id),
            "document_id": str(upload.document_id),
            "organization": upload.organization,
        }
        delivery = Delivery(self.name, "", digest.sha256, digest.size, upload.content_type, fields, time.monotonic())
        upload.stored, upload.failed = True, digest.size == 0
        if not upload.failed:  # no document can be made of nothing: it will be Failed
            self.house.journal.delivered(delivery, instead_of=upload.delivery)
            upload.delivery = delivery

    # --------------------------------------------------------------------------------------------------- status

    async def status(self, call: Call) -> Response:
        """Pending until the bytes are there and office_pending times more; then Completed with the integer documentId."""
        organization = call.bearer()
        file_id = unquote(call.ids["file_id"])
        call.begin("status", file_id)
        upload = self._uploads.get(file_id)
        if upload is None or upload.organization != organization:
            raise call.refuse(404, f"there is no file {file_id[:50]!r}")
        call.known["upload"] = upload
        if call.keeps and upload.stored:
            upload.polls += 1
            upload.decided = upload.decided or upload.polls > self.house.settings.office_pending
        if not upload.decided:
            return _traced(200, {"fileId": upload.file_id, "status": "Pending"})
        if upload.failed:
            return _traced(200, {"fileId": upload.file_id, "status": "Failed"})
        return _traced(200, {"fileId": upload.file_id, "status": "Completed", "documentId": upload.document_id})


def _traced(status: int, body: dict[str, Any]) -> Response:
    return say(status, body, {"X-Trace-Id": str(uuid.uuid4())})


def _xml(status: int, code: str, message: str) -> Response:
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>'
    return Response(text, status, media_type="application/xml")
