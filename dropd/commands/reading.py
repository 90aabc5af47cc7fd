"""Reading the ledger for people and machines: status, list, show. Beside a running daemon or without one; nothing is changed."""

from __future__ import annotations

import functools
import json
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropd import lock, wording
from dropd.commands import tables
from dropd.commands.tables import print_show, print_status
from dropd.config import Config, load
from dropd.errors import DropdError, LedgerError
from dropd.ledger.base import Ledger
from dropd.ledger.memory import MemoryLedger
from dropd.ledger.sql import SqlLedger
from dropd.model import UNFINISHED, Drop, State
from dropd.naming import SIDECAR_SUFFIX, display
from dropd.providers.registry import kinds
from dropd.result import timestamp

__all__ = [
    "as_json",
    "find_drop",
    "open_ledger",
    "print_list",
    "print_show",
    "print_status",
    "show",
    "standing_in_failed",
    "status",
    "to_json",
]

LEDGER = "ledger.db"
_COLUMN_OF = {
    State.TAKING: "waiting",
    State.READY: "waiting",
    State.SENDING: "sending",
    State.CONFIRMING: "sending",
    State.ACCEPTED: "sending",
    State.REJECTED: "sending",
    State.UNCONFIRMED: "unconfirmed",
    State.DONE: "done",
    State.FAILED: "failed",
}


class NotFound(DropdError):
    """No drop, or more than one, is meant."""


def open_ledger(config: Config) -> Ledger:
    """The ledger as it is; an empty one where dropd has not run yet. Raises LedgerError."""
    path = config.state_dir / LEDGER
    try:
        return SqlLedger(path) if path.exists() else MemoryLedger()
    except PermissionError:
        raise LedgerError(lock.closed(config.state_dir)) from None


class LedgerOf:
    """The configuration and its ledger, for the verbs that need no secret."""

    def __init__(self, path: Path) -> None:
        self._config = load(path, kinds(), secrets=False)

    def __enter__(self) -> tuple[Config, Ledger]:
        self._ledger = open_ledger(self._config)
        return self._config, self._ledger

    def __exit__(self, *_: object) -> None:
        self._ledger.close()


def find_drop(ledger: Ledger, config: Config, wanted: str) -> Drop:
    """By the beginning or end of its id, by the path of its filed file or sidecar, or by the path it was dropped at. Raises NotFound."""
    if "/" in wanted or os.path.lexists(wanted):
        drop = _by_path(ledger, config, wanted)
        if drop is not None:
            return drop
        if "/" in wanted:
            raise NotFound(f"no drop is known at {display(wanted)}; dropd list shows those that are")
    found = ledger.find(wanted) if len(wanted) >= 4 else []
    if not found:
        raise NotFound(f"no drop has the id {display(wanted)}; dropd list shows those there are")
    if len(found) > 1:
        raise NotFound(
            f"{len(found)} drops have an id like {display(wanted)}; give more of it: {', '.join(drop.id for drop in found[:5])}"
        )
    return found[0]


def _by_path(ledger: Ledger, config: Config, wanted: str) -> Drop | None:
    """As it is written, then with the symlinks of its folder resolved."""
    folder, name = os.path.split(os.path.abspath(wanted.removesuffix(SIDECAR_SUFFIX)))
    for place in dict.fromkeys((folder, os.path.realpath(folder))):
        filed = ledger.filed_at(place, name)
        if filed is not None:
            return filed
        for route in config.routes:
            for inbox in dict.fromkeys((str(route.inbox), os.path.realpath(route.inbox))):
                below = os.path.relpath(place, inbox)
                if below.split(os.sep, 1)[0] == os.pardir:
                    continue
                found = ledger.named(route.name, "" if below == os.curdir else below, name)
                if found is not None:
                    return found
    return None


def standing_in_failed(ledger: Ledger) -> list[Drop]:
    """The drops whose file still stands in failed/: each waits for a person.

    A file that was moved back and failed again is its latest drop's alone.
    """
    failed = ledger.recent(states={State.FAILED})
    latest = {(drop.filed_dir, drop.filed_as): drop.id for drop in sorted(failed, key=lambda drop: drop.finished_at or 0.0)}
    return [
        drop
        for drop in failed
        if drop.filed_dir
        and drop.filed_as
        and latest[drop.filed_dir, drop.filed_as] == drop.id
        and os.path.lexists(os.path.join(drop.filed_dir, drop.filed_as))
    ]


# ------------------------------------------------------------------------------------------------ status


