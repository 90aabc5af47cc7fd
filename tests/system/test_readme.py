"""The README is true: its commands are run, its configurations are loaded, its fields and options are held against the program.

What a shell block needs is said by a comment on the line before it: `leave it running` (in the background, stopped by SIGTERM when the
others have passed) or `a few seconds later` (tried until it passes). Blocks of a root's prompt (`console`) are read, not run.
"""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from program import PATIENCE, eventually

from dropd import cli
from dropd.commands.options import DEFAULT_CONFIG
from dropd.config import load
from dropd.model import Code, Status
from dropd.policy import DOWN_AFTER
from dropd.providers.registry import kinds
from dropd.routing import resolve

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUNNING, LATER = "leave it running", "a few seconds later"
MAIN_JOB, TESTS = "the main job", "the tests"


@dataclass(frozen=True)
class Block:
    """One fenced block. `mark`: the comment on the line before it."""

    line: int
    section: str
    mark: str | None
    language: str
    text: str

    def __str__(self) -> str:
        return f"README.md:{self.line}"


def read_blocks() -> list[Block]:
    found: list[Block] = []
    section, before, start, language, lines = "", "", 0, None, []
    for number, line in enumerate(README.splitlines(), start=1):
        if language is not None and line == "```":
            mark = re.fullmatch(r"<!-- (.*) -->", before)
            found.append(Block(start, section, mark[1] if mark else None, language, "\n".join(lines) + "\n"))
            language = None
        elif language is not None:
            lines.append(line)
            continue
        elif line.startswith("```"):
            start, language, lines = number, line[3:], []
            continue
        elif line.startswith("#"):
            section = line.lstrip("# ")
        before = line
    assert language is None, f"README.md:{start}: a block without an end"
    return found


BLOCKS = read_blocks()
YAML = [block for block in BLOCKS if block.language == "yaml"]


def table(section: str, first: str) -> list[list[str]]:
    """The rows of the table in this section whose head begins with this word."""
    text = README.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.search(rf"^\| {first} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    assert rows, f"no table of {first} in {section}"
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[1].splitlines()]


def in_ticks(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# ------------------------------------------------------------------------------------------------ the shell blocks


@dataclass
class Walk:
    """What a newcomer sees who does all that the README says, in a folder of its own."""

    root: Path
    said: dict[int, str] = field(default_factory=dict)  # line of the block -> its output
    codes: dict[int, int] = field(default_factory=dict)  # likewise -> exit code of what was left running

    def environment(self) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("DROPD_")}
        return {**env, "PATH": f"{self.root}/.venv/bin{os.pathsep}{env['PATH']}", "COLUMNS": "200"}

    def passes(self, block: Block, text: str) -> bool:
        done = subprocess.run(
            ["sh", "-euc", text],
            cwd=self.root,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=100,
            check=False,
        )
        self.said[block.line] = done.stdout
        return done.returncode == 0

    def leave_running(self, block: Block, text: str) -> subprocess.Popen[bytes]:
        """Returns once it has said something: the sandbox and `run` speak when they are ready."""
        log = self.root / f"line-{block.line}.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["sh", "-euc", f"exec {text}"],
                cwd=self.root,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually(lambda: log.stat().st_size or process.poll() is not None, f"{block} says nothing")
            assert process.poll() is None, f"{block} ended: {log.read_text()}"
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process

    def go(self) -> None:
        running: list[tuple[Block, subprocess.Popen[bytes]]] = []
        try:
            for block in BLOCKS:
                if block.language != "sh" or block.mark == TESTS:
                    continue
                text = block.text.replace("8765", "0")  # the port may be taken here: a free one
                if block.mark == RUNNING:
                    running.append((block, self.leave_running(block, text)))
                elif block.mark == LATER:
                    eventually(lambda b=block, t=text: self.passes(b, t), lambda b=block: f"{b}: {self.said[b.line]}")
                else:
                    text = text.rsplit("&&", 1)[-1] if block.mark == MAIN_JOB else text
                    assert self.passes(block, text), f"{block}: {self.said[block.line]}"
        finally:
            for block, process in reversed(running):
                process.send_signal(signal.SIGTERM)
                try:
                    self.codes[block.line] = process.wait(PATIENCE)
                finally:
                    process.kill()  # does nothing to one that has ended
                    process.wait()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Walk:
    walk = Walk(tmp_path_factory.mktemp("readme"))
    dropd = walk.root / ".venv/bin/dropd"
    dropd.parent.mkdir(parents=True)
    dropd.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m dropd "$@"\n', encoding="utf-8")
    dropd.chmod(dropd.stat().st_mode | stat.S_IXUSR)
    walk.go()
    return walk


