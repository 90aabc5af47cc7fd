"""Request bodies of exact length in constant memory, for files of any size.

A body can be iterated again (a renewed token replays it), and after each time it knows whether it was handed over whole:
httpx raises the same exception for an upload that was lost half-way and for one whose answer was lost (PROVIDERS 5.5).
A file that is longer or shorter than at the take raises BodyChanged before the last byte is handed over.
"""

from __future__ import annotations

import json
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

import httpx
import pybase64

from dropd.errors import DropdError

ONE_PIECE = 256 * 1024
BLOCK = 768 * 1024  # a multiple of 3: each block is base64 of its own, and only the last is padded

Opener = Callable[[], BinaryIO]


class BodyChanged(DropdError):
    """The file is longer or shorter than at the take."""


class BodyUnreadable(DropdError):
    """The file could not be opened or read."""


class Body(httpx.SyncByteStream, ABC):
    """Bytes to send. `length` is exact; `whole` is True once an iteration was exhausted: the transport took the last byte."""

    def __init__(self, length: int, content_type: str) -> None:
        self.length = length
        self.content_type = content_type
        self.whole = False

    def __iter__(self) -> Iterator[bytes]:
        self.whole = False
        yield from self._pieces()
        self.whole = True

    @abstractmethod
    def _pieces(self) -> Iterator[bytes]:
        """All of it, from the first byte, each time anew."""


class Content(Body):
    """Bytes at hand: a form, a small JSON document, nothing."""

    def __init__(self, content: bytes = b"", content_type: str = "") -> None:
        super().__init__(len(content), content_type)
        self._content = content

    def _pieces(self) -> Iterator[bytes]:
        if self._content:
            yield self._content


class Document(Body):
    """A file between a prefix and a suffix, as it is or in base64."""

    def __init__(
        self, reader: Opener, size: int, content_type: str, *, prefix: bytes = b"", suffix: bytes = b"", base64: bool = False
    ) -> None:
        encoded = 4 * ((size + 2) // 3) if base64 else size
        super().__init__(len(prefix) + encoded + len(suffix), content_type)
        self._open = reader
        self._size = size
        self._prefix = prefix
        self._suffix = suffix
        self._encode = pybase64.b64encode if base64 else bytes

    def _pieces(self) -> Iterator[bytes]:
        if self.length <= ONE_PIECE:
            blocks = [self._encode(block) for block in self._blocks()]
            whole = b"".join((self._prefix, *blocks, self._suffix))
            if whole:
                yield whole
            return
        if self._prefix:
            yield self._prefix
        for block in self._blocks():
            yield self._encode(block)
        if self._suffix:
            yield self._suffix

    def _blocks(self) -> Iterator[bytes]:
        """The file in blocks. The last one is given out only when the file is seen to end there."""
        with self._opened() as reader:
            left = self._size
            while left:
                block = _read(reader, min(BLOCK, left))
                left -= len(block)
                if not left:
                    _expect_end(reader, self._size)
                yield block
            if not self._size:
                _expect_end(reader, 0)

    def _opened(self) -> BinaryIO:  # what the opener raises besides, Gone for one, is its caller's to understand
        try:
            return self._open()
        except OSError as error:
            raise BodyUnreadable(f"the file could not be opened: {error.strerror}") from None


def _read(reader: BinaryIO, count: int) -> bytes:
    """Exactly `count` bytes, however the reader portions them."""
    try:
        block = reader.read(count)
        while len(block) < count:
            more = reader.read(count - len(block))
            if not more:
                raise BodyChanged("the file is shorter than when it was taken")
            block += more
    except OSError as error:
        raise BodyUnreadable(f"the file could not be read: {error.strerror}") from None
    return block


def _expect_end(reader: BinaryIO, size: int) -> None:
    try:
        more = reader.read(1)
    except OSError as error:
        raise BodyUnreadable(f"the file could not be read: {error.strerror}") from None
    if more:
        raise BodyChanged(f"the file is longer than the {size} bytes it had when it was taken")


# ------------------------------------------------------------------------------------------------ the kinds


def raw(reader: Opener, size: int, content_type: str) -> Body:
    """The file and nothing else."""
    return Document(reader, size, content_type)


def multipart(fields: Sequence[tuple[str, str]], name: str, reader: Opener, size: int, content_type: str) -> Body:
    """RFC 7578: the fields, then the file as the part `file`, its name in raw UTF-8 and never as `filename*`."""
    boundary = f"dropd-{secrets.token_hex(16)}"
    head = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(key)}"\r\n\r\n{value}\r\n' for key, value in fields
    )
    head += (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(name)}"\r\n'
        f"Content-Type: {content_type}\r\n\r\n"
    )
    tail = f"\r\n--{boundary}--\r\n".encode()
    return Document(reader, size, f"multipart/form-data; boundary={boundary}", prefix=head.encode(), suffix=tail)


def _quoted(text: str) -> str:
    """As browsers write a name between quotes (WHATWG HTML, multipart/form-data)."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def base64_json(around: Mapping[str, Any], file: Mapping[str, Any], key: str, reader: Opener, size: int) -> Body:
    """The object `around` with one more key, `files`: a list of the one object `file`, whose last key holds the file in base64."""
    text = json.dumps({**around, "files": [{**file, key: ""}]}, separators=(",", ":"))
    cut = len(text) - len('"}]}')
    return Document(
        reader, size, "application/json", prefix=text[:cut].encode("ascii"), suffix=text[cut:].encode("ascii"), base64=True
    )


def as_json(value: Any) -> Body:
    return Content(json.dumps(value, separators=(",", ":")).encode("ascii"), "application/json")


def form(fields: Mapping[str, str]) -> Body:
    """A form as RFC 6749 wants it."""
    return Content(str(httpx.QueryParams(fields)).encode("ascii"), "application/x-www-form-urlencoded")
