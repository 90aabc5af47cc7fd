"""The inboxes by route: where each is, and by which mark the ledger knows it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager

from dropd.errors import InboxTrouble
from dropd.model import Taking
from dropd.spool.mark import OpenInbox, open_inbox


class Places:
    """Opens inboxes, never one that is not the folder the ledger knows. Thread-safe."""

    def __init__(self, ledger_id: str, known: Mapping[str, tuple[str, str | None]]) -> None:
        """`known`: route -> (path of the inbox, its mark) as the ledger remembers them."""
        self._ledger_id = ledger_id
        self._lock = threading.Lock()
        self._known = dict(known)
        self._here: dict[str, str] = {}  # path -> mark, as this process found them

    def mark_of(self, route: str, path: str) -> str | None:
        """The mark of this route's inbox; None before its first use, or where the route has another inbox now."""
        with self._lock:
            known_path, mark = self._known.get(route, (path, None))
        return mark if known_path == path else None

    def remember(self, route: str, path: str, inbox_id: str) -> None:
        """Raises InboxTrouble where another inbox has this mark: the same folder by two paths, or a copy of it."""
        with self._lock:
            twin = next((place for place, mark in self._here.items() if mark == inbox_id and place != path), None)
            if twin is not None:
                raise InboxTrouble(
                    f"it is the same folder as {twin}, or a copy of it with dropd's mark; give each route an inbox of its own; "
                    f"if it is a copy, run: dropd init --adopt {route}"
                )
            self._known[route] = (path, inbox_id)
            self._here[path] = inbox_id

    def open(self, route: str, path: str) -> AbstractContextManager[OpenInbox]:
        """Raises InboxTrouble."""
        return open_inbox(path, route=route, ledger_id=self._ledger_id, known_id=self.mark_of(route, path))

    def of(self, taking: Taking) -> AbstractContextManager[OpenInbox]:
        """The inbox that a drop was taken from, by its mark: also where its folder has another place by now, or its route another name.

        Raises InboxTrouble; it never makes a mark.
        """
        with self._lock:
            path = taking.inbox
            if self._here.get(path) != taking.inbox_id:
                path = next((place for place, mark in self._here.items() if mark == taking.inbox_id), path)
            marks = [mark for place, mark in self._known.values() if place == path and mark is not None]
            mark = self._here.get(path) or next(iter(marks), taking.inbox_id)
        return open_inbox(path, route=taking.route, ledger_id=self._ledger_id, known_id=mark)
