"""Names: safe to show, fit for a vendor, always room for a sidecar; which files are drops; what templates make of a name."""

from __future__ import annotations

import os
import unicodedata
from itertools import islice

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dropd.naming import (
    COMPANION_SUFFIX,
    SIDECAR_SUFFIX,
    MissingValue,
    Template,
    TemplateError,
    content_type,
    cut_to_bytes,
    display,
    filed_names,
    fits,
    for_vendor,
    is_ignored,
    is_sidecar_or_companion,
    split,
    values_of,
)

DOS = os.fsdecode("æøå".encode("cp865"))  # bytes that are all continuation bytes of UTF-8

names = (
    st.binary(min_size=1, max_size=255)
    .filter(lambda raw: b"/" not in raw and b"\0" not in raw and raw not in (b".", b".."))
    .map(os.fsdecode)
)
readable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1, max_size=255).filter(
    lambda name: len(name.encode()) <= 255 and name not in (".", "..")
)
any_name = names | readable


# ------------------------------------------------------------------------------------------------ names in done/ and failed/


@given(name=any_name, companion=st.booleans())
@example(name=DOS * 85, companion=False)
@example(name="å" * 127, companion=True)
@example(name="Mr. Smith's invoice for the whole month of November", companion=False)
def test_every_filed_name_has_room_for_its_sidecar_and_companion(name: str, *, companion: bool) -> None:
    made = list(islice(filed_names(name, stamp="20261120-140302", short_id="ab12cd", companion=companion), 12))
    for filed in made:
        assert filed not in ("", ".", "..")
        assert "/" not in filed
        for suffix in (SIDECAR_SUFFIX, COMPANION_SUFFIX) if companion else (SIDECAR_SUFFIX,):
            assert len(os.fsencode(filed + suffix)) <= 255
        assert os.fsdecode(os.fsencode(filed)) == filed  # no half character that would be read as something else
    assert len(set(made)) == len(made)
    if len(os.fsencode(name)) <= 255 - len(SIDECAR_SUFFIX):
        assert made[0] == name
    stem, ext = split(name)
    if len(os.fsencode(ext)) <= 32:
        assert all(filed.endswith(ext) for filed in made)
    kept = made[0].removesuffix(ext) if len(os.fsencode(ext)) <= 32 else made[0]
    assert name.startswith(kept)
    assert len(kept) > 0 or not stem


def test_filed_names_read_well() -> None:
    made = list(islice(filed_names("faktura.v2.PDF", stamp="20261120-140302", short_id="ab12cd"), 3))
    assert made == ["faktura.v2.PDF", "faktura.v2 20261120-140302 ab12cd.PDF", "faktura.v2 20261120-140302 ab12cd 2.PDF"]


def test_there_are_thousands_of_names_to_choose_from() -> None:
    made = list(filed_names("x" * 255, stamp="20261120-140302", short_id="ab12cd"))
    assert len(made) == len(set(made)) == 10_000


@given(text=any_name, limit=st.integers(0, 300))
def test_a_cut_is_the_longest_beginning_that_fits(text: str, limit: int) -> None:
    cut = cut_to_bytes(text, limit)
    assert text.startswith(cut)
    assert len(os.fsencode(cut)) <= limit
    if cut != text:
        assert len(os.fsencode(text[: len(cut) + 1])) > limit


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("a.b.PDF", ("a.b", ".PDF")),
        ("x", ("x", "")),
        (".x", (".x", "")),
        ("..x", ("..x", "")),
        ("x.", ("x.", "")),
        ("x..csv", ("x.", ".csv")),
    ],
)
def test_stem_and_extension(name: str, parts: tuple[str, str]) -> None:
    assert split(name) == parts


# ------------------------------------------------------------------------------------------------ names that are shown


def _harmful(text: str) -> list[str]:
    return [character for character in text if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")]


@given(any_name | st.text(max_size=300))
@example("a\u202egpj.exe")
@example("line\nbreak\r\x1b[31mred\x85\u2028")
@example("\ud800\udfff")
def test_what_is_shown_cannot_mislead_and_always_encodes(name: str) -> None:
    shown = display(name)
    assert not _harmful(shown)
    shown.encode()
    assert display(shown) == shown


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Fakturå 7.pdf", "Fakturå 7.pdf"),
        (os.fsdecode(b"faktur\xe5.pdf"), r"faktur\xe5.pdf"),
        ("a\nb", r"a\x0ab"),
        ("a\u202eb", r"a\u202eb"),
        ("a\U000e0041b", r"a\U000e0041b"),
        ("\ud800", r"\ud800"),
        ("日本 👍🏽", "日本 👍🏽"),
    ],
)
def test_how_names_are_shown(name: str, shown: str) -> None:
    assert display(name) == shown


@given(any_name | st.text(min_size=1, max_size=300))
@example(os.fsdecode(b"\xe5" * 251 + b".pdf"))
@example('"/..\\')
def test_what_a_vendor_is_told_is_one_plain_name(name: str) -> None:
    told = for_vendor(name)
    assert 0 < len(told.encode()) <= 255
    assert not _harmful(told)
    assert not set(told) & set('/\\"')


@given(stem=any_name)
def test_a_name_that_must_be_cut_for_a_vendor_keeps_its_extension(stem: str) -> None:
    assert for_vendor(stem + "x" * 255 + ".pdf").endswith(".pdf")


@pytest.mark.parametrize(
    ("name", "told"),
    [("faktura å.pdf", "faktura å.pdf"), (os.fsdecode(b"\xe5.pdf"), "_xe5.pdf"), ('a"b\\c.pdf', "a_b_c.pdf"), ("a\nb", "a_x0ab")],
)
def test_what_a_vendor_is_told(name: str, told: str) -> None:
    assert for_vendor(name) == told


