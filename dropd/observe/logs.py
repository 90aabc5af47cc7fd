"""Logs: stable snake_case events with fields, as JSON for machines or as a drop's story on a terminal; never a secret.

Every text passes a redaction processor, and control characters are escaped: names come from anybody.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, ClassVar, TextIO

import structlog

from dropd.naming import display

Event = MutableMapping[str, Any]

_LOOKS_SECRET = (
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{12,}", re.IGNORECASE), r"\1 ***"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+(?:\.[\w-]*)?"), "***"),
    (re.compile(r"(https?://[^\s?#\"'<>]+)\?[^\s\"'<>]+"), r"\1?***"),
)


class Redactor:
    """Knows the secrets of the process; a processor of structlog's."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def learn(self, secret: str) -> str:
        """Remember a secret, and return it. Texts of three characters and less would redact half of every line."""
        pieces = {line for line in secret.splitlines() if not line.startswith("-----")}
        self._secrets = tuple(sorted({*self._secrets, *(piece for piece in pieces if len(piece) > 3)}, key=len, reverse=True))
        return secret

    def __call__(self, _logger: object, _method: str, event: Event) -> Event:
        return {key: self._clean(value) for key, value in event.items()}

    def _clean(self, value: Any) -> Any:
        if isinstance(value, str):
            for secret in self._secrets:
                value = value.replace(secret, "***")
            for pattern, instead in _LOOKS_SECRET:
                value = pattern.sub(instead, value)
            return display(value)
        if isinstance(value, Mapping):
            return {str(self._clean(str(key))): self._clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(item) for item in value]
        return value


def configure(*, style: str, level: str, redactor: Redactor, stream: TextIO | None = None) -> structlog.stdlib.BoundLogger:
    """`style`: auto, console or json. Everything goes to `stream`, standard error if none is given; libraries speak from warning up."""
    out = stream if stream is not None else sys.stderr
    on_terminal = style == "console" or (style == "auto" and out.isatty())
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=False),
        structlog.processors.format_exc_info,
        redactor,
    ]
    renderer: Callable[..., Any] = (
        Story(colors=out.isatty()) if on_terminal else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # httpx and friends tell each request otherwise, URLs and all
    logging.getLogger("dropd").setLevel(level.upper())
    return structlog.stdlib.get_logger("dropd")


class Story:
    """One line per event, as a person follows a drop on a terminal."""

    _COLORS: ClassVar[Mapping[str, str]] = {"warning": "\033[33m", "error": "\033[31m", "critical": "\033[31m"}
    _FIRST = ("file", "route", "provider", "reason")

    def __init__(self, *, colors: bool) -> None:
        self._colors = colors

    def __call__(self, _logger: object, _method: str, event: Event) -> str:
        at = str(event.pop("timestamp", ""))[11:19]
        level = str(event.pop("level", "info"))
        name = str(event.pop("event", ""))
        trace = event.pop("exception", None)
        event.pop("logger", None)
        text = _STORIES[name].format_map(_Blank(event)) if name in _STORIES else self._plain(name, event)
        if self._colors and level in self._COLORS:
            text = f"{self._COLORS[level]}{text}\033[0m"
        return f"{at}  {text}" + (f"\n{trace}" if trace else "")

    def _plain(self, name: str, event: Event) -> str:
        fields = sorted(event, key=lambda key: (self._FIRST.index(key) if key in self._FIRST else 9, key))
        return " ".join([name.replace("_", " "), *(f"{key}={event[key]}" for key in fields if event[key] not in (None, ""))])


class _Blank(dict[str, Any]):
    """A field that an event does not have reads as nothing."""

    def __missing__(self, key: str) -> str:
        return ""


_STORIES = {
    "started": "dropd {version} looks after {routes} inboxes; stop it with Ctrl-C",
    "stopped": "dropd has stopped",
    "taken": "{file}: taken from {route} ({size} bytes)",
    "released": "{file}: left in the inbox of {route}: {reason}",
    "accepted": "{file}: accepted by {provider}",
    "pending": "{file}: {provider} has it and has not decided yet",
    "later": "{file}: not delivered yet, tried again: {reason}",
    "refused": "{file}: refused: {reason}",
    "unconfirmed": "{file}: sent, but no answer came back: {reason}",
    "held": "{file}: held, since it is not certain whether it arrived",
    "filed": "{file}: filed as {folder}/{filed_as}",
    "paused": "{provider} waits ({kind}): {reason}; next try in {next_try_in} s",
    "resumed": "{provider} goes on after {paused_for} s",
    "left_alone": "{file}: left alone in the inbox of {route}: {reason}",
    "inbox_red": "the inbox of {route} cannot be used: {reason}",
    "inbox_well_again": "the inbox of {route} is well again",
}
