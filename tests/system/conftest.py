"""Each test has vendors and folders of its own."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from program import Place

from dropd.sandbox import Sandbox


@pytest.fixture(scope="session")
def sweeper() -> Iterator[ThreadPoolExecutor]:
    """Ends sandboxes while the next test is under way already."""
    with ThreadPoolExecutor(1) as pool:
        yield pool


@pytest.fixture
def sandbox(sweeper: ThreadPoolExecutor) -> Iterator[Sandbox]:
    running = Sandbox()
    running.start()
    running.media_rate = ()
    yield running
    sweeper.submit(running.stop)


@pytest.fixture
def place(tmp_path: Path, sandbox: Sandbox) -> Place:
    return Place(tmp_path, sandbox)