# ------------------------------------------------------------------------------------------------ which files are drops


@pytest.mark.parametrize(
    "name",
    [
        "~$rapport.docx", ".~lock.tall.ods#", "x.tmp", "x.TMP", "x.part", "x.filepart", "x.partial", "x.crdownload", ".DS_Store",
        "._x.pdf", "Thumbs.db", "thumbs.DB", "desktop.ini", "@eaDir", ".stfolder", ".recycle", "~WRL0001.tmp", ".hidden", ".dropd",
        ".x.csv.swp",
    ],
)  # fmt: skip
def test_temporary_and_housekeeping_names_are_passed_over(name: str) -> None:
    assert is_ignored(name)


@pytest.mark.parametrize(
    "name", ["x.pdf", "tmp", "part.csv", "x.tmp.pdf", "~x.pdf", "thumbs.pdf", "lock#", "result.json", "x.meta.json", "$x"]
)
def test_ordinary_names_are_drops(name: str) -> None:
    assert not is_ignored(name)


def test_a_route_adds_to_what_is_passed_over() -> None:
    assert is_ignored("Kladd 7.pdf", ["kladd*"])
    assert not is_ignored("Faktura.pdf", ["kladd*"])


@pytest.mark.parametrize(
    ("name", "pattern", "fit"),
    [
        ("A.CSV", "*.csv", True),
        ("a.csv", "*.CSV", True),
        ("BLÅBÆR.pdf", "blåbær*", True),
        (unicodedata.normalize("NFD", "blåbær.pdf"), "BLÅbær.pdf", True),
        ("blåbær.pdf", unicodedata.normalize("NFD", "blå*.pdf"), True),
        ("a\nb.csv", "*.csv", True),
        ("a.csv.exe", "*.csv", False),
        ("a.csv", "?.csv", True),
        ("ab.csv", "?.csv", False),
        ("a1.csv", "a[0-9].csv", True),
        ("A[1].csv", "a[[]1].csv", True),
        (os.fsdecode(b"\xff.csv"), "*.csv", True),
        ("x", "*", True),
    ],
)
def test_globs_mind_neither_case_nor_unicode_form(name: str, pattern: str, *, fit: bool) -> None:
    assert fits(name, [pattern]) is fit


def test_a_sidecar_or_companion_belongs_to_a_file_that_is_there() -> None:
    assert is_sidecar_or_companion("x.csv.meta.json", ["x.csv", "x.csv.meta.json"])
    assert is_sidecar_or_companion("x.csv.result.json", ["x.csv"])
    assert not is_sidecar_or_companion("x.csv.meta.json", ["y.csv"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.pdf", "application/pdf"),
        ("x.PDF", "application/pdf"),
        ("x.csv", "text/csv"),
        ("x", "application/octet-stream"),
        (".pdf", "application/octet-stream"),
    ],
)
def test_the_content_type_is_the_same_on_every_machine(name: str, kind: str) -> None:
    assert content_type(name) == kind


# ------------------------------------------------------------------------------------------------ templates


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("2218", "2218"),
        ("{stem}", "faktura.v2"),
        ("{name}|{ext}", "faktura.v2.pdf|pdf"),
        ("{folder}-{path}", "acme-2026/11"),
        ("{{{case}}}", "{7}"),
        ("{meta.claim ref}", "c-1"),
        ("{{}}", "{}"),
    ],
)
def test_a_template_is_filled(text: str, filled: str) -> None:
    values = values_of("faktura.v2.pdf", "acme/2026/11", {"case": "7"}, {"claim ref": "c-1"})
    assert Template.parse(text).fill(values) == filled


@pytest.mark.parametrize(
    "text", ["{", "}", "a{b", "{stem", "{}", "{0}", "{stem!r}", "{stem:>5}", "{a.b}", "{a[0]}", "{meta.}", "{ stem }"]
)
def test_a_template_that_is_none_is_refused_with_advice(text: str) -> None:
    with pytest.raises(TemplateError, match="; write "):
        Template.parse(text)


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("{folder}", "folder"),
        ("{ext}", "ext"),
        ("{case}", "case"),
        ("{unknown}", "unknown"),
        ("{meta.ref}", "meta.ref"),
        ("", ""),
        ("  ", "  "),
    ],
)
def test_an_empty_value_is_a_missing_one(text: str, missing: str) -> None:
    with pytest.raises(MissingValue) as caught:
        Template.parse(text).fill(values_of("x", "", {"case": None}, {"ref": ""}))
    assert str(caught.value) == missing


def test_values_are_in_composed_form() -> None:
    decomposed = unicodedata.normalize("NFD", "blå")
    values = values_of(decomposed + ".pdf", decomposed + "/" + decomposed)
    assert (values["stem"], values["folder"], values["path"]) == ("blå", "blå", "blå")


@given(st.dictionaries(st.from_regex(r"[a-z]{1,5}", fullmatch=True), st.text(min_size=1), min_size=1, max_size=4))
def test_what_a_value_holds_is_never_a_template_itself(values: dict[str, str]) -> None:
    text = "x".join(f"{{{key}}}" for key in values)
    whole = "x".join(values.values())
    assume(whole.strip())  # a value of blanks alone fills nothing
    assert Template.parse(text).fill(values) == whole


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        ("/srv/done", "/srv/done"),
        ("/srv/{yyyy}/{mm}", "/srv"),
        ("/srv/a{yyyy}", "/srv"),
        ("/{yyyy}", "/"),
        ("/s{{v/{dd}", "/s{v"),
    ],
)
def test_the_fixed_part_of_a_folder(text: str, folder: str) -> None:
    assert Template.parse(text).fixed_folder == folder
