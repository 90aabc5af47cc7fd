"""Disk against ledger, before the first look: every unfinished row and every file in work/ gets an owner or a verdict.

With SQLite, whoever owned a row and is not this process is dead: there is no time-out to get wrong.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from dropd import policy
from dropd.errors import Gone, InboxTrouble
from dropd.ledger.base import Ledger
from dropd.model import Attempt, Code, Drop, Error, Stamp, State, Step, Taking
from dropd.naming import content_type, display, is_sidecar_or_companion
from dropd.pipeline import Pipeline
from dropd.providers.base import Proof
from dropd.spool import filing, work
from dropd.spool.mark import OpenInbox
from dropd.surroundings import Surroundings


class Recovery:
    """Runs once per start for the rows, and once per inbox and start for the files in work/."""

    def __init__(self, around: Surroundings, pipeline: Pipeline) -> None:
        self._around = around
        self._pipeline = pipeline
        self._ledger: Ledger = around.ledger
        self._log = around.log

    def rows(self) -> int:
        """Every unfinished row that no living process owns goes on. How many there were."""
        self._ledger.disown(self._around.owner, self._around.clock())
        unfinished = self._ledger.unfinished()
        for drop in unfinished:
            if drop.state is State.SENDING:
                self._died_sending(drop)
        if unfinished:
            self._log.info("recovered", unfinished=len(unfinished))
        gone = Counter(drop.taking.provider for drop in unfinished if drop.taking.provider not in self._around.accounts)
        for name, count in sorted(gone.items()):
            self._log.error("account_gone", provider=name, unfinished=count)
        return len(unfinished)

    def _died_sending(self, drop: Drop) -> None:
        """We died while SENDING: what the notes prove decides; without proof the vendor may have the file."""
        account = self._around.accounts.get(drop.taking.provider)
        proof = account.provider.proof(drop.notes) if account is not None else Proof.NOTHING
        now = self._around.clock()
        reason = "dropd was stopped while the file was being sent, so its answer is not known."
        match proof:
            case Proof.NOT_SENT:
                step = Step(to=State.READY, event="surely_not_sent", changes={"due_at": now})
            case Proof.POLLABLE:
                step = Step(to=State.CONFIRMING, event="to_be_confirmed", changes={"due_at": now, "polls": 0})
            case Proof.NOTHING:
                changes = {"due_at": now, "error": Error(Code.UNCONFIRMED, reason)}
                step = Step(to=State.UNCONFIRMED, event="died_sending", data={"reason": reason}, changes=changes)
        outcome = "later" if proof is Proof.NOT_SENT else "unconfirmed"
        attempt = Attempt(
            started_at=drop.since, finished_at=now, outcome=outcome, http_status=None, message=reason, trace_id=None
        )
        self._around.log_of(drop).warning(step.event, reason=reason)
        self._ledger.move(drop, replace(step, attempt=attempt), now)

    # ------------------------------------------------------------------------------------------------ the keeper's part

    def go_on(self) -> int:
        """Adopt what stands between two steps and is due: interrupted takes, filings to do again, retries that a person ordered."""
        states = (State.TAKING, State.ACCEPTED, State.REJECTED)
        adopted = self._ledger.adopt(states, self._around.owner, self._around.clock())
        for drop in adopted:
            if drop.state is State.TAKING:
                self._go_on_taking(drop)
            else:
                self._pipeline.file_away(drop)
        return len(adopted)

    def _go_on_taking(self, drop: Drop) -> None:
        """The row was written; whether the rename happened, the disk tells."""
        taking = drop.taking
        try:
            with self._around.places.of(taking) as inbox:
                work.clear(inbox, drop.id)  # first: whoever is about to move a file into an empty one finds it gone
                if work.in_work(inbox, drop.id, taking.name) is not None:
                    self._pipeline.go_on(inbox, self._taken(inbox, drop))
                    return
                if drop.filed_as is not None:  # a retry that came no further than its row
                    step = Step(to=State.FAILED, event="take_undone")
                elif work.in_inbox(inbox, taking.folder, taking.name) is not None:
                    step = Step(to=State.RELEASED, event="take_undone")
                else:
                    self._around.log_of(drop).error("file_missing", reason="it is neither in the inbox nor in the work folder")
                    step = Step(to=State.RELEASED, event="file_missing")
                self._ledger.move(drop, step, self._around.clock())
        except (InboxTrouble, OSError) as error:
            changes = {"owner": None, "due_at": self._around.clock() + 10.0}
            self._ledger.move(
                drop,
                Step(to=State.TAKING, event="inbox_away", data={"reason": str(error)}, changes=changes),
                self._around.clock(),
            )

    def _taken(self, inbox: OpenInbox, drop: Drop) -> Drop:
        """The take is made whole. A retry sheds what it was before, and its sidecar in failed/, where its companion may still be."""
        taking = drop.taking
        if drop.filed_dir is None or drop.filed_as is None:
            work.finish_take(inbox, drop.id, taking.folder, taking.name, companion=taking.companion)
            return drop
        filing.finish_take_back(inbox, drop.id, taking.name, drop.filed_dir, drop.filed_as, companion=taking.companion)
        filing.remove_sidecar(inbox, drop.id, drop.filed_dir, drop.filed_as)
        return self._ledger.move(drop, Step(to=State.TAKING, event="back_in_work", changes=policy.ANEW), self._around.clock())

    # ------------------------------------------------------------------------------------------------ files in work/

    def work_of(self, inbox: OpenInbox, route: str) -> int:
        """Files in work/ that no unfinished row knows may have been sent: held as unconfirmed, never READY. How many there were."""
        folders = list(work.work_folders(inbox))  # before the rows are read: a row always comes first
        known = {drop.id for drop in self._ledger.unfinished()}
        held = 0
        for folder, names in folders:
            if folder in known:
                continue
            files = [name for name in names if not is_sidecar_or_companion(name, names)]
            if not files:
                work.clear(inbox, folder)
            for name in files:
                held += self._hold(inbox, route, folder, name, names)
        return held

    def _hold(self, inbox: OpenInbox, route_name: str, folder: str, name: str, names: Collection[str]) -> int:
        route = self._around.routes[route_name]
        account = self._around.accounts[route.provider]
        if not re.fullmatch(r"[0-9A-Za-z-]{1,36}", folder):  # no drop's id: not dropd's doing
            self._log.error("left_in_work", route=route_name, file=display(name), drop=display(folder))
            return 0
        about = work.in_work(inbox, folder, name)
        if about is None:
            return 0
        now = self._around.clock()
        taking = Taking(
            route=route_name,
            provider=route.provider,
            provider_type=account.type,
            inbox=inbox.path,
            inbox_id=inbox.inbox_id,
            folder="",
            name=name,
            companion=len(names) > 1,
            stamp=Stamp.of(about),
            owner_name=work.owner_name_of(about.st_uid),
        )
        if any(
            drop.id == folder for drop in self._ledger.find(folder)
        ):  # finished, and yet something lies here: not ours to guess about
            self._log.error("left_in_work", route=route_name, file=display(name), drop=folder)
            return 0
        reason = "The file lay in dropd's work folder without an entry in its ledger: it may have been sent before."
        sha256: str | None = None
        try:
            with work.open_drop(inbox, folder, name) as reader:
                sha256 = work.sha256_of(reader)
        except Gone:
            return 0
        except OSError as error:  # one file that cannot be read holds no inbox up
            reason += f" It cannot be read ({error.strerror})."
        self._log.error("orphan_held", drop=folder, route=route_name, file=display(name), reason=reason)
        verdict = policy.rejected(Error(Code.UNCONFIRMED, reason))
        changes = {**verdict.changes, "sha256": sha256, "content_type": content_type(name), "finished_at": now}
        # the work folder's name becomes the drop's id, so that the file need not move before its row stands
        drop = self._ledger.begin(folder, taking, self._around.owner, now, replace(verdict, changes=changes))
        self._pipeline.file_away(drop)
        return 1
