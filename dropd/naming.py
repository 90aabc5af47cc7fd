"""Names: what a file may be called at the vendor, in done/ and failed/, on a terminal; what templates make of it. Pure.

A name from a folder may be anything but "/" and NUL. Lone surrogates stand for bytes that are not UTF-8 (PEP 383).
"""

from __future__ import annotations

import fnmatch
import re
import string
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

IGNORED = (
    "~$*",
    ".~lock.*#",
    "*.tmp",
    "*.part",
    "*.filepart",
    "*.partial",
    "*.crdownload",
    "._*",
    "Thumbs.db",
    "desktop.ini",
    "@eaDir",
    ".*",
    "~WRL*.tmp",
)
"""Temporary and housekeeping names that are never drops; `ignore` of a route adds to them. Sources: BEHAVIOURS 8."""

PRIVATE = ".dropd"
SIDECAR_SUFFIX = ".result.json"
COMPANION_SUFFIX = ".meta.json"
NAME_MAX = 255  # bytes, on every filesystem that dropd runs on
EXTENSION_MAX = 32  # bytes; what is longer is no extension
PLACEHOLDERS = ("name", "stem", "ext", "folder", "path")

_CONTENT_TYPES = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".bmp": "image/bmp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".webp": "image/webp",
    ".heic": "image/heic",
    ".svg": "image/svg+xml",
    ".csv": "text/csv",
    ".txt": "text/plain",
    ".html": "text/html",
    ".htm": "text/html",
    ".xml": "application/xml",
    ".json": "application/json",
    ".zip": "application/zip",
    ".doc": "application/msword",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xls": "application/vnd.ms-excel",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".rtf": "application/rtf",
    ".eml": "message/rfc822",
    ".msg": "application/vnd.ms-outlook",
}


def content_type(name: str) -> str:
    """By the extension, from a table of dropd's own: the host's MIME table differs from machine to machine."""
    return _CONTENT_TYPES.get(split(name)[1].lower(), "application/octet-stream")


def split(name: str) -> tuple[str, str]:
    """Stem and extension with its dot: `a.b.PDF` is `a.b` and `.PDF`; `.x` and `x` have no extension."""
    stem, dot, ext = name.rpartition(".")
    return (stem, dot + ext) if stem.strip(".") and ext else (name, "")


def nfc(name: str) -> str:
    """Composed form: macOS and some SMB clients write `ø` in two code points."""
    return unicodedata.normalize("NFC", name)


def display(name: str) -> str:
    r"""For logs, sidecars, terminals: undecodable bytes as \xNN, control and direction-changing characters escaped."""
    return "".join(_shown(character) for character in name)


def _shown(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a lone surrogate: a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp", "Cs"):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character


def for_vendor(name: str) -> str:
    """What a vendor is told: NFC, always encodable, no path separators, control or direction-changing characters.

    At most 255 bytes; where it must be cut, the extension stays.
    """
    shown = "".join("_" if character in '/\\"' else _shown(character) for character in nfc(name))
    return _fitted(shown.replace("\\", "_"), "", NAME_MAX)


def _fitted(name: str, tail: str, limit: int) -> str:
    """The name with `tail` before its extension, its stem cut so that all fits in `limit` bytes."""
    stem, ext = split(name)
    if _bytes_of(ext) > EXTENSION_MAX:  # a dot within a sentence, more likely
        stem, ext = name, ""
    return cut_to_bytes(stem, limit - _bytes_of(tail) - _bytes_of(ext)) + tail + ext


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))


def cut_to_bytes(text: str, limit: int) -> str:
    """The longest beginning that fits in `limit` bytes as the file system counts them, never half a character."""
    used = 0
    for index, character in enumerate(text):
        used += _bytes_of(character)
        if used > limit:
            return text[:index]
    return text


# ------------------------------------------------------------------------------------------------ which files are drops


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(nfc(pattern).casefold()), re.DOTALL)


def fits(name: str, patterns: Iterable[str]) -> bool:
    """Whether any glob fits the name; case and Unicode form do not matter."""
    folded = nfc(name).casefold()
    return any(_glob(pattern).match(folded) for pattern in patterns)


