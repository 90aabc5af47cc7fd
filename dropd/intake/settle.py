"""Is it complete: a file has settled when size, mtime and inode stayed equal over `settle` of our own monotonic clock.

Never by the file's age: `cp -p` and copies from Windows keep old times, and clocks of shares differ. The same rule holds for what is found
at the start. Pure; the monotonic time is given.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dropd.intake.scanner import Seen
from dropd.model import Stamp

SLOW_AFTER = 300.0
"""Seconds after which a file that still changes is spoken of; it is waited for all the same."""


@dataclass(slots=True)
class _Waiting:
    stamps: tuple[Stamp, Stamp | None]
    unchanged_since: float
    first_seen: float
    told: bool = False


class Settling:
    """What one inbox's files have looked like so far."""

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._waiting: dict[tuple[str, str], _Waiting] = {}

    def update(self, files: Iterable[Seen], now: float) -> tuple[list[Seen], list[Seen], float | None]:
        """From one look: the files that have settled, those that have grown for long (each told once), and when to look next.

        A file that is no longer there is forgotten. A settled file goes on being reported until it is gone.
        """
        settled: list[Seen] = []
        slow: list[Seen] = []
        next_look: float | None = None
        still: dict[tuple[str, str], _Waiting] = {}
        for seen in files:
            stamps = (seen.stamp, seen.companion)
            waiting = self._waiting.get(seen.key)
            if waiting is None:
                waiting = _Waiting(stamps, now, now)
            elif waiting.stamps != stamps:
                waiting.stamps, waiting.unchanged_since = stamps, now
            still[seen.key] = waiting
            due = waiting.unchanged_since + self._settle
            if due <= now:
                settled.append(seen)
                continue
            next_look = due if next_look is None else min(next_look, due)
            if not waiting.told and now - waiting.first_seen >= SLOW_AFTER:
                waiting.told = True
                slow.append(seen)
        self._waiting = still
        return settled, slow, next_look
