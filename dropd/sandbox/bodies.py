"""Reading request bodies piece by piece: a file's hash, multipart/form-data, strict JSON. Memory stays constant for any size."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

KEPT_WHOLE = 2**20  # a file below this size is kept as content where its vendor can be asked for it
_HEAD = 16 * 2**10  # of one part's header lines


class BadBody(Exception):
    """The body breaks the rules of its format. The text says how, for the journal and for the vendor's answer."""


class Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class Digest:
    """Takes a file in pieces and knows its sha256, its size and, while it is small, its content."""

    def __init__(self, *, keep: bool = False) -> None:
        self._hash = hashlib.sha256()
        self._kept: bytearray | None = bytearray() if keep else None
        self.size = 0
        self.head = b""  # the first bytes, to recognise what is no raw file

    def write(self, data: bytes) -> None:
        self._hash.update(data)
        self.size += len(data)
        if len(self.head) < 1024:
            self.head = (self.head + data)[:1024]
        if self._kept is not None:
            self._kept += data
            if len(self._kept) >= KEPT_WHOLE:
                self._kept = None

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    @property
    def content(self) -> bytes | None:
        """None when the file is large or was not to be kept."""
        return None if self._kept is None else bytes(self._kept)


def strict_json(data: bytes) -> Any:
    """A JSON text as RFC 8259 has it: UTF-8, no key twice, no NaN. Raises BadBody."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            raise BadBody("a JSON key stands twice in one object")
        return found

    def constant(text: str) -> Any:
        raise BadBody(f"{text} is not JSON")

    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=pairs, parse_constant=constant)
    except (ValueError, RecursionError) as error:
        raise BadBody(f"the body is not JSON: {error}") from None


# ------------------------------------------------------------------------------------------- multipart/form-data


@dataclass(frozen=True, slots=True)
class Part:
    """The head of one part."""

    name: str
    filename: str | None
    content_type: str | None


def boundary_of(content_type: str) -> bytes:
    """The boundary of a multipart/form-data Content-Type, RFC 2046 5.1.1. Raises BadBody."""
    kind, _, parameters = content_type.partition(";")
    found = re.search(r"""(?:^|;)\s*boundary=(?:"([^"]+)"|([^\s;"]+))\s*(?:;|$)""", parameters, re.IGNORECASE)
    if kind.strip().lower() != "multipart/form-data" or not found:
        raise BadBody(f"the Content-Type is not multipart/form-data with a boundary: {content_type[:100]!r}")
    boundary = found[1] or found[2]
    if len(boundary) > 70 or not boundary.isascii():
        raise BadBody("the boundary is longer than 70 characters or not ASCII")
    return boundary.encode()


class MultipartScanner:
    """Splits a multipart/form-data body into its parts as the bytes arrive.

    `begin` is called with each part's head and returns where its bytes go. RFC 7578: every part is form-data with a name, and `filename*`
    is forbidden. RFC 2046: what stands before the first and after the last boundary is ignored.
    """

    def __init__(self, boundary: bytes, begin: Callable[[Part], Sink]) -> None:
        self._mark = b"\r\n--" + boundary
        self._begin = begin
        self._buffer = bytearray(b"\r\n")  # so that the first boundary looks like the others
        self._sink: Sink | None = None
        self._state = "preamble"  # preamble or data, then mark, then head, then data again, at last end

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while self._step():
            pass

    def close(self) -> None:
        if self._state != "end":
            raise BadBody("the multipart body ends before its closing boundary")

    def _step(self) -> bool:
        """Go one state on, if the buffer holds enough for it."""
        if self._state in ("preamble", "data"):
            return self._data()
        if self._state == "mark":
            return self._after_mark()
        if self._state == "head":
            return self._head()
        self._buffer.clear()
        return False

    def _data(self) -> bool:
        at = self._buffer.find(self._mark)
        safe = at if at >= 0 else max(0, len(self._buffer) - len(self._mark) + 1)
        if self._sink is not None and safe:
            self._sink.write(bytes(self._buffer[:safe]))
        if at < 0:
            del self._buffer[:safe]
            return False
        del self._buffer[: at + len(self._mark)]
        self._sink = None
        self._state = "mark"
        return True

    def _after_mark(self) -> bool:
        if len(self._buffer) < 2:
            return False
        if self._buffer.startswith(b"--"):
            self._state = "end"
            return True
        found = re.match(rb"[ \t]*\r\n", self._buffer)
        if not found:
            if len(self._buffer) < 100 and re.fullmatch(rb"[ \t]*\r?", self._buffer):
                return False
            raise BadBody("a boundary is not followed by a line end")
        del self._buffer[: found.end()]
        self._state = "head"
        return True

    def _head(self) -> bool:
        at = self._buffer.find(b"\r\n\r\n")
        if at < 0:
            if len(self._buffer) > _HEAD or self._buffer.startswith(b"\r\n"):
                raise BadBody("a part has no proper header lines")
            return False
        part = parse_part_head(bytes(self._buffer[:at]))
        del self._buffer[: at + 4]
        self._sink = self._begin(part)
        self._state = "data"
        return True


def parse_part_head(head: bytes) -> Part:
    """The header lines of one part. Raises BadBody."""
    try:
        lines = head.decode("utf-8").split("\r\n")
    except UnicodeDecodeError:
        raise BadBody("a part's header lines are not UTF-8") from None
    headers: dict[str, str] = {}
    for line in lines:
        key, colon, value = line.partition(":")
        if not colon or not re.fullmatch(r"[A-Za-z0-9-]+", key) or key.lower() in headers:
            raise BadBody(f"a part's header line is not in order: {line[:100]!r}")
        headers[key.lower()] = value.strip()
    disposition = headers.get("content-disposition", "")
    kind, _, rest = disposition.partition(";")
    if kind.strip().lower() != "form-data":
        raise BadBody("a part is not form-data")
    parameters = _parameters(rest)
    if "name" not in parameters:
        raise BadBody("a part has no name")
    return Part(parameters["name"], parameters.get("filename"), headers.get("content-type"))


def _parameters(text: str) -> dict[str, str]:
    """The parameters of a Content-Disposition: quote and backslash escaped by a backslash, and the %22 %0D %0A of browsers (WHATWG)."""
    found: dict[str, str] = {}
    position = 0
    pattern = re.compile(r"""\s*;?\s*([A-Za-z0-9*]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))\s*""")
    while position < len(text):
        match = pattern.match(text, position)
        if not match:
            raise BadBody(f"a Content-Disposition cannot be read: {text[:100]!r}")
        key, quoted, bare = match[1].lower(), match[2], match[3]
        if key.endswith("*"):
            raise BadBody(f"{key} is forbidden in form-data (RFC 7578, 4.2)")
        if key in found:
            raise BadBody(f"a Content-Disposition has {key} twice")
        value = bare if quoted is None else re.sub(r'\\(["\\])', r"\1", quoted)
        for escape, character in (("%22", '"'), ("%0D", "\r"), ("%0A", "\n")):
            value = value.replace(escape, character)
        found[key] = value
        position = match.end()
    return found
