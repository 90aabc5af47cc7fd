"""One route with the defaults behind it: what each key is worth, and where that was written."""

from __future__ import annotations

from typing import Any

from dropd.config.models import DefaultsPart, RoutePart
from dropd.config.report import Report
from dropd.config.tree import Path
from dropd.naming import display


class Row:
    """A route on its way to become one. A key's value comes from the route, else from `defaults`, else from the model."""

    def __init__(self, index: int, part: RoutePart, defaults: DefaultsPart, report: Report) -> None:
        self.index = index
        self.at: Path = ("routes", index)
        self.report = report
        self._part = part
        self._defaults = defaults
        own, behind = report.tree.at(self.at), report.tree.at(("defaults",))
        self._own = frozenset(own) if isinstance(own, dict) else frozenset()
        self._behind = (frozenset(behind) if isinstance(behind, dict) else frozenset()) & set(DefaultsPart.model_fields)
        name = own.get("name") if isinstance(own, dict) else None
        self.label = f"route {display(name)[:80]}" if isinstance(name, str) and name.strip() else f"routes[{index}]"

    @property
    def line(self) -> int:
        return self.report.tree.line(self.at)

    def inherits(self, key: str) -> bool:
        return key not in self._own and key in self._behind

    def has(self, key: str) -> bool:
        """Whether the key was written, rightly or not."""
        return key in self._own or key in self._behind

    def path(self, key: str) -> Path:
        """Where the key was written, or would be."""
        return ("defaults", key) if self.inherits(key) else (*self.at, key)

    def get(self, key: str) -> Any:
        """The value; where it is wrong in its form, the model's default."""
        return getattr(self._defaults if self.inherits(key) else self._part, key)

    def is_good(self, key: str) -> bool:
        """Whether the value may be judged: no mistake was found in it yet."""
        return not self.report.has_bad_within(self.path(key))

    def of(self, key: str) -> str:
        """For a message at `defaults`, which route makes it a mistake."""
        return f" for {self.label}" if self.inherits(key) else ""

    def add(self, key: str, what: str, remedy: str, *inner: str | int, about: str = "", on_key: bool = False) -> None:
        self.report.add((*self.path(key), *inner), what, remedy, about=about, key=on_key)
