"""An event to wake: how the loops learn that the ledger has changed."""

from __future__ import annotations

import threading
from collections import Counter

News = tuple[int, int]
"""How often an account, and everybody, was told of something: what two looks are compared by."""


class Wake:
    """Tells waiting loops to look at the ledger again. No data travels with it but whose drops it is about: the ledger is the only queue."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._everybody = 0
        self._of_account: Counter[str] = Counter()

    def now(self, account: str = "") -> News:
        """What `wait` is to be called with: taken before looking, so that what comes meanwhile is not slept through."""
        with self._condition:
            return self._of_account[account], self._everybody

    def notify(self, account: str | None = None) -> None:
        """Wake those who wait for this account's drops; None: everybody."""
        with self._condition:
            if account is None:
                self._everybody += 1
            else:
                self._of_account[account] += 1
            self._condition.notify_all()

    def wait(self, seen: News, timeout: float, account: str = "") -> None:
        with self._condition:
            self._condition.wait_for(lambda: (self._of_account[account], self._everybody) != seen, timeout)
