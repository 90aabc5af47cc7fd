"""What editors and people are shown: a JSON Schema of the file from the same models, and the commented example."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from dropd.config.ids import Kind
from dropd.config.models import FilePart
from dropd.fields import Rate, Secret

_EXAMPLE = "config.example.yaml"


def example() -> str:
    """The text of config.example.yaml: from the installed package, else from the checkout around it."""
    packaged = resources.files("dropd.config") / _EXAMPLE
    if packaged.is_file():
        return packaged.read_text(encoding="utf-8")
    return (Path(__file__).parents[2] / _EXAMPLE).read_text(encoding="utf-8")


def duration_text(seconds: float) -> str:
    """As a person writes it: 900.0 -> 15m, 0.2 -> 200ms."""
    if seconds and seconds < 1:
        return f"{seconds * 1000:g}ms"
    for unit, size, least in (("h", 3600, 3600), ("m", 60, 300)):
        if seconds >= least and seconds % size == 0:
            return f"{seconds / size:g}{unit}"
    return f"{seconds:g}s"


def rate_text(rate: Rate) -> str:
    return f"{rate.count}/{({1.0: 's', 60.0: 'min', 3600.0: 'h'}).get(rate.period, f'{rate.period:g}s')}"


def as_written(value: Any) -> Any:
    """A default as it would stand in the file."""
    if isinstance(value, BaseModel):
        return {key: as_written(getattr(value, key)) for key in type(value).model_fields if getattr(value, key) is not None}
    if isinstance(value, Rate):
        return rate_text(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [as_written(item) for item in (sorted(value) if isinstance(value, set | frozenset) else value)]
    if isinstance(value, float):
        return duration_text(value)
    return str(value) if isinstance(value, Path) else value


class _Generator(GenerateJsonSchema):
    """Defaults as they are written; `null`, which the file cannot hold, is left out."""

    def encode_default(self, dft: Any) -> Any:
        return super().encode_default(as_written(dft))


def schema(kinds: Mapping[str, Kind]) -> dict[str, Any]:
    """JSON Schema 2020-12 of the file, with the options of every known provider type."""
    models: list[type[BaseModel]] = [FilePart, *(kind.Options for kind in kinds.values())]
    refs, whole = models_json_schema([(model, "validation") for model in models], schema_generator=_Generator)
    defs = _without_null(whole["$defs"])
    top = defs.pop(_name(refs[FilePart, "validation"]))
    top["properties"]["providers"]["additionalProperties"] = {
        "type": "object",
        "required": ["type"],
        "properties": {"type": {"enum": sorted(kinds)}},
        "allOf": [
            {
                "if": {"properties": {"type": {"const": name}}, "required": ["type"]},
                "then": _with_type(name, defs[_name(refs[kind.Options, "validation"])]),
            }
            for name, kind in sorted(kinds.items())
        ],
    }
    top["properties"]["providers"]["minProperties"] = top["properties"]["routes"]["minItems"] = 1
    for kind in kinds.values():
        defs.pop(_name(refs[kind.Options, "validation"]), None)
    if "Secret" in defs:
        defs["Secret"] |= {"minProperties": 1, "maxProperties": 1, "description": Secret.__doc__}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dropd",
        **{key: value for key, value in top.items() if key != "title"},
        "required": ["providers", "routes"],
        "$defs": defs,
    }


def _name(ref: Mapping[str, Any]) -> str:
    return str(ref["$ref"]).rpartition("/")[2]


def _with_type(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    return {**options, "properties": {"type": {"const": name}, **options.get("properties", {})}}


def _without_null(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    if not isinstance(value, dict):
        return value
    out = {key: _without_null(item) for key, item in value.items() if not (key == "default" and item is None)}
    options = [option for option in out.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1 and len(out.get("anyOf", ())) == 2:
        del out["anyOf"]
        out = {**options[0], **out}
    return out
