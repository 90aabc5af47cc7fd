"""An event to wake: how the loops learn that the ledger has changed."""

from __future__ import annotations

import threading


class Wake:
    """Tells every waiting loop to look at the ledger again. No data travels with it: the ledger is the only queue."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    def now(self) -> int:
        """What `wait` is to be called with: taken before looking, so that what comes meanwhile is not slept through."""
        with self._condition:
            return self._count

    def notify(self) -> None:
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait(self, seen: int, timeout: float) -> None:
        with self._condition:
            self._condition.wait_for(lambda: self._count != seen, timeout)
