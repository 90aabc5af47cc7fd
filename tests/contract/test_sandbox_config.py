"""The configuration the sandbox writes is one that dropd reads."""

from __future__ import annotations

from importlib.metadata import entry_points

from dropd.config import load
from dropd.sandbox import Sandbox


def test_the_written_configuration_is_taken_as_it_is(tmp_path):
    kinds = {entry.name: entry.load() for entry in entry_points(group="dropd.providers")}
    root = tmp_path / "a folder, with ö: and #"
    with Sandbox() as box:
        config = load(box.write_config(root), kinds)
    assert sorted(config.providers) == ["arm", "cases", "debtors", "office"]
    assert [route.inbox.parent for route in config.routes] == [root] * 4
