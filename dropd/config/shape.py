"""Holds a part of the file against its pydantic model; every mistake of form is reported at its own line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from dropd.config.report import PLACES_RULE, Report, nearest
from dropd.config.tree import Path
from dropd.config.words import explain
from dropd.fields import Secret

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class _Wrong:
    path: Path
    what: str
    remedy: str
    unknown: bool = False  # the key is at fault, not its value
    meant: Path | None = None  # where the key that was probably meant would stand


def fit(model: type[M], data: Any, at: Path, report: Report, unit: Callable[[Path], int] | None = None) -> M | None:
    """The model's instance; every mistake of form is reported.

    With `unit`, what is wrong is taken out and the rest fitted again, so that later checks see everything that is right; it says how long
    a part of a path is taken out as a whole. Without it, None where there is any mistake.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        wrong = list(_located(model, error.errors(include_url=False), data))
    for one in wrong:
        if one.meant and report.tree.at((*at, *one.meant)) is None:
            report.spoil((*at, *one.meant))  # not missing, only misspelt
    for one in wrong:
        block = isinstance(report.tree.at((*at, *one.path)), dict)
        if not (report.has_bad_within((*at, *one.path)) if block else report.is_bad((*at, *one.path))):
            report.add((*at, *one.path), one.what, one.remedy, key=one.unknown)
    for one in wrong:
        report.spoil((*at, *one.path))
    if unit is None:
        return None
    rest = deepcopy(data)
    for one in wrong:
        _take_out(rest, one.path[: unit(one.path)])
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


def _located(model: type[BaseModel], errors: list[ErrorDetails], data: Any) -> Iterator[_Wrong]:
    for path, error in _without_other_alternatives([(*_path(error, data), error) for error in errors]):
        unknown = error["type"] == "extra_forbidden"
        owner = _model_at(model, error["loc"][:-1] if unknown else error["loc"])
        known = keys_of(owner)
        if owner is Secret and error["type"] != "value_error":
            yield _Wrong(path[:-1] if unknown else path, "the place of a secret cannot be read", PLACES_RULE)
        else:
            close = nearest(str(path[-1]), known) if unknown else None
            yield _Wrong(path, *explain(error, path, known), unknown, (*path[:-1], close) if close else None)


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


def keys_of(owner: type[BaseModel] | None) -> tuple[str, ...]:
    """As they are written in the file."""
    return tuple(field.alias or name for name, field in owner.model_fields.items()) if owner else ()


def _model_at(model: type[BaseModel], loc: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model that a place of pydantic's lies in; None where it cannot be told."""
    here: Any = model
    for step in loc:
        inside = _step(here, step)
        if inside is None:
            return None
        here = inside
    models = [one for one in alternatives(here) if isinstance(one, type) and issubclass(one, BaseModel)]
    return models[0] if len(models) == 1 else None


def _step(here: Any, step: str | int) -> Any:
    for option in alternatives(here):
        if isinstance(option, type) and issubclass(option, BaseModel):
            for name, field in option.model_fields.items():
                if step in (name, field.alias):
                    return field.annotation
        elif get_origin(option) in (dict, Mapping):
            return get_args(option)[1]
        elif get_origin(option) is list and isinstance(step, int):
            return get_args(option)[0]
    for option in alternatives(here):  # the name of an alternative
        if isinstance(option, type) and option.__name__ == step:
            return option
    return None


def alternatives(annotation: Any) -> list[Any]:
    """The plain types that a field's annotation stands for."""
    if get_origin(annotation) is Annotated:
        return alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [option for part in get_args(annotation) for option in alternatives(part)]
    return [annotation]
