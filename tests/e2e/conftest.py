"""One real server for all tests of a worker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.live import LiveServer, serving


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """Started once, for reading only."""
    with serving(tmp_path_factory.mktemp("live")) as server:
        yield server


@pytest.fixture
def live_server(running_server: LiveServer) -> LiveServer:
    """The server, its wire taps empty."""
    running_server.web.forget()
    running_server.echo.forget()
    return running_server