def is_ignored(name: str, more: Iterable[str] = ()) -> bool:
    """Whether dropd passes the name over in silence."""
    return fits(name, IGNORED) or fits(name, more)


def is_sidecar_or_companion(name: str, among: Collection[str]) -> bool:
    """Whether a name belongs to another one of these rather than being a drop of its own."""
    return any(name.endswith(suffix) and name.removesuffix(suffix) in among for suffix in (SIDECAR_SUFFIX, COMPANION_SUFFIX))


# ------------------------------------------------------------------------------------------------ names in done/ and failed/


def filed_names(name: str, *, stamp: str, short_id: str, companion: bool = False) -> Iterable[str]:
    """Names to file a drop under, best first: its own, then made unique by time and short id, then numbered.

    Each leaves room for its sidecar's (and companion's) ending within 255 bytes. `stamp`: `20261120-140302`.
    """
    room = NAME_MAX - max(len(SIDECAR_SUFFIX), len(COMPANION_SUFFIX) if companion else 0)
    yield _fitted(name, "", room)
    yield _fitted(name, f" {stamp} {short_id}", room)
    for number in range(2, 10_000):
        yield _fitted(name, f" {stamp} {short_id} {number}", room)


# ------------------------------------------------------------------------------------------------ templates


class TemplateError(ValueError):
    """A template that cannot be used: `what is wrong; what to write instead`."""


class MissingValue(Exception):
    """A placeholder has no value for this file, or an empty one. `str()` names it."""


@dataclass(frozen=True, slots=True)
class Template:
    """A text with `{placeholders}`; `{{` and `}}` are braces. Built by `Template.parse`."""

    text: str
    parts: tuple[tuple[str, str | None], ...]  # (literal, placeholder after it)

    @classmethod
    def parse(cls, text: str) -> Template:
        """Raises TemplateError. Whether a placeholder exists is asked with `unknown`."""
        try:
            parsed = list(string.Formatter().parse(text))
        except ValueError:
            raise TemplateError(f"{text!r} has a single brace; write {{{{ or }}}} for a brace that is meant as one") from None
        parts: list[tuple[str, str | None]] = []
        for literal, placeholder, spec, conversion in parsed:
            if placeholder is not None and (spec or conversion or not re.fullmatch(r"meta\.[^{}]+|[A-Za-z_]\w*", placeholder)):
                raise TemplateError(
                    f"{text!r} has a placeholder that is not a plain name; write one like {{stem}} or {{meta.case}}"
                )
            parts.append((literal, placeholder))
        return cls(text, tuple(parts))

    @property
    def placeholders(self) -> tuple[str, ...]:
        return tuple(placeholder for _, placeholder in self.parts if placeholder is not None)

    @property
    def is_fixed(self) -> bool:
        """No placeholder: the same value for every file."""
        return not self.placeholders

    @property
    def fixed_folder(self) -> str:
        """Of a path template: the folder above its first placeholder; the whole path where there is none."""
        text = ""
        for literal, placeholder in self.parts:
            text += literal
            if placeholder is not None:
                return text.rpartition("/")[0] or "/"
        return text

    def fill(self, values: Mapping[str, str | None]) -> str:
        """Raises MissingValue where a placeholder has no value, or the whole comes out empty."""
        out: list[str] = []
        for literal, placeholder in self.parts:
            out.append(literal)
            if placeholder is not None:
                value = values.get(placeholder)
                if not value:
                    raise MissingValue(placeholder)
                out.append(value)
        filled = "".join(out)
        if not filled.strip():
            raise MissingValue(self.text)
        return filled


def values_of(
    name: str, folder: str, groups: Mapping[str, str | None] | None = None, meta: Mapping[str, str] | None = None
) -> dict[str, str | None]:
    """What the placeholders stand for, for one file. `folder` is its path below the inbox, "" for the inbox itself."""
    clean = nfc(name)
    stem, ext = split(clean)
    first, _, rest = nfc(folder).partition("/")
    values: dict[str, str | None] = {"name": clean, "stem": stem, "ext": ext.lstrip("."), "folder": first, "path": rest}
    values.update(groups or {})
    values.update({f"meta.{key}": value for key, value in (meta or {}).items()})
    return values
