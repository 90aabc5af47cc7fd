"""`dropd demo` as a newcomer and a build machine start it: what it promises on the terminal is true, and nothing is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
from pathlib import Path

import pytest
from program import PATIENCE, eventually

from dropd.demo.files import chapters
from dropd.demo.proof import differences
from dropd.sandbox import Sandbox

ESCAPE = re.compile(r"\x1b\[[\d;]*m")
FILES = [file for chapter in chapters() for file in chapter.files]
COUNT = {end: sum(file.ends == end for file in FILES) for end in ("delivered", "failed", "duplicate", "unconfirmed")}


def started(tmp_path: Path, *arguments: str, **options) -> subprocess.Popen[str]:
    """The real program, with a temporary folder of its own, so that what it leaves is seen."""
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONWARNINGS": "error"}
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        env.pop(name, None)
    return subprocess.Popen(
        [sys.executable, "-m", "dropd", "demo", *arguments], text=True, env=env | options.pop("env", {}), **options
    )


def ended(tmp_path: Path, *arguments: str) -> tuple[int, str, str]:
    with started(tmp_path, *arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def test_without_a_terminal_it_tells_the_whole_story_and_proves_it(tmp_path):
    code, out, err = ended(tmp_path)
    assert (code, err) == (0, ""), out
    assert "\x1b" not in out
    verdict = " ".join(out[out.index("All as it should be") :].split())
    assert f"{COUNT['delivered']} files delivered, {COUNT['failed']} refused, {COUNT['duplicate']} not sent twice" in verdict
    assert f"The vendors have {COUNT['delivered'] + COUNT['unconfirmed']} files, each exactly once" in verdict
    for file in FILES:
        told = [line for line in out.splitlines() if re.match(rf"\d\d:\d\d:\d\d  {re.escape(file.path)}  ", line)]
        assert "taken from" in told[0]
        assert f"filed in {'done' if file.ends == 'delivered' else 'failed'}/" in told[-1]
    for words in ("busy: its drops wait", "goes on after", "refused:", "the same content was sent", "a person has to look"):
        assert words in out, words
    for status in COUNT:
        assert re.search(rf"^  status +{status}  \(", out, re.MULTILINE), status
    assert list(tmp_path.iterdir()) == []


def test_it_is_json_and_tracebacks_nowhere_and_no_uuid_is_noise(tmp_path):
    _, out, _ = ended(tmp_path)
    assert "Traceback" not in out
    assert '{"' not in out
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-", out)


def test_an_output_that_knows_ascii_alone_is_no_reason_to_fail(tmp_path):
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with started(tmp_path, env={"PYTHONIOENCODING": "ascii"}, **pipes) as process:
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, out
    assert out.isascii()


def test_keep_leaves_the_folders_and_says_where(tmp_path):
    code, out, _ = ended(tmp_path, "--keep")
    assert code == 0
    (root,) = tmp_path.iterdir()
    assert f"The folders are in {root}" in out
    for file in FILES:
        filed = root / file.inbox / ("done" if file.ends == "delivered" else "failed") / file.path
        assert filed.read_bytes() == file.content
        assert json.loads(filed.with_name(f"{filed.name}.result.json").read_text())["status"] == file.ends
    listed = subprocess.run(
        [sys.executable, "-m", "dropd", "list", "-c", str(root / "config.yaml")], capture_output=True, text=True, check=True
    ).stdout
    assert all(file.path in listed for file in FILES)


@pytest.mark.parametrize("columns", [80, 120])
def test_on_a_terminal_it_is_colored_and_nothing_runs_over_the_edge(tmp_path, columns):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = started(tmp_path, stdin=slave, stdout=slave, stderr=slave, env={"TERM": "xterm-256color"})
    os.close(slave)
    shown = b""
    with process, contextlib.suppress(OSError):  # EIO is how a terminal ends
        while piece := os.read(master, 65536):
            shown += piece
    os.close(master)
    text = shown.decode()
    assert process.returncode == 0, text
    assert "\x1b[32m" in text
    assert [line for line in ESCAPE.sub("", text).splitlines() if len(line) > columns] == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_it_can_be_broken_off_and_tidies_up(tmp_path, number):
    with started(tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        seen: list[str] = []
        reader = threading.Thread(target=lambda: seen.extend(iter(process.stdout.readline, "")))
        reader.start()
        eventually(lambda: any("taken from" in line for line in seen), lambda: seen)
        process.send_signal(number)
        assert process.wait(PATIENCE) == 130
        reader.join(PATIENCE)
    assert "Traceback" not in "".join(seen)
    assert "All as it should be" not in "".join(seen)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------ the proof finds what is wrong


def test_the_proof_finds_every_file_missing_where_nothing_happened(tmp_path):
    sandbox = Sandbox()
    for inbox in {file.inbox for file in FILES}:
        (tmp_path / inbox).mkdir()
    wrong = differences(tmp_path, sandbox, FILES)
    for file in FILES:
        assert any(line.startswith(f"{file.inbox}/{file.path}: it is not in") for line in wrong)
    booked = [line for line in wrong if "0 times instead of 1" in line]
    assert len(booked) == COUNT["delivered"] + COUNT["unconfirmed"]
