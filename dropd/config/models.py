"""The shape of the file as pydantic models: which keys there are, what kind of value each takes, and its default.

What one key means for another is in checks.py. No key of a route is required here, because it may stand in `defaults`.
"""

from __future__ import annotations

import re
import warnings
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from dropd.config.report import shown
from dropd.fields import Boolean, Duration, Size, Strict, parse_duration
from dropd.naming import nfc

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
NAME_RULE = "use letters, digits, dot, dash and underscore, starting with a letter or digit, at most 64"


class Subfolders(StrEnum):
    """Where below its inbox a route looks."""

    NONE = "false"
    ONE = "true"
    DEEP = "deep"


def _name(value: Any) -> Any:
    if isinstance(value, str) and not NAME.fullmatch(value):
        raise ValueError(f"{shown(value)} cannot be a name; {NAME_RULE}")
    return value


def _pause(value: Any) -> float:
    seconds = parse_duration(value)
    if seconds <= 0:
        raise ValueError(f"{str(value)!r} would look without ever resting; write a time above zero, like 30s")
    return seconds


def _subfolders(value: Any) -> Subfolders:
    try:
        return Subfolders(value)
    except (ValueError, TypeError):
        raise ValueError("this is none of the three ways to look below an inbox; write false, true or deep") from None


def _patterns(value: Any) -> Any:
    if value == []:
        raise ValueError('no pattern stands here, so no file would ever fit; write ["*"] or leave the key out')
    return value


def _glob(value: Any) -> Any:
    if isinstance(value, str) and "/" in value:
        raise ValueError('a pattern is held against the name alone, and no name has a "/"; write it like "*.csv"')
    return value


def compiled(text: str) -> re.Pattern[str]:
    """Raises ValueError in words for a person. In composed form, as names are compared."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "possible nested set" and the like are no mistakes today
        try:
            return re.compile(nfc(text))
        except re.error as error:
            where = f" at character {error.pos + 1}" if error.pos is not None else ""
            raise ValueError(
                f"this is not a regular expression ({error.msg}{where}); correct it, a literal . ( or [ needs a \\ before it"
            ) from None
        except (OverflowError, RecursionError):
            raise ValueError("this regular expression is too large; write a simpler one") from None


def _regex(value: Any) -> Any:
    if isinstance(value, str):
        compiled(value)
    return value


def _allowed(value: Any) -> Any:
    """One regular expression, or a list of exact texts."""
    if isinstance(value, str):
        compiled(value)
    elif not isinstance(value, list) or not value or not all(isinstance(text, str) for text in value):
        raise ValueError('neither a regular expression nor a list of texts stands here; write "22[0-9]{2}" or ["2218", "2219"]')
    return value


Name = Annotated[str, BeforeValidator(_name), WithJsonSchema({"type": "string", "pattern": f"^{NAME.pattern}$"})]
Id = Annotated[str, WithJsonSchema({"type": ["string", "integer"]})]
Glob = Annotated[str, BeforeValidator(_glob)]
Regex = Annotated[str, BeforeValidator(_regex), WithJsonSchema({"type": "string", "format": "regex"})]
Allowed = Annotated[
    Any,
    BeforeValidator(_allowed),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "regex"}, {"type": "array", "items": {"type": "string"}}]}),
]
Pause = Annotated[
    float,
    BeforeValidator(_pause),
    WithJsonSchema({"type": "string", "pattern": r"^(\d+(\.\d+)?(ms|s|m|h|d))+$", "examples": ["30s"]}),
]
Below = Annotated[Subfolders, BeforeValidator(_subfolders), WithJsonSchema({"enum": [False, True, "false", "true", "deep"]})]


class LogPart(Strict):
    """What dropd writes about itself."""

    format: Literal["auto", "console", "json"] = Field(default="auto", description="auto: console on a terminal, JSON otherwise")
    level: Literal["debug", "info", "warning", "error"] = "info"


class DefaultsPart(Strict):
    """The keys of a route that may also stand in `defaults`; a route's own key replaces the default as a whole."""

    provider: str | None = Field(default=None, description="a name under providers")
    file_type: Id | None = None
    client_id: Id | None = None
    account_id: Id | None = None
    reference_id: Id | None = None
    domain: Id | None = None
    dotted_path: Id | None = None
    extra_fields: dict[str, Id] = Field(default={}, description="further fields that are sent along")
    allow: dict[str, Allowed] = Field(default={}, description="per id: a regular expression, or a list, that its value must fit")
    match: Annotated[list[Glob], BeforeValidator(_patterns)] = Field(
        default=["*"], description="globs for the names of files that are taken"
    )
    ignore: list[Glob] = Field(default=[], description="globs for names that are passed over, beside the usual temporary names")
    name_pattern: Regex | None = Field(default=None, description="must fit the whole name; its named groups are placeholders")
    subfolders: Below = Field(
        default=Subfolders.NONE, description="false: the inbox alone, true: one level below it too, deep: all levels"
    )
    done: str | None = Field(default=None, description="where delivered files go; done inside the inbox")
    failed: str | None = Field(default=None, description="where files go that were not delivered; failed inside the inbox")
    settle: Duration = Field(default=2.0, description="a file is complete when it has not changed for so long")
    scan_every: Pause = Field(default=30.0, description="how often the whole inbox is looked through")
    max_size: Size | None = Field(default=None, description="larger files are refused")
    allow_empty: Boolean = Field(default=False, description="whether files of 0 bytes are delivered")


class RoutePart(DefaultsPart):
    """One row of the routing table."""

    name: Name | None = None
    inbox: str | None = Field(default=None, description="the folder that files are dropped into")


class FilePart(Strict):
    """The whole file. What stands below each name in `providers` depends on its type and is checked against that type's own model."""

    state_dir: str = Field(default="/var/lib/dropd", description="the ledger and the lock; not on a network filesystem")
    language: Literal["en"] = Field(default="en", description="of summary and advice")
    log: LogPart = LogPart()
    providers: dict[str, dict[str, Any]] = Field(default={}, description="a name of your own -> one account at a vendor")
    defaults: DefaultsPart = DefaultsPart()
    routes: list[RoutePart] = Field(default=[], description="inbox -> provider, file type and ids")


ROUTE_IDS = ("client_id", "account_id", "reference_id", "file_type", "domain", "dotted_path")
ROUTE_KEYS = tuple(RoutePart.model_fields)
