"""The rate as the vendor counts it: however long requests are under way, no period sees more than it may."""

from __future__ import annotations

from itertools import pairwise

import pytest
from doubles import Clock
from hypothesis import given
from hypothesis import strategies as st

from dropd.fields import Rate
from dropd.lanes import Limiter

Call = tuple[float, float]  # how long until it arrives, how long until it is answered after that

rates = st.lists(st.builds(Rate, st.integers(1, 5), st.sampled_from([0.5, 1.0, 7.0])), max_size=3)
calls = st.lists(st.tuples(st.floats(0, 3), st.floats(0, 3)), min_size=1, max_size=40)


def arrivals(limits: list[Rate], wanted: list[Call], senders: int) -> list[float]:
    """When each request arrives at the vendor, with so many senders that go as fast as they are let."""
    clock = Clock(0.0)
    limiter = Limiter(limits, clock)
    came: list[float] = []
    under_way: list[float] = []  # when each is answered
    waiting = list(wanted)
    while waiting or under_way:
        wait = limiter.enter(1) if waiting and len(under_way) < senders else None
        if wait == 0:
            latency, answer = waiting.pop(0)
            came.append(clock.now + latency)
            under_way.append(clock.now + latency + answer)
            continue
        ways = [min(under_way)] if under_way else []
        clock.now = min(ways if wait is None else [*ways, clock.now + wait])
        for _ in [end for end in under_way if end <= clock.now]:
            limiter.leave(1)
        under_way = [end for end in under_way if end > clock.now]
    return sorted(came)


@given(rates, calls, st.integers(1, 8))
def test_no_period_sees_more_than_it_may(limits: list[Rate], wanted: list[Call], senders: int) -> None:
    came = arrivals(limits, wanted, senders)
    assert len(came) == len(wanted)  # and everything arrives in the end
    for rate in limits:
        for first, last in zip(came, came[rate.count :], strict=False):
            assert last - first >= rate.period - 1e-9


def test_quick_requests_go_at_the_full_rate() -> None:
    came = arrivals([Rate(10, 1.0)], [(0.0, 0.0)] * 31, senders=4)
    assert came[-1] == pytest.approx(3.0, abs=0.1)


def test_two_rates_hold_together() -> None:
    came = arrivals([Rate(2, 1.0), Rate(3, 10.0)], [(0.0, 0.0)] * 7, senders=1)
    assert came == pytest.approx([0, 0, 1, 10, 10, 11, 20], abs=0.1)


def test_without_a_rate_nothing_waits() -> None:
    limiter = Limiter([], Clock())
    assert [limiter.enter(5) for _ in range(100)] == [0.0] * 100


def test_a_turn_that_made_no_request_costs_nothing() -> None:
    limiter = Limiter([Rate(1, 60.0)], Clock())
    for _ in range(5):
        assert limiter.enter(1) == 0
        limiter.leave(1, used=False)
    assert limiter.enter(1) == 0
    limiter.leave(1)
    assert limiter.enter(1) == 60.0


def test_a_delivery_of_several_requests_takes_as_many_places() -> None:
    clock = Clock(0.0)
    limiter = Limiter([Rate(10, 1.0)], clock)
    assert [limiter.enter(4), limiter.enter(4)] == [0, 0]
    assert limiter.enter(4) > 0
    limiter.leave(4)
    limiter.leave(4)
    assert limiter.enter(4) == 1.0
    clock.now = 1.0
    assert limiter.enter(4) == 0


def test_a_delivery_of_more_requests_than_the_rate_still_goes_alone() -> None:
    clock = Clock(0.0)
    limiter = Limiter([Rate(2, 1.0)], clock)
    began = []
    for _ in range(3):
        while (wait := limiter.enter(4)) > 0:
            clock.now += wait
        began.append(clock.now)
        limiter.leave(4)
    assert all(later - earlier >= 1.0 for earlier, later in pairwise(began))
