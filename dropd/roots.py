"""One inbox on its rounds: what it looked like so far, and what could not be taken from it."""

from __future__ import annotations

import os
import time
from concurrent.futures import Future
from dataclasses import dataclass, field

from dropd.config import Route, Subfolders
from dropd.intake.scanner import LookRules, Seen
from dropd.intake.settle import Settling
from dropd.model import Inbox, Stamp
from dropd.naming import Template

TAKE_AGAIN, TAKE_AGAIN_AT_LEAST_EVERY = 30.0, 900.0
"""Seconds until a file that could not be taken is tried again, doubling with each try that leaves a row, unless it changes before."""

_LEVELS = {Subfolders.NONE: 0, Subfolders.ONE: 1, Subfolders.DEEP: -1}


@dataclass(frozen=True, slots=True)
class KeptOff:
    """A file that could not be taken: tried again when it has changed, or at `until` (monotonic)."""

    stamp: Stamp
    until: float
    wait: float
    reason: str


@dataclass(slots=True)
class Root:
    """Touched by one look at a time; the loop of the rounds only reads `next_look` and sets it."""

    route: Route
    rules: LookRules
    settling: Settling
    keep_out: tuple[str, ...]
    next_look: float  # monotonic
    looks: int = 0
    wanted: bool = False  # an event came while a look was under way
    watched: bool = False
    running: Future[None] | None = None
    began: float = 0.0
    about: Inbox | None = None
    taking: set[tuple[str, str]] = field(default_factory=set)  # files on their way through a taker
    kept_off: dict[tuple[str, str], KeptOff] = field(default_factory=dict)  # files that could not be taken
    waiting: int = 0  # files that have not settled

    def may_take(self, seen: Seen, now: float) -> bool:
        """Whether it is time to try this file (again)."""
        kept = self.kept_off.get(seen.key)
        return kept is None or kept.stamp != seen.stamp or now >= kept.until

    def keep_off(self, seen: Seen, reason: str, *, left_a_row: bool) -> None:
        """A try that left a row in the ledger is made ever more rarely; a mere look costs nothing, and rights may come any minute."""
        before = self.kept_off.get(seen.key)
        wait = TAKE_AGAIN
        if left_a_row and before is not None and before.stamp == seen.stamp:
            wait = min(before.wait * 2, TAKE_AGAIN_AT_LEAST_EVERY)
        self.kept_off[seen.key] = KeptOff(seen.stamp, time.monotonic() + wait, wait, f"{reason}; dropd keeps trying")


def root_of(route: Route, known: Inbox | None) -> Root:
    """A route's inbox before its first look. `known`: what the ledger remembers of it."""
    keep_out = tuple(path for folder in (route.done, route.failed) if (path := _below(folder, str(route.inbox))) is not None)
    rules = LookRules(
        match=route.match,
        ignore=route.ignore,
        levels=_LEVELS[route.subfolders],
        keep_out=frozenset(keep_out),
        companions=route.wants_companion,
    )
    about = known if known is not None and known.path == str(route.inbox) else None
    return Root(route, rules, Settling(route.settle), keep_out, next_look=time.monotonic(), about=about)


def _below(folder: str, inbox: str) -> str | None:
    """The part of done or failed below the inbox that is not looked into: up to the first date in it. None: it lies elsewhere."""
    path = os.path.relpath(Template.parse(folder).fixed_folder, inbox)
    return None if path.split(os.sep, 1)[0] in (os.pardir, os.curdir) else path
