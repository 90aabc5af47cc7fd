"""Whether the play came out as told: folders, results, and the vendors' own books. No opinion of the daemon's counts here."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dropd.demo.files import File
from dropd.model import AMILI_ARM, AMILI_MEDIA, OFFICE, RECEEVE
from dropd.naming import PRIVATE, SIDECAR_SUFFIX
from dropd.sandbox import Sandbox
from dropd.sandbox.address import INBOXES

LABELS: Mapping[str, str] = {
    AMILI_ARM: "Amili ARM",
    AMILI_MEDIA: "Amili media upload",
    RECEEVE: "receeve",
    OFFICE: "24SevenOffice",
}


def filed_at(root: Path, file: File) -> Path:
    """Where it is to stand in the end."""
    return root / file.inbox / ("done" if file.ends == "delivered" else "failed") / file.path


def sidecar_of(path: Path) -> Path:
    return path.with_name(path.name + SIDECAR_SUFFIX)


def read_sidecar(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def differences(root: Path, sandbox: Sandbox, files: Sequence[File]) -> list[str]:
    """What is not as told, in words; nothing, when all of it holds."""
    wrong = [f"{file.inbox}/{file.path}: {what}" for file in files if (what := _fate(root, file))]
    wrong += _strays(root, files)
    wrong += _in_the_books(sandbox, files)
    wrong += [f"a vendor complains: {violation}" for violation in sandbox.violations()]
    answers = {request.status for request in sandbox.requests()}
    wrong += [f"no vendor answered {status}, as it was told to" for status in (401, 403, 422, 503) if status not in answers]
    return wrong


def _fate(root: Path, file: File) -> str | None:
    """What is not as it should be with one file; None: nothing."""
    path = filed_at(root, file)
    if not path.exists() or not sidecar_of(path).exists():
        return f"it is not in {path.relative_to(root).parent} with its result"
    if path.read_bytes() != file.content:
        return "its content has changed"
    content = read_sidecar(sidecar_of(path))
    if content["status"] != file.ends:
        return f"its result says {content['status']} instead of {file.ends}"
    return None if content["file"]["sha256"] == file.sha256 else "its result tells of another content"


def _strays(root: Path, files: Sequence[File]) -> list[str]:
    """Files that nobody expects: left in an inbox, in the work folder, or filed twice."""
    expected = {path for file in files for path in (filed_at(root, file), sidecar_of(filed_at(root, file)))}
    expected |= {root / inbox / PRIVATE / "inbox.json" for inbox in INBOXES}
    there = {path for inbox in INBOXES for path in (root / inbox).rglob("*") if not path.is_dir()}
    return [f"{path.relative_to(root)} should not be there" for path in sorted(there - expected)]


def _in_the_books(sandbox: Sandbox, files: Sequence[File]) -> list[str]:
    """Whether each vendor has exactly what it should, each exactly once."""
    expected: Counter[tuple[str, str]] = Counter()
    names: dict[tuple[str, str], str] = {}
    for file in files:
        expected[file.vendor, file.sha256] += file.booked
        names.setdefault((file.vendor, file.sha256), f"{file.inbox}/{file.path}")
    booked = Counter((delivery.vendor, delivery.sha256) for delivery in sandbox.deliveries())
    return [
        f"{names.get(key, 'a file that nobody dropped')}: {LABELS[key[0]]} has it {booked[key]} times instead of {expected[key]}"
        for key in sorted(booked | expected)
        if booked[key] != expected[key]
    ]
