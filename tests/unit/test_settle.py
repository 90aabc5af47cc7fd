"""A file is complete when nothing about it changed for so long, by our own clock and whatever its dates say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropd.intake.scanner import Seen
from dropd.intake.settle import SLOW_AFTER, Settling
from dropd.model import Stamp

FILE = Seen("", "a.csv", Stamp(1, 10, 100), 0)


def test_a_file_settles_when_it_did_not_change_for_so_long() -> None:
    settling = Settling(2.0)
    assert settling.update([FILE], 100.0) == ([], [], 102.0)
    assert settling.update([FILE], 101.9) == ([], [], 102.0)
    assert settling.update([FILE], 102.0) == ([FILE], [], None)
    assert settling.update([FILE], 103.0) == ([FILE], [], None)  # until it is gone


@pytest.mark.parametrize("stamp", [Stamp(2, 10, 100), Stamp(1, 11, 100), Stamp(1, 10, 101), Stamp(1, 9, 99)])
def test_size_date_and_inode_each_begin_the_wait_anew(stamp: Stamp) -> None:
    settling = Settling(2.0)
    settling.update([FILE], 100.0)
    changed = replace(FILE, stamp=stamp)
    assert settling.update([changed], 101.5) == ([], [], 103.5)
    assert settling.update([changed], 103.5) == ([changed], [], None)


def test_a_companion_begins_the_wait_anew_too() -> None:
    settling = Settling(2.0)
    with_companion = replace(FILE, companion=Stamp(5, 1, 1))
    settling.update([with_companion], 100.0)
    longer = replace(FILE, companion=Stamp(5, 2, 1))
    assert settling.update([longer], 102.0) == ([], [], 104.0)


def test_old_dates_prove_nothing() -> None:
    """`cp -p` and copies from Windows keep them; the backlog found at the start waits like any other file."""
    assert Settling(2.0).update([replace(FILE, stamp=Stamp(1, 10, 0))], 1000.0) == ([], [], 1002.0)


def test_no_settle_time_means_at_once() -> None:
    assert Settling(0.0).update([FILE], 5.0) == ([FILE], [], None)


def test_a_file_that_went_away_begins_anew() -> None:
    settling = Settling(2.0)
    settling.update([FILE], 100.0)
    assert settling.update([], 101.0) == ([], [], None)
    assert settling.update([FILE], 102.0) == ([], [], 104.0)


def test_a_temporary_name_made_real_is_a_new_arrival() -> None:
    settling = Settling(2.0)
    settling.update([replace(FILE, name="a.csv.part")], 100.0)
    assert settling.update([FILE], 102.0) == ([], [], 104.0)


def test_files_wait_each_for_itself_and_the_next_look_is_the_soonest() -> None:
    settling = Settling(2.0)
    settling.update([FILE], 100.0)
    other = replace(FILE, folder="acme")
    assert settling.update([FILE, other], 101.0) == ([], [], 102.0)
    assert settling.update([FILE, other], 102.0) == ([FILE], [], 103.0)


def test_a_growing_file_is_never_given_up_and_spoken_of_once() -> None:
    settling = Settling(2.0)
    told = []
    for second in range(int(SLOW_AFTER) * 2):
        settled, slow, _ = settling.update([replace(FILE, stamp=Stamp(1, second, second))], float(second))
        assert settled == []
        told += [second] * len(slow)
    assert told == [int(SLOW_AFTER)]


@given(st.lists(st.tuples(st.floats(0.01, 5), st.integers(0, 2)), max_size=40), st.floats(0.1, 4))
def test_no_file_settles_that_changed_within_the_time(steps: list[tuple[float, int]], settle: float) -> None:
    settling = Settling(settle)
    now, changed_at, size = 0.0, 0.0, None
    for pause, this_size in steps:
        now += pause
        if this_size != size:
            changed_at, size = now, this_size
        settled, _, next_look = settling.update([replace(FILE, stamp=Stamp(1, this_size, 1))], now)
        assert bool(settled) == (now >= changed_at + settle)
        assert settled or next_look == changed_at + settle
