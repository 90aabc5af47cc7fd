"""JSON with files in it: the texts under the key "content" are decoded from base64 as they arrive and never held whole.

The rest of the document, the skeleton, is small and read as strict JSON at the end; in it, each content stands as the number of its file.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Callable
from typing import Any

import pybase64

from dropd.sandbox.bodies import BadBody, Sink, strict_json

_SKELETON = 256 * 2**10  # bytes of JSON around the contents
_STRING_END = re.compile(rb'["\\]')


class Base64Decoder:
    """Strict base64 in pieces (RFC 4648, 4): its alphabet alone, padded, no line ends, no stray bits at the end."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._carry = b""
        self._ended = False

    def write(self, text: bytes) -> None:
        text = self._carry + text
        whole = len(text) - len(text) % 4
        self._carry = text[whole:]
        if not whole:
            return
        if self._ended:
            raise BadBody("base64 goes on after its padding")
        text = text[:whole]
        try:
            data = pybase64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            raise BadBody("a content is not base64") from None
        if text.endswith(b"="):
            self._ended = True
        if self._ended and pybase64.b64encode(data)[-4:] != text[-4:]:
            raise BadBody("a content is not base64: stray bits or padding in the middle")
        self._sink.write(data)

    def close(self) -> None:
        if self._carry:
            raise BadBody("a content is not base64: its length is not a multiple of four")


class ContentScanner:
    """Follows a JSON text just far enough to know strings, keys and escapes.

    `begin` is called when a content starts, with what of the document stood before it, and returns where the decoded bytes go.
    """

    def __init__(self, begin: Callable[[bytes], Sink]) -> None:
        self._begin = begin
        self._skeleton = bytearray()
        self._string: int | None = None  # where in the skeleton the string we are in begins
        self._escaped = False
        self._last = b""  # the last whole string, raw
        self._colon = False  # a colon followed it, and nothing else yet
        self._content: Base64Decoder | None = None
        self._escape = b""  # an escape inside a content that is not whole yet
        self._contents = 0

    def feed(self, data: bytes) -> None:
        position = 0
        while position < len(data):
            if self._content is not None:
                position = self._in_content(data, position, self._content)
            elif self._string is not None:
                position = self._in_string(data, position)
            else:
                position = self._between(data, position)
            if len(self._skeleton) > _SKELETON:
                raise BadBody("the JSON around the contents is too large")

    def close(self) -> Any:
        """The document, its contents replaced by their numbers as texts. Raises BadBody."""
        if self._content is not None:
            raise BadBody("the JSON ends inside a content")
        return strict_json(bytes(self._skeleton))

    def _between(self, data: bytes, position: int) -> int:
        """Outside of strings: up to and with the next quote."""
        quote = data.find(b'"', position)
        end = len(data) if quote < 0 else quote
        gap = data[position:end]
        self._skeleton += gap
        self._colon = (self._colon and not gap.strip()) or gap.strip() == b":"
        if quote < 0:
            return end
        self._skeleton += b'"'
        if self._colon and _same_key(self._last, "content"):
            self._content = Base64Decoder(self._begin(bytes(self._skeleton)))
        else:
            self._string = len(self._skeleton)
        self._colon = False
        return quote + 1

    def _in_string(self, data: bytes, position: int) -> int:
        """A short string: up to its end, escapes stepped over."""
        if self._escaped:
            self._skeleton += data[position : position + 1]
            self._escaped = False
            return position + 1
        found = _STRING_END.search(data, position)
        end = found.start() if found else len(data)
        self._skeleton += data[position:end]
        if not found:
            return end
        self._skeleton += found[0]
        if found[0] == b"\\":
            self._escaped = True
        else:
            self._last = bytes(self._skeleton[self._string : -1])
            self._string = None
        return end + 1

    def _in_content(self, data: bytes, position: int, decoder: Base64Decoder) -> int:
        """A long string: its characters go to the decoder."""
        if self._escape:
            self._escape += data[position : position + 1]
            if len(self._escape) == (6 if self._escape.startswith(b"\\u") else 2):
                decoder.write(_unescaped(self._escape))
                self._escape = b""
            return position + 1
        found = _STRING_END.search(data, position)
        end = found.start() if found else len(data)
        decoder.write(data[position:end])
        if not found:
            return end
        if found[0] == b"\\":
            self._escape = b"\\"
        else:
            decoder.close()
            self._skeleton += b'%d"' % self._contents
            self._contents += 1
            self._content = None
        return end + 1


def _unescaped(escape: bytes) -> bytes:
    """One JSON escape as the byte it means: PHP puts a backslash before base64's slash."""
    try:
        return str(json.loads(b'"' + escape + b'"')).encode("ascii")
    except ValueError:
        raise BadBody("a content holds what is neither base64 nor JSON") from None


def _same_key(raw: bytes, key: str) -> bool:
    try:
        return bool(json.loads(b'"' + raw + b'"') == key)
    except ValueError:
        return False
