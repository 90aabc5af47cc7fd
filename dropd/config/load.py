"""From a file's text to a Config, or to every mistake in it at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dropd.config.accounts import accounts_of
from dropd.config.folders import absolute
from dropd.config.ids import Kind
from dropd.config.models import FilePart
from dropd.config.mounts import network_filesystem
from dropd.config.report import Report
from dropd.config.routes import routes_of
from dropd.config.shape import fit
from dropd.config.table import Config, Log
from dropd.config.tree import Path as Place
from dropd.config.tree import read
from dropd.errors import ConfigError, Problem

LARGEST = 4 * 1024 * 1024
_UNITS = {"log": 2, "providers": 2, "defaults": 2, "routes": 3}
_BLOCKS = ("allow", "extra_fields")


def load(path: Path, kinds: Mapping[str, Kind], *, secrets: bool = True) -> Config:
    """Raises ConfigError with all mistakes. `secrets`: also whether every secret and certificate that is named can be read.

    `kinds`: the known types of providers. A missing inbox is no mistake: it can come back.
    """
    report = Report(str(path), read(_text(path)))
    tree = report.tree
    if tree.data is None or (not isinstance(tree.data, dict) and tree.faults):
        raise ConfigError(report.problems)
    if not isinstance(tree.data, dict):
        report.add((), "is not made of keys and values", "write it as in config.example.yaml")
        raise ConfigError(report.problems)
    part = fit(FilePart, tree.data, (), report, _unit) or FilePart()
    base = path.absolute().parent
    state_dir = absolute(part.state_dir, base)
    accounts = accounts_of(kinds, base, report, secrets=secrets)
    routes = routes_of(part, kinds, base, report, state_dir)
    _check_state_dir(state_dir, report)
    if report.problems:
        raise ConfigError(report.problems)
    return Config(path.absolute(), state_dir, part.language, Log(part.log.format, part.log.level), accounts, routes)


def _unit(path: Place) -> int:
    """A key is taken out as a whole, but of blocks within a route only the wrong line."""
    length = _UNITS.get(str(path[0]), 1) if path else 0
    return (
        length + 1
        if length and path[0] in ("defaults", "routes") and path[length - 1 : length] in [(key,) for key in _BLOCKS]
        else length
    )


def _text(path: Path) -> str:
    def unusable(what: str, remedy: str) -> ConfigError:
        return ConfigError([Problem(str(path), 0, "the file", what, remedy)])

    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise unusable("does not exist", "write it, or name another with --config FILE") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a path"
        raise unusable(f"cannot be read ({why})", "make it a file that dropd's user may read") from None
    if len(raw) > LARGEST:
        raise unusable("is larger than 4 MiB", "name dropd's configuration with --config FILE")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            [Problem(str(path), line, "the file", "a byte stands here that is not UTF-8", "save the file as UTF-8 text")]
        ) from None


def _check_state_dir(state_dir: Path, report: Report) -> None:
    place = ("state_dir",)
    if report.is_bad(place):
        return
    if str(report.tree.at(place)).startswith("~"):
        report.add(place, "~ does not stand for a home folder here", "write the whole path, like /var/lib/dropd")
        return
    kind = network_filesystem(state_dir)
    if kind:
        report.add(
            place, f"this folder is on a network filesystem ({kind}), where a ledger can be damaged", "choose one on a local disk"
        )
