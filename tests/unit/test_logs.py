"""What reaches a log: nothing secret, nothing that harms a terminal, JSON of a stable shape, and a story line for every event."""

from __future__ import annotations

import ast
import fcntl
import io
import json
import logging
import os
import pty
import re
import struct
import termios
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

import dropd
from dropd.model import Code
from dropd.observe.logs import STORIES, Redactor, Story, configure

SOURCES = Path(dropd.__file__).parent
LEVELS = ("debug", "info", "warning", "error")
EVIL = "a\x1b]0;owned\x07\x1b[2J\r\n\u202efdp.exe\udcff"
ESCAPED = "a\\x1b]0;owned\\x07\\x1b[2J\\x0d\\x0a\\u202efdp.exe\\xff"


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before, level, own = root.handlers[:], root.level, logging.getLogger("dropd").level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    logging.getLogger("dropd").setLevel(own)
    structlog.reset_defaults()


def logged(style: str = "json", level: str = "info", redactor: Redactor | None = None) -> tuple[Any, io.StringIO]:
    out = io.StringIO()
    return configure(style=style, level=level, redactor=redactor or Redactor(), stream=out), out


def events(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


# ------------------------------------------------------------------------------------------------ JSON


def test_an_event_is_one_json_object_with_its_name_level_and_a_time_with_offset():
    log, out = logged()
    log.info("taken", drop="0193", route="r", file="ø.csv", size=20)
    (event,) = events(out)
    assert datetime.fromisoformat(event.pop("timestamp")).utcoffset() is not None
    assert event == {"level": "info", "event": "taken", "drop": "0193", "route": "r", "file": "ø.csv", "size": 20}
    assert list(events(out)[0])[:3] == ["timestamp", "level", "event"]


def test_every_event_of_the_code_is_snake_case():
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", name) for name in emitted())


def test_bound_fields_and_values_of_any_kind_come_through():
    log, out = logged()
    log.bind(drop="1").warning("left", path=Path("/x"), when=1.5, none=None, yes=True, many=("a", 1), deep={"k": [EVIL]})
    (event,) = events(out)
    assert (event["drop"], event["path"], event["when"], event["none"], event["yes"]) == ("1", "/x", 1.5, None, True)
    assert event["many"] == ["a", 1]
    assert event["deep"] == {"k": [ESCAPED]}


@pytest.mark.parametrize(("level", "heard"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_level_decides_what_is_heard(level, heard):
    log, out = logged(level=level)
    for name in LEVELS:
        getattr(log, name)("some_event")
    assert len(events(out)) == heard


def test_libraries_are_heard_from_warning_up_and_redacted_too():
    redactor = Redactor()
    redactor.learn("hunter22")
    _, out = logged(redactor=redactor)
    logging.getLogger("httpx").info("GET https://x/?token=1")
    logging.getLogger("httpx").warning("bad %s at https://host/path?X-Amz-Signature=abc", "hunter22")
    (event,) = events(out)
    assert event["event"] == "bad *** at https://host/path?***"
    assert event["logger"] == "httpx"


def test_a_traceback_is_kept_with_its_lines_and_without_secrets():
    redactor = Redactor()
    redactor.learn("hunter22")
    log, out = logged(redactor=redactor)
    try:
        raise ValueError("hunter22 \x1b[2J")
    except ValueError:
        log.exception("broke")
    (event,) = events(out)
    assert event["exception"].startswith("Traceback (most recent call last):\n")
    assert "hunter22" not in out.getvalue()
    assert event["exception"].endswith("ValueError: *** \\x1b[2J")


# ------------------------------------------------------------------------------------------------ secrets


@pytest.mark.parametrize("style", ["json", "console"])
def test_a_secret_is_redacted_wherever_it_stands(style):
    redactor = Redactor()
    redactor.learn("s3cr3t-value")
    log, out = logged(style, redactor=redactor)
    log.warning("some_event", reason="got s3cr3t-value", deep=[{"s3cr3t-value": "s3cr3t-value"}], path=Path("/s3cr3t-value"))
    log.warning("later", file="x s3cr3t-value", reason="s3cr3t-value")
    assert "s3cr3t-value" not in out.getvalue()
    assert "***" in out.getvalue()


def test_each_line_of_a_key_is_a_secret_of_its_own():
    redactor = Redactor()
    redactor.learn("-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqG\nSM49AgEGCCqGSM49\n-----END PRIVATE KEY-----\n")
    log, out = logged(redactor=redactor)
    log.error("some_event", reason="-----BEGIN PRIVATE KEY----- SM49AgEGCCqGSM49 MIGHAgEAMBMGByqG")
    assert events(out)[0]["reason"] == "-----BEGIN PRIVATE KEY----- *** ***"


def test_a_longer_secret_is_redacted_before_a_shorter_one_within_it():
    redactor = Redactor()
    redactor.learn("abcd")
    redactor.learn("abcdefgh")
    log, out = logged(redactor=redactor)
    log.info("some_event", reason="abcdefgh abcd abc")
    assert events(out)[0]["reason"] == "*** *** abc"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdefghijklmnop.qr-_~+/=", "Authorization: Bearer ***"),
        ("basic dXNlcjpwYXNzd29yZA==", "basic ***"),
        ("token eyJhbGciOiJFUzI1NiJ9.eyJhcGkiOiJ4In0.c2ln", "token ***"),
        ("PUT https://s3/x?X-Amz-Signature=1&a=b failed", "PUT https://s3/x?*** failed"),
        ("https://host/path stays", "https://host/path stays"),
        ("a Bearer of news", "a Bearer of news"),
    ],
)
def test_what_looks_like_a_secret_is_redacted_although_nobody_named_it(text, shown):
    log, out = logged()
    log.info("some_event", reason=text)
    assert events(out)[0]["reason"] == shown


# ------------------------------------------------------------------------------------------------ the story


def emitted() -> set[str]:
    """Every event's name in the code: those said to a log, and the steps that are said by their names."""
    names = {str(code) for code in Code} - {"unconfirmed"}
    for path in SOURCES.rglob("*.py"):
        tree = ast.parse(path.read_text())
        if "sandbox" not in path.parts:
            names |= {name for node in ast.walk(tree) if isinstance(node, ast.Call) and (name := said_to_a_log(node))}
            assigned = (
                node for node in ast.walk(tree) if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "event"
            )
            names |= {str(node.value.value) for node in assigned if isinstance(node.value, ast.Constant)}
        if path.name == "policy.py":
            names |= steps(tree)
        if path.name == "recovery.py":
            names |= steps(next(n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == "_died_sending"))
    return names


def said_to_a_log(call: ast.Call) -> str | None:
    """`log.info("name")`, `(log.info if calm else log.warning)("name")`, `told("name")`."""
    speaks = isinstance(call.func, ast.IfExp) or getattr(call.func, "attr", getattr(call.func, "id", "")) in (*LEVELS, "told")
    first = call.args[0] if call.args else None
    return first.value if speaks and isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def steps(tree: ast.AST) -> set[str]:
    keywords = (keyword for node in ast.walk(tree) if isinstance(node, ast.Call) for keyword in node.keywords)
    return {str(k.value.value) for k in keywords if k.arg == "event" and isinstance(k.value, ast.Constant)}


def told(event: str, *, level: str = "info", width: int | None = None, colors: bool = False, **fields: Any) -> str:
    story = Story(colors=colors, width=None if width is None else lambda: width)
    return story(None, "", {"timestamp": "2026-11-20T14:03:02.123+01:00", "level": level, "event": event, **fields})


def test_the_events_of_the_code_are_found():
    assert {"taken", "filed", "later", "paused", "inbox_red", "orphan_held", "died_sending", "stopped", "held"} <= emitted()


def test_every_event_that_the_code_emits_has_a_story_line():
    """A new event without one: add it to STORIES in dropd/observe/logs.py."""
    kinds = {"paused": ("busy", "down", "login", "forbidden")}
    wanted = {f"{name}.{kind}" for name, several in kinds.items() for kind in several} | (emitted() - kinds.keys())
    assert wanted - STORIES.keys() == set()


@pytest.mark.parametrize("name", sorted(STORIES))
def test_a_story_line_says_who_and_what_and_survives_missing_fields(name):
    event, _, kind = name.partition(".")
    full = told(
        event, kind=kind, drop="0193-uuid", file="x.csv", route="acme", provider="arm", reason="the reason", size=20480,
        folder="/srv/acme/done", filed_as="x.csv", routes=4, unfinished=1, next_try_in=1.5, paused_for=3.0, looked_at_every=30.0,
    )  # fmt: skip
    assert full.startswith("14:03:02  x.csv  ")
    assert "{" not in full
    assert "0193" not in full
    assert told(event, kind=kind).startswith("14:03:02  dropd")


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ("invoices.csv              taken from acme-invoices (20.5 KB)", {"event": "taken", "route": "acme-invoices", "size": 20480}),
        ("invoices.csv              accepted by arm", {"event": "accepted", "provider": "arm"}),
        ("invoices.csv              refused: no such client", {"event": "refused", "reason": "no such client"}),
        ("invoices.csv              filed in done/", {"event": "filed", "folder": "/srv/a/done", "filed_as": "invoices.csv"}),
        ("invoices.csv              filed in failed/ as invoices 1.csv",
         {"event": "filed", "folder": "/srv/a/failed", "filed_as": "invoices 1.csv"}),
        ("invoices.csv              filed in done/2026/11/acc-1/",
         {"event": "filed", "folder": "/srv/a/done/2026/11/acc-1", "filed_as": "invoices.csv"}),
        ("invoices.csv              filed in /archive/", {"event": "filed", "folder": "/archive", "filed_as": "invoices.csv"}),
        ("invoices.csv              some new thing route=r reason=why", {"event": "some_new_thing", "route": "r", "reason": "why"}),
    ],
)  # fmt: skip
def test_a_drop_is_told_in_words(line, event):
    assert told(event.pop("event"), file="invoices.csv", **event) == f"14:03:02  {line}"


