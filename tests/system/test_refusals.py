"""Wrong usage is 2, and a configuration that cannot be used is 78 with every mistake told at once; later issues' words are unknown."""

from __future__ import annotations

import sqlite3

import pytest
from program import ask, call

USAGE, BAD_CONFIG = 2, 78


@pytest.fixture
def inbox(place):
    return place.route("arm")


@pytest.mark.parametrize(
    "arguments",
    [
        ("nonsense",),
        ("run", "--nonsense"),
        ("run", "--once", "--wait", "soon"),
        ("run", "extra"),
        ("show",),
        ("retry",),
        ("retry", "abcdef", "--all"),
        ("retry", "abcdef", "--route", "arm"),
        ("list", "--state", "asleep"),
        ("send", "no-such-file", "--route", "arm"),
        ("sandbox", "--port", "70000"),
        *((verb, "x") for verb in ("resolve", "fetch", "verify", "pause", "resume", "doctor", "web", "install-service")),
    ],
)
def test_wrong_usage(tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    done = ask(*arguments)
    assert done.returncode == USAGE, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_the_later_verbs_are_not_in_the_help():
    said = call("--help").stdout
    for verb in ("run", "check", "demo", "sandbox", "status", "list", "show", "retry", "send", "init", "schema"):
        assert f"\n  {verb} " in said
    for verb in ("resolve", "fetch", "verify", "pause", "doctor", "install-service"):
        assert f"\n  {verb} " not in said


@pytest.mark.parametrize(
    ("arguments", "variable", "found"),
    [
        (("-c", "PATH", "check"), None, True),
        (("check", "-c", "PATH"), None, True),
        (("--config", "PATH", "check"), None, True),
        (("check",), "PATH", True),
        (("-c", "/no/such", "check", "-c", "PATH"), "/no/such", True),
        (("-c", "/no/such", "check"), "PATH", False),
        (("check",), "/no/such", False),
        (("run",), "/no/such", False),
    ],
)
def test_where_the_configuration_is_named(place, inbox, monkeypatch, arguments, variable, found):
    path = str(place.write())
    if variable is None:
        monkeypatch.delenv("DROPD_CONFIG", raising=False)
    else:
        monkeypatch.setenv("DROPD_CONFIG", variable.replace("PATH", path))
    done = ask(*(argument.replace("PATH", path) for argument in arguments))
    if found:
        assert done.returncode == 0, done
        assert path in done.stdout
    else:
        assert done.returncode == BAD_CONFIG
        assert "/no/such" in done.stderr


@pytest.mark.parametrize("verb", [("run",), ("run", "--once"), ("check",), ("status",), ("list",)])
def test_every_mistake_is_told_at_once(place, inbox, verb):
    place.routes["arm"]["cleint_id"] = "1"
    place.routes["arm"]["settle"] = "soon"
    place.providers["office"]["auth"]["client_secret"] = "hunter2-in-the-clear"
    place.more["langauge"] = "en"
    done = place.ask(*verb)
    assert done.returncode == BAD_CONFIG
    for word in ("cleint_id", "client_id", "soon", "{env: NAME}", "langauge", "language"):
        assert word in done.stderr, word
    assert "hunter2" not in done.stderr
    assert all(line.startswith(f"{place.config}:") for line in done.stderr.splitlines()), done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("key", ["on_unconfirmed", "on_duplicate", "watch", "done_marker", "expect", "quiet_alarm", "keep"])
def test_keys_of_later_issues_are_unknown(place, inbox, key):
    place.routes["arm"][key] = "hold"
    done = place.ask("check")
    assert done.returncode == BAD_CONFIG
    assert key in done.stderr
    assert "unknown" in done.stderr or "no such" in done.stderr, done.stderr


def test_a_missing_secret(place, inbox):
    (place.root / "secrets" / "arm-secret").unlink()
    for verb in (("run",), ("run", "--once"), ("check",), ("check", "--login")):
        done = place.ask(*verb)
        assert done.returncode == BAD_CONFIG, verb
        assert "arm-secret" in done.stderr
    assert place.ask("status").returncode == 0, "reading needs no secret"


def test_a_ledger_newer_than_the_code(place, inbox):
    assert place.call("run", "--once").returncode == 0
    ledger = sqlite3.connect(place.state / "ledger.db")
    ledger.execute("PRAGMA user_version = 9999")
    ledger.commit()
    ledger.close()
    for verb in (("run",), ("run", "--once"), ("status",), ("list",), ("retry", "--all")):
        done = place.ask(*verb)
        assert done.returncode == BAD_CONFIG, (verb, done)
        assert "newer" in done.stderr
        assert "Traceback" not in done.stderr


def test_done_on_another_filesystem(place, inbox):
    place.routes["arm"]["done"] = "/proc/dropd"
    done = place.call("run")
    assert done.returncode == BAD_CONFIG, "as a process, so that systemd sees it"
    assert "done" in done.stderr
    assert "/proc" in done.stderr
