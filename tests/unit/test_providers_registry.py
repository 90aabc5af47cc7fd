"""Which providers there are, and what is said when two packages want the same name."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from dropd.model import AMILI_ARM, AMILI_MEDIA, OFFICE, RECEEVE
from dropd.providers import registry
from dropd.providers.registry import ProviderUnusable, kinds

ARM = "dropd.providers.amili_arm:AmiliArm"


def claims(monkeypatch: pytest.MonkeyPatch, *entries: tuple[str, str]) -> None:
    found = [EntryPoint(name, value, registry.GROUP) for name, value in entries]
    monkeypatch.setattr(registry, "entry_points", lambda group: found)


def test_the_four_are_there() -> None:
    found = kinds()
    assert {AMILI_ARM, AMILI_MEDIA, RECEEVE, OFFICE} <= set(found)
    assert [found[name].traits.label for name in (AMILI_ARM, AMILI_MEDIA, RECEEVE, OFFICE)] == [
        "Amili ARM",
        "Amili media upload",
        "receeve",
        "24SevenOffice",
    ]
    for name in (AMILI_ARM, AMILI_MEDIA, RECEEVE, OFFICE):
        assert found[name].traits.required_ids <= found[name].traits.ids


def test_one_installed_twice_is_no_clash(monkeypatch: pytest.MonkeyPatch) -> None:
    claims(monkeypatch, ("arm", ARM), ("arm", ARM))
    assert list(kinds()) == ["arm"]


def test_two_that_claim_one_name(monkeypatch: pytest.MonkeyPatch) -> None:
    claims(monkeypatch, ("arm", ARM), ("arm", "other.package:Arm"))
    with pytest.raises(
        ProviderUnusable, match=rf"two packages claim the provider type 'arm': {ARM} and other.package:Arm; uninstall"
    ):
        kinds()


def test_one_that_cannot_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    claims(monkeypatch, ("odd", "no_such_package_anywhere:X"))
    with pytest.raises(ProviderUnusable, match=r"'odd' of no_such_package_anywhere:X cannot be loaded .*; repair or uninstall"):
        kinds()


def test_one_that_is_no_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    claims(monkeypatch, ("odd", "json:JSONDecoder"))
    with pytest.raises(ProviderUnusable, match="'odd' of json:JSONDecoder lacks Options"):
        kinds()
