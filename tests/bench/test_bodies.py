"""Large files stream in constant memory; how fast is for `python tests/bench/stream.py` to tell."""

from __future__ import annotations

import pytest
from bench.stream import MIB, WAYS, measure, sink, sparse


@pytest.mark.parametrize("way", sorted(WAYS))
def test_memory_stays_small(way: str) -> None:
    """64 MiB in less than a quarter of that, the most for base64: two blocks and their encoding."""
    with sink() as url, sparse(64 * MIB) as path:
        assert measure(way, "dropd", url, path)["growth_mib"] < 16
