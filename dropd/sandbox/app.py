"""The four vendors behind one address, as an ASGI application. Paths are matched as they came, still percent-encoded."""

from __future__ import annotations

import re
import time
import traceback
from collections.abc import Callable, Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dropd.sandbox.arm import Arm
from dropd.sandbox.call import Call, Handler, House, Vendor, answer, say
from dropd.sandbox.control import PREFIX, Control
from dropd.sandbox.media import Media
from dropd.sandbox.office import Office
from dropd.sandbox.receeve import Receeve
from dropd.sandbox.words import Seen

Cutter = Callable[[Scope, bool], None]
"""Ends the connection a request came by; True: what was already written still leaves."""


class App:
    def __init__(self, house: House, cut: Cutter) -> None:
        self._house = house
        self._cut = cut
        self._vendors: Sequence[Vendor] = [vendor(house) for vendor in (Arm, Media, Receeve, Office)]
        self._routes: list[tuple[str, re.Pattern[str], Vendor, Handler]] = [
            (methods, re.compile(path), vendor, handler) for vendor in self._vendors for methods, path, handler in vendor.routes()
        ]
        self._control = Control(house, self.reset)

    def reset(self) -> None:
        """Forget files, requests, violations and faults. Tokens and settings stay."""
        self._house.journal.reset()
        for vendor in self._vendors:
            vendor.reset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        if request.url.path.startswith(PREFIX):
            await (await self._control.answer(request))(scope, receive, send)
            return
        at = time.monotonic()
        path = scope["raw_path"].decode("ascii", "replace")
        found = await self._answer(request, path)
        # journalled before the first byte of the answer leaves, so that a client that has it finds it here
        self._house.journal.saw(Seen(request.method, path, found.status_code if found else None, at))
        if found is None:
            self._cut(scope, False)
            await _until_closed(receive)
            return
        whole = found.headers.get("content-length") == str(len(bytes(found.body)))
        try:
            await found(scope, receive, send)
        except Exception:
            if whole:
                raise
            self._cut(scope, True)  # half an answer, as a fault wanted

    async def _answer(self, request: Request, path: str) -> Response | None:
        fitting = [
            (methods, vendor, handler, match)
            for methods, pattern, vendor, handler in self._routes
            if (match := pattern.fullmatch(path))
        ]
        for methods, vendor, handler, match in fitting:
            if request.method in methods.split("|"):
                try:
                    return await answer(Call(request, vendor, match.groupdict()), handler)
                except Exception:
                    self._house.journal.violated(f"the sandbox itself failed:\n{traceback.format_exc()}")
                    return say(500, {"message": "the sandbox itself failed"})
        status, what = (405, "no such method") if fitting else (404, "no such address")
        self._house.journal.violated(f"{request.method} {path}: {what}")
        return say(status, {"message": what})


async def _until_closed(receive: Receive) -> None:
    """Until the server has noticed: it would answer 500 to a handler that ends without an answer on an open connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
