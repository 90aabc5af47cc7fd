"""Holds a part of the file against its pydantic model and says every mistake of form in our own words, at its own line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dropd.config.report import Report, nearest, one_of, shown
from dropd.config.tree import Path
from dropd.fields import Secret

M = TypeVar("M", bound=BaseModel)

EXAMPLES: Mapping[str, str] = {
    "state_dir": "state_dir: /var/lib/dropd",
    "log": "log: {format: auto, level: info}",
    "providers": "providers: {arm: {type: amili-arm, …}}",
    "defaults": "defaults: {settle: 2s}",
    "routes": "routes: [{name: …, inbox: …, provider: …}]",
    "base_url": "base_url: https://api.example.com",
    "user_id": "user_id: dropd",
    "auth": "auth: {client_id: acme, client_secret: {credential: NAME}}",
    "token_url": "token_url: https://auth.example.com/token",
    "client_secret": "client_secret: {credential: NAME}",
    "private_key": "private_key: {file: /etc/dropd/key.pem}",
    "token": "token: {credential: NAME}",
    "api_code": "api_code: acme",
    "organization": 'organization: "777"',
    "rate": "rate: [10/s, 100/min]",
    "timeout": "timeout: {connect: 10s, write: 60s, read: 120s}",
    "retry": "retry: {first: 5s, max: 15m, give_up_after: 24h}",
    "poll": "poll: {first: 1s, max: 30s, give_up_after: 10m}",
    "tls": "tls: {ca: /etc/ssl/certs/company.pem}",
    "accepted_results": "accepted_results: [CREATED]",
    "name": "name: acme-invoices",
    "inbox": "inbox: /srv/drop/acme",
    "provider": "provider: arm",
    "client_id": 'client_id: "2218"',
    "account_id": 'account_id: "{folder}"',
    "reference_id": 'reference_id: "{stem}"',
    "extra_fields": 'extra_fields: {externalClaimRef: "{stem}"}',
    "allow": 'allow: {client_id: "22[0-9]{2}"}',
    "match": 'match: ["*.csv"]',
    "ignore": 'ignore: ["*.bak"]',
}
PLACES_RULE = "write {env: NAME}, {file: PATH} or {credential: NAME}"


def example(key: str | int, otherwise: str) -> str:
    return EXAMPLES.get(str(key), otherwise)


# ------------------------------------------------------------------------------------------------ one error, in our own words


def explain(error: ErrorDetails, path: Path, known: Iterable[str]) -> tuple[str, str]:
    """What is wrong and what to write instead, for any error that pydantic can raise; a wrong value's text is repeated only where it is harmless."""
    kind, key = error["type"], str(path[-1]) if path else ""
    context: Mapping[str, Any] = error.get("ctx") or {}
    if kind in ("value_error", "assertion_error"):
        what, _, remedy = str(context.get("error", "")).partition("; ")
        return what or "this value cannot be used", remedy or f"write it as in config.example.yaml{_like(key)}"
    if kind == "missing":
        return "is missing", f"add {example(key, f'{key}: …')}"
    if kind == "extra_forbidden" and path[:-1] == ("defaults",) and key in ("name", "inbox"):
        return "this cannot be the same for every route", "move it to the routes"
    if kind == "extra_forbidden":
        return unknown_key(key, known)
    if kind in ("literal_error", "enum"):
        words = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return _not_among(error["input"], words)
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        words = re.findall(r"'([^']*)'", str(context.get("expected_tags", "")))
        return (
            "it cannot be told which kind is meant",
            f"write {one_of(words) if words else example(key, 'it as in config.example.yaml')}",
        )
    found = _found(error["input"])
    for kinds, expected, shape in _SHAPES:
        if kind in kinds:
            what = f"{found} stands where {expected} is expected" if found != expected else "the value cannot be used"
            return what, f"write {example(key, shape.format(key=key or 'key'))}"
    return f"the value does not fit here ({_bound(context)})" if _bound(context) else "the value does not fit here", (
        f"write it as in config.example.yaml{_like(key)}"
    )


_SHAPES: tuple[tuple[frozenset[str], str, str], ...] = (
    (frozenset({"string_type", "string_sub_type", "path_type"}), "a single text", "{key}: text"),
    (
        frozenset({"list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type", "too_short"}),
        "a list",
        "{key}: [one, two]",
    ),
    (
        frozenset({"dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type", "is_instance_of"}),
        "a block of keys",
        "{key}: {{key: value}}",
    ),
    (frozenset({"bool_type", "bool_parsing"}), "true or false", "{key}: true"),
    (frozenset({"int_type", "int_parsing", "int_parsing_size", "int_from_float"}), "a whole number", "{key}: 4"),
    (frozenset({"float_type", "float_parsing"}), "a number", "{key}: 4"),
)


def unknown_key(key: str, known: Iterable[str]) -> tuple[str, str]:
    """The nearest known key, or all of them."""
    known = tuple(known)
    close = nearest(key, known)
    if close:
        return "unknown key", f"write {close}"
    return "unknown key", f"remove it, known here: {', '.join(known)}" if known else "remove it"


def _not_among(value: Any, words: list[str]) -> tuple[str, str]:
    if not isinstance(value, str):
        return f"{_found(value)} stands where one word is expected", f"write {one_of(words)}"
    close = nearest(value, words)
    return f"{shown(value)} is not known here", f"write {close}" if close else f"write {one_of(words)}"


