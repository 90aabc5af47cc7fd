"""Which providers there are: dropd's own and those of other packages, by the entry-point group `dropd.providers`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from dropd.errors import DropdError
from dropd.providers.base import Provider

if TYPE_CHECKING:  # holds dropd's own to the interface; at run time they are found like anybody's
    from dropd.providers.amili_arm import AmiliArm
    from dropd.providers.amili_media import AmiliMedia
    from dropd.providers.receeve import Receeve
    from dropd.providers.twentyfour_seven_office import TwentyFourSevenOffice

    _OWN: tuple[type[Provider], ...] = (AmiliArm, AmiliMedia, Receeve, TwentyFourSevenOffice)

GROUP = "dropd.providers"


class ProviderUnusable(DropdError):
    """A package registers a provider that cannot be used."""


def kinds() -> dict[str, type[Provider]]:
    """Every `type:` that a configuration may name. Raises ProviderUnusable."""
    claims: dict[str, EntryPoint] = {}
    for entry in entry_points(group=GROUP):
        first = claims.setdefault(entry.name, entry)
        if first.value != entry.value:
            raise ProviderUnusable(
                f"two packages claim the provider type {entry.name!r}: {_package(first)} and {_package(entry)}; uninstall one of them"
            )
    return {name: _load(entry) for name, entry in sorted(claims.items())}


def _load(entry: EntryPoint) -> type[Provider]:
    try:
        kind: Any = entry.load()
    except Exception as error:  # another package's code: anything can happen while it is imported
        raise ProviderUnusable(
            f"the provider type {entry.name!r} of {_package(entry)} cannot be loaded ({error}); repair or uninstall that package"
        ) from error
    missing = [name for name in ("Options", "traits", "own_fields", "send", "poll", "ask", "login") if not hasattr(kind, name)]
    if missing:
        raise ProviderUnusable(
            f"the provider type {entry.name!r} of {_package(entry)} lacks {', '.join(missing)}; update or uninstall that package"
        )
    return kind  # type: ignore[no-any-return]


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name} ({entry.value})" if entry.dist is not None else entry.value
