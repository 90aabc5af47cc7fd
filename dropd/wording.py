"""What the person who dropped a file reads: what happened, and what to do next. Pure.

For somebody who knows invoices and folders, not servers: no status codes, no jargon, one thing to do. English; `language` picks the table
when there is a second one.
"""

from __future__ import annotations

from datetime import datetime, tzinfo

from dropd.model import Code, Drop, Status, Target

_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def on_day(at: float, tz: tzinfo | None = None) -> str:
    """`20 November 2026 at 14:03`, in local time."""
    when = datetime.fromtimestamp(at, tz).astimezone(tz)
    return f"{when.day} {_MONTHS[when.month - 1]} {when.year} at {when:%H:%M}"


def size(count: int) -> str:
    """`512 bytes`, `20.5 KB`, `3.0 GB`."""
    amount = float(count)
    if amount < 1000:
        return "1 byte" if count == 1 else f"{count} bytes"
    for unit in ("KB", "MB", "GB"):
        amount /= 1000
        if amount < 1000 or unit == "GB":
            break
    return f"{amount:.1f} {unit}"


def recipient(drop: Drop, label: str) -> str:
    """`arm (Amili ARM)`."""
    name = drop.taking.provider
    return name if name == label else f"{name} ({label})"


def whose(target: Target) -> str:
    """` for client 2218`, or nothing where the route has no id."""
    for word, value in (("account", target.account_id), ("reference", target.reference_id), ("client", target.client_id)):
        if value:
            return f" for {word} {value}"
    return ""


def summary(drop: Drop, label: str, *, duplicate_of: Drop | None = None, tz: tzinfo | None = None) -> str:
    """One or two sentences: what became of the file, with the provider's own words where it spoke."""
    to = recipient(drop, label) + whose(drop.target)
    when = on_day(drop.finished_at or drop.since, tz)
    if drop.status is Status.DELIVERED:
        return f"Delivered to {to} on {when}." + (" It may have arrived there twice." if drop.possible_duplicate else "")
    said = _sentence(drop.error.message) if drop.error else ""
    match drop.error.code if drop.error else Code.REFUSED:
        case Code.REFUSED:
            return f"Not delivered: {recipient(drop, label)} did not accept the file on {when}. {said}"
        case Code.TOO_LARGE | Code.EMPTY | Code.WRONG_TYPE | Code.NAME_PATTERN | Code.MISSING_VALUE | Code.NOT_ALLOWED:
            return f"Not delivered: {said}"
        case Code.CHANGED_WHILE_SENDING:
            return f"Not delivered: the file was changed while it was being sent to {to} on {when}."
        case Code.FILE_MISSING:
            return f"Not delivered: the file disappeared before it could be sent to {to}."
        case Code.GAVE_UP:
            return f"Not delivered: {recipient(drop, label)} could not take the file from {on_day(drop.taken_at, tz)} until {when}. {said}"
        case Code.UNCONFIRMED:
            return f"Not certain: the file was sent to {to}, but no answer came back. It may have arrived, or it may not. {said}"
        case Code.DUPLICATE:
            return _duplicate(drop, to, duplicate_of, tz)


def _duplicate(drop: Drop, to: str, twin: Drop | None, tz: tzinfo | None) -> str:
    if twin is None:
        return f"Not sent again: the same content was sent to {to} before."
    other = f" as {twin.taking.name!r}" if twin.taking.name != drop.taking.name else ""
    if twin.status is Status.DELIVERED:
        return f"Not sent again: the same content was delivered to {to}{other} on {on_day(twin.finished_at or twin.since, tz)}."
    if twin.status is Status.UNCONFIRMED:
        return f"Not sent again: the same content was sent to {to}{other} on {on_day(twin.taken_at, tz)}, and it is not certain whether it arrived."
    return f"Not sent again: the same content{other} is already on its way to {to}."


_ADVICE: dict[Code, str] = {
    Code.REFUSED: (
        "Read what the provider said, correct the file, and put the corrected file into the inbox. If the message is not about the file "
        "itself, show this text to the person who looks after dropd."
    ),
    Code.TOO_LARGE: "Make the file smaller, or split it into several files, and put it into the inbox again.",
    Code.EMPTY: "There is nothing in the file. Export or scan it again, and put the new file into the inbox.",
    Code.WRONG_TYPE: "Save the document in a format that is accepted here, such as PDF, and put that file into the inbox.",
    Code.NAME_PATTERN: "Rename the file as this folder expects it, and put it back into the inbox.",
    Code.MISSING_VALUE: (
        "Put the file into the folder, or give it the name, that tells where it belongs, and add its companion file if this inbox works with "
        "them. Then put it back into the inbox."
    ),
    Code.NOT_ALLOWED: (
        "Check the folder and the name of the file for a typing mistake, and put it back into the inbox. If they are right, ask the person who "
        "looks after dropd to allow the value."
    ),
    Code.CHANGED_WHILE_SENDING: "Wait until the file is finished and closed in every program, and put it into the inbox again.",
    Code.FILE_MISSING: "If you removed the file yourself, there is nothing to do. Otherwise look for it, and put it into the inbox again.",
    Code.GAVE_UP: "Nothing is wrong with the file. When the provider works again, move the file from this folder back into the inbox.",
    Code.UNCONFIRMED: (
        "Do not put the file into the inbox yet: it could be booked twice. First look at the provider, or ask them, whether the file is there. "
        "If it is, there is nothing more to do. If it is not, move it from this folder back into the inbox: it is then sent again."
    ),
    Code.DUPLICATE: (
        "If you dropped it twice by mistake, delete this copy. If it must be sent once more, move it from this folder back into the inbox."
    ),
}


def advice(drop: Drop) -> str | None:
    """What to do next; None: nothing."""
    if drop.status is Status.DELIVERED:
        if drop.possible_duplicate:
            return "Look at the provider whether the file is there twice, and remove one of them if so."
        return None
    return _ADVICE[drop.error.code if drop.error else Code.REFUSED]


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return text if text[-1] in ".!?…\"'" else text + "."
