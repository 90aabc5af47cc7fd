"""What the play shows beside the daemon's own story: the cast, the folders, a result of each kind, the books, the verdict."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from dropd.demo.files import Chapter, File
from dropd.demo.proof import LABELS, filed_at, read_sidecar, sidecar_of
from dropd.model import AMILI_ARM, AMILI_MEDIA, OFFICE, RECEEVE
from dropd.naming import PRIVATE, SIDECAR_SUFFIX
from dropd.sandbox import Sandbox
from dropd.sandbox.address import INBOXES

_CAST = (("arm", AMILI_ARM), ("cases", AMILI_MEDIA), ("debtors", RECEEVE), ("office", OFFICE))
_COLORS = {"delivered": "green", "failed": "red", "unconfirmed": "yellow", "duplicate": "yellow"}


def opening(out: Console) -> None:
    out.print("[bold]dropd demo[/]  Files go from folders to vendors, each exactly once.")
    out.print("A sandbox on this computer plays the vendors: no account, no network.\n", style="dim")
    table = _table("inbox", "provider", "vendor")
    for inbox, (provider, vendor) in zip(INBOXES, _CAST, strict=True):
        table.add_row(f"{inbox}/", provider, LABELS[vendor])
    out.print(table)


def chapter(out: Console, number: int, about: Chapter) -> None:
    out.print(f"\n[bold]{number}. {about.title}[/]")
    out.print(f"{about.text}\n", style="dim")


def _table(*headers: str) -> Table:
    return Table(*headers, box=None, header_style="dim", padding=(0, 3, 0, 0), pad_edge=False)


# ------------------------------------------------------------------------------------------------ what is left on the disk


def folders(out: Console, root: Path) -> None:
    """The inboxes as a tree, without dropd's own hidden folder."""
    out.print("\n[bold]The folders now[/]")
    for inbox in INBOXES:
        tree = Tree(Text(f"{inbox}/", style="bold"), guide_style="dim")
        _grow(tree, root / inbox)
        out.print(tree)


def _grow(tree: Tree, folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            if path.name != PRIVATE and any(path.iterdir()):
                _grow(tree.add(Text(f"{path.name}/")), path)
        elif path.name.endswith(SIDECAR_SUFFIX):
            status = read_sidecar(path)["status"]
            tree.add(Text.assemble((path.name, "dim"), "  ", (status, _COLORS[status])))
        else:
            tree.add(Text(path.name))


_FIELDS = {
    "delivered": ("status", "summary", "receipt", "attempts"),
    "failed": ("status", "summary", "advice", "error"),
    "duplicate": ("status", "summary", "advice"),
    "unconfirmed": ("status", "summary", "advice"),
}
_STATUS_MEANS = {
    "delivered": "the vendor has it, and said so",
    "failed": "the vendor does not have it",
    "duplicate": "not sent: the vendor has the same content already",
    "unconfirmed": "the answer got lost; never sent twice on a guess",
}
_MEANINGS = {
    "summary": "what happened, for the person who dropped the file",
    "advice": "what that person does next",
    "receipt": "the vendor's own numbers, to find it there",
    "error": "a code for programs, and the vendor's words",
    "attempts": "every answer of the vendor",
}


def sidecars(out: Console, root: Path, files: Sequence[File]) -> None:
    """One of each kind, a few of its fields in plain words; what a field means is said once."""
    out.print("\n[bold]Beside each file lies its result[/], as JSON. One of each kind, in part:")
    explained: set[str] = set()
    for status, fields in _FIELDS.items():
        shown = [sidecar_of(filed_at(root, file)) for file in files if file.ends == status]
        path = next((path for path in reversed(shown) if path.exists()), None)
        if path is None:
            continue
        content = read_sidecar(path)
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="dim")
        for field in fields:
            meaning = ""
            if field == "status":
                meaning = f"  ({_STATUS_MEANS[status]})"
            elif field not in explained:
                meaning = f"\n({_MEANINGS[field]})"
            explained.add(field)
            table.add_row(field, Text.assemble(_in_short(field, content[field]), (meaning, "dim")))
        out.print(Text(f"\n{path.relative_to(root)}", style=_COLORS[status]))
        out.print(Padding(table, (0, 0, 0, 2)))


def _in_short(field: str, value: Any) -> str:
    if field == "attempts":
        return ", then ".join(f"{attempt['outcome']} ({attempt['http_status'] or 'no answer'})" for attempt in value)
    if field == "receipt":
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if field == "error":
        return f"{value['code']}: {value['message']}"
    return str(value)


# ------------------------------------------------------------------------------------------------ the books and the verdict

_ANSWERS = {None: "lost its answer", 401: "401 login expired", 403: "403 old address", 422: "422 no", 503: "503 busy"}
_PATHS = {AMILI_ARM: ("/arm/",), AMILI_MEDIA: ("/media/",), RECEEVE: ("/receeve/",), OFFICE: ("/office/", "/attachments/")}


def books(out: Console, sandbox: Sandbox) -> None:
    """What each vendor says of the play."""
    out.print("\n[bold]The vendors' own books[/]")
    table = _table("vendor", "files", "calls", "logins", "trouble it made")
    for vendor, label in LABELS.items():
        calls = [request for request in sandbox.requests() if request.path.startswith(_PATHS[vendor])]
        logins = sum(request.path.endswith(("/token", "/api-code")) for request in calls)
        trouble = Counter(call.status for call in calls if call.status is None or call.status >= 300)
        words = ", ".join(_ANSWERS.get(status, str(status)) for status in trouble)
        table.add_row(label, str(len(sandbox.deliveries(vendor))), str(len(calls)), str(logins), words)
    out.print(table)


def verdict(out: Console, files: Sequence[File], wrong: Sequence[str], seconds: float) -> None:
    ends = Counter(file.ends for file in files)
    if wrong:
        out.print(Text(f"\nNot as it should be, after {seconds:.0f} seconds:", style="bold red"))
        for line in wrong:
            out.print(Text(f"  {line}", style="red"))
        return
    out.print(
        f"\n[bold green]All as it should be:[/] {ends['delivered']} files delivered, {ends['failed']} refused, {ends['duplicate']} not sent "
        f"twice, {ends['unconfirmed']} held for a person. The vendors have {sum(file.booked for file in files)} files, each exactly once, "
        f"and nothing to complain of. It took {seconds:.0f} seconds."
    )


def kept(out: Console, root: Path) -> None:
    out.print(f"\nThe folders are in {root}", soft_wrap=True)
    out.print(f"Look at them with: dropd list -c {root}/config.yaml", soft_wrap=True)


def next_steps(out: Console) -> None:
    out.print("\n[bold]dropd demo --keep[/] leaves the folders to look at.")
    out.print("[bold]dropd init -c config.yaml[/] writes a configuration of your own to start from.")
