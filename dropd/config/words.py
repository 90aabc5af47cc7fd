"""What pydantic finds wrong with the form of the file, in our own words, with an example of what to write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic_core import ErrorDetails

from dropd.config.report import nearest, one_of, shown
from dropd.config.tree import Path

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
    "file_type": "file_type: InvoiciaFormatDocFile",
    "domain": "domain: cases",
    "dotted_path": "dotted_path: original_invoice",
    "account_id": 'account_id: "{folder}"',
    "reference_id": 'reference_id: "{stem}"',
    "extra_fields": 'extra_fields: {externalClaimRef: "{stem}"}',
    "allow": 'allow: {client_id: "22[0-9]{2}"}',
    "match": 'match: ["*.csv"]',
    "ignore": 'ignore: ["*.bak"]',
}


def example(key: str | int, otherwise: str) -> str:
    return EXAMPLES.get(str(key), otherwise)


def explain(error: ErrorDetails, path: Path, known: Iterable[str]) -> tuple[str, str]:
    """What is wrong and what to write instead, for any error that pydantic can raise; a wrong value's text is repeated only where it is harmless."""
    kind, key = error["type"], next((step for step in reversed(path) if isinstance(step, str)), "")
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
    if path[:-1] == ("providers",):
        return f"{_found(error['input'])} stands where an account's keys are expected", f"write {key}: {{type: amili-arm, …}}"
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
