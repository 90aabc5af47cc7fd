"""The accounts of a file: each held against the options of its adapter, its addresses and secrets looked at."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from dropd.config.addresses import check_addresses
from dropd.config.folders import absolute
from dropd.config.ids import Kind
from dropd.config.models import NAME, NAME_RULE
from dropd.config.report import Report, nearest, one_of, shown
from dropd.config.shape import alternatives, fit
from dropd.config.table import Account
from dropd.config.tree import Path as Place
from dropd.config.words import EXAMPLES
from dropd.errors import SecretMissing
from dropd.fields import Secret, parse_duration

M = TypeVar("M", bound=BaseModel)


def accounts_of(kinds: Mapping[str, Kind], base: Path, report: Report, *, secrets: bool) -> dict[str, Account]:
    """Those without a mistake, by name. `secrets`: also whether every file and secret that they name can be read."""
    out: dict[str, Account] = {}
    providers = report.tree.at(("providers",))
    if not providers and not report.has_bad_within(("providers",)):
        report.add(("providers",), "no provider stands here" if providers == {} else "is missing", f"add {EXAMPLES['providers']}")
    for name, raw in providers.items() if isinstance(providers, dict) else ():
        at: Place = ("providers", name)
        if not NAME.fullmatch(name):
            report.add(at, f"{shown(name)} cannot be a name", NAME_RULE, key=True)
        if isinstance(raw, dict) and not report.is_bad(at):
            kind = _kind(raw, at, kinds, report)
            account = _account(name, raw, kind, base, report) if kind else None
            if account:
                out[name] = account
            if kind and secrets:
                _check_files(kind.Options, raw, at, base, report)
    return out


def _kind(raw: Mapping[str, Any], at: Place, kinds: Mapping[str, Kind], report: Report) -> Kind | None:
    place = (*at, "type")
    kind = raw.get("type")
    if isinstance(kind, str) and kind in kinds:
        return kinds[kind]
    if kind is None:
        report.add(place, "is missing", f"add type: with one of {one_of(kinds)}")
    elif not report.is_bad(place):
        close = nearest(kind, kinds) if isinstance(kind, str) else None
        what = f"unknown provider type {shown(kind)}" if isinstance(kind, str) else "this is not the name of a provider type"
        report.add(place, what, f"write {close or one_of(kinds)}")
    return None


def _account(name: str, raw: Mapping[str, Any], kind: Kind, base: Path, report: Report) -> Account | None:
    at: Place = ("providers", name)
    options = kind.Options
    keys = {key: value for key, value in raw.items() if key != "type" or "type" in options.model_fields}
    check_addresses(keys, at, report)
    fitted = fit(options, keys, at, report)
    for key in ("connect", "write", "read"):
        place: Place = (*at, "timeout", key)
        text = report.tree.at(place)
        if isinstance(text, str) and not report.is_bad(place) and parse_duration(text) <= 0:
            report.add(place, f"{shown(text)} would let no call through", "write a time above zero, like 30s")
    return Account(name, str(raw["type"]), _anchored(fitted, base), report.tree.line(at)) if fitted else None


def _anchored(model: M, base: Path) -> M:
    """The same options with every path in them absolute."""
    changed: dict[str, Any] = {}
    for key in type(model).model_fields:
        value = getattr(model, key)
        if isinstance(value, Path):
            changed[key] = absolute(str(value), base)
        elif isinstance(value, BaseModel):
            changed[key] = _anchored(value, base)
    return model.model_copy(update=changed)


def _check_files(model: type[BaseModel], raw: Mapping[str, Any], at: Place, base: Path, report: Report) -> None:
    """Every secret that an account names is there, and its certificates can be read; as far as it is right, whatever else is wrong."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        value, place = raw.get(key), (*at, key)
        if report.has_bad_within(place):
            continue
        for kind in alternatives(field.annotation):
            if kind is Secret and isinstance(value, dict):
                _check_secret(value, place, base, report)
            elif kind is Path and isinstance(value, str):
                _check_readable(absolute(value, base), place, report)
            elif isinstance(kind, type) and issubclass(kind, BaseModel) and isinstance(value, dict):
                _check_files(kind, value, place, base, report)


def _check_secret(value: Mapping[str, Any], place: Place, base: Path, report: Report) -> None:
    try:
        _anchored(Secret.model_validate(value), base).reveal()
    except SecretMissing as missing:
        what, _, remedy = str(missing).partition("; ")
        report.add(place, what, remedy)
    except ValidationError:
        return  # its form was reported


def _check_readable(file: Path, place: Place, report: Report) -> None:
    try:
        file.open("rb").close()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a path"
        report.add(place, f"the file {file} cannot be read ({why})", "correct the path, or make it readable for dropd's user")
