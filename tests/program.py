"""The real program for tests: `dropd` and the sandbox as processes of their own, with inboxes that are real folders.

Nothing here sleeps for luck: every wait is for a condition, and ends with an AssertionError that tells what was found instead.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
import yaml

from dropd.cli import main
from dropd.sandbox import RemoteSandbox, Sandbox
from dropd.sandbox.address import CLIENT

PATIENCE = 40.0
"""Seconds until a condition that never comes is given up: far more than any of them needs on a busy machine."""

CASE = "6867da7788b9226bb78d716c"
QUICK = {"first": "100ms", "max": "300ms", "give_up_after": "1h"}


def eventually(condition: Callable[[], Any], what: object = "", *, within: float = PATIENCE) -> Any:
    """The first true value of the condition. `what` is shown where it never comes; a callable is called then."""
    deadline = time.monotonic() + within
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Program:
    """One `dropd run` (or another verb) under way. Its log is read from a file, one JSON object per line."""

    def __init__(self, config: Path, log: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        self._log = log
        with log.open("ab") as out:
            self._from = out.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dropd", *(arguments or ("run",)), "-c", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **(env or {})},
            )
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        """What this process wrote so far."""
        return self._log.read_bytes()[self._from :].decode("utf-8", "backslashreplace")

    def events(self, name: str | None = None, **fields: Any) -> list[dict[str, Any]]:
        """The log's events, those of one name alone, with these fields."""
        found = []
        for line in self.said().splitlines():
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if (
                isinstance(event, dict)
                and name in (None, event.get("event"))
                and all(event.get(k) == v for k, v in fields.items())
            ):
                found.append(event)
        return found

    def wait_for(self, name: str, *, count: int = 1, **fields: Any) -> dict[str, Any]:
        """Until the log has this event so many times."""

        def there() -> list[dict[str, Any]]:
            found = self.events(name, **fields)
            if len(found) < count and not self.running:
                raise AssertionError(f"dropd ended ({self._process.returncode}) before {name}:\n{self.said()[-4000:]}")
            return found if len(found) >= count else []

        return eventually(there, lambda: f"{count} x {name} {fields}:\n{self.said()[-4000:]}")[-1]

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def wait(self, within: float = PATIENCE) -> int:
        """Its exit code."""
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"dropd did not end within {within:g} s:\n{self.said()[-4000:]}") from None

    def stop(self) -> int:
        """SIGTERM, and its exit code."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """SIGKILL, as a power cut or the kernel's out-of-memory killer would."""
        self._process.kill()
        self._process.wait(PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.running:
            self.kill()


class Place:
    """A folder with a configuration, inboxes and a ledger, and the vendors it delivers to."""

    def __init__(self, root: Path, sandbox: Sandbox | RemoteSandbox) -> None:
        self.root = root
        self.sandbox = sandbox
        self.config = root / "config.yaml"
        self.log = root / "dropd.log"
        self.state = root / "state"
        self.providers = sandbox.provider_blocks(root / "secrets")
        for provider in self.providers.values():
            provider["retry"] = dict(QUICK)
            provider["rate"] = []
        self.providers["office"]["poll"] = {"first": "100ms", "max": "500ms", "give_up_after": "1m"}
        self.routes: dict[str, dict[str, Any]] = {}
        self.defaults: dict[str, Any] = {"settle": "200ms", "scan_every": "1s"}
        self.more: dict[str, Any] = {}

    # ------------------------------------------------------------------------------------------------ configuration

    def route(self, provider: str, name: str | None = None, **keys: Any) -> Path:
        """Add a route with what its vendor needs, and make its inbox. `keys` replace or add; None takes away."""
        needed: dict[str, dict[str, Any]] = {
            "amili-arm": {"client_id": "2218", "file_type": "InvoiciaFormatDocFile"},
            "amili-media": {"reference_id": CASE, "domain": "cases", "dotted_path": "original_invoice"},
            "receeve": {"client_id": CLIENT, "account_id": "acc-1", "file_type": "Document"},
            "24sevenoffice": {"file_type": "application/pdf"},
        }
        name = name or provider
        inbox = self.root / name
        inbox.mkdir()
        row = {"name": name, "inbox": str(inbox), "provider": provider, **needed[self.providers[provider]["type"]], **keys}
        self.routes[name] = {key: value for key, value in row.items() if value is not None}
        return inbox

    def write(self) -> Path:
        content = {
            "state_dir": str(self.state),
            "log": {"format": "json", "level": "debug"},
            "providers": self.providers,
            "defaults": self.defaults,
            "routes": list(self.routes.values()),
            **self.more,
        }
        self.config.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000), encoding="utf-8")
        return self.config

    # ------------------------------------------------------------------------------------------------ the program

    def start(self, *arguments: str, env: dict[str, str] | None = None) -> Program:
        """`dropd run`, once it has started; use it in a `with`."""
        program = Program(self.write(), self.log, *arguments, env=env)
        try:
            program.wait_for("started")
        except BaseException:
            program.kill()
            raise
        return program

    def call(
        self, *arguments: str, env: dict[str, str] | None = None, config: bool = True, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """One verb to its end."""
        if config:
            arguments = (*arguments, "-c", str(self.write()))
        return call(*arguments, env=env, cwd=cwd)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """One verb, for a test that is about something else: as `call`, without the second that a process takes to begin."""
        return ask(*arguments, "-c", str(self.write()))

    def json(self, *arguments: str) -> Any:
        """What a verb prints with --json, whatever its exit code."""
        done = self.ask(*arguments, "--json")
        try:
            return json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"no JSON: {done}") from None

    # ------------------------------------------------------------------------------------------------ what came of it

    def sidecars(self, route: str | None = None) -> list[dict[str, Any]]:
        """Every result under the inboxes, each with `path`, the sidecar's own, and `filed`, its file's."""
        found = []
        names = [(folder, name) for folder, _, names in os.walk(self.root) for name in names if name.endswith(".result.json")]
        for folder, name in sorted(names):
            path = Path(folder, name)
            try:
                about = json.loads(path.read_text(encoding="utf-8"))
            except FileNotFoundError:  # moved away since the look: the next one will tell
                continue
            about |= {"path": path, "filed": path.with_name(path.name.removesuffix(".result.json"))}
            if route in (None, about["route"]):
                found.append(about)
        return found

    def results(self, count: int, route: str | None = None) -> list[dict[str, Any]]:
        """All results, once there are so many."""

        def enough() -> list[dict[str, Any]]:
            found = self.sidecars(route)
            return found if len(found) >= count else []

        found = eventually(
            enough, lambda: f"{count} results, but {[a['path'].name for a in self.sidecars(route)]}: {self.tail()}"
        )
        assert len(found) == count, [about["path"] for about in found]
        return found

    def result(self, route: str | None = None) -> dict[str, Any]:
        """The only result there is, once it is there."""
        return self.results(1, route)[0]

    def tail(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return self.log.read_text("utf-8", "backslashreplace")[-4000:]
        return "no log"

    def delivered(self) -> list[str]:
        """The sha256 of everything the vendors took, with repeats."""
        return [delivery.sha256 for delivery in self.sandbox.deliveries()]


def call(*arguments: str, env: dict[str, str] | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """`dropd` with these arguments, to its end."""
    command = [sys.executable, "-m", "dropd", *arguments]
    whole = {**os.environ, "COLUMNS": "200", **(env or {})}
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=whole, cwd=cwd)


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same without a process; for verbs that have no use for signals and write no log."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setenv("COLUMNS", "200")
        patch.setattr(sys, "argv", ["dropd", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
    return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), out.getvalue(), err.getvalue())


@contextlib.contextmanager
def sandbox_process(*arguments: str) -> Iterator[RemoteSandbox]:
    """The vendors in a process of their own."""
    command = [sys.executable, "-m", "dropd.sandbox", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield RemoteSandbox(json.loads(process.stdout.readline())["url"])
        finally:
            process.terminate()
            process.wait(PATIENCE)
