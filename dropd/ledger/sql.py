"""The ledger in SQLite: WAL, synchronous=FULL, so that a verdict once returned survives a power cut.

SQLAlchemy Core keeps the statements portable. One lock in the process and BEGIN IMMEDIATE between processes make every verb one
transaction; a busy file is waited for, never given up on lightly.
"""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Select, and_, create_engine, event, func, insert, or_, select, update
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from dropd.errors import LedgerError, LedgerTooNew, Lost
from dropd.ledger.base import Event, HasTwin
from dropd.ledger.rows import CLAIMABLE, attempt_of, begun, claimed, event_data, is_twin, moved, ordered
from dropd.ledger.tables import MIGRATIONS, about, drop_to_row, drops, events, inboxes, pauses, row_to_drop, signed
from dropd.model import UNFINISHED, Attempt, Drop, Inbox, Pause, State, Step, Taking

BUSY_TIMEOUT = 30.0
"""Seconds to wait for another process's transaction."""


class SqlLedger:
    """See base.Ledger. Made, and brought up to date, if it is missing or older; LedgerTooNew if it is newer than the code."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        url = URL.create("sqlite", database=str(path))
        self._engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT, "check_same_thread": False})
        event.listen(self._engine, "connect", _on_connect)
        event.listen(self._engine, "begin", _on_begin)
        try:
            with self._write() as connection:
                self.ledger_id = _migrate(connection, path)
        except BaseException:
            self._engine.dispose()
            raise

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with (
            self._lock,
            self._guarded(),
            self._engine.connect().execution_options(dropd_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._guarded(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError as error:
            # str(error.orig) is SQLite's own sentence; str(error) would repeat the values of the statement
            raise LedgerError(
                f"the ledger {self._path} cannot be used: {error.orig}; make room on its disk, check the rights of its folder, "
                "or put back a copy that is whole"
            ) from None

    # -- one drop's life

    def begin(self, drop_id: str, taking: Taking, owner: str, now: float, verdict: Step | None = None) -> Drop:
        drop = begun(drop_id, taking, owner, now)
        drop = moved(drop, verdict, now) if verdict else drop
        with self._write() as connection:
            connection.execute(insert(drops).values(**drop_to_row(drop)))
            _append(connection, drop, verdict.event if verdict else "taking", event_data(verdict) if verdict else {}, now)
        return drop

    def ready(self, drop: Drop, step: Step, identity: str, now: float) -> Drop:
        after = moved(drop, step, now)
        with self._write() as connection:
            same = select(drops).where(drops.c.identity == identity, drops.c.id != drop.id).order_by(drops.c.taken_at)
            twin = next(filter(is_twin, _drops(connection, same)), None)
            if twin is not None:
                if not after.person_order:
                    raise HasTwin(twin)
                after = ordered(after, twin)
            _put(connection, drop, after, identity=identity)
            _append(connection, after, step.event, event_data(step), now)
        return after

    def move(self, drop: Drop, step: Step, now: float) -> Drop:
        after = moved(drop, step, now)
        with self._write() as connection:
            _put(connection, drop, after)
            _append(connection, after, step.event, event_data(step), now)
        return after

    def note(self, drop: Drop, notes: Mapping[str, str], now: float) -> Drop:
        after = replace(drop, notes={**drop.notes, **notes})
        with self._write() as connection:
            _put(connection, drop, after)
            _append(connection, after, "noted", dict(notes), now)
        return after

    def claim(self, provider: str, owner: str, now: float, held: Collection[str]) -> Drop | None:
        with self._write() as connection:
            query = (
                select(drops)
                .where(_claimable(provider, held), drops.c.due_at <= now)
                .order_by(drops.c.due_at, drops.c.id)
                .limit(1)
            )
            for drop in _drops(connection, query):
                after, name = claimed(drop, owner, now)
                _put(connection, drop, after)
                _append(connection, after, name, {}, now)
                return after
        return None

    def next_due(self, provider: str, held: Collection[str]) -> float | None:
        with self._read() as connection:
            due: float | None = connection.execute(select(func.min(drops.c.due_at)).where(_claimable(provider, held))).scalar()
        return due

    # -- ownership

    def disown(self, owner: str, now: float) -> int:
        with self._write() as connection:
            foreign = list(_drops(connection, select(drops).where(drops.c.owner.is_not(None), drops.c.owner != owner)))
            for drop in foreign:
                after = replace(drop, owner=None)
                _put(connection, drop, after)
                _append(connection, after, "disowned", {"owner": drop.owner}, now)
        return len(foreign)

    def adopt(self, states: Collection[State], owner: str, now: float) -> Sequence[Drop]:
        mine = []
        query = select(drops).where(
            drops.c.state.in_([str(state) for state in states]),
            drops.c.owner.is_(None),
            or_(drops.c.due_at.is_(None), drops.c.due_at <= now),
        )
        with self._read() as connection:  # most looks find nothing, and need no lock for that
            if connection.execute(query.limit(1)).first() is None:
                return []
        with self._write() as connection:
            for drop in list(_drops(connection, query.order_by(drops.c.id))):
                after = replace(drop, owner=owner)
                _put(connection, drop, after)
                _append(connection, after, "adopted", {}, now)
                mine.append(after)
        return mine

    # -- pauses

    def pause(self, pause: Pause) -> None:
        with self._write() as connection:
            connection.execute(pauses.delete().where(pauses.c.provider == pause.provider, pauses.c.target == pause.target))
            connection.execute(insert(pauses).values(**asdict(pause)))

    def resume(self, provider: str, target: str, now: float) -> Pause | None:
        this = and_(pauses.c.provider == provider, pauses.c.target == target)
        with self._write() as connection:
            row = connection.execute(select(pauses).where(this)).mappings().first()
            if row is None:
                return None
            pause = Pause(**row)
            connection.execute(pauses.delete().where(this))
            if pause.stops_the_clock:
                waited = now - func.max(pause.since, drops.c.taken_at)
                waiting = [drops.c.provider == provider, drops.c.state.in_([str(state) for state in UNFINISHED])]
                if target:
                    waiting.append(drops.c.target_key == target)
                connection.execute(update(drops).where(*waiting).values(give_up_at=drops.c.give_up_at + func.max(0.0, waited)))
        return pause

    def pauses(self) -> Sequence[Pause]:
        with self._read() as connection:
            rows = connection.execute(select(pauses).order_by(pauses.c.provider, pauses.c.target)).mappings()
            return [Pause(**row) for row in rows]

    # -- inboxes

    def look(self, inbox: Inbox) -> None:
        with self._write() as connection:
            known = connection.execute(select(inboxes).where(inboxes.c.route == inbox.route)).mappings().first()
            if inbox.inbox_id is None and known is not None and known["path"] == inbox.path:
                inbox = replace(inbox, inbox_id=known["inbox_id"])
            connection.execute(inboxes.delete().where(inboxes.c.route == inbox.route))
            connection.execute(insert(inboxes).values(**asdict(inbox)))

    def inboxes(self) -> Sequence[Inbox]:
        with self._read() as connection:
            return [Inbox(**row) for row in connection.execute(select(inboxes).order_by(inboxes.c.route)).mappings()]

    # -- for recovery and for people

    def unfinished(self) -> Sequence[Drop]:
        query = select(drops).where(drops.c.state.not_in(["done", "failed", "released"])).order_by(drops.c.id)
        with self._read() as connection:
            return list(_drops(connection, query))

    def find(self, beginning: str) -> Sequence[Drop]:
        literal = beginning.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        either = or_(drops.c.id.like(literal + "%", escape="\\"), drops.c.id.like("%" + literal, escape="\\"))
        with self._read() as connection:
            return list(_drops(connection, select(drops).where(either).order_by(drops.c.id)))

    def _latest(self, query: Select[Any]) -> Drop | None:
        with self._read() as connection:
            return next(_drops(connection, query.order_by(drops.c.id.desc()).limit(1)), None)

    def filed_at(self, folder: str, name: str) -> Drop | None:
        return self._latest(select(drops).where(drops.c.filed_as == name, drops.c.filed_dir == folder))

    def named(self, route: str, folder: str, name: str) -> Drop | None:
        return self._latest(select(drops).where(drops.c.route == route, drops.c.name == name, drops.c.folder == folder))

    def failed_file(self, inbox_id: str, inode: int) -> Drop | None:
        failed = select(drops).where(drops.c.state == str(State.FAILED), drops.c.inbox_id == inbox_id)
        return self._latest(failed.where(drops.c.inode == signed(inode)))

    def recent(
        self, *, route: str | None = None, states: Collection[State] | None = None, limit: int | None = None
    ) -> Sequence[Drop]:
        query = select(drops).order_by(drops.c.id.desc())
        if route is not None:
            query = query.where(drops.c.route == route)
        if states is not None:
            query = query.where(drops.c.state.in_([str(state) for state in states]))
        with self._read() as connection:
            return list(_drops(connection, query.limit(limit) if limit is not None else query))

    def counts(self) -> Mapping[tuple[str, State], int]:
        query = select(drops.c.route, drops.c.state, func.count()).group_by(drops.c.route, drops.c.state)
        with self._read() as connection:
            return {(route, State(state)): count for route, state, count in connection.execute(query)}

    def attempts(self, drop_id: str) -> Sequence[Attempt]:
        return [attempt for event in self.events(drop_id) if (attempt := attempt_of(event.data)) is not None]

    def events(self, drop_id: str) -> Sequence[Event]:
        with self._read() as connection:
            rows = connection.execute(select(events).where(events.c.drop_id == drop_id).order_by(events.c.number)).mappings()
            return [Event(row["at"], row["drop_id"], State(row["state"]), row["event"], row["data"]) for row in rows]

    def close(self) -> None:
        self._engine.dispose()


# ------------------------------------------------------------------------------------------------ statements


def _claimable(provider: str, held: Collection[str]) -> Any:
    condition = and_(
        drops.c.provider == provider,
        drops.c.owner.is_(None),
        drops.c.state.in_([str(state) for state in CLAIMABLE]),
        drops.c.due_at.is_not(None),
    )
    return and_(condition, drops.c.target_key.not_in(list(held))) if held else condition


def _drops(connection: Connection, query: Select[Any]) -> Iterator[Drop]:
    return (row_to_drop(row) for row in connection.execute(query).mappings())


def _put(connection: Connection, before: Drop, after: Drop, **more: Any) -> None:
    """Compare-and-set."""
    statement = update(drops).where(
        drops.c.id == before.id,
        drops.c.state == str(before.state),
        drops.c.attempt == before.attempt,
        drops.c.owner.is_not_distinct_from(before.owner),
    )
    old, new = drop_to_row(before), drop_to_row(after)
    changed = {key: value for key, value in new.items() if value != old[key]}
    if (
        connection.execute(
            statement.values(**changed, **more) if changed or more else statement.values(state=str(after.state))
        ).rowcount
        != 1
    ):
        raise Lost(f"drop {before.id} is no longer {before.state}")


def _append(connection: Connection, drop: Drop, name: str, data: Mapping[str, Any], now: float) -> None:
    connection.execute(insert(events).values(at=now, drop_id=drop.id, state=str(drop.state), event=name, data=dict(data)))


def _migrate(connection: Connection, path: Path) -> str:
    """Bring the tables up to date, and return the ledger's id."""
    version: int = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > len(MIGRATIONS):
        raise LedgerTooNew(
            f"the ledger {path} was written by a newer dropd (its version is {version}, this one knows {len(MIGRATIONS)}); "
            "install the newer dropd again, or use another state_dir"
        )
    for step in MIGRATIONS[version:]:
        step(connection)
    if version < len(MIGRATIONS):
        connection.exec_driver_sql(f"PRAGMA user_version = {len(MIGRATIONS)}")
    ledger_id: str | None = connection.execute(select(about.c.value).where(about.c.key == "ledger_id")).scalar()
    if ledger_id is None:
        ledger_id = str(uuid.uuid4())
        connection.execute(insert(about).values(key="ledger_id", value=ledger_id))
    return ledger_id


def _on_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where _on_begin says, not where the driver guesses
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _on_begin(connection: Connection) -> None:
    # a writer takes its lock at once: a read that turns into a write could not be waited for
    write = connection.get_execution_options().get("dropd_write")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