def test_every_shell_block_does_what_it_says(walk: Walk) -> None:
    """All of them have passed in order; what was left running has ended in good order."""
    ran = [block.line for block in BLOCKS if block.language == "sh" and block.mark not in (RUNNING, TESTS)]
    assert list(walk.said) == ran
    running = [block.line for block in BLOCKS if block.mark == RUNNING]
    assert len(running) == 2
    assert walk.codes == dict.fromkeys(running, 0)


def test_the_practice_files_come_to_what_is_promised(walk: Walk) -> None:
    delivered, refused = (text for line, text in walk.said.items() if by_line(line).mark == LATER)
    assert json.loads(delivered)["status"] == "delivered"
    result, _ = json.JSONDecoder().raw_decode(refused)
    assert (result["status"], result["file"]["folder"]) == ("failed", "unknown-7")
    assert "'unknown-7' not found" in result["summary"]
    assert result["advice"]
    listed = refused.split("\n}\n", 1)[1]
    for told in ("invoices.csv", "delivered", "unknown-7/letter.txt", "failed", "What happened"):
        assert told in listed


def by_line(line: int) -> Block:
    return next(block for block in BLOCKS if block.line == line)


def test_init_writes_a_configuration_that_is_right(walk: Walk) -> None:
    assert load(walk.root / "my/config.yaml", kinds(), secrets=False).routes


def test_there_are_exactly_two_commands() -> None:
    """One block for the main job and one for the tests, each right after its comment, in one line that the gate can take out."""
    for mark in (MAIN_JOB, TESTS):
        (block,) = [block for block in BLOCKS if block.mark == mark]
        assert block.language == "sh"
        assert f"<!-- {mark} -->\n```sh\n{block.text}```\n" in README
        assert block.text.startswith("python3 -m venv .venv && .venv/bin/pip install ")
        assert block.text.count("\n") == 1
    known = {None, MAIN_JOB, TESTS, RUNNING, LATER}
    assert {block.mark for block in BLOCKS} <= known
    assert {block.language for block in BLOCKS} == {"", "sh", "yaml", "json", "console"}


# ------------------------------------------------------------------------------------------------ configurations


