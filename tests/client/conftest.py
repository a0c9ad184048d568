"""A scripted server and a client of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from callreel.client import Client
from tests.client.scripted import Scripted, running


@pytest.fixture
def server() -> Iterator[Scripted]:
    """A server that does what the test says."""
    with running() as scripted:
        yield scripted


@pytest.fixture
def client(server: Scripted) -> Iterator[Client]:
    """A client with a login there."""
    with Client(server.base_url, "integrator", "pa:ss wörd", timeout_s=2, patience_s=4) as opened:
        yield opened
