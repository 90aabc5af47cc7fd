"""`dropd retry`: a person's word that a drop is to be tried again."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from dataclasses import replace

from dropd.commands.reading import standing_in_failed
from dropd.errors import DropdError, Gone, InboxTrouble, Lost
from dropd.ledger.base import Ledger
from dropd.model import Drop, State, Step
from dropd.naming import display
from dropd.policy import ANEW
from dropd.spool import filing
from dropd.spool.places import Places


class CannotRetry(DropdError):
    """Why this drop cannot be tried again."""


def standing(ledger: Ledger, route: str | None) -> list[Drop]:
    """The drops whose file stands in failed/, of one route or of all."""
    return [drop for drop in standing_in_failed(ledger) if route in (None, drop.taking.route)]


def retry(ledger: Ledger, drop: Drop) -> Drop:
    """A failed drop goes back to work/ and is prepared anew, by the routing as it is now; one that waits is due at once.

    Row first, as at the first take: what dies in between is found by recovery. The running daemon goes on with it, or the next one to run.
    Raises CannotRetry.
    """
    now = time.time()
    if drop.state is State.READY:
        return ledger.move(drop, Step(to=State.READY, event="retry_ordered", changes={"due_at": now}), now)
    if drop.state is not State.FAILED:
        raise CannotRetry(f"{drop.shown_path} ({drop.id}) is {drop.state}: only a failed or waiting drop can be tried again")
    if drop.filed_dir is None or drop.filed_as is None:
        raise CannotRetry(f"{drop.shown_path} ({drop.id}) has no file any more; put it into the inbox again")
    order = {
        "owner": f"{socket.gethostname()}:{os.getpid()}:retry",
        "person_order": True,
        "possible_duplicate": drop.may_double,
    }
    taken = ledger.move(drop, Step(to=State.TAKING, event="retry_ordered", changes=order), now)
    known = {inbox.route: (inbox.path, inbox.inbox_id) for inbox in ledger.inboxes()}
    try:
        with Places(ledger.ledger_id, known).of(drop.taking) as inbox:
            filing.take_back(
                inbox,
                drop.id,
                drop.taking.name,
                drop.filed_dir,
                drop.filed_as,
                inode=drop.taking.stamp.inode,
                companion=drop.taking.companion,
            )
            filing.remove_sidecar(inbox, drop.id, drop.filed_dir, drop.filed_as)
    except (Gone, InboxTrouble, OSError) as error:
        back = {"person_order": drop.person_order, "possible_duplicate": drop.possible_duplicate, "owner": None}
        with contextlib.suppress(Lost):  # a daemon that just starts has undone it
            ledger.move(
                taken, Step(to=State.FAILED, event="retry_undone", data={"reason": str(error)}, changes=back), time.time()
            )
        raise CannotRetry(f"{display(drop.filed_as)} cannot be taken from {display(drop.filed_dir)}: {error}") from None
    try:
        return ledger.move(taken, Step(to=State.TAKING, event="back_in_work", changes={**ANEW, "owner": None}), time.time())
    except Lost:  # a daemon that just starts goes on with it already
        return replace(taken, owner=None)
