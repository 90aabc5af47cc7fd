"""Whatever stands in the file: a Config or a ConfigError, at a line of that file, in one line of text. Never another exception."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from dropd.config import Route, example, load
from dropd.config.models import ROUTE_KEYS
from dropd.errors import ConfigError, Problem
from dropd.fields import parse_duration, parse_size
from dropd.naming import display
from dropd.providers.registry import kinds

KINDS = kinds()
EXAMPLE = example()


def judge(raw: bytes) -> None:
    with NamedTemporaryFile(suffix=".yaml") as file:
        Path(file.name).write_bytes(raw)
        problems, routes = outcome(Path(file.name))
    assert bool(problems) != bool(routes)
    assert [problem.line for problem in problems] == sorted(problem.line for problem in problems)
    for problem in problems:
        assert 0 <= problem.line <= len(raw) + 1
        assert problem.what
        assert problem.remedy
        assert display(str(problem)) == str(problem)


def outcome(file: Path) -> tuple[tuple[Problem, ...], tuple[Route, ...]]:
    try:
        return (), load(file, KINDS, secrets=False).routes
    except ConfigError as error:
        return error.problems, ()


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace"))))
def test_any_bytes(raw: bytes) -> None:
    judge(raw)


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet="abc:-[]{}#&*!|>'\"%@`, \n\t?\\Ux0~<", max_size=60))
def test_any_text_made_of_yaml_s_own_signs(text: str) -> None:
    judge(text.encode())


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(EXAMPLE)), st.integers(0, 40), st.text(alphabet="a:-[]{}&*! \n'\"", max_size=5))
def test_the_example_with_a_piece_torn_out(at: int, length: int, instead: str) -> None:
    judge((EXAMPLE[:at] + instead + EXAMPLE[at + length :]).encode())


VALUES: Any = st.recursive(
    st.sampled_from(
        [
            "",
            "x",
            "2s",
            "0",
            "true",
            "{stem}",
            "{",
            "..",
            "[",
            "~",
            "/in",
            "a/../b",
            "{yyyy}",
            "(?P<a>x)",
            "99999999999MB",
            "null",
        ]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["", "x", "client_id", "env", "a:b", "<<"]), inner, max_size=3)
    ),
    max_leaves=6,
)
ROWS = st.lists(st.one_of(st.dictionaries(st.sampled_from([*ROUTE_KEYS, "x"]), VALUES), VALUES), max_size=3)
OPTIONS = st.dictionaries(
    st.sampled_from(
        ["base_url", "auth", "rate", "timeout", "retry", "tls", "proxy", "max_size", "concurrency", "poll", "user_id", "x"]
    ),
    VALUES,
)


@settings(max_examples=200, deadline=None)
@given(ROWS, OPTIONS, st.sampled_from(sorted(KINDS)), VALUES)
def test_any_values_under_the_known_keys(rows: list[Any], options: dict[str, Any], kind: str, other: Any) -> None:
    good = {"type": "24sevenoffice", "auth": {"token": {"env": "T"}}}
    whole = {"providers": {"arm": {**options, "type": kind}, "x": good}, "routes": rows, "defaults": other, "log": other}
    judge(yaml.safe_dump(whole).encode())


@given(st.lists(st.tuples(st.integers(0, 50), st.sampled_from(["ms", "s", "m", "h"])), min_size=1, max_size=4))
def test_a_duration_is_the_sum_of_its_parts(parts: list[tuple[int, str]]) -> None:
    units = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
    assert parse_duration("".join(f"{number}{unit}" for number, unit in parts)) == pytest.approx(
        sum(number * units[unit] for number, unit in parts)
    )


@given(st.text(alphabet="0123456789.smhdKMGBi -²٣", max_size=30))
def test_what_is_no_duration_and_no_size_is_a_value_error_with_a_remedy(text: str) -> None:
    for parse in (parse_duration, parse_size):
        try:
            said = f"; write {parse(text)}"
        except ValueError as error:
            said = str(error)
        assert "; write" in said
