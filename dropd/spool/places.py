"""The inboxes by route: where each is, and by which mark the ledger knows it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager

from dropd.spool.mark import OpenInbox, open_inbox


class Places:
    """Opens inboxes, never one that is not the folder the ledger knows. Thread-safe."""

    def __init__(self, ledger_id: str, known: Mapping[str, tuple[str, str | None]]) -> None:
        """`known`: route -> (path of the inbox, its mark) as the ledger remembers them."""
        self._ledger_id = ledger_id
        self._lock = threading.Lock()
        self._known = dict(known)

    def mark_of(self, route: str, path: str) -> str | None:
        """The mark of this route's inbox; None before its first use, or where the route has another inbox now."""
        with self._lock:
            known_path, mark = self._known.get(route, (path, None))
        return mark if known_path == path else None

    def remember(self, route: str, path: str, inbox_id: str) -> None:
        with self._lock:
            self._known[route] = (path, inbox_id)

    def open(self, route: str, path: str) -> AbstractContextManager[OpenInbox]:
        """Raises InboxTrouble."""
        return open_inbox(path, route=route, ledger_id=self._ledger_id, known_id=self.mark_of(route, path))
