"""receeve (InDebted Receive): POST /files/v1/{clientId}/upload_files.

Sources: docs.indebted.co/docs/receeve/integration/use-cases (file-upload, authentication), .../tl-dr, and the vendor's OpenAPI document 1.53.1.
"""

from __future__ import annotations

import re
import uuid
from urllib.parse import unquote

from starlette.responses import Response

from dropd.model import RECEEVE
from dropd.sandbox.call import Call, Handler, Vendor, say
from dropd.sandbox.forms import Form, read_form
from dropd.sandbox.tokens import CREDENTIALS, read_basic
from dropd.sandbox.tokens import read_form as read_urlencoded
from dropd.sandbox.words import Step

DOCUMENT_TYPES = frozenset({"Invoice", "CSV", "Document"})
CLAIM_FIELDS = ("externalClaimRef", "productReference")
UNKNOWN_ACCOUNT = "unknown"  # an accountId that starts so does not exist here; every other does
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Receeve(Vendor):
    name = RECEEVE

    def routes(self) -> list[tuple[str, str, Handler]]:
        return [
            ("POST", r"/receeve/v1/oauth2/token", self.token),
            ("POST", r"/receeve/files/v1/(?P<client_id>[^/]+)/upload_files", self.upload),
        ]

    def error(self, status: int, message: str, step: Step | None = None) -> Response:
        del step  # one form everywhere
        plain = {401: "Unauthorized", 429: "Too Many Requests"}
        return say(status, {"message": plain.get(status, message)})

    def no_inside_success(self, call: Call, status: int) -> Response:
        del call
        return _verdict(status, "reference", "[4002] ParameterInputError: the file was not accepted")

    async def token(self, call: Call) -> Response:
        """HTTP Basic and a form Content-Type; the documented request has no body, so a body may be empty but not wrong."""
        call.begin("token")
        if call.media_type() != "application/x-www-form-urlencoded":
            raise call.refuse(400, "the Content-Type must be application/x-www-form-urlencoded", violates=True)
        form = read_urlencoded(await call.small_body())
        if form.get("grant_type", "client_credentials") != "client_credentials":
            raise call.refuse(400, "the grant_type must be client_credentials", violates=True)
        given = read_basic(call.headers.get("authorization", ""))
        if given is None:
            raise call.refuse(401, "the Authorization header is not HTTP Basic", violates=True)
        if given != CREDENTIALS[self.name]:
            raise call.refuse(401, "the client is unknown or its secret is wrong")
        ttl = self.house.settings.token_ttl
        token = self.house.tokens.issue(self.name, given.client_id, ttl)
        return say(200, {"access_token": token, "expires_in": int(ttl), "token_type": "Bearer"})

    async def upload(self, call: Call) -> Response:
        """The pages show the token with "Bearer" and without: both are taken."""
        call.bearer(scheme_optional=True)
        call.begin("upload")
        client = unquote(call.ids["client_id"])
        if not _UUID.fullmatch(client):
            raise call.refuse(400, "the clientId in the path is not a UUID")
        if not client.strip("0-"):
            raise call.refuse(403, "no access to this client")
        form = await read_form(call, {"accountId", "documentType", *CLAIM_FIELDS})
        if form.file is None:
            raise call.refuse(400, "the part file is missing", violates=True)
        if "accountId" not in form.texts:
            raise call.refuse(400, "the part accountId is missing", violates=True)
        claims = [name for name in CLAIM_FIELDS if name in form.texts]
        if len(claims) > 1 or (self.house.settings.receeve_needs_claim and not claims):
            raise call.refuse(400, "exactly one of externalClaimRef and productReference must be given")
        return self._decide(call, client, form)

    def _decide(self, call: Call, client: str, form: Form) -> Response:
        """200 for any request that was processed; the verdict is in the body."""
        account = form.texts["accountId"]
        reference = form.texts.get("externalClaimRef") or account
        if not account.strip() or account.casefold().startswith(UNKNOWN_ACCOUNT):
            return _verdict(200, reference, f"[4002] ParameterInputError: account {account[:100]!r} not found")
        fields = {"client_id": client, "account_id": account}
        kind = form.texts.get("documentType")
        if kind in DOCUMENT_TYPES:  # any other: "uploaded, but the type is not set", silently
            fields["document_type"] = kind
        fields |= {name: form.texts[name] for name in CLAIM_FIELDS if name in form.texts}
        call.deliver(form.digest, form.filename, form.file.content_type if form.file else None, fields)
        return _verdict(200, reference, None)


def _verdict(status: int, reference: str, error: str | None) -> Response:
    """The map of references; messageIds are the vendor's tracing ids."""
    messages = [] if error is None else [error]
    return say(status, {reference: {"success": error is None, "messages": messages, "messageIds": [str(uuid.uuid4())]}})
