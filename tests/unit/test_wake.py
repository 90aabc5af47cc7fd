"""An event to wake: what comes between looking and sleeping is not slept through."""

from __future__ import annotations

import threading
import time

from dropd.wake import Wake


def test_what_came_since_the_look_is_not_slept_through() -> None:
    wake = Wake()
    seen = wake.now()
    wake.notify()
    began = time.monotonic()
    wake.wait(seen, 60.0)
    assert time.monotonic() - began < 10


def test_every_sleeper_is_woken() -> None:
    wake = Wake()
    seen = wake.now()
    threads = [threading.Thread(target=wake.wait, args=(seen, 60.0)) for _ in range(5)]
    for thread in threads:
        thread.start()
    wake.notify()
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


def test_without_news_the_wait_ends_at_its_time() -> None:
    wake = Wake()
    wake.notify()
    began = time.monotonic()
    wake.wait(wake.now(), 0.05)
    assert time.monotonic() - began >= 0.05


def test_one_accounts_news_let_the_others_sleep() -> None:
    wake = Wake()
    arm, office = wake.now("arm"), wake.now("office")
    wake.notify("arm")
    assert wake.now("arm") != arm
    assert wake.now("office") == office
    wake.notify()
    assert wake.now("office") != office
