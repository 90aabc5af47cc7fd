"""A vendor on a raw socket: says exactly the bytes it is told to say, at the moment it is told, and keeps what it heard."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Heard:
    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes = b""
    complete: bool = True

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, found
        return found[0] if found else None

    @property
    def path(self) -> str:
        return self.target.split("?")[0]


@dataclass
class Say:
    """`after`: how many bytes of the body are read before the answer; the connection ends with it, the rest unread."""

    status: int = 200
    body: object = b""
    headers: dict[str, str] = field(default_factory=dict)
    after: int | None = None
    how: str = "whole"  # whole | nothing | reset | half | garbage
    verbatim: bytes | None = None  # these bytes and nothing else, then the end of the connection

    def raw(self) -> bytes:
        if self.verbatim is not None:
            return self.verbatim
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        head = "".join(f"{key}: {value}\r\n" for key, value in self.headers.items())
        text = f"HTTP/1.1 {self.status} Said\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode() + body
        if self.how == "half":
            return text[: len(text) - (len(body) + 1) // 2]
        return b"\x00\x01 no http\r\n\r\n" if self.how == "garbage" else text


class RawServer:
    """`answer` is called for each request, after its body (or the part of it that is read) came in."""

    def __init__(self, answer: Callable[[Heard], Say]) -> None:
        self.answer = answer
        self.before: Callable[[Heard], Say | None] = lambda heard: None
        self.heard: list[Heard] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)

    def calls(self, path: str) -> list[Heard]:
        return [heard for heard in self.heard if heard.path == path]

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.add(connection)
                thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    more = connection.recv(65536)
                    if not more:
                        return
                    data += more
                head, _, data = data.partition(b"\r\n\r\n")
                first, *lines = head.decode("latin-1").split("\r\n")
                method, target, _ = first.split(" ")
                heard = Heard(method, target, [tuple(line.split(": ", 1)) for line in lines])  # type: ignore[misc]
                say, data = self._hear(connection, heard, data)
                if not self._tell(connection, say):
                    return
        with self._lock:
            self._open.discard(connection)

    def _hear(self, connection: socket.socket, heard: Heard, data: bytes) -> tuple[Say, bytes]:
        length = int(heard.header("content-length") or 0)
        early = self.before(heard)
        wanted = length if early is None or early.after is None else min(early.after, length)
        body = bytearray(data[:wanted])
        rest = data[wanted:]
        while len(body) < wanted:
            more = connection.recv(min(1 << 20, wanted - len(body)))
            if not more:
                break
            body += more
        heard.body, heard.complete = bytes(body), len(body) == length
        with self._lock:
            self.heard.append(heard)
        if early is None and not heard.complete:  # the client broke off
            return Say(how="nothing"), rest
        return early or self.answer(heard), rest

    def _tell(self, connection: socket.socket, say: Say) -> bool:
        """Whether the connection lives on."""
        if say.after is not None:  # closing on unread bytes makes a reset, behind what was said
            connection.recv(1, socket.MSG_PEEK)
        if say.how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if say.how != "nothing":
            connection.sendall(say.raw())
        return say.how == "whole" and say.verbatim is None and say.after is None and say.headers.get("Connection") != "close"
