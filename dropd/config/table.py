"""The configuration as the rest of dropd sees it: frozen, paths absolute, templates parsed, defaults filled in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dropd.config.models import Subfolders
from dropd.fields import ProviderOptions
from dropd.naming import Template


@dataclass(frozen=True, slots=True)
class Allow:
    """The values that a route's id may have: one pattern for the whole value, or exact texts."""

    pattern: re.Pattern[str] | None = None
    texts: frozenset[str] = frozenset()

    def permits(self, value: str) -> bool:
        return self.pattern.fullmatch(value) is not None if self.pattern else value in self.texts


@dataclass(frozen=True, slots=True)
class Account:
    """One login at a vendor. `options` is an instance of the adapter's own Options, its paths absolute."""

    name: str
    type: str
    options: ProviderOptions
    line: int


@dataclass(frozen=True, slots=True)
class Route:
    """One row of the routing table: inbox -> provider and ids, and how a file is treated on the way."""

    name: str
    inbox: Path
    provider: str
    ids: Mapping[str, Template]
    extra_fields: Mapping[str, Template] = field(default_factory=dict)
    allow: Mapping[str, Allow] = field(default_factory=dict)
    match: tuple[str, ...] = ("*",)
    ignore: tuple[str, ...] = ()
    name_pattern: re.Pattern[str] | None = None
    subfolders: Subfolders = Subfolders.NONE
    done: str = ""  # an absolute path; a template: may hold {yyyy} {mm} {dd}, and `{{` for a brace
    failed: str = ""
    settle: float = 2.0  # seconds
    scan_every: float = 30.0  # seconds
    max_size: int | None = None  # bytes
    allow_empty: bool = False
    line: int = 0

    @property
    def wants_companion(self) -> bool:
        """Whether a file waits for its `<name>.meta.json`."""
        templates = (*self.ids.values(), *self.extra_fields.values())
        return any(name.startswith("meta.") for template in templates for name in template.placeholders)


@dataclass(frozen=True, slots=True)
class Log:
    format: str = "auto"  # auto, console or json
    level: str = "info"  # debug, info, warning or error


@dataclass(frozen=True, slots=True)
class Config:
    file: Path
    state_dir: Path
    language: str
    log: Log
    providers: Mapping[str, Account]
    routes: tuple[Route, ...]
