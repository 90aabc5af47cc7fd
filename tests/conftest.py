"""Both implementations of the ledger, for every test that asks for one, and a small world around it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles import World

from dropd.ledger.base import Ledger
from dropd.ledger.memory import MemoryLedger
from dropd.ledger.sql import SqlLedger


@pytest.fixture(params=["sql", "memory"])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    made: Ledger = SqlLedger(tmp_path / "ledger.db") if request.param == "sql" else MemoryLedger()
    yield made
    made.close()


@pytest.fixture
def world(ledger: Ledger, tmp_path: Path) -> World:
    return World(tmp_path / "inbox", ledger)


@pytest.fixture
def other_filesystem(tmp_path: Path) -> Iterator[Path]:
    """A tmpfs in the test's folder."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    tried = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True, text=True, check=False)
    if tried.returncode != 0 and os.environ.get("CI") != "true":
        pytest.skip(f"mounting is not permitted here: {tried.stderr.strip()}")
    assert tried.returncode == 0, tried.stderr
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
