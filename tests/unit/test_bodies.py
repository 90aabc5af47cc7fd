"""Bodies: exact, in constant memory, repeatable, and honest about whether they were handed over whole."""

from __future__ import annotations

import base64
import email.parser
import email.policy
import io
import json
from collections.abc import Callable
from typing import BinaryIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropd.providers import bodies
from dropd.providers.bodies import BLOCK, ONE_PIECE, Body, BodyChanged, BodyUnreadable

EDGES = [
    max(0, around + step)
    for around in (0, 3, ONE_PIECE * 3 // 4, ONE_PIECE, BLOCK, 2 * BLOCK)
    for step in (-300, -4, -3, -2, -1, 0, 1, 2, 3, 4)
]
SIZES = st.one_of(st.sampled_from(EDGES), st.integers(0, 2 * BLOCK + 10))
PATTERN = bytes(range(251)) * (2 * BLOCK // 251 + 20)


class Portions(io.BytesIO):
    """A reader that gives less than it was asked for, as a raw file may."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read(size if size is None or size < 5 else size - size // 3)


def reader(content: bytes, kind: type[io.BytesIO] = io.BytesIO) -> Callable[[], BinaryIO]:
    return lambda: kind(content)


def drained(body: Body) -> bytes:
    pieces = list(body)
    assert all(pieces), "an empty piece says nothing"
    assert len(pieces) == 1 or body.length == 0 or body.length > ONE_PIECE
    return b"".join(pieces)


def parts_of(body: Body, raw: bytes) -> list[tuple[str, str | None, bytes]]:
    """The parts as a parser that is not ours reads them: name, filename, content."""
    boundary = body.content_type.partition("boundary=")[2].encode()
    assert body.content_type == f"multipart/form-data; boundary={boundary.decode()}"
    assert raw.endswith(b"\r\n--" + boundary + b"--\r\n")
    out = []
    for part in (b"\r\n" + raw).split(b"\r\n--" + boundary)[1:-1]:
        head, _, content = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + b"\r\n\r\n")
        disposition = message["Content-Disposition"]
        filename = head.decode().partition('filename="')[2].partition('"')[0] or None
        out.append((disposition.params["name"], filename, content))
    return out


@settings(max_examples=60, deadline=None)
@given(size=SIZES, portioned=st.booleans())
def test_any_size_arrives_as_it_is(size: int, portioned: bool) -> None:
    content = PATTERN[:size]
    source = reader(content, Portions if portioned else io.BytesIO)
    raw = bodies.raw(source, size, "text/csv")
    assert raw.length == size
    assert drained(raw) == content

    document = bodies.base64_json({"metadata": {"userId": "ø"}}, {"fileId": "1", "name": 'a"ø\\.csv'}, "content", source, size)
    sent = drained(document)
    assert len(sent) == document.length
    parsed = json.loads(sent)
    assert base64.b64decode(parsed["files"][0].pop("content"), validate=True) == content
    assert parsed == {"metadata": {"userId": "ø"}, "files": [{"fileId": "1", "name": 'a"ø\\.csv'}]}

    form = bodies.multipart([("accountId", "ä\r\n--x"), ("odd", "")], "ø.csv", source, size, "text/csv")
    sent = drained(form)
    assert len(sent) == form.length
    assert parts_of(form, sent) == [("accountId", None, "ä\r\n--x".encode()), ("odd", None, b""), ("file", "ø.csv", content)]


@pytest.mark.parametrize("size", [0, 1, ONE_PIECE, ONE_PIECE + 1, BLOCK, BLOCK + 1, 2 * BLOCK])
@pytest.mark.parametrize("make", ["raw", "multipart", "base64"])
def test_whole_only_when_the_last_byte_was_taken(size: int, make: str) -> None:
    """Whoever stops before the last piece leaves `whole` False; a second round starts from the first byte."""
    body = made(make, PATTERN[:size], size)
    assert body.whole is False
    first = list(body)
    assert body.whole is True
    again = iter(body)
    for number, piece in enumerate(again):
        assert body.whole is False
        assert piece == first[number]
        if number == len(first) - 1:
            break
    assert body.whole is (not first)  # the last piece was taken, but nobody came back to say that it left
    assert list(body) == first
    assert body.whole is True


def made(kind: str, content: bytes, size: int) -> Body:
    source = reader(content)
    if kind == "raw":
        return bodies.raw(source, size, "a/b")
    if kind == "multipart":
        return bodies.multipart([], "n", source, size, "a/b")
    return bodies.base64_json({}, {}, "content", source, size)


@pytest.mark.parametrize("size", [0, 1, 1000, ONE_PIECE, BLOCK, BLOCK + 5, 2 * BLOCK])
@pytest.mark.parametrize("make", ["raw", "multipart", "base64"])
def test_a_file_that_grew_never_leaves_whole(size: int, make: str) -> None:
    body = made(make, PATTERN[: size + 1], size)
    sent = 0

    def send() -> None:
        nonlocal sent
        for piece in body:
            sent += len(piece)

    with pytest.raises(BodyChanged, match="longer"):
        send()
    assert body.whole is False
    assert sent < max(body.length, 1)


@pytest.mark.parametrize("size", [1, 1000, ONE_PIECE, BLOCK, BLOCK + 5, 2 * BLOCK])
@pytest.mark.parametrize("make", ["raw", "multipart", "base64"])
def test_a_file_that_shrank_never_leaves_whole(size: int, make: str) -> None:
    body = made(make, PATTERN[: size - 1], size)
    sent = 0

    def send() -> None:
        nonlocal sent
        for piece in body:
            sent += len(piece)

    with pytest.raises(BodyChanged, match="shorter"):
        send()
    assert body.whole is False
    assert sent < body.length


def test_a_file_that_cannot_be_opened_or_read_is_told_from_one_that_changed() -> None:
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise OSError(5, "Input/output error")

    def refused() -> BinaryIO:
        raise PermissionError(13, "Permission denied", "/secret/path")

    with pytest.raises(BodyUnreadable, match=r"Input/output error"):
        list(bodies.raw(Broken, 5, "a/b"))
    with pytest.raises(BodyUnreadable, match=r"could not be opened: Permission denied$"):
        list(bodies.raw(refused, 5, "a/b"))


def test_every_round_closes_its_reader() -> None:
    opened: list[io.BytesIO] = []

    def source() -> BinaryIO:
        opened.append(io.BytesIO(PATTERN[: 2 * BLOCK]))
        return opened[-1]

    body = bodies.raw(source, 2 * BLOCK, "a/b")
    list(body)
    half = iter(body)
    next(half)
    half.close()  # type: ignore[attr-defined]
    assert [one.closed for one in opened] == [True, True]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("plain.pdf", "plain.pdf"),
        ("blåbær ñ 漢.pdf", "blåbær ñ 漢.pdf"),
        ('quo"te.pdf', "quo%22te.pdf"),
        ("line\r\nX-Evil: 1.pdf", "line%0D%0AX-Evil: 1.pdf"),
        ("back\\slash;semi.pdf", "back\\slash;semi.pdf"),
    ],
)
def test_file_names_as_browsers_write_them(name: str, written: str) -> None:
    """Raw UTF-8, three characters escaped, and never a filename* (RFC 7578 4.2)."""
    sent = drained(bodies.multipart([], name, reader(b"x"), 1, "application/pdf"))
    assert f'Content-Disposition: form-data; name="file"; filename="{written}"\r\n'.encode() in sent
    assert b"filename*" not in sent
    assert sent.count(b"\r\n\r\n") == 1


def test_boundaries_differ_from_body_to_body_and_not_from_round_to_round() -> None:
    one, other = (bodies.multipart([], "n", reader(b"x"), 1, "a/b") for _ in range(2))
    assert one.content_type != other.content_type
    assert list(one) == list(one)


def test_a_form_is_encoded() -> None:
    body = bodies.form({"client_secret": "a b&c=d/ø", "x": "+"})
    assert drained(body) == b"client_secret=a+b%26c%3Dd%2F%C3%B8&x=%2B"
    assert body.content_type == "application/x-www-form-urlencoded"
