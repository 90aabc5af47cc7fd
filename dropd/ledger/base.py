"""The ledger: the durable table of drops and their events, and the only queue there is.

Every verb that writes is durable on return, and compare-and-set on (id, state, attempt, owner): it raises `Lost` where somebody else
moved the row first. Each change of state appends one event: the audit trail.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from dropd.errors import DropdError
from dropd.model import Attempt, Drop, Inbox, Pause, State, Step, Taking


class HasTwin(DropdError):
    """A drop of the same identity was delivered before, may have been, or is under way now."""

    def __init__(self, twin: Drop) -> None:
        self.twin = twin
        super().__init__(f"the same content is drop {twin.id}")


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit trail."""

    at: float
    drop_id: str
    state: State
    event: str
    data: Mapping[str, Any]


class Ledger(Protocol):
    """Thread-safe. Several processes may read and write one ledger; only one runs the daemon."""

    ledger_id: str

    # -- one drop's life

    def begin(self, drop_id: str, taking: Taking, owner: str, now: float, verdict: Step | None = None) -> Drop:
        """The row in TAKING, before the file is touched; or already with a verdict, for a file that was found in work/ without a row."""

    def ready(self, drop: Drop, step: Step, identity: str, now: float) -> Drop:
        """TAKING -> READY, reserving the identity. Raises HasTwin, writing nothing, unless the step makes it a person's order.

        An ordered drop with a twin is a possible duplicate of it.
        """

    def move(self, drop: Drop, step: Step, now: float) -> Drop:
        """One step of policy.py. The owner stays while the same thread goes on (rows.owner_after) and is cleared otherwise."""

    def note(self, drop: Drop, notes: Mapping[str, str], now: float) -> Drop:
        """What a provider wants to survive a crash."""

    def claim(self, provider: str, owner: str, now: float, held: Collection[str]) -> Drop | None:
        """The drop of this account that is due longest and that nobody owns, now owned; None: nothing is due.

        READY becomes SENDING with its attempt counted; CONFIRMING and UNCONFIRMED stay what they are. Targets in `held` are passed over.
        """

    def next_due(self, provider: str, held: Collection[str]) -> float | None:
        """When the next drop of this account can be claimed; None: there is none."""

    # -- ownership

    def disown(self, owner: str, now: float) -> int:
        """Clear every ownership but `owner`'s: with SQLite whoever is not this process is dead. How many there were."""

    def adopt(self, states: Collection[State], owner: str, now: float) -> Sequence[Drop]:
        """Own the drops in these states that nobody owns and that are due, and return them."""

    # -- pauses

    def pause(self, pause: Pause) -> None:
        """Begin or go on with a pause."""

    def resume(self, provider: str, target: str, now: float) -> Pause | None:
        """End a pause: the time is given back to the drops that waited, if it stopped their clock. None: there was no such pause."""

    def pauses(self) -> Sequence[Pause]: ...

    # -- inboxes

    def look(self, inbox: Inbox) -> None:
        """Keep what was seen of an inbox: its mark (None: the one that is known stays), its health, what was left alone."""

    def inboxes(self) -> Sequence[Inbox]: ...

    # -- for recovery and for people

    def unfinished(self) -> Sequence[Drop]: ...

    def find(self, beginning: str) -> Sequence[Drop]:
        """The drops whose id begins, or ends, so; upper and lower case are the same."""

    def filed_at(self, folder: str, name: str) -> Drop | None:
        """The latest drop filed under this path."""

    def named(self, route: str, folder: str, name: str) -> Drop | None:
        """The latest drop of this original name in this folder of a route's inbox."""

    def failed_file(self, inbox_id: str, inode: int) -> Drop | None:
        """The latest FAILED drop of this inbox whose file has this inode: a file that a person moved back keeps it."""

    def recent(
        self, *, route: str | None = None, states: Collection[State] | None = None, limit: int | None = None
    ) -> Sequence[Drop]:
        """Newest first."""

    def counts(self) -> Mapping[tuple[str, State], int]: ...

    def attempts(self, drop_id: str) -> Sequence[Attempt]: ...

    def events(self, drop_id: str) -> Sequence[Event]: ...

    def close(self) -> None: ...
