"""What status, list and show print for people. Fits 80 columns; in a pipe nothing is wrapped or cut, so that grep finds whole lines.

Every text from a folder or a vendor has been through naming.display, and none of it is read as markup.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from dropd import wording
from dropd.naming import display

COLUMNS = ("waiting", "sending", "unconfirmed", "done", "failed")
MOST = 10  # files in failed/ that status names

_COLORS = {
    "delivered": "green", "done": "green", "failed": "red", "unconfirmed": "yellow", "duplicate": "yellow", "rejected": "red",
}  # fmt: skip


class _Out:
    """Standard output, as wide as it is; endless where nobody sees it."""

    def __init__(self) -> None:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="backslashreplace")  # a name may hold what an old terminal's encoding does not
        self._console = Console(highlight=False, markup=False)
        if not self._console.is_terminal and "COLUMNS" not in os.environ:
            self._console.width = 10_000

    def __call__(self, what: RenderableType = "") -> None:
        if self._console.is_terminal:
            self._console.print(what)
            return
        with self._console.capture() as captured:
            self._console.print(what)
        print("\n".join(line.rstrip() for line in captured.get().splitlines()))

    def line(self, text: str, style: str = "") -> None:
        """Never broken: for paths and ids that are copied."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def below(self, text: str, style: str = "", indent: int = 2) -> None:
        self(Padding(Text(text, style=style), (0, 0, 0, indent), expand=False))


def when(moment: str | None) -> str:
    """`20 Nov 14:03`, or `20 Nov 2025` when it is not of this year."""
    if moment is None:
        return "never"
    at = datetime.fromisoformat(moment)
    return f"{at.day:2} {at:%b %H:%M}" if at.year == datetime.now().astimezone().year else f"{at.day:2} {at:%b %Y}"


def ago(moment: str | None) -> str:
    """`3 s ago`, `5 min ago`, `2 h ago`, `4 days ago`."""
    if moment is None:
        return "never"
    seconds = max(0.0, (datetime.now().astimezone() - datetime.fromisoformat(moment)).total_seconds())
    for limit, unit, word in ((120, 1, "s"), (7200, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // unit:.0f} {word} ago"
    return f"{seconds // 86400:.0f} days ago"


# ------------------------------------------------------------------------------------------------ status


def print_status(about: Mapping[str, Any]) -> None:
    """Is anything stuck: the routes as a table, then in sentences what needs a person, then what waits by itself."""
    out = _Out()
    if about["running"]:
        out("dropd is running.\n")
    else:
        out(Text("dropd is not running: files wait until it does.\n", style="yellow"))
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0), pad_edge=False)
    table.add_column("route", overflow="fold")
    for column in COLUMNS:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("last look", no_wrap=True)
    for route in about["routes"]:
        look = Text("red", style="red") if route["red"] else Text(ago(route["last_look"]))
        if not route["configured"]:
            look = Text("not configured", style="yellow")
        table.add_row(Text(route["route"]), *(_count(route[column], column) for column in COLUMNS), look)
    out(table)
    _print_troubles(out, about)
    _print_waiting(out, about)


def _count(count: int, column: str) -> Text:
    return Text(str(count), style=_COLORS.get(column, "")) if count else Text("-", style="dim")


def _print_troubles(out: _Out, about: Mapping[str, Any]) -> None:
    for route in about["routes"]:
        if route["red"]:
            out(Text(f"\nThe inbox of {route['route']} cannot be used: {display(route['red'])}", style="red"))
            out.line(f"  {display(route['inbox'])}")
        for path, reason in list(route["left_alone"].items())[:MOST]:
            out(Text(f"\nLeft alone in the inbox of {route['route']}: {display(path)}: {display(reason)}", style="yellow"))
        if len(route["left_alone"]) > MOST:
            out(f"and {len(route['left_alone']) - MOST} more in the inbox of {route['route']}")
    for one in about["stranded"]:
        what = "1 drop waits" if one["drops"] == 1 else f"{one['drops']} drops wait"
        out(Text(f"\n{what} for {display(one['provider'])}, which the configuration does not name any more.", style="red"))
        out.below(f"Give the account its name back under providers, and restart dropd: {display(one['provider'])}")
    for pause in about["pauses"]:
        out(Text(f"\n{_paused(pause)}", style="yellow"))
        out.below(display(pause["reason"]))
    standing = about["standing_in_failed"]
    if standing:
        one = len(standing) == 1
        out(f"\n{'This file was' if one else f'These {len(standing)} files were'} not delivered, or not surely, and "
            f"{'waits' if one else 'wait'} for a person:")  # fmt: skip
    for drop in standing[:MOST]:
        out.line(f"  {drop['filed_at']}", _COLORS.get(drop["status"], ""))
        out.below(drop["summary"], "dim", 4)
    if len(standing) > MOST:
        out(f"  and {len(standing) - MOST} more: dropd list --state failed")


def _paused(pause: Mapping[str, Any]) -> str:
    what = pause["provider"] if pause["whole_account"] else f"One target of {pause['provider']}"
    why = {"login": "its login is refused", "forbidden": "access is refused", "busy": "it is busy", "down": "it is out of reach"}
    return f"{what} is paused since {when(pause['since'])}, as {why[pause['kind']]}; next try at {when(pause['next_try'])}."


