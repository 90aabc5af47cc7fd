"""The story of one drop, top to bottom: take, prepare, deliver, file away.

    (inbox/) --take--> TAKING --prepare--> READY --deliver--> SENDING --> ACCEPTED --file away--> DONE
                          |                  ^                   |  |
                          |                  +---- later --------+  +--> CONFIRMING, UNCONFIRMED (polled, asked; see policy.py)
                          +--> REJECTED (does not fit) <------------+--> REJECTED --file away--> FAILED

The ledger is written before each step, so that a death between any two of them leaves a row that says what was about to happen;
recovery.py goes on from there.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

from dropd import policy
from dropd.errors import Gone, InboxTrouble, StillWritten, in_words
from dropd.filing_away import FilingAway
from dropd.ledger.base import HasTwin
from dropd.model import (
    Absent,
    Changed,
    Code,
    Drop,
    Error,
    Later,
    Misconfigured,
    Outcome,
    Pause,
    Pending,
    Stamp,
    State,
    Step,
    Taking,
    Unconfirmed,
    identity,
)
from dropd.naming import content_type, for_vendor
from dropd.providers.base import Parcel, Provider
from dropd.routing import COMPANION_LIMIT, Unroutable, check_size, resolve
from dropd.spool import filing, work
from dropd.spool.mark import OpenInbox
from dropd.surroundings import AGAIN, DurableNotes, Surroundings


class Pipeline:
    """Each verb takes one drop one step further. Thread-safe: a drop has one owner, and verbs touch nothing else."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._ledger = around.ledger
        self._now = around.clock
        self._filing = FilingAway(around)

    # ------------------------------------------------------------------------------------------------ take

    def take(self, inbox: OpenInbox, seen: Taking) -> Drop:
        """Claim a settled file: row first, then one rename. The drop comes back RELEASED where it is no longer as it was seen."""
        drop = self._ledger.begin(self._around.new_id(self._now()), seen, self._around.owner, self._now())
        try:
            work.take(inbox, drop.id, seen.folder, seen.name, seen.stamp, companion=seen.companion)
        except (Gone, StillWritten, OSError) as error:
            try:
                is_taken = work.in_work(inbox, drop.id, seen.name) is not None
            except OSError:  # nobody can tell where it is now: the keeper finds out
                return self._later(drop, in_words(error))
            if not is_taken:
                return self._release(drop, in_words(error))
        self._around.log_of(drop).info("taken", size=seen.stamp.size)
        return self.go_on(inbox, drop)

    def _release(self, drop: Drop, reason: str) -> Drop:
        self._around.log_of(drop).info("released", reason=reason)
        return self._ledger.move(drop, Step(to=State.RELEASED, event="released", data={"reason": reason}), self._now())

    def _give_back(self, inbox: OpenInbox, drop: Drop, reason: str) -> Drop:
        """Somebody still writes to it: it settles in the inbox like any other."""
        taking = drop.taking
        work.give_back(inbox, drop.id, taking.folder, taking.name, companion=taking.companion)
        return self._release(drop, reason)

    # ------------------------------------------------------------------------------------------------ prepare

    def go_on(self, inbox: OpenInbox, drop: Drop) -> Drop:
        """Prepare a drop that is in the work folder; where its disk fails, it is tried again by and by."""
        try:
            return self.prepare(inbox, drop)
        except (InboxTrouble, OSError) as error:
            return self._later(drop, in_words(error))

    def _later(self, drop: Drop, reason: str) -> Drop:
        self._around.log_of(drop).error("preparing_failed", reason=reason)
        changes = {"owner": None, "due_at": self._now() + AGAIN}
        return self._ledger.move(
            drop, Step(to=State.TAKING, event="preparing_failed", data={"reason": reason}, changes=changes), self._now()
        )

    def prepare(self, inbox: OpenInbox, drop: Drop) -> Drop:
        """Hash what was taken, resolve and freeze its target, reserve its identity: READY, or refused and filed."""
        taking = drop.taking
        try:
            with work.open_drop(inbox, drop.id, taking.name) as reader:
                sha256 = work.sha256_of(reader)
            touched = self._merely_touched(inbox, drop, sha256)
            work.make_durable(inbox, drop.id, taking.folder, taking.name)
        except StillWritten as error:
            return self._give_back(inbox, drop, str(error))
        except Gone as error:
            return self._vanished(drop, str(error))
        changes: dict[str, Any] = {"sha256": sha256, "content_type": content_type(taking.name), "setbacks": 0}
        changes |= touched | self._person_order(inbox, drop, sha256)
        try:
            target, changes["content_type"], give_up_after = self._target(inbox, drop)
        except Unroutable as error:
            return self._reject(drop, error.error, changes)
        now = self._now()
        changes |= {"target": target, "due_at": now, "give_up_at": now + give_up_after}
        try:
            ready = self._ledger.ready(
                drop, Step(to=State.READY, event="ready", changes=changes), identity(taking.provider, target, sha256), now
            )
        except HasTwin as error:
            message = f"The same content is drop {error.twin.id}."
            return self._reject(drop, Error(Code.DUPLICATE, message), {**changes, "duplicate_of": error.twin.id})
        self._around.log_of(drop).debug("ready", target=target.as_dict())
        return ready

    def _check_untouched(self, inbox: OpenInbox, drop: Drop) -> None:
        if self._stamp(inbox, drop) != drop.taking.stamp:
            raise StillWritten("somebody wrote to it while it was taken")

    def _merely_touched(self, inbox: OpenInbox, drop: Drop, sha256: str) -> dict[str, Taking]:
        """Nothing, or its new date: a file that somebody saved unchanged in failed/ is what its row says, with all that is known of it."""
        if drop.sha256 != sha256:
            self._check_untouched(inbox, drop)
            return {}
        return {"taking": replace(drop.taking, stamp=self._stamp(inbox, drop))}

    def _stamp(self, inbox: OpenInbox, drop: Drop) -> Stamp:
        about = work.in_work(inbox, drop.id, drop.taking.name)
        if about is None:
            raise Gone("it is not in the work folder any more")
        return Stamp.of(about)

    def _person_order(self, inbox: OpenInbox, drop: Drop, sha256: str) -> dict[str, bool]:
        """A file that a person moved from failed/ back into the inbox is to be sent, whatever the ledger thinks of its content."""
        earlier = self._ledger.failed_file(drop.taking.inbox_id, drop.taking.stamp.inode)
        if earlier is None or earlier.id == drop.id or earlier.sha256 != sha256:
            return {}
        if earlier.filed_dir is not None and earlier.filed_as is not None:
            filing.remove_sidecar(inbox, earlier.id, earlier.filed_dir, earlier.filed_as)
        doubt = drop.possible_duplicate or earlier.may_double
        return {"person_order": True, "possible_duplicate": doubt}

    def _target(self, inbox: OpenInbox, drop: Drop) -> tuple[Any, str, float]:
        taking = drop.taking
        route = self._around.routes.get(taking.route)
        account = self._around.accounts.get(route.provider) if route is not None else None
        if route is None or account is None:
            raise Unroutable(Code.REFUSED, f"The route {taking.route!r} is no longer configured.")
        if route.provider != taking.provider:  # ids that are meant for one account must not reach another
            moved = f"The route {taking.route!r} leads to {route.provider} now, and this file was taken for {taking.provider}."
            raise Unroutable(Code.REFUSED, f"{moved} Move it back into the inbox, and it goes to {route.provider}.")
        limits = [limit for limit in (route.max_size, account.max_size) if limit is not None]
        check_size(taking.stamp.size, min(limits, default=None), allow_empty=route.allow_empty)
        companion = work.read_companion(inbox, drop.id, taking.name, COMPANION_LIMIT) if route.wants_companion else None
        target = resolve(route, taking.name, taking.folder, companion)
        traits = account.provider.traits
        declared = target.file_type if traits.file_type_is_content_type else None
        declared = declared or content_type(taking.name)
        refused = account.provider.check(target, declared)
        if refused is not None:
            raise Unroutable(refused.code, refused.reason)
        return target, declared, account.rules.give_up_after

    # ------------------------------------------------------------------------------------------------ deliver

    def deliver(self, drop: Drop, pauses: Collection[Pause] = ()) -> Outcome | None:
        """One call to the provider for a drop that was claimed, and what follows from it. None: it came to no call.

        `pauses`: those that this call probes.
        """
        account = self._around.accounts[drop.taking.provider]
        rules = account.rules
        started = self._now()
        if drop.state is State.UNCONFIRMED and not rules.can_ask:
            reason = drop.error.message if drop.error else "No answer came back."
            step = policy.without_verdict(drop, reason)
            self._around.log_of(drop).bind(provider=drop.taking.provider, state=str(step.to)).warning(step.event, reason=reason)
            self._filing.conclude(drop, step)
            return None
        try:
            outcome, drop = self._call(account.provider, drop)
        except Gone as error:
            self._vanished(drop, str(error))
            return None
        except InboxTrouble as error:  # the share went away; the drop is as safe there as it was
            self._ledger.move(drop, self._inbox_away(drop, str(error)), self._now())
            return None
        if outcome is None:
            return None
        step = policy.after_call(drop, outcome, rules, started=started, now=self._now(), dice=self._around.dice, pauses=pauses)
        self._tell(drop, outcome, step)
        self._filing.conclude(drop, step)
        return outcome

    def _inbox_away(self, drop: Drop, reason: str) -> Step:
        changes = {"due_at": self._now() + AGAIN}
        return Step(to=policy.untouched(drop), event="inbox_away", data={"reason": reason}, changes=changes)

    def _call(self, provider: Provider, drop: Drop) -> tuple[Outcome | None, Drop]:
        """What the provider came to; None: the file was still written to before anything of it left, and went back to the inbox."""
        notes = DurableNotes(self._ledger, drop, self._now)
        taking = drop.taking
        with contextlib.ExitStack() as stack:
            inbox = stack.enter_context(self._around.places.of(taking))
            parcel = Parcel(
                drop_id=drop.id,
                name=for_vendor(taking.name),
                size=taking.stamp.size,
                content_type=drop.content_type or content_type(taking.name),
                target=drop.target,
                open=lambda: work.open_drop(inbox, drop.id, taking.name),
                polls=drop.polls,
                since=drop.since,
            )
            if drop.state is State.CONFIRMING:
                return provider.poll(parcel, notes), notes.drop
            if drop.state is State.UNCONFIRMED:
                return provider.ask(parcel, notes), notes.drop
            try:
                changed = self._change(inbox, drop)
            except OSError as error:  # the disk, before anything was sent; what send() raises is never taken for that
                raise InboxTrouble(in_words(error)) from None
            return changed or (provider.send(parcel, notes), notes.drop)

    def _change(self, inbox: OpenInbox, drop: Drop) -> tuple[Changed | None, Drop] | None:
        """What a change since the take leads to; None: there was none.

        Somebody who still writes at the first try has the file back, to finish it. Later it lies in a folder of dropd's own, and was
        shown to a vendor: what changes it there is for a person to look at.
        """
        try:
            self._check_whole(inbox, drop)
        except StillWritten as error:
            if drop.setbacks or drop.possible_duplicate or drop.notes:
                return Changed(reason=str(error)), drop
            return None, self._give_back(inbox, drop, str(error))
        return None

    def _check_whole(self, inbox: OpenInbox, drop: Drop) -> None:
        """Size and hash are checked against the row before sending: what lies in work/ may have come back from a power cut."""
        self._check_untouched(inbox, drop)
        with work.open_drop(inbox, drop.id, drop.taking.name) as reader:
            if work.sha256_of(reader) != drop.sha256:
                raise StillWritten("The file was changed after it was taken.")

    def _tell(self, drop: Drop, outcome: Outcome, step: Step) -> None:
        log = self._around.log_of(drop).bind(provider=drop.taking.provider, state=str(step.to), attempt=drop.attempt)
        if outcome.http_status is not None:
            log = log.bind(http_status=outcome.http_status)
        if outcome.reason:
            log = log.bind(reason=outcome.reason)
        if isinstance(outcome, Pending) and drop.state is State.CONFIRMING:
            log.debug(step.event)  # it was told at the first time; a slow vendor is asked for minutes
            return
        calm = not isinstance(outcome, Later | Misconfigured | Unconfirmed | Changed | Absent)
        (log.info if calm else log.warning)(step.event)

    # ------------------------------------------------------------------------------------------------ no delivery

    def _reject(self, drop: Drop, error: Error, changes: Mapping[str, Any]) -> Drop:
        step = policy.rejected(error)
        self._around.log_of(drop).warning(step.event, reason=error.message)
        return self._filing.conclude(drop, replace(step, changes={**changes, **step.changes}))

    def _vanished(self, drop: Drop, reason: str) -> Drop:
        """The file is neither in the inbox nor in work/: nothing can be sent or filed, so it is said loudly."""
        error = Error(Code.FILE_MISSING, reason)
        self._around.log_of(drop).error("file_missing", reason=reason)
        if drop.state is State.TAKING:
            return self._ledger.move(drop, Step(to=State.RELEASED, event="file_missing", data={"reason": reason}), self._now())
        now = self._now()
        step = policy.rejected(error)
        drop = self._ledger.move(drop, replace(step, changes={**step.changes, "finished_at": now}), now)
        return self._ledger.move(drop, Step(to=State.FAILED, event="nothing_to_file"), now)

    # ------------------------------------------------------------------------------------------------ file away

    def file_away(self, drop: Drop) -> Drop:
        """A drop with a verdict goes to its final place, for the filings that were interrupted: see filing_away.py."""
        return self._filing.file_away(drop)