def test_what_concerns_no_file_is_told_of_the_provider_the_route_or_dropd_itself():
    assert told("started", routes=1) == "14:03:02  dropd                     looks after 1 inbox; Ctrl-C ends it"
    assert told("paused", provider="arm", kind="busy", next_try_in=5.1, reason="x").split(maxsplit=2)[1:] == [
        "arm", "busy: its drops wait, next try in 5.1 s",
    ]  # fmt: skip
    assert told("inbox_red", route="acme", inbox="/srv", reason="it is gone").split(maxsplit=2)[1:] == [
        "acme", "its inbox cannot be used: it is gone",
    ]  # fmt: skip


def test_a_long_line_is_broken_below_its_text_and_a_long_name_loses_its_middle():
    name = "6867da7788b9226bb78d716c-original-invoice.pdf"
    lines = told("later", width=80, file=name, reason="The vendor answered 503: " + "busy " * 20).splitlines()
    assert len(lines) > 2
    assert all(len(line) < 80 for line in lines)
    assert lines[0].startswith("14:03:02  6867da7788b…-invoice.pdf  not delivered yet")
    assert all(line.startswith(" " * 36) and line[36] != " " for line in lines[1:])


def test_wide_characters_keep_the_columns():
    lines = [told("accepted", width=80, file=name, provider="arm") for name in ("請求書.pdf", "請求書" * 20 + ".pdf", "a.pdf")]
    from rich.cells import cell_len

    assert {cell_len(line.split("accepted")[0]) for line in lines} == {36}


