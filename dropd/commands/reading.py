"""Reading the ledger for people and machines: status, list, show. Beside a running daemon or without one; nothing is changed."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dropd import lock, wording
from dropd.config import Config
from dropd.errors import DropdError
from dropd.ledger.base import Ledger
from dropd.ledger.memory import MemoryLedger
from dropd.ledger.sql import SqlLedger
from dropd.model import UNFINISHED, Drop, State
from dropd.naming import display
from dropd.result import timestamp

LEDGER = "ledger.db"
_COLUMNS = ("waiting", "sending", "unconfirmed", "done", "failed")
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
    """The ledger as it is; an empty one where dropd has not run yet."""
    path = config.state_dir / LEDGER
    return SqlLedger(path) if path.exists() else MemoryLedger()


def find_drop(ledger: Ledger, config: Config, wanted: str) -> Drop:
    """By the beginning or end of its id, by the path of its filed file or sidecar, or by the path it was dropped at. Raises NotFound."""
    if "/" in wanted or Path(wanted).exists():
        drop = _by_path(ledger, config, os.path.abspath(wanted))
        if drop is None:
            raise NotFound(f"no drop is known at {display(wanted)}; dropd list shows those that are")
        return drop
    found = ledger.find(wanted) if len(wanted) >= 4 else []
    if not found:
        raise NotFound(f"no drop has the id {display(wanted)}; dropd list shows those there are")
    if len(found) > 1:
        raise NotFound(
            f"{len(found)} drops have an id like {display(wanted)}; give more of it: {', '.join(drop.id for drop in found[:5])}"
        )
    return found[0]


def _by_path(ledger: Ledger, config: Config, path: str) -> Drop | None:
    path = path.removesuffix(".result.json")
    folder, name = os.path.split(path)
    filed = ledger.filed_at(folder, name)
    if filed is not None:
        return filed
    for route in config.routes:
        below = os.path.relpath(folder, route.inbox)
        if below.split(os.sep, 1)[0] != os.pardir:
            return ledger.named(route.name, "" if below == os.curdir else below, name)
    return None


def standing_in_failed(ledger: Ledger) -> list[Drop]:
    """The drops whose file still stands in failed/: each waits for a person."""
    failed = ledger.recent(states={State.FAILED})
    return [
        drop
        for drop in failed
        if drop.filed_dir and drop.filed_as and os.path.lexists(os.path.join(drop.filed_dir, drop.filed_as))
    ]


# ------------------------------------------------------------------------------------------------ status


def status(config: Config, ledger: Ledger) -> dict[str, Any]:
    """What `dropd status --json` prints. `needs_attention` decides the exit code."""
    counts: dict[str, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_COLUMNS, 0))
    for (name, state), count in ledger.counts().items():
        if state in _COLUMN_OF:
            counts[name][_COLUMN_OF[state]] += count
    inboxes = {inbox.route: inbox for inbox in ledger.inboxes()}
    standing = standing_in_failed(ledger)
    unfinished = ledger.unfinished()
    pauses = ledger.pauses()
    routes = []
    for route in config.routes:
        inbox = inboxes.get(route.name)
        routes.append(
            {
                "route": route.name,
                "inbox": str(route.inbox),
                "provider": route.provider,
                **counts[route.name],
                "standing_in_failed": sum(drop.taking.route == route.name for drop in standing),
                "red": inbox.red if inbox else None,
                "last_look": timestamp(inbox.last_look) if inbox else None,
                "left_alone": dict(inbox.left_alone) if inbox else {},
            }
        )
    oldest = min(unfinished, key=lambda drop: drop.taken_at, default=None)
    stopped = [pause for pause in pauses if pause.stops_the_clock]
    return {
        "running": lock.is_held(config.state_dir),
        "routes": routes,
        "pauses": [
            {"provider": p.provider, "whole_account": not p.target, "kind": p.kind, "reason": p.reason, "since": timestamp(p.since),
             "next_try": timestamp(p.probe_at)} for p in pauses
        ],
        "oldest_unfinished": as_json(oldest) if oldest else None,
        "standing_in_failed": [as_json(drop) for drop in standing],
        "needs_attention": bool(standing or stopped or any(route["red"] for route in routes)),
    }  # fmt: skip


def print_status(about: dict[str, Any]) -> None:
    """The same for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    out = Console()
    out.print("dropd is running." if about["running"] else "dropd is not running: files wait until it does.")
    table = Table("route", "inbox", *_COLUMNS, "last look", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for route in about["routes"]:
        look = Text("red", style="red") if route["red"] else Text(_clock(route["last_look"]))
        table.add_row(route["route"], Text(display(route["inbox"])), *(str(route[column]) for column in _COLUMNS), look)
    out.print(table)
    for route in about["routes"]:
        if route["red"]:
            out.print(Text(f"The inbox of {route['route']} cannot be used: {route['red']}.", style="red"))
        for path, reason in route["left_alone"].items():
            out.print(Text(f"Left alone in {route['inbox']}: {path}: {reason}.", style="yellow"))
    for pause in about["pauses"]:
        what = pause["provider"] if pause["whole_account"] else f"one target of {pause['provider']}"
        out.print(Text(f"{what} waits since {_clock(pause['since'])} ({pause['kind']}): {pause['reason']}", style="yellow"))
    if about["oldest_unfinished"]:
        drop = about["oldest_unfinished"]
        out.print(
            Text(f"The oldest unfinished drop is {drop['file']} of {drop['route']}, taken {drop['taken_at']}, {drop['state']}.")
        )
    for drop in about["standing_in_failed"]:
        out.print(Text(f"In failed/: {drop['filed_at']}: {drop['summary']}", style="red"))


def _clock(moment: str | None) -> str:
    return moment[:19].replace("T", " ") if moment else "never"


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
        "filed_at": display(filed) if filed else None,
        "summary": display(wording.summary(drop, drop.taking.provider_type)) if finished else None,
        "error": {"code": str(drop.error.code), "message": display(drop.error.message)}
        if drop.error and not drop.receipt
        else None,
    }


