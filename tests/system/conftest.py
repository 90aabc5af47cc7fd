"""Each test has vendors and folders of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from program import Place

from dropd.sandbox import Sandbox


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as running:
        running.media_rate = ()
        yield running


@pytest.fixture
def place(tmp_path: Path, sandbox: Sandbox) -> Place:
    return Place(tmp_path, sandbox)