def status(config: Config, ledger: Ledger) -> dict[str, Any]:
    """What `dropd status --json` prints. `needs_attention` decides the exit code."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(tables.COLUMNS, 0))
    for (name, state), count in ledger.counts().items():
        if state in _COLUMN_OF:
            counts[name][_COLUMN_OF[state]] += count
    inboxes = {inbox.route: inbox for inbox in ledger.inboxes()}
    standing = standing_in_failed(ledger)
    unfinished = ledger.unfinished()
    pauses = ledger.pauses()
    named = [(route.name, str(route.inbox), route.provider) for route in config.routes]
    gone = {drop.taking.route: (drop.taking.route, drop.taking.inbox, drop.taking.provider) for drop in unfinished}
    gone = {name: row for name, row in gone.items() if name not in {configured for configured, _, _ in named}}
    routes = []
    for name, folder, provider in [*named, *gone.values()]:
        inbox = inboxes.get(name) if name not in gone else None
        routes.append(
            {
                "route": name,
                "inbox": folder,
                "provider": provider,
                "configured": name not in gone,
                **counts[name],
                "standing_in_failed": sum(drop.taking.route == name for drop in standing),
                "red": inbox.red if inbox else None,
                "last_look": timestamp(inbox.last_look) if inbox else None,
                "left_alone": dict(inbox.left_alone) if inbox else {},
            }
        )
    oldest = min(unfinished, key=lambda drop: drop.taken_at, default=None)
    stopped = [pause for pause in pauses if pause.stops_the_clock]
    stranded = _stranded(config, unfinished)
    return {
        "running": lock.is_held(config.state_dir),
        "routes": routes,
        "pauses": [
            {"provider": p.provider, "whole_account": not p.target, "kind": p.kind, "reason": p.reason, "since": timestamp(p.since),
             "next_try": timestamp(p.probe_at)} for p in pauses
        ],
        "stranded": stranded,
        "oldest_unfinished": as_json(oldest) if oldest else None,
        "standing_in_failed": [as_json(drop) for drop in standing],
        "needs_attention": bool(standing or stopped or stranded or any(route["red"] for route in routes)),
    }  # fmt: skip


def _stranded(config: Config, unfinished: Sequence[Drop]) -> list[dict[str, Any]]:
    """Accounts that drops wait for although the configuration does not name them any more."""
    gone = Counter(drop.taking.provider for drop in unfinished if drop.taking.provider not in config.providers)
    return [{"provider": name, "drops": count} for name, count in sorted(gone.items())]


# ------------------------------------------------------------------------------------------------ list and show


def as_json(drop: Drop) -> dict[str, Any]:
    """One drop as `list --json` shows it."""
    filed = os.path.join(drop.filed_dir, drop.filed_as) if drop.filed_dir and drop.filed_as else None
    finished = drop.state in (State.DONE, State.FAILED)
    return {
        "drop_id": drop.id,
        "state": str(drop.state),
        "status": str(drop.status) if drop.status and finished else None,
        "route": drop.taking.route,
        "provider": drop.taking.provider,
        "file": drop.shown_path,
        "size": drop.taking.stamp.size,
        "sha256": drop.sha256,
        "taken_at": timestamp(drop.taken_at),
        "finished_at": timestamp(drop.finished_at),
        "due_at": timestamp(drop.due_at) if drop.state in UNFINISHED else None,
        "attempts": drop.attempt,
        "duplicate_of": drop.duplicate_of,
        "filed_at": display(filed) if filed else None,
        "summary": display(_summary(drop)) if finished else None,
        "error": {"code": str(drop.error.code), "message": display(drop.error.message)}
        if drop.error and not drop.receipt
        else None,
    }


def _summary(drop: Drop, twin: Drop | None = None) -> str:
    return wording.summary(drop, _labels().get(drop.taking.provider_type, drop.taking.provider_type), duplicate_of=twin)


@functools.cache
def _labels() -> dict[str, str]:
    """The vendors' names for people; looked up once, since it reads every installed package's entry points."""
    return {name: kind.traits.label for name, kind in kinds().items()}


def print_list(drops: Sequence[Drop]) -> None:
    """For people, newest first."""
    tables.print_list([as_json(drop) for drop in drops])


def show(ledger: Ledger, drop: Drop) -> dict[str, Any]:
    """One drop with its target, its receipt, and its audit trail."""
    about = as_json(drop)
    twins = ledger.find(drop.duplicate_of) if drop.duplicate_of else []
    if about["summary"] and twins:
        about["summary"] = display(_summary(drop, twins[0]))
    return {
        **about,
        "advice": wording.advice(drop) if about["summary"] else None,
        "target": drop.target.as_dict(),
        "content_type": drop.content_type,
        "owner": drop.taking.owner_name,
        "receipt": dict(drop.receipt) if drop.receipt is not None else None,
        "possible_duplicate": drop.possible_duplicate,
        "events": [
            {"at": timestamp(event.at), "state": str(event.state), "event": event.event, "data": dict(event.data)}
            for event in ledger.events(drop.id)
        ],
    }


def to_json(value: Any) -> str:
    """For machines: ASCII, so that no name can harm a terminal or a parser."""
    return json.dumps(value, indent=2, ensure_ascii=True)
