"""The control addresses under /_sandbox/: what a test in another process reads and steers. Not part of any vendor, and never journalled."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from dropd.sandbox.call import House, say
from dropd.sandbox.words import Fault

PREFIX = "/_sandbox/"


class Control:
    def __init__(self, house: House, reset: Callable[[], None]) -> None:
        self._house = house
        self._reset = reset

    async def answer(self, request: Request) -> Response:
        what = request.url.path.removeprefix(PREFIX)
        try:
            if request.method == "GET":
                return say(200, self._read(what, request.query_params.get("vendor")))
            if request.method == "POST":
                self._do(what, json.loads(await request.body() or b"{}"))
                return say(200, {"ok": True})
        except LookupError:
            return say(404, {"error": f"there is no {PREFIX}{what}"})
        except (ValueError, TypeError) as error:
            return say(400, {"error": str(error)})
        return say(405, {"error": "GET or POST"})

    def _read(self, what: str, vendor: str | None) -> Any:
        journal = self._house.journal
        if what == "health":
            return {"ok": True}
        if what == "deliveries":
            return [asdict(delivery) for delivery in journal.deliveries(vendor)]
        if what == "violations":
            return journal.violations()
        if what == "requests":
            return [asdict(seen) for seen in journal.requests()]
        raise LookupError(what)

    def _do(self, what: str, body: dict[str, Any]) -> None:
        if what == "faults":
            self._house.journal.add_fault(Fault.from_json(body))
        elif what == "reset":
            self._reset()
        elif what == "settings":
            self._house.settings.change(**body)
        elif what == "expire_tokens":
            self._house.tokens.expire_all()
        else:
            raise LookupError(what)