@pytest.mark.parametrize("block", YAML, ids=str)
def test_every_configuration_is_a_whole_one(block: Block, tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(block.text, encoding="utf-8")
    config = load(path, kinds(), secrets=False)
    assert len(config.routes) == len(config.providers) == 1


def test_the_example_is_a_whole_configuration() -> None:
    load(ROOT / "config.example.yaml", kinds(), secrets=False)


def test_the_routing_examples_lead_where_their_text_says(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    targets = {}
    files = {
        "amili-arm": ("invoices.csv", ""),
        "amili-media": ("6867da7788b9226bb78d716c-scan.pdf", ""),
        "receeve": ("letter.pdf", "acc-1"),
        "24sevenoffice": ("voucher.pdf", ""),
    }
    for block in YAML:
        path.write_text(block.text, encoding="utf-8")
        config = load(path, kinds(), secrets=False)
        (kind,) = [account.type for account in config.providers.values()]
        target = resolve(config.routes[0], *files[kind], None).as_dict()
        targets[kind] = {key: value for key, value in target.items() if value}
    assert targets == {
        "amili-arm": {"client_id": "2218", "file_type": "InvoiciaFormatDocFile"},
        "amili-media": {"reference_id": "6867da7788b9226bb78d716c", "domain": "cases", "dotted_path": "original_invoice"},
        "receeve": {
            "client_id": "5d0c2d3e-0000-4000-8000-000000000000",
            "account_id": "acc-1",
            "file_type": "Document",
            "extra_fields": {"externalClaimRef": "letter"},
        },
        "24sevenoffice": {"file_type": "application/pdf"},
    }
    assert set(targets) == set(kinds())


def test_the_defaults_that_are_told_are_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(YAML[0].text, encoding="utf-8")
    config = load(path, kinds(), secrets=False)
    assert config.routes[0].settle == 2
    assert "for `settle` (2 seconds)" in README
    assert config.providers["arm"].options.retry.give_up_after == 24 * 3600
    assert "for 24 hours (`retry: {give_up_after: 24h}`)" in README
    assert DOWN_AFTER == 300
    assert "After five minutes it is called `down`" in README
    assert str(config.state_dir) == "/var/lib/dropd"


# ------------------------------------------------------------------------------------------------ the result file


def example() -> dict[str, Any]:
    (block,) = [block for block in BLOCKS if block.language == "json"]
    return json.loads(block.text)


def shape(value: Any) -> Any:
    """The keys in their order, all the way down."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [shape(item) for item in value]
    return None


def test_the_result_in_the_readme_has_the_fields_of_a_real_one(walk: Walk) -> None:
    real = json.loads((walk.root / "practice/acme-invoices/done/invoices.csv.result.json").read_text(encoding="utf-8"))
    assert shape(example()) == shape(real)
    assert example()["file"]["size"] == real["file"]["size"]
    assert example()["file"]["sha256"] == real["file"]["sha256"]


def test_every_field_of_the_result_is_explained_in_its_order() -> None:
    rows = table("The result file", "field")
    assert [name for row in rows for name in in_ticks(row[0])] == list(example())
    explained = {name: set(in_ticks(row[1])) for row in rows for name in in_ticks(row[0])}
    assert set(example()["file"]) <= explained["file"]
    assert set(example()["attempts"][0]) <= explained["attempts"]
    assert {str(status) for status in Status} == explained["status"]
    assert explained["error"] == {str(code) for code in Code} | {"code", "message", "http_status"}


# ------------------------------------------------------------------------------------------------ commands and options


def help_of(*verb: str) -> str:
    done = CliRunner().invoke(cli.cli, [*verb, "--help"], prog_name="dropd")
    assert done.exit_code == 0, done.output
    return done.output


def options_in(text: str) -> set[str]:
    """Those that a help text offers, with their short forms."""
    lines = re.findall(r"^  (?:(-\w), )?(--[\w-]+)", text.split("Options:", 1)[1].split("\nCommands:", 1)[0], re.MULTILINE)
    return {option for line in lines for option in line if option}


def verbs() -> list[str]:
    return re.findall(r"^  (\w+)", help_of().split("Commands:\n", 1)[1], re.MULTILINE)


COMMON = {"-c", "--config", "-h", "--help"}


def test_every_verb_and_option_is_documented_and_no_other() -> None:
    documented: dict[str, set[str]] = {}
    for command, what in table("The commands", "command"):
        (call,) = in_ticks(command)
        program, verb, *_ = call.split()
        assert program == "dropd"
        documented.setdefault(verb, set()).update(re.findall(r"(?<![\w-])--?[a-z][\w-]*", f"{call} {' '.join(in_ticks(what))}"))
        for option, value in re.findall(r"(--[a-z]+) (\d\w*)", call):
            assert re.search(rf"\[default:\s+{value}[\];]", help_of(verb)), f"{option} {value} of {verb}"
    assert list(documented) == verbs()
    assert {verb: options - COMMON for verb, options in documented.items()} == {
        verb: options_in(help_of(verb)) - COMMON for verb in verbs()
    }


def calls() -> Iterator[str]:
    """Every call of dropd in the README, the example and the unit: in blocks, and in words."""
    for block in BLOCKS:
        if block.language in ("sh", "console"):
            yield from re.findall(r"(?:^|[ /])dropd ([a-z]+(?: .*)?)$", block.text, re.MULTILINE)
    for path in ("README.md", "config.example.yaml"):
        text = (ROOT / path).read_text(encoding="utf-8")
        yield from re.findall(r"`dropd ([^`]+)`", text)
    yield from re.findall(r"^ExecStart=.*\bdropd (.*)$", (ROOT / "systemd/dropd.service").read_text(), re.MULTILINE)


def test_every_call_of_dropd_is_one_that_it_understands() -> None:
    found = list(calls())
    assert len(found) > 30
    for call in found:
        verb, *rest = re.sub(r"[][]", " ", call).split()
        assert verb in verbs(), call
        options = {word for word in rest if re.fullmatch(r"--?[a-z][\w-]*", word)}
        assert options <= options_in(help_of(verb)), call


def test_the_exit_codes_are_those_of_the_program() -> None:
    codes = [int(row[0]) for row in table("The commands", "exit code")]
    assert codes == [cli.OK, cli.NEEDS_A_PERSON, cli.USAGE, cli.BAD_CONFIG]


# ------------------------------------------------------------------------------------------------ the service, and links


def test_the_unit_does_not_start_again_what_cannot_start() -> None:
    unit = (ROOT / "systemd/dropd.service").read_text(encoding="utf-8").splitlines()
    for line in (f"RestartPreventExitStatus={cli.BAD_CONFIG}", "Restart=on-failure", "Type=notify", "StateDirectory=dropd"):
        assert line in unit
    assert f"--config {DEFAULT_CONFIG}" in "\n".join(unit)


def test_links_lead_to_files() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).is_file(), link