def _found(value: Any) -> str:
    return "a list" if isinstance(value, list) else "a block of keys" if isinstance(value, dict) else "a single text"


def _like(key: str) -> str:
    return f", like {EXAMPLES[key]}" if key in EXAMPLES else ""


_BOUNDS = {
    "ge": "at least",
    "gt": "more than",
    "le": "at most",
    "lt": "less than",
    "min_length": "length at least",
    "max_length": "length at most",
    "pattern": "pattern",
}


def _bound(context: Mapping[str, Any]) -> str:
    return ", ".join(f"{words} {context[key]}" for key, words in _BOUNDS.items() if key in context)


# ------------------------------------------------------------------------------------------------ from pydantic's places to ours


def fit(model: type[M], data: Any, at: Path, report: Report, units: Mapping[str, int] | None = None) -> M | None:
    """The model's instance; every mistake of form is reported.

    With `units`, what is wrong is taken out and the rest fitted again, so that later checks see everything that is right: by a path's first
    step, how long a path is taken out as a whole. Without it, None where there is any mistake.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        wrong = list(_located(model, error.errors(include_url=False), data))
    for path, what, remedy, is_key in wrong:
        if not report.is_bad((*at, *path)):
            report.add((*at, *path), what, remedy, key=is_key)
    for path, *_ in wrong:
        report.spoil((*at, *path))
    if units is None:
        return None
    rest = deepcopy(data)
    for path, *_ in wrong:
        _take_out(rest, path[: units.get(str(path[0]), 1)] if path else path)
    try:
        return model.model_validate(rest)
    except ValidationError:  # a mistake that only shows without the others: it is reported when those are corrected
        return model()


def _take_out(data: Any, path: Path) -> None:
    for step in path[:-1]:
        if isinstance(data, dict) and step not in data:
            return  # taken out already
        data = data[step]
    if isinstance(data, list) and path:
        data[int(path[-1])] = {}
    elif isinstance(data, dict) and path:
        data.pop(path[-1], None)


def _located(model: type[BaseModel], errors: list[ErrorDetails], data: Any) -> Iterator[tuple[Path, str, str, bool]]:
    """Each error at its path in the file, and whether its key is at fault rather than its value."""
    for path, error in _without_other_alternatives([(*_path(error, data), error) for error in errors]):
        unknown = error["type"] == "extra_forbidden"
        owner = _model_at(model, error["loc"][:-1] if unknown else error["loc"])
        if owner is Secret and error["type"] != "value_error":
            yield path[:-1] if unknown else path, "the place of a secret cannot be read", PLACES_RULE, False
        else:
            yield (path, *explain(error, path, _keys(owner)), unknown)


_Union = tuple[Path, str]
"""Where alternatives are possible, and the name of one of them."""


def _path(error: ErrorDetails, data: Any) -> tuple[Path, _Union | None]:
    """Pydantic's place without the names of a union's alternatives, which it weaves in."""
    path: list[str | int] = []
    union: _Union | None = None
    last = len(error["loc"]) - 1
    for index, step in enumerate(error["loc"]):
        if isinstance(data, dict) and isinstance(step, str) and (step in data or (index == last and error["type"] == "missing")):
            data = data.get(step)
            path.append(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
            path.append(step)
        elif union is None:
            union = (tuple(path), str(step))
    return tuple(path), union


def _without_other_alternatives(placed: list[tuple[Path, _Union | None, ErrorDetails]]) -> Iterator[tuple[Path, ErrorDetails]]:
    """Of a union, the alternative speaks that was probably meant: with the fewest unknown keys, then the fewest errors."""
    unions: dict[Path, dict[str, list[tuple[Path, ErrorDetails]]]] = {}
    for path, union, error in placed:
        if union is None:
            yield path, error
        else:
            unions.setdefault(union[0], {}).setdefault(union[1], []).append((path, error))
    for alternatives in unions.values():
        yield from min(
            alternatives.values(),
            key=lambda errors: (sum(error["type"] == "extra_forbidden" for _, error in errors), len(errors)),
        )


# ------------------------------------------------------------------------------------------------ what a model knows


def _keys(owner: type[BaseModel] | None) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in owner.model_fields.items()) if owner else ()


def _model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model that a place of pydantic's lies in; None where it cannot be told."""
    here: Any = model
    for step in loc:
        inside = _step(here, step)
        if inside is None:
            return None
        here = inside
    models = [one for one in _alternatives(here) if isinstance(one, type) and issubclass(one, BaseModel)]
    return models[0] if len(models) == 1 else None


def _step(here: Any, step: str | int) -> Any:
    for option in _alternatives(here):
        if isinstance(option, type) and issubclass(option, BaseModel):
            for name, field in option.model_fields.items():
                if step in (name, field.alias):
                    return field.annotation
        elif get_origin(option) in (dict, Mapping):
            return get_args(option)[1]
        elif get_origin(option) is list and isinstance(step, int):
            return get_args(option)[0]
    for option in _alternatives(here):  # the name of an alternative
        if isinstance(option, type) and option.__name__ == step:
            return option
    return None


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [option for part in get_args(annotation) for option in _alternatives(part)]
    return [annotation]
