"""Amili ADA (Sweden): the login by signed key and POST /media--upload/{reference_id}.

Sources: docs-alpha.amili.se/reference/endpoints/media-upload, docs.amili.se/reference/common/authentication and .../error-handling.
"""

from __future__ import annotations

import re
import secrets
import time
from collections import deque
from urllib.parse import unquote

import jwt
from starlette.responses import Response

from dropd.model import AMILI_MEDIA
from dropd.sandbox.bodies import strict_json
from dropd.sandbox.call import Call, Handler, House, Refusal, Vendor, say
from dropd.sandbox.forms import Form, read_form
from dropd.sandbox.tokens import API_CODE, PUBLIC_KEY
from dropd.sandbox.words import Step

CONTENT_TYPES = frozenset({"application/pdf", "image/jpeg", "image/png", "image/gif", "image/bmp"})
DEFAULT_DOMAIN = "media--files"
DOMAINS = frozenset({DEFAULT_DOMAIN, "cases", "invoices"})  # those the pages name; the full list is in the vendor's swagger alone
_KEY_LIFE = 600  # seconds: the signed key's exp is "now + 10 min"
_SKEW = 60  # seconds two clocks may differ
_JITTER = 0.1  # seconds: requests sent a window apart may arrive a little closer


class Media(Vendor):
    name = AMILI_MEDIA

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.reset()

    def reset(self) -> None:
        self._arrivals: deque[float] = deque(maxlen=10_000)

    def routes(self) -> list[tuple[str, str, Handler]]:
        login = r"/media/authenticates/api-code"
        upload = r"/media/media--upload/(?P<reference_id>[^/]+)"
        return [("GET", login, self.token_by_key), ("POST", login, self.token_by_address), ("POST", upload, self.upload)]

    def error(self, status: int, message: str, step: Step | None = None) -> Response:
        del step  # one form everywhere
        return say(status, {"_status": "ERR", "_error": {"code": status, "message": message}})

    def no_inside_success(self, call: Call, status: int) -> Response:
        del call
        return say(status, {"_status": "ERR", "_error": {"code": 422, "message": "Validation failed"}})

    # ---------------------------------------------------------------------------------------------------- login

    async def token_by_key(self, call: Call) -> Response:
        """GET with a JWT of api_code and exp, signed with the registered key, in X-API-Key."""
        call.begin("token")
        signed = self._api_key(call)
        try:
            claims = jwt.decode(signed, PUBLIC_KEY, ["ES256"], {"require": ["api_code", "exp"]}, leeway=_SKEW)
        except jwt.PyJWTError as error:
            raise call.refuse(401, f"the key is not signed as registered: {error}") from None
        if claims["exp"] > time.time() + _KEY_LIFE + _SKEW:
            raise call.refuse(401, "the key's exp is more than ten minutes away", violates=True)
        return self._token(call, claims["api_code"])

    async def token_by_address(self, call: Call) -> Response:
        """POST with the api code alone, from a registered address: in the older pages only, and so it can be shut off."""
        call.begin("token")
        if not self.house.settings.media_allows_post:
            raise call.refuse(405, "log in with a signed key")
        if call.media_type() != "application/json":
            raise call.refuse(400, "the Content-Type must be application/json", violates=True)
        body = strict_json(await call.small_body())
        if not isinstance(body, dict) or set(body) != {"api_code"}:
            raise call.refuse(422, "the body must hold api_code and nothing else", violates=True)
        return self._token(call, body["api_code"])

    def _token(self, call: Call, api_code: object) -> Response:
        """Name of the field and lifetime are not documented: a name as everywhere, and no lifetime told."""
        if api_code != API_CODE:
            raise call.refuse(401, "the api code is unknown")
        token = self.house.tokens.issue(self.name, API_CODE, self.house.settings.token_ttl)
        return say(200, {"_status": "OK", "access_token": token})

    def _api_key(self, call: Call) -> str:
        if "authorization" in call.headers:
            raise call.refuse(401, "there is an Authorization header; the key belongs into X-API-Key", violates=True)
        key = call.headers.get("x-api-key", "")
        if not key or " " in key:
            raise call.refuse(401, "X-API-Key must hold the bare key", violates=True)
        return key

    # --------------------------------------------------------------------------------------------------- upload

    async def upload(self, call: Call) -> Response:
        if self.house.tokens.subject(self.name, self._api_key(call)) is None:
            raise call.refuse(401, "the access token is invalid or has expired")
        rate = self._count()
        call.begin("upload")
        reference = unquote(call.ids["reference_id"])
        if not re.fullmatch(r"[0-9a-f]{24}", reference) or not reference.strip("0"):  # zeros alone: a document that is not there
            raise call.refuse(404, "Resource Document Not Found")
        form = await read_form(call, {"domain", "dotted_path"})
        domain, dotted_path = self._place(call, form)
        if form.file is None:
            raise call.refuse(400, "the file is missing", violates=True)
        if form.file.content_type not in CONTENT_TYPES:
            raise call.refuse(400, f"the content type {form.file.content_type} is not allowed")
        fields = {"reference_id": reference, "domain": domain} | ({"dotted_path": dotted_path} if dotted_path else {})
        call.deliver(form.digest, form.filename, form.file.content_type, fields)
        signature = secrets.token_hex(32)
        place = f"{self.house.url}/storage/{domain}/{reference}-{secrets.token_hex(16)}"
        return say(201, {"_status": "OK", "url": f"{place}?X-Goog-Expires=3600&X-Goog-Signature={signature}"}, rate)

    def _place(self, call: Call, form: Form) -> tuple[str, str]:
        domain, dotted_path = form.texts.get("domain", DEFAULT_DOMAIN), form.texts.get("dotted_path", "")
        if domain not in DOMAINS:
            raise call.refuse(400, f"the domain {domain[:50]!r} is invalid")
        if domain != DEFAULT_DOMAIN and not dotted_path:
            raise call.refuse(400, "the dotted path is missing")
        if dotted_path and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)*", dotted_path):
            raise call.refuse(400, f"the dotted path {dotted_path[:50]!r} is invalid")
        return domain, dotted_path

    # ----------------------------------------------------------------------------------------------------- rate

    def _count(self) -> dict[str, str]:
        """The rate headers for this upload, or 429. "Rate limit headers are included", their names not given: the usual ones.

        Uploads are counted, logins are not; a request that is turned away does not count.
        """
        now = time.monotonic()
        headers: dict[str, str] = {}
        for limit, period in self.house.settings.media_rate:
            window = [at for at in self._arrivals if at > now - period + _JITTER]
            left = limit - len(window)
            reset = max(0.0, window[0] + period - now) if window else 0.0
            headers = {
                "X-RateLimit-Limit": str(limit),
                "X-RateLimit-Remaining": str(max(0, left - 1)),
                "X-RateLimit-Reset": str(int(reset) + 1),
            }
            if left < 1:
                answer = self.error(429, f"more than {limit} requests in {period:g} s")
                answer.headers.update(headers | {"Retry-After": str(int(reset) + 1)})
                raise Refusal(answer)
        self._arrivals.append(now)
        return headers
