"""What the verbs share: their order, and options."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from dropd.fields import parse_duration

DEFAULT_CONFIG = "/etc/dropd/config.yaml"


class Group(click.Group):
    """Verbs in the order in which a newcomer meets them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)


class Duration(click.ParamType[float]):
    """`60s`, `5m`: seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


CONFIG_HELP = f"The configuration; else $DROPD_CONFIG, else {DEFAULT_CONFIG}."


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`-c/--config FILE`, before or after the verb."""

    @functools.wraps(function)
    def wrapped(config_file: str | None, **options: Any) -> Any:
        before_verb = click.get_current_context().find_root().params.get("config_file")
        chosen = config_file or before_verb or os.environ.get("DROPD_CONFIG") or DEFAULT_CONFIG
        return function(path=Path(chosen), **options)

    return click.option("-c", "--config", "config_file", metavar="FILE", help=CONFIG_HELP)(wrapped)


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")(function)
