"""Where a drop goes, and every reason why it cannot: the code for machines, the words for the person who dropped it."""

from __future__ import annotations

import json
import os
import re
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from doubles import route

from dropd.config.table import Allow
from dropd.model import Code, Error, Target
from dropd.routing import COMPANION_LIMIT, Unroutable, check_size, resolve

INBOX = Path("/srv/drop/invoices")


def resolved(name: str, folder: str = "", companion: bytes | None = None, **keys: Any) -> Target:
    return resolve(route(INBOX, **keys), name, folder, companion)


def refusal(name: str, folder: str = "", companion: bytes | None = None, **keys: Any) -> Error:
    with pytest.raises(Unroutable) as caught:
        resolved(name, folder, companion, **keys)
    return caught.value.error


CASE = re.compile(r"(?P<case>[0-9a-f]{4})[-_ ].*")
META = {"account_id": "{meta.account}"}


def test_ids_and_fields_are_filled_for_one_file() -> None:
    target = resolved(
        "00af-Faktura.pdf",
        "acc-1/2026",
        ids={
            "client_id": "2218",
            "account_id": "{folder}",
            "reference_id": "{case}",
            "file_type": "Document",
            "dotted_path": "{path}",
        },
        extra_fields={"externalClaimRef": "{stem}", "note": "{{x}}"},
        name_pattern=CASE,
    )
    assert target == Target(
        client_id="2218",
        account_id="acc-1",
        reference_id="00af",
        file_type="Document",
        dotted_path="2026",
        extra_fields={"externalClaimRef": "00af-Faktura", "note": "{x}"},
    )


def test_ids_stay_texts() -> None:
    assert resolved("x.csv", ids={"client_id": "0123"}).client_id == "0123"


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("name", "folder", "keys", "code", "message"),
    [
        ("faktura.pdf", "", {"name_pattern": CASE}, Code.NAME_PATTERN, "The name 'faktura.pdf' is not built as this inbox expects it."),
        ("00AF-x.pdf", "", {"name_pattern": CASE}, Code.NAME_PATTERN, "The name '00AF-x.pdf' is not built as this inbox expects it."),
        ("x.pdf", "", {"ids": {"account_id": "{folder}"}}, Code.MISSING_VALUE,
         "The account id is not known: the file is not in a sub-folder of the inbox."),
        ("x.pdf", "a", {"ids": {"reference_id": "{path}"}}, Code.MISSING_VALUE,
         "The reference id is not known: the file is not in a folder below a sub-folder."),
        ("x", "", {"ids": {"file_type": "{ext}"}}, Code.MISSING_VALUE, "The file type is not known: the name has no ending."),
        ("x-.pdf", "", {"ids": {"reference_id": "{case}"}, "name_pattern": re.compile("x-(?P<case>.*?)\\.pdf")}, Code.MISSING_VALUE,
         "The reference id is not known: the name does not tell the 'case'."),
        ("x.pdf", "acme", {"ids": {"client_id": "{folder}"}, "allow": {"client_id": Allow(texts=frozenset({"2218"}))}}, Code.NOT_ALLOWED,
         "'acme' is not among the values that are allowed here as client id."),
        ("x.pdf", "22180", {"ids": {"client_id": "{folder}"}, "allow": {"client_id": Allow(pattern=re.compile("22[0-9]{2}"))}},
         Code.NOT_ALLOWED, "'22180' is not among the values that are allowed here as client id."),
        ("x\u202ey.pdf", "", {"ids": {"reference_id": "{stem}"}}, Code.NOT_ALLOWED,
         r"'x\u202ey' cannot be used as reference id: it has characters that cannot be read."),
        (os.fsdecode(b"\xe5.pdf"), "", {"ids": {"reference_id": "{stem}"}}, Code.NOT_ALLOWED,
         r"'\xe5' cannot be used as reference id: it has characters that cannot be read."),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit_is_refused(name: str, folder: str, keys: dict[str, Any], code: Code, message: str) -> None:
    assert refusal(name, folder, **keys) == Error(code, message)


@pytest.mark.parametrize("value", ["2218", "2219"])
def test_allowed_values_pass(value: str) -> None:
    by_list = {"client_id": Allow(texts=frozenset({"2218", "2219"}))}
    by_pattern = {"client_id": Allow(pattern=re.compile("22[0-9]{2}"))}
    for allow in (by_list, by_pattern):
        assert resolved("x.pdf", value, ids={"client_id": "{folder}"}, allow=allow).client_id == value


def test_a_name_is_held_against_the_pattern_in_composed_form() -> None:
    pattern = re.compile("(?P<who>blåbær)\\.pdf")
    name = unicodedata.normalize("NFD", "blåbær.pdf")
    assert resolved(name, ids={"reference_id": "{who}"}, name_pattern=pattern).reference_id == "blåbær"


def test_the_pattern_must_fit_the_whole_name() -> None:
    assert refusal("00af-x.pdf\n.exe", name_pattern=re.compile(r"[0-9a-f]{4}-x\.pdf")).code is Code.NAME_PATTERN


def test_a_further_field_is_made_readable_rather_than_refused() -> None:
    """It describes the delivery, and does not decide where it goes."""
    assert resolved(os.fsdecode(b"\xe5\n.pdf"), extra_fields={"note": "{stem}"}).extra_fields == {"note": r"\xe5\x0a"}


# ------------------------------------------------------------------------------------------------ companions


@pytest.mark.parametrize("content", ['{"account": "c-1"}', '\ufeff{"account": "c-1", "other": ""}'])
def test_a_companion_tells_what_the_name_does_not(content: str) -> None:
    assert resolved("x.pdf", companion=content.encode(), ids=META).account_id == "c-1"


def test_what_a_companion_tells_is_held_to_what_is_allowed() -> None:
    allow = {"account_id": Allow(texts=frozenset({"c-1"}))}
    assert refusal("x.pdf", companion=b'{"account": "c-2"}', ids=META, allow=allow).code is Code.NOT_ALLOWED
    assert refusal("x.pdf", companion=b'{"account": "\\ud800"}', ids=META).code is Code.NOT_ALLOWED


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (None, "is missing"),
        (b"", "cannot be read: it is not JSON"),
        (b"account: c-1", "cannot be read: it is not JSON"),
        (b'{"account": "c-1"', "cannot be read: it is not JSON"),
        (b'{"account": "\xff"}', "cannot be read: it is not JSON"),
        (b"[" * 60_000, "cannot be read: it is not JSON"),
        (b" " * (COMPANION_LIMIT + 1), "is larger than 64 KiB"),
        (b'["account"]', "is not one object with names and texts"),
        (b'"account"', "is not one object with names and texts"),
        (b"null", "is not one object with names and texts"),
        (b'{"account": 7}', "has a value that is not a text: 'account'"),
        (b'{"account": null}', "has a value that is not a text: 'account'"),
        (b'{"account": "c-1", "more": {"a": "b"}}', "has a value that is not a text: 'more'"),
        (b'{"account": "c-1", "more": ["b"]}', "has a value that is not a text: 'more'"),
    ],
)
def test_a_companion_that_cannot_be_used_is_named(content: bytes | None, what: str) -> None:
    error = refusal("x.pdf", companion=content, ids=META)
    assert error == Error(Code.MISSING_VALUE, f"The companion file 'x.pdf.meta.json' {what}.")


