"""Where a drop goes: a route's templates filled for one file, or the reason why they cannot be. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from dropd.config import Route
from dropd.errors import DropdError
from dropd.model import Code, Error, Target
from dropd.naming import COMPANION_SUFFIX, MissingValue, Template, display, nfc, values_of
from dropd.wording import size as in_words

COMPANION_LIMIT = 64 * 1024
"""Bytes that a companion may have."""


class Unroutable(DropdError):
    """This file cannot be sent by its route; `error` says why, for the person who dropped it."""

    def __init__(self, code: Code, message: str) -> None:
        self.error = Error(code, message)
        super().__init__(message)


def resolve(route: Route, name: str, folder: str, companion: bytes | None) -> Target:
    """The target of one file. `companion`: the bytes of its `.meta.json`, where the route wants one. Raises Unroutable."""
    groups = _groups(route, name)
    meta = _meta(name, companion) if route.wants_companion else {}
    values = values_of(name, folder, groups, meta)
    ids = {key: _filled(key, template, values) for key, template in route.ids.items()}
    for key, value in ids.items():
        allow = route.allow.get(key)
        if allow is not None and not allow.permits(value):
            message = f"{_quoted(value)} is not among the values that are allowed here as {_words(key)}."
            raise Unroutable(Code.NOT_ALLOWED, message)
        if value != display(value):
            message = f"{_quoted(value)} cannot be used as {_words(key)}: it has characters that cannot be read."
            raise Unroutable(Code.NOT_ALLOWED, message)
    extra = {key: display(_filled(key, template, values)) for key, template in route.extra_fields.items()}
    return Target(**ids, extra_fields=extra)


def check_size(size: int, limit: int | None, *, allow_empty: bool) -> None:
    """Raises Unroutable for a file that is empty where it may not be, or larger than the limit in bytes."""
    if size == 0 and not allow_empty:
        raise Unroutable(Code.EMPTY, "The file is empty.")
    if limit is not None and size > limit:
        has, most = in_words(size), in_words(limit)
        if has == most:
            has, most = f"{size:,} bytes", f"{limit:,}"
        raise Unroutable(Code.TOO_LARGE, f"The file is too large: it has {has}, and at most {most} are accepted here.")


def _groups(route: Route, name: str) -> Mapping[str, str | None]:
    if route.name_pattern is None:
        return {}
    found = route.name_pattern.fullmatch(nfc(name))
    if found is None:
        raise Unroutable(Code.NAME_PATTERN, f"The name {_quoted(name)} is not built as this inbox expects it.")
    return found.groupdict()


def _filled(key: str, template: Template, values: Mapping[str, str | None]) -> str:
    try:
        return template.fill(values)
    except MissingValue as missing:
        raise Unroutable(Code.MISSING_VALUE, f"The {_words(key)} is not known: {_why(str(missing))}.") from None


def _why(placeholder: str) -> str:
    if placeholder.startswith("meta."):
        return f"the companion file has no {_quoted(placeholder.removeprefix('meta.'))}"
    match placeholder:
        case "folder":
            return "the file is not in a sub-folder of the inbox"
        case "path":
            return "the file is not in a folder below a sub-folder"
        case "ext":
            return "the name has no ending"
        case _:
            return f"the name does not tell the {_quoted(placeholder)}"


def _quoted(text: str) -> str:
    return f"'{display(text)}'"


def _words(key: str) -> str:
    return key.replace("_", " ")


def _meta(name: str, companion: bytes | None) -> Mapping[str, str]:
    shown = _quoted(name + COMPANION_SUFFIX)

    def wrong(what: str) -> Unroutable:
        return Unroutable(Code.MISSING_VALUE, f"The companion file {shown} {what}.")

    if companion is None:
        raise wrong("is missing")
    if len(companion) > COMPANION_LIMIT:
        raise wrong("is larger than 64 KiB")
    try:
        content = json.loads(companion.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise wrong("cannot be read: it is not JSON") from None
    if not isinstance(content, dict):
        raise wrong("is not one object with names and texts")
    for key, value in content.items():
        if not isinstance(value, str):
            raise wrong(f"has a value that is not a text: {_quoted(key)}")
    return content
