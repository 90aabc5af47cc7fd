"""File away: a drop with a verdict goes to done/ or failed/ under its final name, with its sidecar. The last part of its story.

Verdict and final name are committed together, before the file moves; if filing fails after a delivery, filing alone is tried again.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace

from dropd import result
from dropd.errors import Gone, InboxTrouble, NameTaken, in_words
from dropd.model import Drop, State, Step
from dropd.naming import Template, display, filed_names
from dropd.spool import filing
from dropd.spool.mark import OpenInbox
from dropd.surroundings import AGAIN, Surroundings

AGAIN_AT_LEAST_EVERY = 60.0
"""Seconds: how rarely filing is tried in the end, each time being told and noted."""


class FilingAway:
    """Takes over where a verdict is known. Thread-safe, as the pipeline is."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._ledger = around.ledger
        self._now = around.clock

    def conclude(self, drop: Drop, step: Step) -> Drop:
        """Commit a step; a verdict is committed with the final name, and the drop filed away at once."""
        now = self._now()
        if step.to not in (State.ACCEPTED, State.REJECTED):
            return self._ledger.move(drop, step, now)
        verdict = replace(step, changes={**step.changes, "finished_at": now, "due_at": None})
        try:
            with self._around.places.of(drop.taking) as inbox:
                name = self._final_name(inbox, drop, step.to, now)
                drop = self._ledger.move(drop, replace(verdict, changes={**verdict.changes, **name}), now)
                return self._file_away(inbox, drop)
        except (InboxTrouble, OSError) as error:
            if drop.state is not step.to:  # the verdict counts more than where the file goes
                drop = self._ledger.move(drop, verdict, now)
            return self._file_later(drop, in_words(error))

    def file_away(self, drop: Drop) -> Drop:
        """A drop with a verdict goes to its final place; for the filings that were interrupted."""
        try:
            with self._around.places.of(drop.taking) as inbox:
                return self._file_away(inbox, drop)
        except (InboxTrouble, OSError) as error:
            return self._file_later(drop, in_words(error))

    def _file_later(self, drop: Drop, reason: str) -> Drop:
        self._around.log_of(drop).warning("filing_failed", reason=reason)
        now = self._now()
        wait = max(AGAIN, min(now - drop.since, AGAIN_AT_LEAST_EVERY))
        changes = {"owner": None, "due_at": now + wait}
        return self._ledger.move(
            drop, Step(to=drop.state, event="filing_failed", data={"reason": reason}, changes=changes), self._now()
        )

    def _file_away(self, inbox: OpenInbox, drop: Drop) -> Drop:
        taking = drop.taking
        event = "filed"
        while True:
            if drop.filed_dir is None or drop.filed_as is None:
                name = self._final_name(inbox, drop, drop.state, self._now())
                drop = self._ledger.move(drop, Step(to=drop.state, event="named", changes=name), self._now())
                continue
            try:
                filing.place(
                    inbox,
                    drop.id,
                    taking.name,
                    drop.filed_dir,
                    drop.filed_as,
                    inode=taking.stamp.inode,
                    companion=taking.companion,
                )
                filing.write_sidecar(inbox, drop.id, drop.filed_dir, drop.filed_as, self._sidecar(drop))
                break
            except NameTaken:  # somebody put a file there since the name was chosen: another name, committed first
                with contextlib.suppress(Gone, FileExistsError):
                    filing.take_back(
                        inbox,
                        drop.id,
                        taking.name,
                        drop.filed_dir,
                        drop.filed_as,
                        inode=taking.stamp.inode,
                        companion=taking.companion,
                    )
                unnamed = Step(
                    to=drop.state, event="name_taken", data={"name": drop.filed_as}, changes={"filed_dir": None, "filed_as": None}
                )
                drop = self._ledger.move(drop, unnamed, self._now())
            except Gone as error:
                self._around.log_of(drop).error("file_missing", reason=str(error))
                event = "file_missing"
                break
        end = State.DONE if drop.state is State.ACCEPTED else State.FAILED
        drop = self._ledger.move(drop, Step(to=end, event=event), self._now())
        log = self._around.log_of(drop).bind(
            state=str(end), folder=display(drop.filed_dir or ""), filed_as=display(drop.filed_as or "")
        )
        if event == "filed":
            (log.info if end is State.DONE else log.warning)(event)
        return drop

    def _final_name(self, inbox: OpenInbox, drop: Drop, end: State, now: float) -> dict[str, str]:
        taking = drop.taking
        # by inbox, not by name: a route of this name that has another inbox by now may lead to another disk
        route = next((route for route in self._around.routes.values() if str(route.inbox) == inbox.path), None)
        kind = "done" if end in (State.ACCEPTED, State.DONE) else "failed"
        day = time.localtime(now)
        dates = {"yyyy": time.strftime("%Y", day), "mm": time.strftime("%m", day), "dd": time.strftime("%d", day)}
        folder = Template.parse(getattr(route, kind)).fill(dates) if route is not None else f"{inbox.path}/{kind}"
        folder = f"{folder}/{taking.folder}" if taking.folder else folder
        stamp = time.strftime("%Y%m%d-%H%M%S", day)
        names = filed_names(taking.name, stamp=stamp, short_id=drop.short_id, companion=taking.companion)
        return {"filed_dir": folder, "filed_as": filing.free_name(inbox, folder, names)}

    def _sidecar(self, drop: Drop) -> str:
        twins = self._ledger.find(drop.duplicate_of) if drop.duplicate_of else []
        account = self._around.accounts.get(drop.taking.provider)
        content = result.result(
            drop,
            self._ledger.attempts(drop.id),
            label=account.provider.traits.label if account else drop.taking.provider_type,
            version=self._around.version,
            host=self._around.host,
            duplicate_of=twins[0] if twins else None,
        )
        return result.as_text(content)
