"""Builds everything, and owns threads and signals.

Threads: this one (signals, systemd) · watchdog's own · one for the rounds, with its pools of lookers and takers · `concurrency` senders per
account · one keeper. They share the ledger, an event to wake and an event to stop, and no queue. An exception that ends a loop ends the
process: the service manager starts it anew, and recovery goes on.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FrameType

from dropd import __version__, lock
from dropd.checks import check_folders
from dropd.config import Config, Route
from dropd.errors import ConfigError
from dropd.fields import ProviderOptions, Secret
from dropd.lanes import Lane, Limiter
from dropd.ledger.base import Ledger
from dropd.ledger.sql import SqlLedger
from dropd.model import UNFINISHED, State
from dropd.observe.logs import Redactor
from dropd.observe.systemd import notify
from dropd.pipeline import Pipeline
from dropd.policy import Rules
from dropd.providers.base import Provider
from dropd.recovery import Recovery
from dropd.rounds import Rounds
from dropd.spool.places import Places
from dropd.surroundings import Account, Log, Surroundings, new_id
from dropd.wake import Wake

LEDGER = "ledger.db"
KEEPER_EVERY = 2.0
"""Seconds between two looks for drops that stand between two steps."""


@dataclass(frozen=True, slots=True)
class Once:
    """`run --once`: end when all that was there is delivered, or `wait` seconds after nothing but due times is left."""

    wait: float


class Daemon:
    """One run. Build it, then `run()`; it holds the state folder's lock for its life."""

    def __init__(
        self,
        config: Config,
        kinds: Mapping[str, type[Provider]],
        log: Log,
        redactor: Redactor,
        *,
        routes: tuple[Route, ...] | None = None,
    ) -> None:
        """`routes`: those whose inboxes are looked at, if not all; drops that are on their way go on whatever their route."""
        self._config = config
        self._kinds = kinds
        self._log = log
        self._redactor = redactor
        self._routes = {route.name: route for route in config.routes}
        self._looked_at = tuple(self._routes if routes is None else (route.name for route in routes))
        self._stop = threading.Event()
        self._wake = Wake()
        self._failures: list[BaseException] = []
        self._signalled: int | None = None  # the reading end of the pipe that a signal's handler writes to

    def stop(self) -> None:
        """End in good order: uploads under way end within their timeout, nothing new begins."""
        self._stop.set()
        self._wake.notify()

    # ------------------------------------------------------------------------------------------------ run

    def run(self, *, once: Once | None = None, until: Callable[[Ledger], bool] | None = None) -> int:
        """0, or 1 where something needs a person (`once`). Raises ConfigError, Locked, LedgerError, and what ended a loop."""
        lock.make_state_dir(self._config.state_dir)
        with lock.held(self._config.state_dir), contextlib.ExitStack() as stack:
            problems = check_folders(self._config)
            if problems:
                raise ConfigError(problems)
            ledger = SqlLedger(self._config.state_dir / LEDGER)
            stack.callback(ledger.close)
            accounts = self._accounts()
            for account in accounts.values():
                stack.callback(account.provider.close)
            around = self._surroundings(ledger, accounts)
            pipeline = Pipeline(around)
            recovery = Recovery(around, pipeline)
            began = around.clock()
            recovery.rows()
            recovery.go_on()
            rounds = Rounds(around, pipeline, recovery.work_of, routes=self._looked_at, wake=self._wake, stop=self._stop)
            lanes = self._lanes(around, pipeline)
            stack.enter_context(self._signals())
            threads = self._threads(rounds, recovery, lanes, ledger)
            try:
                for thread in threads:
                    thread.start()
                self._log.info(
                    "started",
                    version=__version__,
                    routes=len(self._looked_at),
                    state_dir=str(self._config.state_dir),
                    pid=os.getpid(),
                )
                notify(f"READY=1\nSTATUS=inboxes looked after: {len(self._looked_at)}")
                self._wait(ledger, rounds, once, until)
            finally:  # whatever happened, the lock is held until the last thread has ended
                notify("STOPPING=1")
                self.stop()
                rounds.wake()
                for thread in threads:
                    if thread.ident is not None:
                        thread.join()
            self._log.info("stopped")
            if self._failures:
                raise self._failures[0]
            return self._verdict(ledger, rounds, began) if once is not None else 0

    def _threads(self, rounds: Rounds, recovery: Recovery, lanes: Mapping[str, Lane], ledger: Ledger) -> list[threading.Thread]:
        loops: list[tuple[str, Callable[[], object]]] = [("rounds", rounds.run), ("keeper", lambda: self._keep(recovery, ledger))]
        for name, lane in lanes.items():
            loops += [(f"send-{name}-{number}", lane.run) for number in range(self._config.providers[name].options.concurrency)]
        return [threading.Thread(target=self._guarded, args=(loop,), name=name) for name, loop in loops]

    def _guarded(self, loop: Callable[[], object]) -> None:
        try:
            loop()
        except BaseException as error:
            self._failures.append(error)
            self.stop()

    def _keep(self, recovery: Recovery, ledger: Ledger) -> None:
        while not self._stop.wait(KEEPER_EVERY):
            if recovery.go_on() or self._is_overdue(ledger):
                self._wake.notify()

    def _is_overdue(self, ledger: Ledger) -> bool:
        """Whether a drop waits to be sent now: `dropd retry` moves a due time forward from another process, which wakes nobody here."""
        now = time.time()
        return any((due := ledger.next_due(name, ())) is not None and due <= now for name in self._config.providers)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """SIGTERM and SIGINT end the run in good order. Only the main thread may have signals: elsewhere `stop` is called."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        hears, tells = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

        def end(_number: int, _frame: FrameType | None) -> None:
            # no more than that: a handler runs between any two instructions, also of code that holds the lock of an Event
            with contextlib.suppress(BlockingIOError):
                os.write(tells, b"!")

        self._signalled = hears
        before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            self._signalled = None
            os.close(hears)
            os.close(tells)

    def _stopped(self, within: float) -> bool:
        """Wait so many seconds at the most. Whether the run is to end."""
        if self._signalled is None:
            return self._stop.wait(within)
        if select.select([self._signalled], [], [], within)[0]:
            self.stop()
        return self._stop.is_set()

    # ------------------------------------------------------------------------------------------------ wait for the end

    def _wait(self, ledger: Ledger, rounds: Rounds, once: Once | None, until: Callable[[Ledger], bool] | None) -> None:
        if once is None and until is None:
            while not self._stopped(0.5):
                pass
            return
        settled_at = time.monotonic() + max((self._routes[name].settle for name in self._looked_at), default=0.0)
        deadline: float | None = None
        while not self._stopped(0.05):
            if until is not None:
                if until(ledger):
                    return
                continue
            if once is None or not rounds.is_quiet(since=settled_at):
                continue
            now = time.monotonic()
            if not self._under_way(ledger):
                return
            if self._anything_due(ledger):
                deadline = None
                continue
            deadline = now + once.wait if deadline is None else deadline
            if now >= deadline:
                return

    def _under_way(self, ledger: Ledger) -> bool:
        return bool(ledger.recent(states=UNFINISHED, limit=1))

    def _anything_due(self, ledger: Ledger) -> bool:
        """Whether something goes on without waiting for a due time or a pause."""
        now = time.time()
        paused = {pause.provider for pause in ledger.pauses()}
        return any(
            drop.owner is not None or (drop.due_at is not None and drop.due_at <= now and drop.taking.provider not in paused)
            for drop in ledger.unfinished()
        )

    def _verdict(self, ledger: Ledger, rounds: Rounds, began: float) -> int:
        """1 where a person is needed: a file that was not delivered in this run, or is unfinished, or an inbox that cannot be used."""
        failed = any((drop.finished_at or 0) >= began for drop in ledger.recent(states={State.FAILED}, limit=1000))
        return 1 if failed or self._under_way(ledger) or rounds.red() or rounds.waiting() else 0

    # ------------------------------------------------------------------------------------------------ building

    def _accounts(self) -> dict[str, Account]:
        return {
            name: build_account(account.name, account.type, account.options, self._kinds, self._reveal, self._stop)
            for name, account in self._config.providers.items()
        }

    def _reveal(self, secret: Secret) -> str:
        return self._redactor.learn(secret.reveal())

    def _surroundings(self, ledger: Ledger, accounts: Mapping[str, Account]) -> Surroundings:
        known = {inbox.route: (inbox.path, inbox.inbox_id) for inbox in ledger.inboxes()}
        return Surroundings(
            ledger=ledger,
            places=Places(ledger.ledger_id, known),
            routes=self._routes,
            accounts=accounts,
            clock=time.time,
            dice=random.random,
            new_id=new_id,
            owner=f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}",
            host=socket.gethostname(),
            version=__version__,
            log=self._log,
        )

    def _lanes(self, around: Surroundings, pipeline: Pipeline) -> dict[str, Lane]:
        return {
            name: Lane(
                name, account, around.ledger, pipeline, Limiter(self._config.providers[name].options.rate, time.monotonic),
                clock=around.clock, dice=around.dice, owner=around.owner, wake=self._wake, stop=self._stop, log=self._log,
            )
            for name, account in around.accounts.items()
        }  # fmt: skip


def build_account(
    name: str,
    kind: str,
    options: ProviderOptions,
    kinds: Mapping[str, type[Provider]],
    secrets: Callable[[Secret], str],
    stop: threading.Event,
) -> Account:
    """An account ready to send. Raises SecretMissing."""
    provider = kinds[kind](name, options, clock=time.time, secrets=secrets, stop=stop)
    traits = provider.traits
    rules = Rules(
        first=options.retry.first,
        max=options.retry.max,
        give_up_after=options.retry.give_up_after,
        can_ask=traits.can_ask,
    )
    return Account(kind, provider, rules, options.max_size)
