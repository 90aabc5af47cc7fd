"""The result sidecar `dropd.result/1`, as DESIGN 2.4 promises it. Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

from dropd import wording
from dropd.model import Attempt, Drop, Status
from dropd.naming import display

SCHEMA = "dropd.result/1"


def timestamp(at: float | None, tz: tzinfo | None = None) -> str | None:
    """RFC 3339 with offset, in local time, to the millisecond."""
    return None if at is None else datetime.fromtimestamp(at, tz).astimezone(tz).isoformat(timespec="milliseconds")


def result(
    drop: Drop,
    attempts: Sequence[Attempt],
    *,
    label: str,
    version: str,
    host: str,
    duplicate_of: Drop | None = None,
    tz: tzinfo | None = None,
) -> dict[str, Any]:
    """The sidecar of a drop with its verdict, its final name, and its time of finishing."""
    taking = drop.taking
    error = None if drop.error is None or drop.status is Status.DELIVERED else drop.error
    content = {
        "schema": SCHEMA,
        "status": str(drop.status),
        "summary": wording.summary(drop, label, duplicate_of=duplicate_of, tz=tz),
        "advice": wording.advice(drop),
        "drop_id": drop.id,
        "route": taking.route,
        "provider": taking.provider,
        "provider_type": taking.provider_type,
        "target": drop.target.as_dict(),
        "file": {
            "original_name": taking.name,
            "folder": taking.folder,
            "filed_as": drop.filed_as or taking.name,
            "size": taking.stamp.size,
            "sha256": drop.sha256,
            "content_type": drop.content_type,
            "owner": taking.owner_name,
            "modified_at": timestamp(taking.stamp.mtime_ns / 1e9, tz),
        },
        "receipt": None if drop.receipt is None else dict(drop.receipt),
        "error": None if error is None else {"code": str(error.code), "message": error.message, "http_status": error.http_status},
        "possible_duplicate": drop.possible_duplicate,
        "duplicate_of": drop.duplicate_of,
        "attempts": [_attempt(number, attempt, tz) for number, attempt in enumerate(attempts, start=1)],
        "taken_at": timestamp(drop.taken_at, tz),
        "finished_at": timestamp(drop.finished_at, tz),
        "dropd_version": version,
        "host": host,
    }
    shown: dict[str, Any] = _shown(content)
    return shown


def _attempt(number: int, attempt: Attempt, tz: tzinfo | None) -> dict[str, Any]:
    return {
        "number": number,
        "started_at": timestamp(attempt.started_at, tz),
        "finished_at": timestamp(attempt.finished_at, tz),
        "outcome": attempt.outcome,
        "http_status": attempt.http_status,
        "message": attempt.message,
        "trace_id": attempt.trace_id,
    }


def _shown(value: Any) -> Any:
    """Every text in it fit to be read and encoded: values come from names that anybody may have chosen."""
    if isinstance(value, str):
        return display(value)
    if isinstance(value, dict):
        return {display(str(key)): _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item) for item in value]
    return value


def as_text(content: dict[str, Any]) -> str:
    """As a person opens it: UTF-8, indented, in the promised order."""
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"