def test_without_a_terminal_nothing_is_broken_shortened_or_colored():
    line = told("later", level="warning", file="n" * 60, reason="r" * 200)
    assert "\n" not in line
    assert "\033" not in line
    assert "n" * 60 in line
    assert "r" * 200 in line


@pytest.mark.parametrize("style", ["console", "json"])
def test_names_and_reasons_cannot_steer_a_terminal(style):
    log, out = logged(style)
    for name in sorted({name.partition(".")[0] for name in STORIES}):
        log.error(
            name, file=EVIL, route=EVIL, provider=EVIL, reason=EVIL, folder=f"/{EVIL}", filed_as=EVIL, kind="busy", inbox=EVIL
        )
    log.error("unknown_event", **{EVIL: EVIL})
    text = out.getvalue()
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\ud800-\udfff]", text)
    assert len(text.splitlines()) == len({name.partition(".")[0] for name in STORIES}) + 1
    assert ESCAPED.replace("\\", "\\\\" if style == "json" else "\\") in text


def test_colors_say_how_it_went():
    assert "\033[32m" in told("accepted", colors=True, provider="arm")
    assert "\033[32m" in told("filed", colors=True, state="done", folder="/done")
    assert "\033[31m" in told("refused", colors=True, reason="no")
    assert "\033[33m" in told("later", colors=True, level="warning", reason="busy")
    assert "\033[3" not in told("taken", colors=True, route="r", size=1)


# ------------------------------------------------------------------------------------------------ the format


def on_a_terminal(style: str, monkeypatch: pytest.MonkeyPatch, **env: str) -> str:
    """What one event looks like on a real (pseudo) terminal of 100 columns."""
    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    master, slave = pty.openpty()
    try:
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        with open(slave, "w", encoding="utf-8") as out:
            configure(style=style, level="info", redactor=Redactor(), stream=out).warning("later", file="x.csv", reason="r " * 60)
            return os.read(master, 10_000).decode()
    finally:
        os.close(master)


def test_auto_is_a_story_on_a_terminal_and_json_elsewhere(monkeypatch):
    assert "not delivered yet" in on_a_terminal("auto", monkeypatch)
    log, out = logged("auto")
    log.info("started", routes=1)
    assert events(out)[0]["event"] == "started"


def test_json_stays_json_on_a_terminal(monkeypatch):
    assert json.loads(on_a_terminal("json", monkeypatch))["event"] == "later"


def test_console_is_a_story_without_a_terminal_too():
    log, out = logged("console")
    log.info("started", routes=1)
    assert "looks after 1 inbox" in out.getvalue()


def test_a_terminal_gets_lines_of_its_own_width_and_colors_unless_unwanted(monkeypatch):
    shown = on_a_terminal("auto", monkeypatch, TERM="xterm")
    assert "\033[33m" in shown
    assert all(len(re.sub(r"\033\[\d+m", "", line)) < 100 for line in shown.splitlines())
    assert len(shown.splitlines()) > 1
    assert "\033" not in on_a_terminal("auto", monkeypatch, NO_COLOR="1")
    assert "\033" not in on_a_terminal("auto", monkeypatch, TERM="dumb")
