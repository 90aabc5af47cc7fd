"""One request as a vendor's handler sees it: its headers checked, its body in pieces, and the fault that may be waiting for it."""

from __future__ import annotations

import asyncio
import json
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from dropd.sandbox.bodies import BadBody, Digest
from dropd.sandbox.journal import Journal
from dropd.sandbox.tokens import TokenBook
from dropd.sandbox.words import Delivery, Fault, Settings, Step

_SMALL = 64 * 2**10


class Refusal(Exception):
    """The vendor says no, with this answer."""

    def __init__(self, answer: Response) -> None:
        self.answer = answer
        super().__init__(answer.status_code)


class Cut(Exception):
    """The connection is to end without an answer."""


@dataclass(slots=True)
class House:
    """What the vendors share."""

    settings: Settings
    journal: Journal
    tokens: TokenBook
    url: str
    closing: asyncio.Event


def say(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Response:
    """An answer in JSON, UTF-8 unescaped, as the vendors' examples have it."""
    text = json.dumps(body, ensure_ascii=False)
    return Response(text.encode(), status, dict(headers or {}), "application/json")


Handler = Callable[["Call"], Awaitable[Response]]


class Vendor(ABC):
    """One vendor's API. Subclasses list their routes: method, raw path as a regular expression, handler."""

    name: ClassVar[str]

    def __init__(self, house: House) -> None:
        self.house = house

    @abstractmethod
    def routes(self) -> list[tuple[str, str, Handler]]:
        """Method, raw path, handler."""

    @abstractmethod
    def error(self, status: int, message: str, step: Step | None = None) -> Response:
        """An error in the vendor's own form."""

    def no_inside_success(self, call: Call, status: int) -> Response:
        """How the vendor says no within a success code; the plain error form where it has no such way."""
        return self.error(status, "refused", call.step)

    def reset(self) -> None:
        """Forget what was uploaded. Most have nothing to forget."""
        return


class Call:
    """One request, on its way through one vendor's handler."""

    def __init__(self, request: Request, vendor: Vendor, ids: Mapping[str, str]) -> None:
        self.request = request
        self.vendor = vendor
        self.house = vendor.house
        self.ids = ids  # the segments of the path, still percent-encoded
        self.headers = request.headers
        self.step: Step | None = None
        self.fault: Fault | None = None
        self.known: dict[str, Any] = {}  # what a refusal inside a success code must repeat

    # ------------------------------------------------------------------------------------------------ saying no

    def violation(self, text: str) -> None:
        path = self.request.scope["raw_path"].decode("ascii", "replace")
        self.house.journal.violated(f"{self.vendor.name}: {self.request.method} {path}: {text}")

    def refuse(self, status: int, message: str, *, violates: bool = False) -> Refusal:
        """An error in the vendor's form, to be raised; `violates`: no correct client would have sent this."""
        if violates:
            self.violation(message)
        return Refusal(self.vendor.error(status, message, self.step))

    # --------------------------------------------------------------------------------------------------- faults

    def begin(self, step: Step, name: str | None = None) -> None:
        """From here on a fault for this step may strike."""
        self.step = step
        self.fault = self.house.journal.take_fault(self.vendor.name, step, name)

    def named(self, name: str) -> None:
        """The file's name is known now: faults that wait for it may strike."""
        if self.fault is None and self.step is not None:
            self.fault = self.house.journal.take_fault(self.vendor.name, self.step, name)

    @property
    def keeps(self) -> bool:
        """Whether what is asked for shall truly happen."""
        return self.fault is None or self.fault.keeps

    def deliver(self, digest: Digest, name: str, content_type: str | None, fields: Mapping[str, str]) -> Delivery:
        """The delivery this file makes; noted unless a fault forbids."""
        delivery = Delivery(self.vendor.name, name, digest.sha256, digest.size, content_type, dict(fields), time.monotonic())
        if self.keeps:
            self.house.journal.delivered(delivery)
        return delivery

    # ----------------------------------------------------------------------------------------------------- body

    def exact_length(self, chunked: Literal[411, 501] = 411) -> int:
        """The Content-Length, which every vendor wants; `chunked` is the answer to a body without one."""
        if "transfer-encoding" in self.headers:
            raise self.refuse(chunked, "a chunked body is not accepted; send a Content-Length", violates=True)
        if "content-length" not in self.headers:
            raise self.refuse(411, "the Content-Length is missing", violates=True)
        length = int(self.headers["content-length"])  # h11 has refused what is no number
        limit = self.house.settings.max_body
        if limit is not None and length > limit:
            raise self.refuse(413, f"the body is larger than {limit} bytes")
        return length

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises Cut half-way when a fault wants that."""
        half = int(self.headers.get("content-length", "0")) // 2
        seen = 0
        async for chunk in self.request.stream():
            seen += len(chunk)
            if self.fault is not None and self.fault.drop_midway and seen >= half:
                raise Cut
            if chunk:
                yield chunk

    async def small_body(self) -> bytes:
        """A body that has no reason to be large."""
        if self.exact_length() > _SMALL:
            raise self.refuse(413, f"the body is larger than {_SMALL} bytes", violates=True)
        return b"".join([chunk async for chunk in self.chunks()])

    def media_type(self) -> str:
        """The Content-Type without its parameters, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def bearer(self, *, scheme_optional: bool = False) -> str:
        """Whose token the Authorization header carries; 401 when it is missing, unknown or expired."""
        header = self.headers.get("authorization")
        if header is None:
            raise self.refuse(401, "the Authorization header is missing", violates=True)
        scheme, space, token = header.partition(" ")
        if not space and scheme_optional:
            token = header
        elif scheme.lower() != "bearer" or not token.strip():
            raise self.refuse(401, "the Authorization header is not a Bearer token", violates=True)
        subject = self.house.tokens.subject(self.vendor.name, token.strip())
        if subject is None:
            raise self.refuse(401, "the token is invalid or has expired")
        return subject


async def answer(call: Call, handler: Handler) -> Response | None:
    """The handler's answer, bent by the fault that struck. None: cut the connection."""
    try:
        found = await handler(call)
    except Refusal as refusal:
        found = refusal.answer
    except BadBody as bad:
        found = call.refuse(400, str(bad), violates=True).answer
    except (Cut, ClientDisconnect):
        return None
    fault = call.fault
    if fault is None:
        return found
    if fault.delay:
        try:
            await asyncio.wait_for(call.house.closing.wait(), fault.delay)
        except TimeoutError:
            pass
    if fault.lose_answer or fault.drop_midway:
        return None
    return _faulty(call, fault, found)


def _faulty(call: Call, fault: Fault, found: Response) -> Response:
    if fault.body is not None:
        found = Response(fault.body, fault.status or 200, media_type="application/json")
    elif fault.status is not None and fault.status < 300:
        found = call.vendor.no_inside_success(call, fault.status)
    elif fault.status is not None:
        found = call.vendor.error(fault.status, "the sandbox was told to answer so", call.step)
    for name, value in fault.headers.items():
        found.headers[name] = value
    return found