def print_list(drops: Sequence[Drop]) -> None:
    """For people, newest first."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not drops:
        print("No drops yet.")
        return
    table = Table("id", "taken", "route", "file", "state", "", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for drop in drops:
        about = as_json(drop)
        detail = (
            about["error"]["message"] if about["error"] else (f"next try {_clock(about['due_at'])}" if about["due_at"] else "")
        )
        table.add_row(
            drop.short_id,
            _clock(about["taken_at"]),
            drop.taking.route,
            Text(drop.shown_path),
            about["status"] or about["state"],
            Text(detail),
        )
    Console(soft_wrap=True).print(table)


def show(ledger: Ledger, drop: Drop) -> dict[str, Any]:
    """One drop with its attempts and its audit trail."""
    return {
        **as_json(drop),
        "target": drop.target.as_dict(),
        "content_type": drop.content_type,
        "owner": drop.taking.owner_name,
        "receipt": dict(drop.receipt) if drop.receipt is not None else None,
        "possible_duplicate": drop.possible_duplicate,
        "duplicate_of": drop.duplicate_of,
        "events": [
            {"at": timestamp(event.at), "state": str(event.state), "event": event.event, "data": dict(event.data)}
            for event in ledger.events(drop.id)
        ],
    }


def print_show(about: dict[str, Any]) -> None:
    """For people: the story from top to bottom."""
    print(f"{about['file']}  ({about['drop_id']})")
    if about["summary"]:
        print(about["summary"])
    for key in ("route", "provider", "state", "size", "sha256", "owner", "filed_at", "duplicate_of"):
        if about[key] is not None:
            print(f"  {key.replace('_', ' '):14} {about[key]}")
    for key, value in about["target"].items():
        if value:
            print(f"  {key.replace('_', ' '):14} {display(str(value))}")
    print("What happened:")
    for event in about["events"]:
        attempt = event["data"].get("attempt") or {}
        reason = attempt.get("message") or event["data"].get("reason") or event["data"].get("message") or ""
        print(f"  {_clock(event['at'])}  {event['event']:18} {display(str(reason))}".rstrip())


def to_json(value: Any) -> str:
    """For machines: ASCII, so that no name can harm a terminal or a parser."""
    return json.dumps(value, indent=2, ensure_ascii=True)
