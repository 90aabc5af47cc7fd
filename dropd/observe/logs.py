"""Logs: stable snake_case events with fields, as JSON for machines or as a drop's story on a terminal; never a secret.

Every text passes a redaction processor, and control characters are escaped: names come from anybody.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import textwrap
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from typing import Any, TextIO

import structlog

from dropd import wording
from dropd.model import Code
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
        """Keys that begin with an underscore are structlog's own and never written."""
        clean: Event = {}
        for key, value in event.items():
            own = key.startswith("_")
            clean[key if own else self._clean(key)] = value if own else self._clean(value)
        if isinstance(trace := event.get("exception"), str):  # its line ends are ours, what stands between them may be anybody's
            clean["exception"] = "\n".join(self._clean(line) for line in trace.splitlines())
        return clean

    def _clean(self, value: Any) -> Any:
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {str(self._clean(str(key))): self._clean(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self._clean(item) for item in value]
        text = str(value)
        for secret in self._secrets:
            text = text.replace(secret, "***")
        for pattern, instead in _LOOKS_SECRET:
            text = pattern.sub(instead, text)
        return display(text)


def configure(*, style: str, level: str, redactor: Redactor, stream: TextIO | None = None) -> structlog.stdlib.BoundLogger:
    """`style`: auto, console or json. Everything goes to `stream`, standard error if none is given; libraries speak from warning up."""
    out = stream if stream is not None else sys.stderr
    shared: list[Any] = [structlog.stdlib.add_log_level, _stamp, structlog.processors.format_exc_info, redactor]
    if style == "console" or (style == "auto" and out.isatty()):
        last: list[Any] = [Story.on(out)]
    else:
        last = [_in_order, structlog.processors.JSONRenderer(ensure_ascii=False)]
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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)  # httpx and friends tell each request otherwise, URLs and all
    logging.getLogger("dropd").setLevel(level.upper())
    return structlog.stdlib.get_logger("dropd")


def _stamp(_logger: object, _method: str, event: Event) -> Event:
    """RFC 3339 with offset, in local time: structlog's own stamp of local time has no offset."""
    event["timestamp"] = datetime.now().astimezone().isoformat(timespec="milliseconds")
    return event


def _in_order(_logger: object, _method: str, event: Event) -> Event:
    """When, how bad and what first, for those who read JSON with their eyes."""
    return {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event} | dict(event)


# ------------------------------------------------------------------------------------------------ the story on a terminal

_GREEN, _YELLOW, _RED, _DIM, _PLAIN = "\033[32m", "\033[33m", "\033[31m", "\033[2m", "\033[0m"
_FIRST = ("file", "route", "provider", "reason")
_NARROWEST = 60  # columns; below, the terminal wraps better than we do


def _columns(out: TextIO) -> int:
    try:
        return os.get_terminal_size(out.fileno()).columns
    except (OSError, ValueError):  # it went away, or never was a file
        return 80


