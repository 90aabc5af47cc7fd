"""What the story of a drop needs from outside, all of it replaceable in tests."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from dropd.config import Route
from dropd.ledger.base import Ledger
from dropd.model import Drop
from dropd.policy import Dice, Rules
from dropd.providers.base import Provider
from dropd.spool.places import Places

AGAIN = 10.0
"""Seconds until a step that the disk did not allow is tried again."""


class Log(Protocol):
    """What structlog's bound loggers offer."""

    def debug(self, event: str, **fields: Any) -> Any: ...
    def info(self, event: str, **fields: Any) -> Any: ...
    def warning(self, event: str, **fields: Any) -> Any: ...
    def error(self, event: str, **fields: Any) -> Any: ...
    def bind(self, **fields: Any) -> Log: ...


@dataclass(frozen=True, slots=True)
class Account:
    """One login at a vendor, with what decisions about its drops need."""

    type: str
    provider: Provider
    rules: Rules
    max_size: int | None  # bytes


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`clock`: seconds since the epoch. `owner`: this daemon's name in the ledger."""

    ledger: Ledger
    places: Places
    routes: Mapping[str, Route]
    accounts: Mapping[str, Account]
    clock: Callable[[], float]
    dice: Dice
    new_id: Callable[[float], str]
    owner: str
    host: str
    version: str
    log: Log

    def log_of(self, drop: Drop) -> Log:
        """With the drop and its route bound."""
        return self.log.bind(drop=drop.id, route=drop.taking.route, file=drop.shown_path)


class DurableNotes:
    """What a provider notes of one drop: in the ledger before save() returns. `drop` is the row as it then stands."""

    def __init__(self, ledger: Ledger, drop: Drop, clock: Callable[[], float]) -> None:
        self.drop = drop
        self._ledger = ledger
        self._clock = clock

    def get(self, key: str) -> str | None:
        return self.drop.notes.get(key)

    def save(self, **notes: str) -> None:
        self.drop = self._ledger.note(self.drop, notes, self._clock())


def new_id(now: float) -> str:
    """A UUID of version 7 (RFC 9562 5.7): sorted by time, and a form that every vendor's id field takes."""
    value = int(now * 1000) << 80 | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))
