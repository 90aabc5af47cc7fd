"""Amili ARM (Norway): POST and GET /clients/{clientno}/files, as docs.amili.dev describes them.

The login is that of the vendor's sibling API (docs.amili.dev/example-workflow-359631m0): a form to a token address of its own.
What the pages leave open is decided here and said beside the decision.
"""

from __future__ import annotations

import base64
import itertools
import re
import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.responses import Response

from dropd.model import AMILI_ARM
from dropd.sandbox.bodies import Digest
from dropd.sandbox.call import Call, Handler, House, Vendor, say
from dropd.sandbox.contents import ContentScanner
from dropd.sandbox.tokens import CREDENTIALS, Credentials, read_form
from dropd.sandbox.words import Delivery, Step

MAXIMUM = 10  # files in one answer of GET; "not paginated, cannot be changed"
_KEPT = 64 * 2**20  # bytes of small files kept for GET; beyond, their content is shown empty
_QUERY = {"logitemid", "type", "name", "referenceno", "jobqueueid", "documentno", "serialize", "regenerate"}
_FILE_KEYS = {"fileId", "type", "name", "content"}
_NAME_SO_FAR = re.compile(rb'"name"\s*:\s*"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class _Kept:
    log_item_id: str
    delivery: Delivery
    content: bytes | None


class Arm(Vendor):
    name = AMILI_ARM

    def __init__(self, house: House) -> None:
        super().__init__(house)
        self.reset()

    def reset(self) -> None:
        self._kept: list[_Kept] = []
        self._bytes = 0
        self._ids = itertools.count(1001)

    def routes(self) -> list[tuple[str, str, Handler]]:
        files = r"/arm/v1/clients/(?P<clientno>[^/]+)/files"
        return [("POST", r"/arm/token", self.token), ("POST", files, self.upload), ("GET", files, self.list_files)]

    def error(self, status: int, message: str, step: Step | None = None) -> Response:
        """The pages show no error bodies; `message` stands where the success body has it. The token address speaks RFC 6749 5.2."""
        if step == "token":
            codes = {401: "invalid_client", 400: "invalid_request"}
            return say(status, {"error": codes.get(status, "temporarily_unavailable"), "error_description": message})
        return say(status, {"status": "FAILED", "result": "REJECTED", "message": message})

    def no_inside_success(self, call: Call, status: int) -> Response:
        files = [_entry(file_id, "the file was not accepted") for file_id in call.known.get("file_ids", [])]
        return _summary(call, status, files)

    # ---------------------------------------------------------------------------------------------------- login

    async def token(self, call: Call) -> Response:
        """grant_type, client_id and client_secret in a form; no scope or audience is asked for, and one sent is ignored (RFC 6749 3.2)."""
        call.begin("token")
        if call.media_type() != "application/x-www-form-urlencoded":
            raise call.refuse(400, "the Content-Type must be application/x-www-form-urlencoded", violates=True)
        form = read_form(await call.small_body())
        if "authorization" in call.headers:
            raise call.refuse(400, "the credentials belong into the form, not into a header", violates=True)
        if form.get("grant_type") != "client_credentials":
            raise call.refuse(400, "the grant_type must be client_credentials", violates=True)
        if Credentials(form.get("client_id", ""), form.get("client_secret", "")) != CREDENTIALS[self.name]:
            raise call.refuse(401, "the client is unknown or its secret is wrong")
        ttl, now = self.house.settings.token_ttl, int(time.time())
        token = self.house.tokens.issue(self.name, form["client_id"], ttl)
        times = {"not_before": now, "expires_in": int(ttl), "expires_on": now + int(ttl)}
        return say(200, {"access_token": token, "token_type": "Bearer", **times, "resource": "sandbox"})

    # --------------------------------------------------------------------------------------------------- upload

    async def upload(self, call: Call) -> Response:
        call.bearer()
        call.begin("upload")
        client = self._client(call)
        if call.media_type() != "application/json":
            raise call.refuse(400, "the Content-Type must be application/json", violates=True)
        call.exact_length()
        digests: list[Digest] = []

        def begin(so_far: bytes) -> Digest:
            names = _NAME_SO_FAR.findall(so_far)
            if names:
                call.named(names[-1].decode("utf-8", "replace"))
            digests.append(Digest(keep=True))
            return digests[-1]

        scanner = ContentScanner(begin)
        async for chunk in call.chunks():
            scanner.feed(chunk)
        user, files = _read_document(call, scanner.close(), len(digests))
        call.known["file_ids"] = [file["fileId"] for file in files]
        call.named(" ".join(file["name"] for file in files))
        return self._decide(call, client, user, [(file, digests[int(file["content"])]) for file in files])

    def _client(self, call: Call) -> str:
        """Any number is a client of the sandbox, but for zeros alone."""
        client = unquote(call.ids["clientno"])
        if not re.fullmatch(r"\d{1,12}", client) or not client.strip("0"):
            raise call.refuse(404, f"there is no client {client[:50]!r}")
        return client

    def _decide(self, call: Call, client: str, user: str, files: list[tuple[dict[str, str], Digest]]) -> Response:
        """403 when no type is enabled, 422 when every file is refused, 207 when some are, else 200. ARM says when not which."""
        enabled = {kind.casefold() for kind in self.house.settings.arm_types}  # data values are not case-sensitive
        reasons = []
        for file, digest in files:
            if file["type"].casefold() not in enabled:
                reasons.append(f"the type {file['type']} is not enabled for client {client}")
            else:
                reasons.append("" if digest.size else "the file is empty")
        if all("not enabled" in reason for reason in reasons):
            raise call.refuse(403, reasons[0])
        for (file, digest), reason in zip(files, reasons, strict=True):
            if not reason:
                self._keep(call, client, user, file, digest)
        entries = [_entry(file["fileId"], reason) for (file, _), reason in zip(files, reasons, strict=True)]
        refused = sum(bool(reason) for reason in reasons)
        return _summary(call, 200 if not refused else 422 if refused == len(files) else 207, entries)

    def _keep(self, call: Call, client: str, user: str, file: dict[str, str], digest: Digest) -> None:
        fields = {"client_id": client, "type": file["type"], "file_id": file["fileId"], "user_id": user}
        delivery = call.deliver(digest, file["name"], None, fields)
        if not call.keeps:
            return
        content = digest.content
        if content is not None and self._bytes + len(content) > _KEPT:
            content = None
        self._bytes += len(content or b"")
        self._kept.append(_Kept(str(next(self._ids)), delivery, content))

    # ----------------------------------------------------------------------------------------------------- list

    async def list_files(self, call: Call) -> Response:
        """At most ten, the newest first; totalCount counts all that fit. That nothing fits is an empty list: the pages do not say."""
        call.bearer()
        query = call.request.scope["query_string"].decode("ascii", "replace")
        wanted = dict(parse_qsl(query, keep_blank_values=True))
        call.begin("status", wanted.get("name"))
        client = self._client(call)
        unknown = set(wanted) - _QUERY
        if unknown:  # "path/query names always lower case"
            raise call.refuse(400, f"unknown in the query: {', '.join(sorted(unknown))}; names are lower case", violates=True)
        shown = [kept for kept in reversed(self._kept) if _fits(kept, client, wanted)]
        if not self.house.settings.arm_shows_uploads:
            shown = []
        summary = {"totalCount": len(shown), "maximumCount": MAXIMUM}
        return say(200, {"summary": summary, "files": [_shown(kept) for kept in shown[:MAXIMUM]]})


def _read_document(call: Call, document: Any, contents: int) -> tuple[str, list[dict[str, str]]]:
    """The userId and the files of a well-formed body. Keys are case-sensitive, none may be missing, none is unknown."""
    _keys(call, document, {"metadata", "files"}, "the body")
    _keys(call, document["metadata"], {"userId"}, "metadata")
    user, files = document["metadata"]["userId"], document["files"]
    if not isinstance(user, str) or not user:
        raise call.refuse(400, "metadata.userId must be a text", violates=True)
    if not isinstance(files, list) or not files:
        raise call.refuse(400, "files must be a list of at least one", violates=True)
    for file in files:
        _keys(call, file, _FILE_KEYS, "a file")
        if not all(isinstance(value, str) and value for value in file.values()):
            raise call.refuse(400, "fileId, type, name and content must be texts", violates=True)
    if contents != len(files):
        raise call.refuse(400, "content stands where it does not belong", violates=True)
    if len({file["fileId"] for file in files}) != len(files):
        raise call.refuse(400, "two files have one fileId", violates=True)
    return user, files


def _keys(call: Call, value: Any, expected: set[str], what: str) -> None:
    if not isinstance(value, dict):
        raise call.refuse(400, f"{what} must be an object", violates=True)
    if set(value) != expected:
        odd = ", ".join(sorted(set(value) ^ expected))
        raise call.refuse(400, f"{what} has missing or unknown keys (they are case-sensitive): {odd}", violates=True)


def _entry(file_id: str, reason: str) -> dict[str, str]:
    if reason:
        return {"fileId": file_id, "status": "FAILED", "result": "REJECTED", "message": reason}
    return {"fileId": file_id, "status": "PROCESSED", "result": "CREATED", "message": "File uploaded"}


def _summary(call: Call, status: int, entries: list[dict[str, str]]) -> Response:
    good = [entry for entry in entries if entry["result"] == "CREATED"]
    whole = {"status": "PROCESSED", "result": "CREATED"} if good else {"status": "FAILED", "result": "REJECTED"}
    message = f"{len(good)} of {len(entries)} files uploaded"
    return say(status, {**whole, "message": message, "clientNo": unquote(call.ids["clientno"]), "files": entries})


def _fits(kept: _Kept, client: str, wanted: dict[str, str]) -> bool:
    """Whether a file is among those asked for; what the sandbox has no value for (referenceno and others) fits nothing when given."""
    fields = kept.delivery.fields
    values = {"logitemid": kept.log_item_id, "type": fields["type"], "name": kept.delivery.name, "client": fields["client_id"]}
    asked = {key: value for key, value in wanted.items() if key not in ("serialize", "regenerate")} | {"client": client}
    return all(values.get(key, "").casefold() == value.casefold() for key, value in asked.items())


def _shown(kept: _Kept) -> dict[str, Any]:
    delivery = kept.delivery
    return {
        "clientNo": delivery.fields["client_id"],
        "name": delivery.name,
        "extension": PurePosixPath(delivery.name).suffix.lstrip("."),
        "logItemId": kept.log_item_id,
        "arAccountNo": None,
        "referenceNo": None,
        "type": delivery.fields["type"],
        "serialize": False,
        "description": None,
        "externalMemo": None,
        "content": base64.b64encode(kept.content or b"").decode(),
    }
