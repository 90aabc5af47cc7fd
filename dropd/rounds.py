"""When each inbox is looked at, and what becomes of what is found there.

The look at the start and on the timer is the truth; events only bring the next one forward. Looks run on a small pool, so that a share
that hangs holds no other inbox up: one that has not come back by its deadline is red until it does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

from dropd.errors import InboxTrouble
from dropd.intake.scanner import Seen, look
from dropd.intake.watcher import Watcher
from dropd.model import Inbox, State, Taking
from dropd.naming import display
from dropd.pipeline import Pipeline
from dropd.roots import Root, root_of
from dropd.spool import work
from dropd.spool.mark import OpenInbox
from dropd.surroundings import Surroundings
from dropd.wake import Wake

DEADLINE = 60.0
"""Seconds until a look that has not come back makes its inbox red."""

_LOOKERS = 4


class Rounds:
    """Looks at every inbox in its time, and hands what has settled to the pipeline."""

    def __init__(
        self,
        around: Surroundings,
        pipeline: Pipeline,
        on_open: Callable[[OpenInbox, str], object],
        *,
        routes: Collection[str],
        wake: Wake,
        stop: threading.Event,
    ) -> None:
        """`routes`: the names of those whose inboxes are looked at.

        `on_open` is called with an inbox and its route when it becomes usable, before anything is taken from it.
        """
        self._around = around
        self._ledger = around.ledger
        self._places = around.places
        self._clock = around.clock
        self._log = around.log
        self._pipeline = pipeline
        self._on_open = on_open
        self._wake = wake
        self._stop = stop
        self._lock = threading.Lock()
        self._bell = threading.Condition(self._lock)
        self._lookers = ThreadPoolExecutor(_LOOKERS, thread_name_prefix="look")
        self._takers = ThreadPoolExecutor(2, thread_name_prefix="take")
        self._failure: BaseException | None = None
        known = {inbox.route: inbox for inbox in self._ledger.inboxes()}
        self._roots = {name: root_of(around.routes[name], known.get(name)) for name in routes}
        self._watcher = Watcher(self.look_everywhere)

    # ------------------------------------------------------------------------------------------------ the loop

    def run(self) -> None:
        """Until stop."""
        self._watcher.start()
        try:
            with self._bell:
                while not self._stop.is_set():  # asked with the lock held: a wake after it is not slept through
                    if self._failure is not None:
                        raise self._failure
                    self._bell.wait(self._send_out())
        finally:
            self._watcher.stop()
            self._lookers.shutdown(wait=False, cancel_futures=True)
            self._takers.shutdown(wait=True, cancel_futures=True)

    def _send_out(self) -> float:
        """Send a looker to each inbox whose time has come. How long the loop may sleep."""
        now = time.monotonic()
        sleep = 60.0
        for root in self._roots.values():
            if root.running is not None:
                if now - root.began >= DEADLINE:
                    self._note(root, red=f"the folder has not answered for more than {DEADLINE:.0f} seconds")
                sleep = min(sleep, max(root.began + DEADLINE - now, 5.0))
            elif root.next_look <= now:
                root.began = now
                root.wanted = False
                root.running = self._lookers.submit(self._look, root)
            else:
                sleep = min(sleep, root.next_look - now)
        return sleep

    def look_everywhere(self) -> None:
        for name in self._roots:
            self.look_again(name)

    def look_again(self, name: str) -> None:
        """Bring an inbox's next look forward to now."""
        with self._bell:
            root = self._roots[name]
            root.wanted = True
            root.next_look = time.monotonic()
            self._bell.notify()

    def wake(self) -> None:
        """Make the loop notice that it is to stop."""
        with self._bell:
            self._bell.notify()

    # ------------------------------------------------------------------------------------------------ one look

    def _look(self, root: Root) -> None:
        next_look = time.monotonic() + root.route.scan_every
        try:
            next_look = min(next_look, self._look_or_be_red(root))
        except BaseException as error:  # a fault of the code ends the process: systemd starts it anew
            self._failure = error
        with self._bell:
            root.running = None
            root.looks += 1
            root.next_look = time.monotonic() if root.wanted else next_look
            self._bell.notify()

    def _look_or_be_red(self, root: Root) -> float:
        """When to look again, in monotonic time."""
        try:
            return self._look_and_take(root)
        except (InboxTrouble, OSError) as error:
            root.watched = False
            if self._hear_of_adoption(root):
                return time.monotonic()
            self._note(root, red=str(error))
            return time.monotonic() + 5.0

    def _look_and_take(self, root: Root) -> float:
        """When to look again, in monotonic time."""
        route = root.route
        with self._places.open(route.name, str(route.inbox)) as inbox:
            self._places.remember(route.name, inbox.path, inbox.inbox_id)
            self._arm(root, inbox)
            found = look(inbox.fd, root.rules)
            now = time.monotonic()
            settled, slow, next_look = root.settling.update([seen for seen in found.files if seen.key not in root.taking], now)
            present = {seen.key for seen in found.files}
            root.kept_off = {key: kept for key, kept in root.kept_off.items() if key in present}
            kept_off = {display("/".join(filter(None, key))): kept.reason for key, kept in root.kept_off.items()}
            self._note(root, red=None, inbox_id=inbox.inbox_id, left_alone=found.left_alone | kept_off)
        for seen in slow:
            self._log.warning("still_growing", route=route.name, file=_shown(seen), size=seen.stamp.size)
        ready = [seen for seen in settled if root.may_take(seen, now)]
        root.waiting = len(found.files) - len(settled)
        for seen in ready:
            root.taking.add(seen.key)
            self._takers.submit(self._take, root, seen)
        return next_look if next_look is not None else now + route.scan_every

    def _arm(self, root: Root, inbox: OpenInbox) -> None:
        """Once when an inbox becomes usable: settle what lies in its work folder, and watch it."""
        if root.watched:
            return
        name = root.route.name
        self._on_open(inbox, name)
        trouble = self._watcher.watch(
            inbox.path, recursive=root.rules.levels != 0, keep_out=root.keep_out, look_again=lambda: self.look_again(name)
        )
        root.watched = True
        if trouble:
            self._log.warning("not_watched", route=name, reason=trouble, looked_at_every=root.route.scan_every)

    def _hear_of_adoption(self, root: Root) -> bool:
        """`dropd init --adopt` gives an inbox a new mark, through the ledger: the next look believes it."""
        name, path = root.route.name, str(root.route.inbox)
        row = next((row for row in self._ledger.inboxes() if row.route == name and row.path == path), None)
        if row is None or row.inbox_id is None or row.inbox_id == self._places.mark_of(name, path):
            return False
        self._places.remember(name, path, row.inbox_id)
        return True

    def _take(self, root: Root, seen: Seen) -> None:
        """On a taker's thread."""
        try:
            if not self._stop.is_set():
                self._take_or_be_red(root, seen)
        except BaseException as error:
            self._failure = error
        finally:
            root.taking.discard(seen.key)
            self._wake.notify(root.route.provider)
            if not root.taking or self._failure is not None:
                self.look_again(root.route.name)

    def _take_or_be_red(self, root: Root, seen: Seen) -> None:
        """One settled file to READY, or back to where it was."""
        try:
            with self._places.open(root.route.name, str(root.route.inbox)) as inbox:
                obstacle = work.obstacle(inbox, seen.folder, seen.name)
                if obstacle is not None:
                    root.keep_off(seen, obstacle, left_a_row=False)
                    return
                drop = self._pipeline.take(inbox, self._taking(root, inbox, seen))
            if drop.state is State.RELEASED:
                root.keep_off(seen, "it could not be taken", left_a_row=True)
            else:
                root.kept_off.pop(seen.key, None)
        except (InboxTrouble, OSError) as error:
            self._note(root, red=str(error))

    def _taking(self, root: Root, inbox: OpenInbox, seen: Seen) -> Taking:
        route = root.route
        return Taking(
            route=route.name,
            provider=route.provider,
            provider_type=self._around.accounts[route.provider].type,
            inbox=inbox.path,
            inbox_id=inbox.inbox_id,
            folder=seen.folder,
            name=seen.name,
            companion=seen.companion is not None,
            stamp=seen.stamp,
            owner_name=work.owner_name_of(seen.uid),
        )

    # ------------------------------------------------------------------------------------------------ what is known of an inbox

    def _note(
        self, root: Root, *, red: str | None, inbox_id: str | None = None, left_alone: Mapping[str, str] | None = None
    ) -> None:
        """Say what changed, once, and keep it for `dropd status`."""
        now = self._clock()
        route = root.route
        before = root.about or Inbox(route.name, str(route.inbox), None, None, now, None)
        left = dict(left_alone) if left_alone is not None else dict(before.left_alone)
        for path, reason in left.items():
            if path not in before.left_alone:
                self._log.warning("left_alone", route=route.name, file=path, reason=reason)
        if red != before.red:
            if red is not None:
                self._log.error("inbox_red", route=route.name, inbox=display(str(route.inbox)), reason=red)
            elif root.about is not None and before.red is not None:
                self._log.warning("inbox_well_again", route=route.name, inbox=display(str(route.inbox)))
        same = red == before.red and left == before.left_alone and inbox_id in (None, before.inbox_id)
        if same and before.last_look is not None and now - before.last_look < min(route.scan_every, 10.0):
            return  # not a row at every event
        since = before.since if red == before.red else now
        root.about = Inbox(route.name, str(route.inbox), inbox_id, red, since, now, left)
        self._ledger.look(root.about)

    def is_quiet(self, since: float) -> bool:
        """Whether all that was there is taken, or still changed at a look after `since` (monotonic): for `run --once`."""
        with self._lock:
            return all(
                root.looks > 0
                and root.running is None
                and not root.taking
                and not root.wanted
                and (not root.waiting or root.began >= since)
                for root in self._roots.values()
            )

    def waiting(self) -> int:
        """How many files have not settled, or cannot be taken."""
        with self._lock:
            return sum(root.waiting + len(root.kept_off) for root in self._roots.values())

    def red(self) -> Mapping[str, str]:
        """The inboxes that cannot be used, and why."""
        with self._lock:
            return {
                name: root.about.red
                for name, root in self._roots.items()
                if root.about is not None and root.about.red is not None
            }


def _shown(seen: Seen) -> str:
    return display(f"{seen.folder}/{seen.name}" if seen.folder else seen.name)
