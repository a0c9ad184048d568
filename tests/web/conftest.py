"""The two applications over flows that do as a test says: in process, and on real sockets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from starlette.testclient import TestClient
from structlog.testing import LogCapture
from structlog.typing import EventDict

from callreel.access.identity import Verifier
from callreel.web import edge, problems, sending
from tests.fakes import FakeUsers, make_verifier
from tests.web.stage import (
    LATIN_NAME,
    LATIN_PASSWORD,
    PASSWORD,
    USERNAME,
    Backstage,
    Live,
    serve,
)


@pytest.fixture(scope="session")
def people() -> FakeUsers:
    """Hashing passwords is slow on purpose, so it is done once."""
    return make_verifier({USERNAME: PASSWORD, LATIN_NAME: LATIN_PASSWORD})[1]


@pytest.fixture
def backstage(people: FakeUsers) -> Backstage:
    """Fresh flows, and a verifier that has seen nobody yet."""
    return Backstage(Verifier(people), people)


@pytest.fixture
def web(backstage: Backstage) -> Iterator[TestClient]:
    """A client of the web application that follows nothing and sends no credentials."""
    with TestClient(backstage.web(), follow_redirects=False) as client:
        yield client


@pytest.fixture
def known(web: TestClient) -> TestClient:
    """The same, with credentials."""
    web.auth = (USERNAME, PASSWORD)
    return web


@pytest.fixture
def live_echo(backstage: Backstage) -> Iterator[Live]:
    """Echo on a real socket."""
    with serve(backstage.echo()) as live:
        yield live


@pytest.fixture
def live_web(backstage: Backstage) -> Iterator[Live]:
    """The web application on a real socket."""
    with serve(backstage.web()) as live:
        yield live


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> list[EventDict]:
    """What is logged, however logging was configured by then."""
    capture = LogCapture()
    for module in (sending, edge, problems):
        monkeypatch.setattr(module, "log", structlog.wrap_logger(None, processors=[capture]))
    return capture.entries
