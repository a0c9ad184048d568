"""What the tests of reading share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from callreel.audio.prober import Prober


@pytest.fixture(scope="session")
def prober() -> Iterator[Prober]:
    """One prober for all tests that do not break it on purpose."""
    with Prober() as shared:
        yield shared
