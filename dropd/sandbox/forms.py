"""A multipart form with one file in it, as media upload and receeve want it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from dropd.sandbox.bodies import BadBody, Digest, MultipartScanner, Part, Sink, boundary_of
from dropd.sandbox.call import Call

_TEXT = 64 * 2**10


class _Text:
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > _TEXT:
            raise BadBody("a form field is too long")


@dataclass(slots=True)
class Form:
    """`file` is None when the form held none."""

    texts: dict[str, str] = field(default_factory=dict)
    file: Part | None = None
    digest: Digest = field(default_factory=Digest)

    @property
    def filename(self) -> str:
        return (self.file.filename or "") if self.file else ""


async def read_form(call: Call, known: Collection[str]) -> Form:
    """The form whose file is the part `file` and whose other parts are among `known`. Raises BadBody."""
    call.exact_length()
    form = Form()
    texts: dict[str, _Text] = {}

    def begin(part: Part) -> Sink:
        if part.name == "file":
            if form.file is not None:
                raise BadBody("there is more than one file; send exactly one")
            if part.filename is None:
                raise BadBody("the part file has no filename, so it is a text and no file")
            form.file = part
            call.named(part.filename)
            return form.digest
        if part.filename is not None:
            raise BadBody(f"the part {part.name!r} is a file; the file belongs into the part file, and there is exactly one")
        if part.name not in known:
            raise BadBody(f"the part {part.name!r} is unknown; known are file, {', '.join(sorted(known))}")
        if part.name in texts:
            raise BadBody(f"the part {part.name!r} stands twice")
        texts[part.name] = _Text()
        return texts[part.name]

    scanner = MultipartScanner(boundary_of(call.headers.get("content-type", "")), begin)
    async for chunk in call.chunks():
        scanner.feed(chunk)
    scanner.close()
    for name, text in texts.items():
        try:
            form.texts[name] = text.data.decode("utf-8")
        except UnicodeDecodeError:
            raise BadBody(f"the part {name!r} is not UTF-8") from None
    return form
