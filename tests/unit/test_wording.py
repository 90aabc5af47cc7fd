"""What the person who dropped a file reads, word for word. Read the table aloud: it is for somebody who knows invoices, not servers."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from doubles import taking

from dropd.ledger.rows import begun
from dropd.model import Code, Drop, Error, Status, Target
from dropd.wording import advice, on_day, recipient, size, summary, whose

TAKEN = datetime(2026, 11, 19, 8, 5, tzinfo=UTC).timestamp()
FINISHED = datetime(2026, 11, 20, 14, 3, tzinfo=UTC).timestamp()
JARGON = re.compile(
    r"HTTP|\bnull\b|\bNone\b|\bTrue\b|\b[1-5][0-9]{2}\b|Error\b|Exception|Errno|errno|JSON|\bAPI\b|time-?out|ledger|server|token|status"
    r"|[a-z]_[a-z]|\w+\(\)|  |\.\.|\s$|\bsha"
)


def drop(code: Code | None = None, message: str = "", status: Status | None = None, attempt: int = 1, **more: Any) -> Drop:
    statuses = {None: Status.DELIVERED, Code.UNCONFIRMED: Status.UNCONFIRMED, Code.DUPLICATE: Status.DUPLICATE}
    fields = {
        "attempt": attempt,
        "error": Error(code, message) if code else None,
        "status": status or statuses.get(code, Status.FAILED),
        "finished_at": FINISHED,
        "target": Target(client_id="2218"),
    }
    return replace(begun("018bcfe5-0000-7000-8000-000000000001", taking("invoices.csv"), "me", TAKEN), **{**fields, **more})


def said(one: Drop, twin: Drop | None = None) -> str:
    return summary(one, "Amili ARM", duplicate_of=twin, tz=UTC)


OTHER_NAME = taking("invoices (2).csv")

SUMMARIES = [
    (drop(), None, "Delivered to arm (Amili ARM) for client 2218 on 20 November 2026 at 14:03."),
    (drop(possible_duplicate=True), None,
     "Delivered to arm (Amili ARM) for client 2218 on 20 November 2026 at 14:03. It may have arrived there twice."),
    (drop(Code.REFUSED, "The vendor answered 422: Client 2218 is not active."), None,
     "Not delivered: arm (Amili ARM) did not accept the file on 20 November 2026 at 14:03. The answer was: “Client 2218 is not active”."),
    (drop(Code.REFUSED, "The vendor did not accept the file: Ugyldig format"), None,
     "Not delivered: arm (Amili ARM) did not accept the file on 20 November 2026 at 14:03. The answer was: “Ugyldig format”."),
    (drop(Code.REFUSED, "The vendor answered 418 (I'm a Teapot)"), None,
     "Not delivered: arm (Amili ARM) did not accept the file on 20 November 2026 at 14:03."),
    (drop(Code.REFUSED, "The vendor did not accept the file and gave no reason"), None,
     "Not delivered: arm (Amili ARM) did not accept the file on 20 November 2026 at 14:03."),
    (drop(Code.REFUSED, error=Error(Code.REFUSED, "It wants a signature", 422)), None,
     "Not delivered: arm (Amili ARM) did not accept the file on 20 November 2026 at 14:03. It wants a signature."),
    (drop(Code.REFUSED, "The route 'old' is no longer configured.", attempt=0), None,
     "Not delivered: the route 'old' is no longer configured."),
    (drop(Code.REFUSED, "The route 'old' is no longer configured.", attempt=2), None,
     "Not delivered: the route 'old' is no longer configured."),
    (drop(Code.TOO_LARGE, "The vendor answered 413"), None,
     "Not delivered: arm (Amili ARM) did not accept the file on 20 November 2026 at 14:03."),
    (drop(Code.TOO_LARGE, "The file is too large: it has 30.0 MB, and at most 25.0 MB are accepted here.", attempt=0), None,
     "Not delivered: the file is too large: it has 30.0 MB, and at most 25.0 MB are accepted here."),
    (drop(Code.EMPTY, "The file is empty.", attempt=0), None, "Not delivered: the file is empty."),
    (drop(Code.WRONG_TYPE, "Amili Media takes PDF and PNG files, and this one is text/csv", attempt=0), None,
     "Not delivered: Amili Media takes PDF and PNG files, and this one is text/csv."),
    (drop(Code.NAME_PATTERN, "The name 'x.csv' is not built as this inbox expects it.", attempt=0), None,
     "Not delivered: the name 'x.csv' is not built as this inbox expects it."),
    (drop(Code.MISSING_VALUE, "The account id is not known: the file is not in a sub-folder of the inbox.", attempt=0), None,
     "Not delivered: the account id is not known: the file is not in a sub-folder of the inbox."),
    (drop(Code.NOT_ALLOWED, "'9999' is not among the values that are allowed here as client id.", attempt=0), None,
     "Not delivered: '9999' is not among the values that are allowed here as client id."),
    (drop(Code.NOT_ALLOWED, "", attempt=0), None, "Not delivered: the file cannot be sent."),
    (drop(Code.CHANGED_WHILE_SENDING, "The file was changed after it was taken."), None,
     "Not delivered: the file was changed while it was being sent to arm (Amili ARM) for client 2218 on 20 November 2026 at 14:03."),
    (drop(Code.FILE_MISSING, "gone"), None,
     "Not delivered: the file disappeared before it could be sent to arm (Amili ARM) for client 2218."),
    (drop(Code.GAVE_UP, "The vendor could not be reached: [Errno 111] Connection refused"), None,
     ("Not delivered: from 19 November 2026 at 08:05 until 20 November 2026 at 14:03, the file could not be handed over to arm (Amili ARM) "
     "for client 2218.")),
    (drop(Code.GAVE_UP, "The vendor answered 503: Closed for maintenance"), None,
     ("Not delivered: from 19 November 2026 at 08:05 until 20 November 2026 at 14:03, the file could not be handed over to arm (Amili ARM) "
     "for client 2218. The answer was: “Closed for maintenance”.")),
    (drop(Code.UNCONFIRMED, "Everything was sent, and no answer came back: ReadTimeout"), None,
     ("Not certain: the file was sent to arm (Amili ARM) for client 2218, but nobody confirmed that it arrived. It may be there, or it may "
     "not.")),
    (drop(Code.UNCONFIRMED, "The file lay in the work folder", attempt=0, target=Target()), None,
     "Not certain: the file may have been sent to arm (Amili ARM) before, and dropd cannot tell whether it was."),
    (drop(Code.DUPLICATE), None, "Not sent again: the same content was sent to arm (Amili ARM) for client 2218 before."),
    (drop(Code.DUPLICATE), drop(),
     "Not sent again: the same content was delivered to arm (Amili ARM) for client 2218 on 20 November 2026 at 14:03."),
    (drop(Code.DUPLICATE), drop(taking=OTHER_NAME),
     ("Not sent again: the same content was delivered to arm (Amili ARM) for client 2218 as “invoices (2).csv” on 20 November 2026 at "
     "14:03.")),
    (drop(Code.DUPLICATE), drop(Code.UNCONFIRMED),
     ("Not sent again: the same content was sent to arm (Amili ARM) for client 2218 on 19 November 2026 at 08:05, and it is not certain "
     "whether it arrived.")),
    (drop(Code.DUPLICATE), replace(drop(taking=OTHER_NAME), status=None),
     "Not sent again: the same content as “invoices (2).csv” is already on its way to arm (Amili ARM) for client 2218."),
]  # fmt: skip


@pytest.mark.parametrize(("one", "twin", "sentence"), SUMMARIES, ids=[text[:60] for _, _, text in SUMMARIES])
def test_the_summary_word_for_word(one: Drop, twin: Drop | None, sentence: str) -> None:
    assert said(one, twin) == sentence


ADVISED = {
    Code.REFUSED: ["Read what the provider answered", "corrected file into the inbox", "person who looks after dropd"],
    Code.TOO_LARGE: ["smaller", "split", "into the inbox"],
    Code.EMPTY: ["nothing in the file", "Export or scan it again", "into the inbox"],
    Code.WRONG_TYPE: ["formats", "such as PDF", "into the inbox"],
    Code.NAME_PATTERN: ["Rename the file", "back into the inbox", "person who looks after dropd"],
    Code.MISSING_VALUE: ["name", "folder", "companion file", "back into the inbox"],
    Code.NOT_ALLOWED: ["typing mistake", "back into the inbox", "person who looks after dropd to allow"],
    Code.CHANGED_WHILE_SENDING: ["finished and closed", "into the inbox again"],
    Code.FILE_MISSING: ["nothing to do", "look for it"],
    Code.GAVE_UP: ["Nothing is wrong with the file", "provider works again", "back into the inbox"],
    Code.UNCONFIRMED: ["Do not send the file again yet", "booked twice", "First ask the provider", "it is then sent again"],
    Code.DUPLICATE: ["by mistake, delete this copy", "once more, move it from this folder back into the inbox"],
}
"""What a person must be told, in this order; the sentences around it are for wording.py alone to choose."""


@pytest.mark.parametrize("code", list(Code))
def test_the_advice_tells_what_to_do_in_its_order(code: Code) -> None:
    text = advice(drop(code)) or ""
    places = [text.find(part) for part in ADVISED[code]]
    assert -1 not in places, text
    assert places == sorted(places), text


def test_each_reason_has_an_advice_of_its_own() -> None:
    assert len({advice(drop(code)) for code in Code}) == len(Code)


@pytest.mark.parametrize("attempt", [0, 2])
def test_what_dropd_itself_refused_was_not_answered_by_anybody(attempt: int) -> None:
    assert advice(drop(Code.REFUSED, "The route 'old' is no longer configured.", attempt=attempt)) == (
        "Correct what this text names, and move the file back into the inbox. If you cannot, show this text to the person who looks after "
        "dropd."
    )


def test_a_delivered_file_needs_advice_only_in_doubt() -> None:
    assert advice(drop()) is None
    doubtful = "Ask the provider, or look there yourself, whether the file is there twice, and have one of the two removed."
    assert advice(drop(possible_duplicate=True)) == doubtful


@pytest.mark.parametrize("attempt", [0, 1])
@pytest.mark.parametrize("code", [None, *Code])
@pytest.mark.parametrize("message", ["", "The vendor answered 503", "The vendor answered 404 (Not Found)"])
def test_no_jargon_whatever_happened(code: Code | None, message: str, attempt: int) -> None:
    one = drop(code, message if attempt else "", attempt=attempt)
    for text in (said(one), said(one, drop()), advice(one) or ""):
        assert not JARGON.search(text), text
        assert not text or (text[0].isupper() and text[-1] in ".”")


def test_a_drop_without_its_error_still_reads() -> None:
    assert said(replace(drop(Code.REFUSED), error=None)).startswith("Not delivered: arm (Amili ARM) did not accept the file")
    assert advice(replace(drop(Code.REFUSED), error=None)) == advice(drop(Code.REFUSED))


# ------------------------------------------------------------------------------------------------ parts of sentences


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"), (1, "1 byte"), (512, "512 bytes"), (999, "999 bytes"), (1000, "1.0 KB"), (20_480, "20.5 KB"), (3 * 10**6, "3.0 MB"),
        (3 * 10**9, "3.0 GB"), (5 * 10**12, "5000.0 GB"),
    ],
)  # fmt: skip
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (Target(), ""),
        (Target(client_id="2218"), " for client 2218"),
        (Target(client_id="2218", account_id="acc-1"), " for account acc-1"),
        (Target(reference_id="00af"), " for reference 00af"),
    ],
)
def test_whose_it_is(target: Target, text: str) -> None:
    assert whose(target) == text


def test_days_are_in_local_time() -> None:
    assert on_day(FINISHED, timezone(timedelta(hours=1))) == "20 November 2026 at 15:03"
    assert [on_day(datetime(2026, month, 1, 9, 5, tzinfo=UTC).timestamp(), UTC) for month in (1, 12)] == [
        "1 January 2026 at 09:05",
        "1 December 2026 at 09:05",
    ]


def test_a_vendor_is_not_named_twice() -> None:
    assert recipient(replace(drop(), taking=taking(provider="Receeve")), "Receeve") == "Receeve"
