"""A render cache that is closed again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from callreel.audio.rendered import RenderCache


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[RenderCache]:
    """A cache with room enough."""
    made = RenderCache(tmp_path / "renders", 10**9)
    yield made
    made.close()
