"""Who may be sent to now: rate, concurrency and pauses of one account, and the loop of its senders.

Pauses are durable, so that a restart goes on with them. A pause is probed by one waiting drop at a time, and only the probe ends or
lengthens it: an answer to a call that began before tells nothing of how the vendor is now.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass

from dropd import policy
from dropd.fields import Rate
from dropd.ledger.base import Ledger
from dropd.model import Drop, Outcome, Pause
from dropd.pipeline import Pipeline
from dropd.policy import Dice
from dropd.surroundings import Account, Log
from dropd.wake import Wake


class Limiter:
    """At most `count` requests in any `period`, as the vendor counts them.

    A request occupies its place from before it leaves until `period` after it was answered: however long it was under way, the vendor
    never sees more than `count` arrive within one period.
    """

    def __init__(self, rates: Collection[Rate], clock: Callable[[], float]) -> None:
        self._rates = tuple(rates)
        self._clock = clock
        self._lock = threading.Lock()
        self._under_way = 0
        self._ended: deque[float] = deque(maxlen=max((rate.count for rate in rates), default=0))

    def enter(self, requests: int) -> float:
        """0 with places for so many requests; else the seconds until it is worth asking again."""
        now = self._clock()
        with self._lock:
            wait = max((self._wait(rate, requests, now) for rate in self._rates), default=0.0)
            if wait == 0:
                self._under_way += requests
        return wait

    def _wait(self, rate: Rate, requests: int, now: float) -> float:
        wanted = min(requests, rate.count)
        recent = [ended for ended in self._ended if now - ended < rate.period]
        over = self._under_way + len(recent) + wanted - rate.count
        if over <= 0:
            return 0.0
        return max(recent[over - 1] + rate.period - now, 0.001) if over <= len(recent) else 0.05  # those under way end soon

    def leave(self, requests: int, *, used: bool = True) -> None:
        """The requests were answered, or (not `used`) never made."""
        now = self._clock()
        with self._lock:
            self._under_way -= requests
            if used:
                self._ended.extend([now] * requests)


@dataclass(slots=True)
class _Turn:
    """One sender's right to make one call."""

    held: frozenset[str]
    probes: set[str]  # the pauses that this call probes: targets, or "" for the account


