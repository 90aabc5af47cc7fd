"""The incremental readers: the same answer however the bytes are cut, and no for what breaks the format."""

from __future__ import annotations

import base64
import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropd.sandbox.bodies import BadBody, Digest, MultipartScanner, Part, boundary_of, parse_part_head, strict_json
from dropd.sandbox.contents import Base64Decoder, ContentScanner


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def read_multipart(data: bytes, size: int) -> list[tuple[Part, bytes | None]]:
    found: list[tuple[Part, Digest]] = []

    def begin(part: Part) -> Digest:
        found.append((part, Digest(keep=True)))
        return found[-1][1]

    scanner = MultipartScanner(b"BOUND", begin)
    for piece in pieces(data, size):
        scanner.feed(piece)
    scanner.close()
    return [(part, digest.content) for part, digest in found]


def multipart(*parts: tuple[bytes, bytes]) -> bytes:
    body = b"".join(b"--BOUND\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + data + b"\r\n" for head, data in parts)
    return body + b"--BOUND--\r\n"


@given(
    st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([b"", b"\r\n", b"\r\n--BOUN", b"--BOUND", b"\r"])), max_size=4),
    st.integers(1, 40),
)
def test_multipart_reads_the_same_however_it_is_cut(contents, size):
    contents = [content for content in contents if b"\r\n--BOUND" not in b"\r\n" + content]
    body = multipart(*[(b'name="p%d"' % i, content) for i, content in enumerate(contents)])
    if contents:
        assert [content for _, content in read_multipart(body, size)] == contents


@pytest.mark.parametrize(
    "body",
    [
        multipart((b'name="a"', b"x"))[:-8],
        b"--BOUND--"[:-1],
        multipart((b'filename="x"', b"x")),
        multipart((b'name="file"; filename="x"; filename*=UTF-8\'\'x', b"x")),
        multipart((b'name="a"; name="b"', b"x")),
        b"--BOUND\r\nContent-Type: text/plain\r\n\r\nx\r\n--BOUND--",
        b"--BOUND\r\n\r\nx\r\n--BOUND--",
        b"--BOUNDARY\r\nContent-Disposition: form-data; name=a\r\n\r\nx\r\n--BOUND--",
        b'--BOUND\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--BOUND--',
    ],
)
def test_multipart_that_breaks_the_rules_is_refused(body):
    with pytest.raises(BadBody):
        read_multipart(body, 7)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (b'filename="a b.pdf"', "a b.pdf"),
        ('filename="åäö.pdf"'.encode(), "åäö.pdf"),
        (b'filename="a%22b.pdf"', 'a"b.pdf'),
        (rb'filename="a\\b\".pdf"', 'a\\b".pdf'),
        (b"filename=a.pdf", "a.pdf"),
    ],
)
def test_file_names_are_read_as_browsers_and_rfc_write_them(written, read):
    assert parse_part_head(b'Content-Disposition: form-data; name="file"; ' + written).filename == read


def test_a_boundary_may_be_quoted_and_anything_else_is_no_form():
    assert boundary_of('multipart/form-data; charset=x; boundary="a b"') == b"a b"
    for wrong in ("application/json", "multipart/mixed; boundary=x", "multipart/form-data"):
        with pytest.raises(BadBody):
            boundary_of(wrong)


# ------------------------------------------------------------------------------------------------ base64 in JSON


def read_contents(text: bytes, size: int) -> tuple[object, list[bytes | None]]:
    digests: list[Digest] = []

    def begin(so_far: bytes) -> Digest:
        digests.append(Digest(keep=True))
        return digests[-1]

    scanner = ContentScanner(begin)
    for piece in pieces(text, size):
        scanner.feed(piece)
    return scanner.close(), [digest.content for digest in digests]


@given(
    st.lists(st.tuples(st.text(max_size=8), st.binary(max_size=40)), max_size=3),
    st.integers(1, 30),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_contents_are_found_and_decoded_however_the_text_is_cut(files, size, slashes, indent):
    document = {"files": [{"content": base64.b64encode(data).decode(), "name": name} for name, data in files]}
    text = json.dumps(document, indent=indent)
    if slashes:
        text = text.replace("/", "\\/")
    found, contents = read_contents(text.encode(), size)
    assert contents == [data for _, data in files]
    assert found == {"files": [{"content": str(i), "name": name} for i, (name, _) in enumerate(files)]}


def test_a_text_that_only_looks_like_the_key_is_left_alone():
    text = b'{"a": "content", "b": ["content", "!!"], "content" : "aGVq", "\\u0063ontent2": "!!"}'
    assert read_contents(text, 5) == ({"a": "content", "b": ["content", "!!"], "content": "0", "content2": "!!"}, [b"hej"])


@pytest.mark.parametrize("wrong", ["aGV", "aGVq\n", "aGVq====", "aGU=aGVq", "aGV=", "a-_q", "aGV q", "====", "å"])
def test_base64_is_strict(wrong):
    decoder = Base64Decoder(Digest())

    def decode() -> None:
        decoder.write(wrong.encode())
        decoder.close()

    with pytest.raises(BadBody):
        decode()


@pytest.mark.parametrize(
    "wrong", [b'{"content": "aGVq', b'{"a": 1, "a": 2}', b'{"a": NaN}', b"{", b"", b'"\xff"', b'{"content": "aGVq"']
)
def test_json_is_strict(wrong):
    with pytest.raises(BadBody):
        read_contents(wrong, 3)


def test_the_json_around_contents_has_a_limit():
    with pytest.raises(BadBody, match="too large"):
        read_contents(b'{"a": "' + b"x" * 300_000 + b'"}', 65536)


def test_strict_json_takes_what_is_in_order():
    assert strict_json('{"å": [1, null]}'.encode()) == {"å": [1, None]}


def test_a_digest_lets_go_of_what_grows_large():
    digest = Digest(keep=True)
    digest.write(b"x" * 2**20)
    assert (digest.content, digest.size) == (None, 2**20)
    assert digest.sha256 == hashlib.sha256(b"x" * 2**20).hexdigest()
