"""`dropd retry`: a person's word that a drop is to be tried again."""

from __future__ import annotations

import os
import socket
import time

from dropd.errors import DropdError, Gone, InboxTrouble
from dropd.ledger.base import Ledger
from dropd.model import Drop, State, Status, Step
from dropd.naming import display
from dropd.spool import filing
from dropd.spool.places import Places


class CannotRetry(DropdError):
    """Why this drop cannot be tried again."""


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
    doubt = drop.possible_duplicate or drop.status in (Status.UNCONFIRMED, Status.DUPLICATE)
    changes = {
        "owner": f"{socket.gethostname()}:{os.getpid()}:retry",
        "person_order": True,
        "possible_duplicate": doubt,
        "status": None,
        "error": None,
        "finished_at": None,
        "duplicate_of": None,
        "due_at": None,
    }
    taken = ledger.move(drop, Step(to=State.TAKING, event="retry_ordered", changes=changes), now)
    known = {inbox.route: (inbox.path, inbox.inbox_id) for inbox in ledger.inboxes()}
    try:
        with Places(ledger.ledger_id, known).open(drop.taking.route, drop.taking.inbox) as inbox:
            filing.take_back(inbox, drop.id, drop.taking.name, drop.filed_dir, drop.filed_as, inode=drop.taking.stamp.inode)
            filing.remove_sidecar(inbox, drop.id, drop.filed_dir, drop.filed_as)
    except (Gone, InboxTrouble, OSError) as error:
        back = {
            "status": drop.status,
            "error": drop.error,
            "finished_at": drop.finished_at,
            "duplicate_of": drop.duplicate_of,
            "owner": None,
        }
        ledger.move(taken, Step(to=State.FAILED, event="retry_undone", data={"reason": str(error)}, changes=back), time.time())
        raise CannotRetry(f"{display(drop.filed_as)} cannot be taken from {display(drop.filed_dir)}: {error}") from None
    released = Step(to=State.TAKING, event="back_in_work", changes={"owner": None, "filed_dir": None, "filed_as": None})
    return ledger.move(taken, released, time.time())
