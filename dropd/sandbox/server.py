"""The sandbox as a running server: uvicorn in a thread, on the loopback address alone."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import uvicorn
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol

from dropd.sandbox.address import Address
from dropd.sandbox.app import App
from dropd.sandbox.call import House
from dropd.sandbox.journal import Journal
from dropd.sandbox.tokens import TokenBook
from dropd.sandbox.words import Delivery, Fault, Seen, Settings

_START = 30.0  # seconds it may take until the first answer
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy of the environment knows nothing of loopback


class Sandbox(Settings, Address):
    """The four vendors in this process. Each setting is an attribute (`token_ttl`, `media_rate`, ...) and may change while it runs.

    After stop() it may be started again on the same port and remembers everything: a vendor that was down for a while.
    """

    def __init__(self, port: int = 0) -> None:
        Settings.__init__(self)
        self._port = port
        self._journal = Journal()
        self._house = House(self, self._journal, TokenBook(), "", asyncio.Event())
        self._lines = Lines(self._journal)
        self._app = App(self._house, self._lines.cut)
        self._thread: threading.Thread | None = None
        self._server: uvicorn.Server | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        if not self._house.url:
            raise RuntimeError("the sandbox has no address before start()")
        return self._house.url

    def start(self) -> None:
        """Returns when it answers. Raises OSError when the port is taken."""
        if self._thread is not None:
            return
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", self._port))
            listener.listen(512)  # from here on a client waits instead of being turned away
        except OSError:
            listener.close()
            raise
        self._port = listener.getsockname()[1]
        self._house.url = f"http://127.0.0.1:{self._port}"
        self._house.closing = asyncio.Event()
        self._server = self._new_server()
        self._thread = threading.Thread(target=self._run, args=(self._server, listener), name="sandbox", daemon=True)
        self._thread.start()
        with _OPENER.open(f"{self.url}/_sandbox/health", timeout=_START) as answer:
            answer.read()

    def _new_server(self) -> uvicorn.Server:
        config = uvicorn.Config(
            self._app,
            http=self._lines.protocol(),
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=1,
        )
        return uvicorn.Server(config)

    def _run(self, server: uvicorn.Server, listener: socket.socket) -> None:
        async def main() -> None:
            self._loop = asyncio.get_running_loop()
            await server.serve(sockets=[listener])

        asyncio.run(main())

    def stop(self) -> None:
        """Cut what is under way and wait for the thread to end."""
        if self._thread is None or self._server is None:
            return
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._close)
        self._server.should_exit = True
        self._thread.join()
        self._thread = None

    def _close(self) -> None:
        self._house.closing.set()
        self._lines.cut_all()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    def deliveries(self, vendor: str | None = None) -> list[Delivery]:
        """What the vendor, or all of them, truly took, in order."""
        return self._journal.deliveries(vendor)

    def violations(self) -> list[str]:
        """What no correct client would have done, in words."""
        return self._journal.violations()

    def requests(self) -> list[Seen]:
        return self._journal.requests()

    def fault(self, fault: Fault) -> None:
        self._journal.add_fault(fault)

    def expire_tokens(self) -> None:
        """Every token given out so far is worth nothing from now on."""
        self._house.tokens.expire_all()

    def reset(self) -> None:
        """Forget files, requests, violations and faults. Tokens and settings stay."""
        self._app.reset()


class Lines:
    """The open connections, so that one can be cut without an answer: ASGI has no word for that."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._open: dict[Any, asyncio.Transport] = {}

    def cut(self, scope: Scope, gently: bool) -> None:
        transport = self._open.get(scope["client"])
        if transport is not None:
            if gently:
                transport.close()
            else:
                transport.abort()

    def cut_all(self) -> None:
        for transport in list(self._open.values()):
            transport.abort()

    def protocol(self) -> type[asyncio.Protocol]:
        lines = self

        class Line(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                lines._open[self.client] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                if lines._open.get(self.client) is self.transport:
                    del lines._open[self.client]
                super().connection_lost(exc)

            def send_400_response(self, msg: str) -> None:
                lines._journal.violated("a request was not HTTP, or had more body than its Content-Length")
                super().send_400_response(msg)

        return Line


def serve(port: int = 0, root: Path | None = None, ready: Callable[[Sandbox, Path | None], None] | None = None) -> None:
    """Run a sandbox until SIGINT or SIGTERM. With `root`, a configuration and its inboxes are made there first.

    `ready` is called with the running sandbox and the path of that configuration; by default both are printed. Main thread only.
    """
    ended = threading.Event()

    def end(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        ended.set()

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with Sandbox(port) as sandbox:
            config = sandbox.write_config(root) if root is not None else None
            (ready or _announce)(sandbox, config)
            ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _announce(sandbox: Sandbox, config: Path | None) -> None:
    print(f"The sandbox answers at {sandbox.url}", flush=True)
    for vendor, url in sandbox.base_urls.items():
        print(f"  {vendor:15} {url}", flush=True)
    if config is not None:
        print(f"  configuration   {config}", flush=True)


def announce_json(sandbox: Sandbox, config: Path | None) -> None:
    """One line for a program that waits for it."""
    print(json.dumps({"url": sandbox.url, "config": None if config is None else str(config)}), flush=True)
