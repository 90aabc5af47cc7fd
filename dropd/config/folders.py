"""Where every route looks and files away, and whether two of these places get into each other's way. By their paths alone: no I/O.

A folder that another route watches must never receive filed files, and no two routes may see the same file: else files go round in
circles, or into a wrong client's books.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from posixpath import join, normpath

from dropd.config.report import Report, nearest
from dropd.config.rows import Row
from dropd.config.tree import Path as Place
from dropd.naming import PRIVATE, Template, TemplateError

DATES = ("yyyy", "mm", "dd")
_SAMPLE = {"yyyy": "2026", "mm": "11", "dd": "20"}
_LEVELS = {"false": 0, "true": 1, "deep": 1_000}
_AS_PATTERN = {"yyyy": "[0-9]{4}", "mm": "[0-9]{2}", "dd": "[0-9]{2}"}


def absolute(text: str, base: Path) -> Path:
    """Relative paths are relative to the configuration file's folder."""
    return Path(normpath(join(str(base), text)).replace("//", "/", 1))


def literal(path: Path) -> str:
    """A fixed path as a template's text."""
    return str(path).replace("{", "{{").replace("}", "}}")


@dataclass(frozen=True, eq=False)
class Spot:
    """A folder that plays a part. `text` is an absolute path template."""

    role: str  # inbox, done, failed or state_dir
    text: str
    place: Place
    row: Row | None = None

    @cached_property
    def parts(self) -> tuple[str, ...]:
        return tuple(part for part in self.text.split("/") if part)

    @property
    def whose(self) -> str:
        return self.row.label if self.row else "dropd itself"

    @property
    def is_fixed(self) -> bool:
        return "{" not in self.text

    def looks(self, depth: int) -> bool:
        """Whether this inbox's route sees files so many levels below it."""
        return self.row is not None and depth <= _LEVELS.get(self.row.get("subfolders"), 0)


def spots_of(row: Row, base: Path) -> dict[str, Spot]:
    """Inbox, done and failed of one route, as far as they are known; mistakes within each path are reported."""
    out: dict[str, Spot] = {}
    inbox = row.get("inbox")
    if isinstance(inbox, str) and row.is_good("inbox") and _is_path(row, "inbox", inbox):
        out["inbox"] = Spot("inbox", literal(absolute(inbox, base)), row.path("inbox"), row)
    for role in ("done", "failed"):
        text = row.get(role)
        if isinstance(text, str) and row.is_good(role):
            if _is_path(row, role, text) and _has_dates_alone(row, role, text):
                out[role] = Spot(role, normpath(join(literal(base), text)), row.path(role), row)
        elif "inbox" in out and not row.has(role):
            out[role] = Spot(role, join(out["inbox"].text, role), row.path(role), row)
    return out


def _is_path(row: Row, key: str, text: str) -> bool:
    if text.startswith("~"):
        row.add(key, "~ does not stand for a home folder here", "write the whole path, like /srv/drop/acme")
        return False
    return True


def _has_dates_alone(row: Row, key: str, text: str) -> bool:
    try:
        template = Template.parse(text)
    except TemplateError as error:
        what, _, remedy = str(error).partition("; ")
        row.add(key, what, remedy)
        return False
    wrong = [name for name in template.placeholders if name not in DATES]
    for name in wrong:
        close = nearest(name, DATES)
        row.add(
            key,
            f"unknown placeholder {{{name}}}",
            f"write {{{close}}}" if close else "only {yyyy} {mm} {dd} can stand here",
            about=name,
        )
    return not wrong


# ------------------------------------------------------------------------------------------------ who gets into whose way


