"""Stand-ins for what the core works with: a clock, a log, a vendor that follows a script, and makers of drops and routes."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from dropd.config import Route
from dropd.fields import ProviderOptions
from dropd.ledger.base import Ledger
from dropd.model import Accepted, Outcome, Refused, Stamp, Taking, Target
from dropd.naming import Template
from dropd.policy import Rules
from dropd.providers.base import Notes, Parcel, Proof, Traits
from dropd.spool.mark import OpenInbox, open_inbox
from dropd.spool.places import Places
from dropd.surroundings import Account, Surroundings

NOW = 1_800_000_000.0
OWNER = "this-host:1:aaaa"
RULES = Rules(first=5.0, max=900.0, give_up_after=86400.0, can_ask=False)
LABEL = "Amili ARM"


class Clock:
    """Stands still until it is moved."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Told:
    """A log that keeps what it is told: (level, event, fields)."""

    def __init__(
        self, lines: list[tuple[str, str, dict[str, Any]]] | None = None, bound: Mapping[str, Any] | None = None
    ) -> None:
        self.lines = lines if lines is not None else []
        self._bound = dict(bound or {})

    def bind(self, **fields: Any) -> Told:
        return Told(self.lines, {**self._bound, **fields})

    def _tell(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        self.lines.append((level, event, {**self._bound, **fields}))

    def debug(self, event: str, **fields: Any) -> None:
        self._tell("debug", event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._tell("info", event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._tell("warning", event, fields)

    def error(self, event: str, **fields: Any) -> None:
        self._tell("error", event, fields)

    def events(self, *levels: str) -> list[str]:
        return [event for level, event, _ in self.lines if not levels or level in levels]


class Scripted:
    """A vendor whose answers are given: outcomes, exceptions to raise, or functions of the parcel; then Accepted for ever."""

    Options: ClassVar[type[ProviderOptions]] = ProviderOptions
    traits: Traits = Traits(label=LABEL, ids=frozenset({"client_id", "file_type"}), required_ids=frozenset())
    own_fields: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, *script: Any, logins: tuple[Any, ...] = (), proves: Proof = Proof.NOTHING) -> None:
        self.script: list[Any] = list(script)
        self.logins: list[Any] = list(logins)
        self.always: Callable[[Parcel], Outcome] = lambda parcel: Accepted(
            receipt={"file_id": f"at-vendor-{parcel.drop_id[-4:]}"}
        )
        self.calls: list[tuple[str, Parcel]] = []
        self.bodies: list[bytes] = []
        self.login_calls = 0
        self.refuses: Refused | None = None
        self._proves = proves
        self._lock = threading.Lock()

    def _answer(self, verb: str, parcel: Parcel, notes: Notes) -> Outcome:
        with self._lock:
            self.calls.append((verb, parcel))
            said = self.script.pop(0) if self.script else self.always
        said = said(parcel) if callable(said) else said
        if isinstance(said, BaseException):
            raise said
        return said

    def check(self, target: Target, content_type: str) -> Refused | None:
        return self.refuses

    def login(self) -> Outcome | None:
        with self._lock:
            self.login_calls += 1
            said = self.logins.pop(0) if self.logins else None
        return said() if callable(said) else said

    def send(self, parcel: Parcel, notes: Notes) -> Outcome:
        with parcel.open() as reader:
            self.bodies.append(reader.read())
        return self._answer("send", parcel, notes)

    def poll(self, parcel: Parcel, notes: Notes) -> Outcome:
        return self._answer("poll", parcel, notes)

    def ask(self, parcel: Parcel, notes: Notes) -> Outcome:
        return self._answer("ask", parcel, notes)

    def proof(self, notes: Mapping[str, str]) -> Proof:
        return self._proves

    def close(self) -> None:
        pass

    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.calls]


_ids = itertools.count(1)


def next_id(_now: float = 0.0) -> str:
    """Sorted as they were made, like the real ones."""
    return f"018bcfe5-6800-7000-8000-{next(_ids):012x}"


def taking(name: str = "invoice.csv", **more: Any) -> Taking:
    fields: dict[str, Any] = {
        "route": "invoices",
        "provider": "arm",
        "provider_type": "amili-arm",
        "inbox": "/srv/drop/invoices",
        "inbox_id": "4f1a7c1e-0000-4000-8000-000000000001",
        "folder": "",
        "companion": False,
        "stamp": Stamp(inode=1000 + next(_ids), size=3, mtime_ns=1_799_999_000_000_000_000),
        "owner_name": "anna",
    }
    return Taking(name=name, **{**fields, **more})


def route(inbox: Path, **more: Any) -> Route:
    """A route of the vendor `arm`; `ids` and `extra_fields` may be given as texts."""
    fields: dict[str, Any] = {
        "name": "invoices",
        "provider": "arm",
        "ids": {"client_id": "2218"},
        "done": f"{inbox}/done",
        "failed": f"{inbox}/failed",
        **more,
    }
    for key in ("ids", "extra_fields"):
        if key in fields:
            fields[key] = {name: Template.parse(text) for name, text in fields[key].items()}
    return Route(inbox=inbox, **fields)


def drop_file(inbox: Path, name: str, content: bytes | str = b"a;b\n1;2\n", folder: str = "") -> Taking:
    """A file in the inbox, and what a look at it would hand to the pipeline."""
    path = inbox / folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return seen(inbox, name, folder=folder)


def seen(inbox: Path, name: str, *, folder: str = "", companion: bool = False) -> Taking:
    about = os.lstat(inbox / folder / name)
    return taking(name, folder=folder, inbox=str(inbox), companion=companion, stamp=Stamp.of(about))


class World:
    """A ledger, one inbox with its route, one scripted vendor, and a clock that stands still."""

    def __init__(self, inbox: Path, ledger: Ledger, provider: Any = None, *, rules: Rules = RULES, **route_keys: Any) -> None:
        inbox.mkdir(parents=True, exist_ok=True)
        self.inbox = inbox
        self.ledger = ledger
        self.provider = provider if provider is not None else Scripted()
        self.clock = Clock()
        self.log = Told()
        self.route = route(inbox, **route_keys)
        self.places = Places(ledger.ledger_id, {})
        self.around = Surroundings(
            ledger=ledger,
            places=self.places,
            routes={self.route.name: self.route},
            accounts={"arm": Account("amili-arm", self.provider, rules, None)},
            clock=self.clock,
            dice=lambda: 0.5,
            new_id=next_id,
            owner=OWNER,
            host="this-host",
            version="0.0",
            log=self.log,
        )
        with self.open() as opened:
            self.inbox_id = opened.inbox_id

    @contextlib.contextmanager
    def open(self) -> Iterator[OpenInbox]:
        with self.places.open(self.route.name, str(self.inbox)) as inbox:
            self.places.remember(self.route.name, str(self.inbox), inbox.inbox_id)
            yield inbox

    def drop(self, name: str = "invoice.csv", content: bytes | str = b"a;b\n1;2\n", *, folder: str = "") -> Taking:
        return replace(drop_file(self.inbox, name, content, folder), inbox_id=self.inbox_id)

    def again(self, name: str, *, folder: str = "", companion: bool = False) -> Taking:
        """What a look sees of a file that is there already."""
        return replace(seen(self.inbox, name, folder=folder, companion=companion), inbox_id=self.inbox_id)

    def files(self) -> dict[str, str]:
        """Every file outside `.dropd`, with its content."""
        found = (path for path in sorted(self.inbox.rglob("*")) if path.is_file() and ".dropd" not in path.parts)
        return {str(path.relative_to(self.inbox)): path.read_text(encoding="utf-8", errors="replace") for path in found}

    def work(self) -> list[str]:
        """What lies in the work folder."""
        root = self.inbox / ".dropd" / "work"
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def opened_inbox(
    path: Path, ledger_id: str = "a-ledger", known_id: str | None = None
) -> contextlib.AbstractContextManager[OpenInbox]:
    return open_inbox(str(path), route="invoices", ledger_id=ledger_id, known_id=known_id)