class Lane:
    """One account's senders. `run` is the body of each of its threads."""

    def __init__(
        self, name: str, account: Account, ledger: Ledger, pipeline: Pipeline, limiter: Limiter, *,
        clock: Callable[[], float], dice: Dice, owner: str, wake: Wake, stop: threading.Event, log: Log,
    ) -> None:  # fmt: skip
        self._name = name
        self._account = account
        self._ledger = ledger
        self._pipeline = pipeline
        self._limiter = limiter
        self._clock = clock
        self._dice = dice
        self._owner = owner
        self._wake = wake
        self._stop = stop
        self._log = log
        self._cost = account.provider.traits.requests_per_send
        self._lock = threading.Lock()
        self._login = threading.Lock()
        self._pauses: dict[str, Pause] = {pause.target: pause for pause in ledger.pauses() if pause.provider == name}
        self._probing: set[str] = set()  # targets, or "" for the account, that somebody probes right now

    def run(self) -> None:
        """Until stop: wait for a turn, make one call."""
        while not self._stop.is_set():
            seen = self._wake.now(self._name)
            turn, wait = self._turn()
            if turn is None:
                self._wake.wait(seen, min(wait, 60.0), self._name)
                continue
            self._take_turn(turn)

    def _turn(self) -> tuple[_Turn | None, float]:
        """A turn, or how many seconds to wait for one."""
        with self._lock:
            now = self._clock()
            paused = self._pauses.get("")
            if paused is not None and ("" in self._probing or now < paused.probe_at):
                return None, max(paused.probe_at - now, 0.05)
            held = frozenset(
                target for target, pause in self._pauses.items() if target and (pause.probe_at > now or target in self._probing)
            )
            due = self._ledger.next_due(self._name, held)
            first_probe = min((self._pauses[target].probe_at for target in held), default=now + 60.0)
            if due is None or due > now:
                return None, max(min(due if due is not None else first_probe, first_probe) - now, 0.05 if held else 0.0)
            wait = self._limiter.enter(self._cost)
            if wait > 0:
                return None, wait
            turn = _Turn(held, {""} if paused is not None else set())
            self._probing |= turn.probes
            return turn, 0.0

    def _take_turn(self, turn: _Turn) -> None:
        used = False
        drop: Drop | None = None
        try:
            if not self._logged_in(turn):
                return
            drop = self._claim(turn)
            if drop is None:
                return
            used = True
            with self._lock:
                probed = [self._pauses[target] for target in turn.probes if target in self._pauses]
            outcome = self._pipeline.deliver(drop, probed)
            if outcome is not None:
                self._learn(turn, drop, outcome)
        finally:
            self._limiter.leave(self._cost, used=used)
            with self._lock:
                self._probing -= turn.probes
                others_wait = bool(turn.probes or self._pauses)
            if others_wait:  # for what this turn came to; else they have nothing to learn from it
                self._wake.notify(self._name)

    def _logged_in(self, turn: _Turn) -> bool:
        """A token in hand before anything is SENDING. One sender asks for it; the others find the pause that a refusal led to."""
        with self._login:
            with self._lock:
                if self._is_barred(turn):
                    return False
            refused = self._account.provider.login()
            if refused is not None:
                self._learn(turn, None, refused)
            return refused is None

    def _is_barred(self, turn: _Turn) -> bool:
        """Whether the account was paused since the turn was given."""
        return "" in self._pauses and "" not in turn.probes

    def _claim(self, turn: _Turn) -> Drop | None:
        with self._lock:
            if self._is_barred(turn):
                return None
            drop = self._ledger.claim(self._name, self._owner, self._clock(), turn.held | self._probing - {""})
            if drop is not None and drop.target.key() in self._pauses:
                turn.probes.add(drop.target.key())
                self._probing |= turn.probes
        return drop

    def _learn(self, turn: _Turn, drop: Drop | None, outcome: Outcome) -> None:
        """Begin, lengthen or end a pause by what the vendor said."""
        with self._lock:
            now = self._clock()
            if policy.ends_pause(outcome):
                for probed in turn.probes:
                    self._resume(probed, now)
                return
            if policy.is_forbidden(outcome) and "" in turn.probes:  # the account itself is let in again
                self._resume("", now)
            pause = policy.pause_after(
                drop, self._name, outcome, self._current(drop, outcome), rules=self._account.rules, now=now, dice=self._dice
            )
            if pause is None:  # no word on how the vendor is: ask again after a while
                for probed in turn.probes & self._pauses.keys():
                    self._begin(policy.lengthened(self._pauses[probed], self._account.rules, now, self._dice))
                return
            standing = self._pauses.get(pause.target)
            if standing is None or pause.target in turn.probes or (pause.kind == "login" and standing.kind != "login"):
                self._begin(pause)

    def _current(self, drop: Drop | None, outcome: Outcome) -> Pause | None:
        forbidden = policy.is_forbidden(outcome) and drop is not None
        return self._pauses.get(drop.target.key() if forbidden and drop is not None else "")

    def _begin(self, pause: Pause) -> None:
        before = self._pauses.get(pause.target)
        self._pauses[pause.target] = pause
        self._ledger.pause(pause)
        if before is None or before.kind != pause.kind:
            told = self._log.info if pause.kind == "busy" else self._log.warning
            told(
                "paused",
                provider=self._name,
                kind=pause.kind,
                reason=pause.reason,
                next_try_in=round(pause.probe_at - self._clock(), 1),
            )

    def _resume(self, target: str, now: float) -> None:
        if self._pauses.pop(target, None) is not None and (pause := self._ledger.resume(self._name, target, now)) is not None:
            told = self._log.info if pause.kind == "busy" else self._log.warning
            told("resumed", provider=self._name, kind=pause.kind, paused_for=round(now - pause.since, 1))
            self._wake.notify(self._name)