class Folders:
    """All folders of a configuration; finds for each those that it lies in or equals."""

    def __init__(self, spots: Sequence[Spot], report: Report) -> None:
        self.spots = spots
        self.report = report
        self._order = {id(spot): (report.tree.line(spot.place), index) for index, spot in enumerate(spots)}
        self._fixed: dict[tuple[str, ...], list[Spot]] = {}
        self._dated = [spot for spot in spots if not spot.is_fixed]
        for spot in spots:
            if spot.is_fixed:
                self._fixed.setdefault(spot.parts, []).append(spot)

    def check(self) -> None:
        misplaced: set[int] = set()  # routes whose inbox is wrong: their default folders in it are not told as well
        for inner in sorted(self.spots, key=lambda spot: spot.role != "inbox"):
            if inner.row and inner.row.index in misplaced and not inner.row.has(inner.role):
                continue
            for outer, depth in self._around(inner):
                mistake = self._private(inner, outer, depth) or self._mistake(inner, outer, depth)
                if mistake:
                    if inner.role == "inbox" and inner.row:
                        misplaced.add(inner.row.index)
                    self.report.add(inner.place, *mistake, about=f"{outer.role} {outer.place}")

    def _around(self, inner: Spot) -> Iterator[tuple[Spot, int]]:
        """Each other folder that this one equals or lies in, and how many levels below. Of two equal ones, the later is asked."""
        parts = inner.parts
        if inner.is_fixed:
            found = [spot for end in range(len(parts) + 1) for spot in self._fixed.get(parts[:end], ())]
            found += [spot for spot in self._dated if _begins(parts, spot.parts)]
        else:
            found = [spot for spot in self.spots if _begins(parts, spot.parts)]
        for outer in found:
            depth = len(parts) - len(outer.parts)
            if outer is not inner and (depth or self._order[id(inner)] > self._order[id(outer)]):
                yield outer, depth

    def _line(self, spot: Spot) -> str:
        return f"{spot.whose}, line {self.report.tree.line(spot.place)}"

    def _private(self, inner: Spot, outer: Spot, depth: int) -> tuple[str, str] | None:
        if depth and outer.role == "inbox" and inner.parts[len(outer.parts)] == PRIVATE:
            return f"this lies in {PRIVATE}, dropd's own folder in an inbox ({self._line(outer)})", "choose another folder"
        return None

    def _mistake(self, inner: Spot, outer: Spot, depth: int) -> tuple[str, str] | None:
        roles, same_row = {inner.role, outer.role}, inner.row is outer.row
        if depth == 0:
            return self._equal(inner, outer, roles, same_row)
        if inner.role == "inbox" and outer.role in ("done", "failed"):
            return (
                f"this inbox lies in the {outer.role} folder of {self._line(outer)}",
                f"choose an inbox outside of it, or another {outer.role}",
            )
        if outer.role != "inbox":
            return None
        if not same_row:
            if not outer.looks(depth):
                return None
            if inner.role == "inbox":
                return f"{self._line(outer)}, already looks into this folder", "choose inboxes that do not lie in each other"
            return f"{self._line(outer)}, would take the files from here again", "choose a folder where no route looks"
        if outer.looks(1) and "{" in inner.parts[len(outer.parts)]:
            return (
                "with subfolders this cannot be told from a folder of drops",
                f"begin with a fixed folder, like {inner.role}/{{yyyy}}",
            )
        return None

    def _equal(self, inner: Spot, outer: Spot, roles: set[str], same_row: bool) -> tuple[str, str] | None:
        if roles == {"inbox"}:
            return f"{self._line(outer)}, has the same inbox", "give each route an inbox of its own"
        if roles == {"done", "failed"}:
            who = "done and failed are" if same_row else f"this is also the {outer.role} folder of {self._line(outer)}:"
            return f"{who} the same folder, delivered and failed files would mix", "choose two folders"
        if "state_dir" in roles:
            return f"this folder is also the {outer.role} of {self._line(outer)}", "choose a folder of its own for each"
        if "inbox" in roles and same_row:
            return (
                f"this is the inbox itself, {inner.role if inner.role != 'inbox' else outer.role} files would be taken again",
                "choose another folder",
            )
        if "inbox" in roles:
            watcher = outer if outer.role == "inbox" else inner
            return f"{self._line(watcher)}, would take the files from here again", "choose a folder where no route looks"
        return None


def _begins(parts: Sequence[str], outer: Sequence[str]) -> bool:
    return len(parts) >= len(outer) and all(_same(one, other) for one, other in zip(parts, outer, strict=False))


def _same(one: str, other: str) -> bool:
    """Whether two parts of path templates can name the same folder on some day."""
    if one == other or "{" not in one + other:
        return one == other
    return bool(_pattern(one).fullmatch(_on_a_day(other)) or _pattern(other).fullmatch(_on_a_day(one)))


@lru_cache(maxsize=4096)
def _pattern(part: str) -> re.Pattern[str]:
    pieces = Template.parse(part).parts
    return re.compile("".join(re.escape(literal) + (_AS_PATTERN[name] if name else "") for literal, name in pieces))


@lru_cache(maxsize=4096)
def _on_a_day(part: str) -> str:
    return Template.parse(part).fill(_SAMPLE)
