"""What the person who dropped a file reads: what happened, and what to do next. Pure.

For somebody who knows invoices and folders, not servers: no status codes, no jargon, one thing to do. English; `language` picks the table
when there is a second one.
"""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

from dropd.model import Code, Drop, State, Status, Target

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
    """One to three sentences: what became of the file, with the provider's own words where it spoke."""
    who = recipient(drop, label)
    to = who + whose(drop.target)
    when = on_day(drop.finished_at or drop.since, tz)
    if drop.status is Status.DELIVERED:
        return f"Delivered to {to} on {when}." + (" It may have arrived there twice." if drop.possible_duplicate else "")
    message = drop.error.message if drop.error else ""
    match drop.error.code if drop.error else Code.REFUSED:
        case Code.CHANGED_WHILE_SENDING:
            return f"Not delivered: the file was changed while it was being sent to {to} on {when}."
        case Code.FILE_MISSING:
            return f"Not delivered: the file disappeared before it could be sent to {to}."
        case Code.GAVE_UP:
            told = f"Not delivered: from {on_day(drop.taken_at, tz)} until {when}, the file could not be handed over to {to}."
            return told + _answer(message)
        case Code.UNCONFIRMED if drop.attempt == 0:
            return f"Not certain: the file may have been sent to {to} before, and dropd cannot tell whether it was."
        case Code.UNCONFIRMED:
            return (
                f"Not certain: the file was sent to {to}, but nobody confirmed that it arrived. It may be there, or it may not."
            )
        case Code.DUPLICATE:
            return _duplicate(drop, to, duplicate_of, tz)
        case _ if _before_sending(drop):
            return f"Not delivered: {_sentence(_after_colon(message) or 'the file cannot be sent')}"
        case _:
            return f"Not delivered: {who} did not accept the file on {when}." + (_answer(message) or _remark(message))


def _before_sending(drop: Drop) -> bool:
    """Refused by dropd itself; at a retry this comes after attempts that the provider answered."""
    error = drop.error
    words = error.message.strip() if error else ""
    return drop.attempt == 0 or bool(words and error and error.http_status is None and not _SPOKEN.fullmatch(words))


def _duplicate(drop: Drop, to: str, twin: Drop | None, tz: tzinfo | None) -> str:
    if twin is None:
        return f"Not sent again: the same content was sent to {to} before."
    other = f" as “{twin.taking.name}”" if twin.taking.name != drop.taking.name else ""
    if twin.status is Status.DELIVERED:
        return f"Not sent again: the same content was delivered to {to}{other} on {on_day(twin.finished_at or twin.since, tz)}."
    if twin.status in (Status.UNCONFIRMED, Status.FAILED) or twin.state is State.RELEASED:  # the latter two after a try in doubt
        sent = f"the same content was sent to {to}{other} on {on_day(twin.taken_at, tz)}"
        return f"Not sent again: {sent}, and it is not certain whether it arrived."
    return f"Not sent again: the same content{other} is already on its way to {to}."


_SPOKEN = re.compile(
    r"The vendor (?:answered \d+|did not accept the file)(?: \([^()]*\))?(?:: (?P<words>.+)| and gave no reason)?", re.DOTALL
)
"""How adapters put what a vendor said: a number that tells a person nothing, then the vendor's own words."""


def _answer(message: str) -> str:
    found = _SPOKEN.fullmatch(message.strip())
    words = (found["words"] or "").strip().rstrip(".") if found else ""
    return f" The answer was: “{words}”." if words else ""


def _remark(message: str) -> str:
    return "" if _SPOKEN.fullmatch(message.strip()) or not message.strip() else " " + _sentence(message)


def _after_colon(text: str) -> str:
    text = text.strip()
    return "the " + text.removeprefix("The ") if text.startswith("The ") else text


_ADVICE: dict[Code, str] = {
    Code.REFUSED: (
        "Read what the provider answered, correct the file, and put the corrected file into the inbox. If the answer is not about the file "
        "itself, show this text to the person who looks after dropd."
    ),
    Code.TOO_LARGE: "Make the file smaller, or split it into several files, and put the result into the inbox.",
    Code.EMPTY: "There is nothing in the file. Export or scan it again, and put the new file into the inbox.",
    Code.WRONG_TYPE: "Save the document in one of the formats that are accepted here, such as PDF, and put that file into the inbox.",
    Code.NAME_PATTERN: (
        "Rename the file the way this inbox expects its names, and move it back into the inbox. If you do not know how, ask the person who "
        "looks after dropd."
    ),
    Code.MISSING_VALUE: (
        "The name of the file, its folder, or its companion file must tell where it belongs. Correct that, and move the file back into the "
        "inbox, together with its companion file if it has one."
    ),
    Code.NOT_ALLOWED: (
        "Look for a typing mistake in the name of the file and of its folder, correct it, and move the file back into the inbox. If there is "
        "none, ask the person who looks after dropd to allow this value."
    ),
    Code.CHANGED_WHILE_SENDING: "Wait until the file is finished and closed in every program, and put it into the inbox again.",
    Code.FILE_MISSING: "If you removed the file yourself, there is nothing to do. Otherwise look for it, and put it into the inbox again.",
    Code.GAVE_UP: "Nothing is wrong with the file. When the provider works again, move the file from this folder back into the inbox.",
    Code.UNCONFIRMED: (
        "Do not send the file again yet: it could be booked twice. First ask the provider, or look there yourself, whether the file has "
        "arrived. If it has, there is nothing more to do. If it has not, move it from this folder back into the inbox: it is then sent again."
    ),
    Code.DUPLICATE: (
        "If you dropped it twice by mistake, delete this copy. If it must be sent once more, move it from this folder back into the inbox."
    ),
}


_NOT_SENT = "Correct what this text names, and move the file back into the inbox. If you cannot, show this text to the person who looks after dropd."
"""Refused before anything was sent: no provider answered."""


def advice(drop: Drop) -> str | None:
    """What to do next; None: nothing."""
    if drop.status is Status.DELIVERED:
        if drop.possible_duplicate:
            return "Ask the provider, or look there yourself, whether the file is there twice, and have one of the two removed."
        return None
    code = drop.error.code if drop.error else Code.REFUSED
    return _NOT_SENT if code is Code.REFUSED and _before_sending(drop) else _ADVICE[code]


def _sentence(text: str) -> str:
    text = text.strip()
    if not text:
        return ""
    return text if text[-1] in ".!?…\"'" else text + "."
