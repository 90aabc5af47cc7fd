"""What the ledger on disk promises beyond its twin in memory: it lasts, others see it, and a file it cannot use is left as it is."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from doubles import NOW, OWNER, next_id, taking
from sqlalchemy import create_engine
from sqlalchemy.exc import StatementError

from dropd.errors import LedgerError, LedgerTooNew
from dropd.ledger import sql
from dropd.ledger.sql import SqlLedger
from dropd.ledger.tables import MIGRATIONS, metadata
from dropd.model import Inbox, Pause, State, Step

LOOK_FROM_OUTSIDE = """
import sys
from pathlib import Path
from dropd.ledger.sql import SqlLedger
from dropd.model import State, Step
ledger = SqlLedger(Path(sys.argv[1]))
(drop,) = ledger.unfinished()
print(ledger.ledger_id, drop.id, drop.taking.name)
ledger.move(drop, Step(to=State.RELEASED, event="released"), drop.since + 1)
ledger.close()
"""


def _tables(path: Path) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name").fetchall()


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    first = SqlLedger(path)
    drop = first.begin(next_id(), taking(), OWNER, NOW)
    first.pause(Pause("arm", "", "login", "no", NOW, NOW + 5, 1))
    first.look(Inbox("invoices", "/srv", "mark", None, NOW, NOW))
    before = (first.ledger_id, first.events(drop.id), first.pauses(), first.inboxes())
    first.close()
    second = SqlLedger(path)
    assert (second.ledger_id, second.events(drop.id), second.pauses(), second.inboxes()) == before
    assert second.unfinished() == [drop]
    second.close()


def test_a_ledger_that_was_never_closed_is_whole(tmp_path: Path) -> None:
    """As after SIGKILL: a second reader opens it while the first still has it."""
    first = SqlLedger(tmp_path / "ledger.db")
    drop = first.begin(next_id(), taking(), OWNER, NOW)
    second = SqlLedger(tmp_path / "ledger.db")
    assert second.unfinished() == [drop]
    second.close()
    first.close()


def test_a_second_process_sees_the_ledger_and_writes_to_it(tmp_path: Path) -> None:
    ledger = SqlLedger(tmp_path / "ledger.db")
    drop = ledger.begin(next_id(), taking(), OWNER, NOW)
    told = subprocess.run(
        [sys.executable, "-c", LOOK_FROM_OUTSIDE, str(tmp_path / "ledger.db")],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert told.stdout.split() == [ledger.ledger_id, drop.id, drop.taking.name]
    assert ledger.unfinished() == []
    assert [event.event for event in ledger.events(drop.id)] == ["taking", "released"]
    ledger.close()


def test_every_verdict_is_synced_to_the_disk(tmp_path: Path) -> None:
    ledger = SqlLedger(tmp_path / "ledger.db")
    with ledger._write() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2  # FULL
    ledger.close()


def test_another_processes_transaction_is_waited_for(tmp_path: Path) -> None:
    ledger = SqlLedger(tmp_path / "ledger.db")
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    done = threading.Event()

    def write() -> None:
        ledger.begin(next_id(), taking(), OWNER, NOW)
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    assert not done.wait(0.2)
    assert ledger.unfinished() == []  # readers are never held up
    other.execute("COMMIT")
    assert done.wait(20)
    thread.join()
    other.close()
    ledger.close()


def test_a_transaction_that_never_ends_is_an_error_with_advice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "BUSY_TIMEOUT", 0.05)
    ledger = SqlLedger(tmp_path / "ledger.db")
    with closing(sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="database is locked"):
            ledger.begin(next_id(), taking(), OWNER, NOW)
        other.execute("ROLLBACK")
    drop = ledger.begin(next_id(), taking(), OWNER, NOW)
    assert ledger.unfinished() == [drop]
    ledger.close()


def test_a_step_that_fails_halfway_leaves_nothing_of_itself(tmp_path: Path) -> None:
    """The row and its event stand or fall together."""
    ledger = SqlLedger(tmp_path / "ledger.db")
    drop = ledger.begin(next_id(), taking(), OWNER, NOW)
    with pytest.raises(StatementError):  # what cannot be written as JSON stops the event, after the row was updated
        ledger.move(drop, Step(to=State.RELEASED, event="released", data={"x": object()}), NOW)
    assert ledger.unfinished() == [drop]
    assert len(ledger.events(drop.id)) == 1
    ledger.close()


# ------------------------------------------------------------------------------------------------ files that are no ledger of ours


@pytest.mark.parametrize(
    "content", [b"not a database at all, but long enough to have a header\n" * 40, b"{}", b"SQLite format 3\0" + b"\xff" * 4096]
)
def test_a_file_that_is_no_database_is_an_error_and_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    """Made anew in silence, it would forget what was delivered."""
    path = tmp_path / "ledger.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError) as caught:
        SqlLedger(path)
    assert str(path) in str(caught.value) and "put back a copy that is whole" in str(caught.value)
    assert path.read_bytes() == content
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.db"]


def test_a_damaged_ledger_is_an_error_whenever_it_is_found(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    ledger = SqlLedger(path)
    for _ in range(50):
        ledger.begin(next_id(), taking(), OWNER, NOW)
    ledger.close()
    whole = path.read_bytes()
    damaged = whole[:4096] + b"\xa5" * (len(whole) - 4096)
    path.write_bytes(damaged)
    with pytest.raises(LedgerError, match=r"malformed|not a database"):
        SqlLedger(path)
    assert path.read_bytes() == damaged


def test_a_folder_that_is_not_there_is_an_error_with_advice(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="check the rights of its folder"):
        SqlLedger(tmp_path / "missing" / "ledger.db")
    assert not (tmp_path / "missing").exists()


def test_a_newer_ledger_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqlLedger(path).close()
    newer = len(MIGRATIONS) + 1
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {newer}")
    before = _tables(path)
    with pytest.raises(LedgerTooNew, match="install the newer dropd again"):
        SqlLedger(path)
    assert (_version(path), _tables(path)) == (newer, before)


# ------------------------------------------------------------------------------------------------ migrations


def test_a_fresh_ledger_is_the_sum_of_the_migrations(tmp_path: Path) -> None:
    SqlLedger(tmp_path / "fresh.db").close()
    engine = create_engine(f"sqlite:///{tmp_path / 'described.db'}")
    metadata.create_all(engine)
    engine.dispose()
    assert _tables(tmp_path / "fresh.db") == _tables(tmp_path / "described.db")
    assert _version(tmp_path / "fresh.db") == len(MIGRATIONS)


def test_opening_again_migrates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    SqlLedger(path).close()
    before = path.read_bytes()
    SqlLedger(path).close()
    assert path.read_bytes() == before


def test_a_ledger_in_the_making_is_finished_by_the_next_start(tmp_path: Path) -> None:
    """A death while the first file was made leaves an empty one, or one of version 0."""
    path = tmp_path / "ledger.db"
    path.touch()
    ledger = SqlLedger(path)
    assert ledger.unfinished() == []
    ledger.close()
    assert _version(path) == len(MIGRATIONS)