def _print_waiting(out: _Out, about: Mapping[str, Any]) -> None:
    drop = about["oldest_unfinished"]
    if drop:
        out(
            f"\nThe oldest unfinished drop is {drop['file']} of {drop['route']}, taken {ago(drop['taken_at'])} and {drop['state']}."
        )
        if drop["error"]:
            out.below(drop["error"]["message"], "dim")


# ------------------------------------------------------------------------------------------------ list and show


def print_list(drops: Sequence[Mapping[str, Any]]) -> None:
    """Newest first, a line each; below it, why a drop was not delivered or what it waits for."""
    out = _Out()
    if not drops:
        out("There are no such drops.")
        return
    states = [drop["status"] or drop["state"] for drop in drops]
    rows = [(drop["drop_id"][-6:], _short(drop["taken_at"]), s, drop["route"]) for drop, s in zip(drops, states, strict=True)]
    header = ("id", "taken", "state", "route")
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def row(cells: Sequence[str], file: str, *styles: str) -> Table:
        grid = Table.grid(padding=(0, 2, 0, 0))
        for width, style in zip(widths, styles, strict=True):
            grid.add_column(width=width, style=style, no_wrap=True)
        grid.add_column(overflow="fold", style="bold" if cells is header else "")
        grid.add_row(*map(Text, cells), Text(file))
        return grid

    out(row(header, "file", *["bold"] * 4))
    for drop, cells, state in zip(drops, rows, states, strict=True):
        out(row(cells, drop["file"], "dim", "", _COLORS.get(state, ""), ""))
        if detail := _detail(drop):
            out.below(detail, "dim", widths[0] + 2)


def _short(moment: str) -> str:
    """`14:03` of today, else `20 Nov`, else `Nov 2025`."""
    at, now = datetime.fromisoformat(moment), datetime.now().astimezone()
    if at.date() == now.date():
        return f"{at:%H:%M}"
    return f"{at.day:2} {at:%b}" if at.year == now.year else f"{at:%b %Y}"


def _detail(drop: Mapping[str, Any]) -> str:
    if drop["duplicate_of"]:
        return f"the same content as drop {drop['duplicate_of'][-6:]}"
    due = f"next try at {when(drop['due_at'])}" if drop["due_at"] and drop["attempts"] else ""
    return ": ".join(filter(None, (due, drop["error"]["message"] if drop["error"] else "")))


def print_show(about: Mapping[str, Any]) -> None:
    """One drop: what became of it, what to do, its fields, its story from top to bottom."""
    out = _Out()
    state = about["status"] or about["state"]
    out(Text.assemble((about["file"], "bold"), "  ", (state, _COLORS.get(state, ""))))
    if about["summary"]:
        out(about["summary"])
    if about["advice"]:
        out(Text(about["advice"], style="dim"))
    out()
    fields = _fields(about)
    width = max(len(name) for name, _ in fields)
    for name, value in fields:
        out.line(f"  {name:{width}}  {value}")
    story = Table.grid(padding=(0, 2, 0, 0))
    story.add_column(style="dim", no_wrap=True)
    for event in about["events"]:
        said = display(str(_said(event["data"])))
        words = _WORDS.get(event["event"], event["event"].replace("_", " "))
        story.add_row(event["at"][:19].replace("T", " "), Text.assemble(words, (f": {said}" if said else "", "dim")))
    out("\nWhat happened")
    out(Padding(story, (0, 0, 0, 2), expand=False))


def _fields(about: Mapping[str, Any]) -> list[tuple[str, str]]:
    named: list[tuple[str, Any]] = [
        ("drop id", about["drop_id"]),
        ("route", about["route"]),
        ("provider", about["provider"]),
        *((key.replace("_", " "), value) for key, value in about["target"].items() if key != "extra_fields"),
        *(about["target"].get("extra_fields") or {}).items(),
        ("size", wording.size(about["size"])),
        ("sha256", about["sha256"]),
        ("dropped by", about["owner"]),
        ("filed at", about["filed_at"]),
        ("next try", when(about["due_at"]) if about["due_at"] else None),
        ("same as drop", about["duplicate_of"]),
        ("receipt", ", ".join(f"{key} {_flat(value)}" for key, value in (about["receipt"] or {}).items() if value)),
    ]
    return [(display(name), display(str(value))) for name, value in named if value]


def _flat(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _said(data: Mapping[str, Any]) -> Any:
    attempt = data.get("attempt") or {}
    return attempt.get("message") or data.get("reason") or data.get("message") or ""


_WORDS = {
    "taking": "seen in the inbox, complete",
    "ready": "taken: ready to be sent",
    "sending": "sending begins",
    "asking": "its next step is due",
    "pending": "the provider has it and decides later",
    "later": "not delivered yet",
    "named": "a name is chosen for it",
    "noted": "a step of the delivery is noted",
    "held": "held for a person: never sent twice on a guess",
    "retry_ordered": "a person said: again",
    "adopted": "taken up again",
    "disowned": "left behind by a dropd that ended",
    "unconfirmed": "sent, without a verdict",
}
"""The audit trail's events in words; the others say it by their names."""