class Story:
    """One line per event, as a person follows drops on a terminal: when, who, and what became of it."""

    def __init__(self, *, colors: bool, width: Callable[[], int] | None = None) -> None:
        """`width`: the terminal's columns now, to break long lines and shorten long names; None: lines are left whole."""
        from rich.cells import cell_len

        self._colors = colors
        self._width = width
        self._cells = cell_len

    @classmethod
    def on(cls, out: TextIO) -> Story:
        if not out.isatty():
            return cls(colors=False)
        colors = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return cls(colors=colors, width=lambda: _columns(out))

    def __call__(self, _logger: object, _method: str, event: Event) -> str:
        name = str(event.get("event", ""))
        trace = event.get("exception")
        color = self._color(name, event)
        first, *rest = self._broken(self._subject(event), _told(name, event))
        at = self._painted(_DIM, str(event.get("timestamp", ""))[11:19])
        lines = [
            f"{at}  {first[0]}{self._painted(color, first[1])}",
            *(f"{space}{self._painted(color, text)}" for space, text in rest),
        ]
        return "\n".join(lines) + (f"\n{trace}" if trace else "")

    def _broken(self, subject: str, text: str) -> list[tuple[str, str]]:
        """The lines, each as what stands left of the text and the text itself."""
        width = self._width() if self._width is not None else 0
        column = min(max(24, width * 3 // 10), 40)
        if width < _NARROWEST:
            return [(self._padded(subject, column), text)]
        subject = self._shortened(subject, column)
        room = width - 10 - column - 2 - 1
        lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False, replace_whitespace=False) or [""]
        return [(self._padded(subject, column), lines[0]), *((" " * (10 + column + 2), line) for line in lines[1:])]

    def _padded(self, subject: str, column: int) -> str:
        return subject + " " * (max(0, column - self._cells(subject)) + 2)

    def _shortened(self, subject: str, column: int) -> str:
        """A long name loses its middle: what tells two files apart stands at the beginning and at the end."""
        left, right = subject[: len(subject) // 2], subject[len(subject) // 2 :]
        if self._cells(subject) <= column:
            return subject
        while self._cells(left + right) >= column:
            left, right = (left[:-1], right) if self._cells(left) >= self._cells(right) else (left, right[1:])
        return f"{left}…{right}"

    def _painted(self, color: str, text: str) -> str:
        return f"{color}{text}{_PLAIN}" if self._colors and color else text

    @staticmethod
    def _color(name: str, event: Event) -> str:
        if name in _BAD or event.get("level") in ("error", "critical"):
            return _RED
        if name == "accepted" or event.get("state") == "done":
            return _GREEN
        return _YELLOW if event.get("level") == "warning" else ""

    @staticmethod
    def _subject(event: Event) -> str:
        return str(event.get("file") or event.get("provider") or event.get("route") or event.get("logger") or "dropd")


def _told(name: str, event: Event) -> str:
    """What happened, in words; an event without a story reads as its name and fields."""
    story = STORIES.get(f"{name}.{event.get('kind')}") or STORIES.get(name)
    if story is None:
        return _plain(name, event)
    fields = _Fields(event)
    if isinstance(size := event.get("size"), int):
        fields["size"] = wording.size(size)
    for key, (one, many) in {"routes": ("inbox", "inboxes"), "unfinished": ("drop", "drops")}.items():
        fields[key] = f"{event.get(key)} {one if event.get(key) == 1 else many}"
    fields["place"] = _place(str(event.get("folder", "")), str(event.get("file", "")), str(event.get("filed_as", "")))
    return story.format_map(fields).removesuffix(": ")


def _place(folder: str, file: str, filed_as: str) -> str:
    """`done/`, or `done/acc-1/`; the whole path where done and failed have other names. With the new name, if it got one."""
    parts = folder.split("/")
    known = [number for number, part in enumerate(parts) if part in ("done", "failed")]
    shown = "/".join(parts[known[-1] :]) if known else folder
    return f"{shown}/" if file.rpartition("/")[2] == filed_as else f"{shown}/ as {filed_as}"


def _plain(name: str, event: Event) -> str:
    own = ("timestamp", "level", "event", "exception", "logger", "drop", _shown_as_subject(event))
    fields = sorted((key for key in event if key not in own), key=lambda key: (_FIRST.index(key) if key in _FIRST else 9, key))
    words = name.replace("_", " ") if re.fullmatch(r"[a-z_]+", name) else name
    return " ".join([words, *(f"{key}={event[key]}" for key in fields if event[key] not in (None, ""))])


def _shown_as_subject(event: Event) -> str:
    return next((key for key in ("file", "provider", "route") if event.get(key)), "")


class _Fields(dict[str, Any]):
    """A field that an event does not have reads as nothing."""

    def __missing__(self, key: str) -> str:
        return ""


_BAD = frozenset({*map(str, Code), "held"} - {Code.DUPLICATE, Code.UNCONFIRMED})
_NOT_SENT = dict.fromkeys(
    ("too_large", "empty", "wrong_type", "name_pattern", "missing_value", "not_allowed"), "not delivered: {reason}"
)

STORIES: Mapping[str, str] = {
    **_NOT_SENT,
    "started": "looks after {routes}; Ctrl-C ends it",
    "recovered": "goes on with {unfinished} from before",
    "account_gone": "the configuration does not name this account any more: {unfinished} from before cannot go on",
    "stopped": "has stopped",
    "taken": "taken from {route} ({size})",
    "released": "left in the inbox of {route}: {reason}",
    "still_growing": "still being written to ({size})",
    "left_alone": "left alone in the inbox of {route}: {reason}",
    "ready": "ready to be sent",
    "preparing_failed": "cannot be prepared, tried again soon: {reason}",
    "accepted": "accepted by {provider}",
    "pending": "{provider} has it, and has not decided yet",
    "later": "not delivered yet, tried again: {reason}",
    "absent": "{provider} does not have it, sent again: {reason}",
    "misconfigured": "waits, as the fault is not in the file: {reason}",
    "refused": "refused: {reason}",
    "changed_while_sending": "changed while it was sent, so it was not delivered: {reason}",
    "gave_up": "given up: {reason}",
    "duplicate": "not sent again: the same content was sent there before",
    "file_missing": "has disappeared: {reason}",
    "unconfirmed": "it may have arrived: {reason}",
    "held": "never sent twice on a guess: a person has to look",
    "filed": "filed in {place}",
    "filing_failed": "cannot be filed yet, tried again soon: {reason}",
    "paused.busy": "busy: its drops wait, next try in {next_try_in} s",
    "paused.down": "out of reach: its drops wait, next try in {next_try_in} s: {reason}",
    "paused.login": "login refused: its drops wait, next try in {next_try_in} s: {reason}",
    "paused.forbidden": "one target is barred: its drops wait, next try in {next_try_in} s: {reason}",
    "resumed": "goes on after {paused_for} s",
    "inbox_red": "its inbox cannot be used: {reason}",
    "inbox_well_again": "its inbox can be used again",
    "not_watched": "no word comes when something is dropped here, looked at every {looked_at_every} s: {reason}",
    "surely_not_sent": "was not sent yet when dropd ended: sent now",
    "to_be_confirmed": "was sent when dropd ended: its provider is asked",
    "died_sending": "was being sent when dropd ended: it may have arrived",
    "orphan_held": "not sent, a person has to look whether it arrived: {reason}",
    "left_in_work": "lies in the work folder although its drop is finished; left there",
}
"""What a terminal shows of each event, after its subject. `paused` has one per kind."""
