"""The ledger's tables, how a drop stands in them, and the numbered migrations that lead to them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    TypeDecorator,
    text,
)

from dropd.model import Code, Drop, Error, Stamp, State, Status, Taking, Target


class FsName(TypeDecorator[str]):
    """A name or path as the file system has it: its bytes, since SQLite's texts cannot hold what is not UTF-8."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> bytes | None:  # noqa: ARG002
        return None if value is None else os.fsencode(value)

    def process_result_value(self, value: bytes | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else os.fsdecode(value)


class Words(TypeDecorator[str]):
    """What a vendor or the system said: a half character in it, which no encoding can hold, is spelled out."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else value.encode("utf-8", "backslashreplace").decode()


class Json(TypeDecorator[Any]):
    """JSON in ASCII, so that lone surrogates in it survive."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        return None if value is None else json.dumps(value, ensure_ascii=True, sort_keys=True)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        return None if value is None else json.loads(value)


metadata = MetaData()

drops = Table(
    "drops",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("route", String(64), nullable=False),
    Column("provider", String(64), nullable=False),
    Column("provider_type", String(64), nullable=False),
    Column("inbox", FsName, nullable=False),
    Column("inbox_id", String(36), nullable=False),
    Column("folder", FsName, nullable=False),
    Column("name", FsName, nullable=False),
    Column("companion", Boolean, nullable=False),
    Column("inode", Integer, nullable=False),
    Column("size", Integer, nullable=False),
    Column("mtime_ns", Integer, nullable=False),
    Column("owner_name", String(64)),
    Column("owner", String(128)),
    Column("attempt", Integer, nullable=False),
    Column("setbacks", Integer, nullable=False),
    Column("polls", Integer, nullable=False),
    Column("due_at", Float),
    Column("give_up_at", Float),
    Column("since", Float, nullable=False),
    Column("taken_at", Float, nullable=False),
    Column("finished_at", Float),
    Column("sha256", String(64)),
    Column("content_type", String(255)),
    Column("target", Json, nullable=False),
    Column("target_key", String(32), nullable=False),
    Column("identity", String(64)),
    Column("notes", Json, nullable=False),
    Column("receipt", Json),
    Column("error", Json),
    Column("status", String(16)),
    Column("possible_duplicate", Boolean, nullable=False),
    Column("duplicate_of", String(36)),
    Column("person_order", Boolean, nullable=False),
    Column("filed_dir", FsName),
    Column("filed_as", FsName),
)
Index(
    "drops_due",
    drops.c.provider,
    drops.c.due_at,
    sqlite_where=text("owner IS NULL AND state IN ('ready', 'confirming', 'unconfirmed')"),
)
Index("drops_unfinished", drops.c.state, sqlite_where=text("state NOT IN ('done', 'failed', 'released')"))
Index("drops_by_state", drops.c.route, drops.c.state)
Index("drops_by_identity", drops.c.identity)
Index("drops_by_name", drops.c.route, drops.c.name)
Index("drops_filed", drops.c.filed_as)
Index("drops_failed_file", drops.c.inode, sqlite_where=text("state = 'failed'"))

events = Table(
    "events",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("at", Float, nullable=False),
    Column("drop_id", String(36), nullable=False),
    Column("state", String(16), nullable=False),
    Column("event", String(64), nullable=False),
    Column("data", Json, nullable=False),
)
Index("events_of_drop", events.c.drop_id)

pauses = Table(
    "pauses",
    metadata,
    Column("provider", String(64), primary_key=True),
    Column("target", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("reason", Words, nullable=False),
    Column("since", Float, nullable=False),
    Column("probe_at", Float, nullable=False),
    Column("tries", Integer, nullable=False),
)

inboxes = Table(
    "inboxes",
    metadata,
    Column("route", String(64), primary_key=True),
    Column("path", FsName, nullable=False),
    Column("inbox_id", String(36)),
    Column("red", Words),
    Column("since", Float, nullable=False),
    Column("last_look", Float),
    Column("left_alone", Json, nullable=False),
)

about = Table("about", metadata, Column("key", String(32), primary_key=True), Column("value", Text, nullable=False))


def _first(connection: Connection) -> None:
    metadata.create_all(connection)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_first,)
"""Number n leads from version n to n + 1. A landed one is never changed; the tables above are the sum of all."""


def drop_to_row(drop: Drop) -> dict[str, Any]:
    taking = drop.taking
    error = drop.error
    return {
        **{key: getattr(drop, key) for key in _SAME_IN_DROP},
        **{key: getattr(taking, key) for key in _SAME_IN_TAKING},
        "state": str(drop.state),
        "status": str(drop.status) if drop.status else None,
        "inode": signed(taking.stamp.inode),
        "size": taking.stamp.size,
        "mtime_ns": taking.stamp.mtime_ns,
        "target": drop.target.as_dict(),
        "target_key": drop.target.key(),
        "notes": dict(drop.notes),
        "receipt": dict(drop.receipt) if drop.receipt is not None else None,
        "error": {**asdict(error), "code": str(error.code)} if error else None,
    }


def row_to_drop(row: RowMapping) -> Drop:
    error: Mapping[str, Any] | None = row["error"]
    stamp = Stamp(_unsigned(row["inode"]), row["size"], row["mtime_ns"])
    return Drop(
        **{key: row[key] for key in _SAME_IN_DROP},
        state=State(row["state"]),
        status=Status(row["status"]) if row["status"] else None,
        taking=Taking(**{key: row[key] for key in _SAME_IN_TAKING}, stamp=stamp),
        target=Target(**row["target"]),
        notes=row["notes"],
        receipt=row["receipt"],
        error=Error(Code(error["code"]), error["message"], error["http_status"]) if error else None,
    )


_SAME_IN_TAKING = ("route", "provider", "provider_type", "inbox", "inbox_id", "folder", "name", "companion", "owner_name")
_SAME_IN_DROP = (
    "id",
    "owner",
    "attempt",
    "setbacks",
    "polls",
    "due_at",
    "give_up_at",
    "since",
    "taken_at",
    "finished_at",
    "sha256",
    "content_type",
    "possible_duplicate",
    "duplicate_of",
    "person_order",
    "filed_dir",
    "filed_as",
)


def signed(inode: int) -> int:
    """SQLite's integers are signed; network filesystems hand out inodes above 2^63."""
    return inode - 2**64 if inode >= 2**63 else inode


def _unsigned(inode: int) -> int:
    return inode + 2**64 if inode < 0 else inode