@pytest.mark.parametrize("content", [{}, {"account": ""}, {"Account": "c-1"}])
def test_a_companion_without_the_value_is_told_apart(content: dict[str, str]) -> None:
    error = refusal("x.pdf", companion=json.dumps(content).encode(), ids=META)
    assert error == Error(Code.MISSING_VALUE, "The account id is not known: the companion file has no 'account'.")


def test_a_companion_of_exactly_the_limit_is_read() -> None:
    content = b'{"account": "c-1"}'
    assert resolved("x.pdf", companion=content + b" " * (COMPANION_LIMIT - len(content)), ids=META).account_id == "c-1"


def test_a_route_that_needs_no_companion_does_not_look_at_one() -> None:
    assert resolved("x.pdf", companion=b"not JSON").client_id == "2218"


# ------------------------------------------------------------------------------------------------ sizes


@pytest.mark.parametrize(
    ("size", "limit", "empty", "code", "message"),
    [
        (0, None, False, Code.EMPTY, "The file is empty."),
        (
            26_000_000,
            25_000_000,
            False,
            Code.TOO_LARGE,
            "The file is too large: it has 26.0 MB, and at most 25.0 MB are accepted here.",
        ),
        (
            1001,
            1000,
            False,
            Code.TOO_LARGE,
            "The file is too large: it has 1,001 bytes, and at most 1,000 are accepted here.",
        ),
    ],
)
def test_a_size_that_is_not_accepted(size: int, limit: int | None, code: Code, message: str, *, empty: bool) -> None:
    with pytest.raises(Unroutable) as caught:
        check_size(size, limit, allow_empty=empty)
    assert caught.value.error == Error(code, message)


@pytest.mark.parametrize(("size", "limit", "empty"), [(0, None, True), (1, 1, False), (10**12, None, False)])
def test_a_size_that_is_accepted(size: int, limit: int | None, *, empty: bool) -> None:
    check_size(size, limit, allow_empty=empty)
