"""What the tests of whole files share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from callreel.audio.rendered import RenderCache


@pytest.fixture(scope="session")
def renders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RenderCache]:
    """A cache with room enough; who asks it gives each output a key of its own."""
    made = RenderCache(tmp_path_factory.mktemp("renders"), 10**9)
    yield made
    made.close()
