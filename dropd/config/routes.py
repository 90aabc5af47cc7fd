"""The routing table of a file: every route with the defaults behind it, its ids, and its folders among all others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dropd.config.folders import Folders, Spot, literal, spots_of
from dropd.config.ids import Kind, Templates
from dropd.config.models import FilePart
from dropd.config.report import Report, nearest, one_of, shown
from dropd.config.rows import Row
from dropd.config.table import Route
from dropd.config.words import EXAMPLES


def routes_of(part: FilePart, kinds: Mapping[str, Kind], base: Path, report: Report, state_dir: Path) -> tuple[Route, ...]:
    """Those that can be built; where the report stays empty, that is all of them."""
    tree = report.tree
    if not tree.at(("routes",)) and not report.has_bad_within(("routes",)):
        report.add(
            ("routes",), "no route stands here" if tree.at(("routes",)) == [] else "is missing", f"add {EXAMPLES['routes']}"
        )
    rows = [
        Row(index, one, part.defaults, report) for index, one in enumerate(part.routes) if not report.is_bad(("routes", index))
    ]
    _check_names(rows, report)
    spots = [Spot("state_dir", literal(state_dir), ("state_dir",))]
    out = []
    for row in rows:
        for key in ("name", "inbox", "provider"):
            if not row.has(key) and row.is_good(key):
                row.add(key, "is missing", f"add {EXAMPLES[key]}")
        templates = Templates(row, _kind_of(row, kinds))
        own = spots_of(row, base)
        spots += own.values()
        if set(own) == {"inbox", "done", "failed"} and row.get("name") and row.get("provider"):
            out.append(_route(row, templates, own))
    Folders(spots, report).check()
    return tuple(out)


def _check_names(rows: list[Row], report: Report) -> None:
    first: dict[str, int] = {}
    for row in rows:
        name = row.get("name")
        if name is None:
            continue
        if name in first:
            row.add(
                "name",
                f"{shown(name)} is already the name of the route in line {first[name]}",
                "give each route a name of its own",
            )
        first.setdefault(name, report.tree.line(row.path("name")))


def _kind_of(row: Row, kinds: Mapping[str, Kind]) -> Kind | None:
    """The adapter that the route's provider belongs to, even where that account has mistakes of its own."""
    name, tree = row.get("provider"), row.report.tree
    if name is None or not row.is_good("provider"):
        return None
    providers = tree.at(("providers",))
    if not isinstance(providers, dict) or name not in providers:
        close = nearest(name, providers) if isinstance(providers, dict) else None
        remedy = (
            f"write {close}"
            if close
            else f"write {one_of(providers)}, or define it under providers"
            if providers
            else "define it there"
        )
        row.add("provider", f"{shown(name)} is not defined under providers", remedy)
        return None
    kind = tree.at(("providers", name, "type"))
    return kinds.get(kind) if isinstance(kind, str) else None


def _route(row: Row, templates: Templates, folders: Mapping[str, Spot]) -> Route:
    return Route(
        name=row.get("name"),
        inbox=Path(folders["inbox"].text.replace("{{", "{").replace("}}", "}")),
        provider=row.get("provider"),
        ids=templates.ids,
        extra_fields=templates.extra_fields,
        allow=templates.allow,
        match=tuple(row.get("match")),
        ignore=tuple(row.get("ignore")),
        name_pattern=templates.pattern,
        subfolders=row.get("subfolders"),
        done=folders["done"].text,
        failed=folders["failed"].text,
        settle=row.get("settle"),
        scan_every=row.get("scan_every"),
        max_size=row.get("max_size"),
        allow_empty=row.get("allow_empty"),
        line=row.line,
    )
