"""What stands behind the applications in tests, and real servers for them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import cast

import uvicorn
from starlette.types import ASGIApp

from callreel.access.identity import Verifier
from callreel.flows.browse import Browse
from callreel.flows.deliver import Deliver
from callreel.flows.issue import Issue
from callreel.flows.signal import Signals
from callreel.web.app import EchoParts, WebParts, build_echo, build_web
from callreel.web.connection import GuardedConnection
from callreel.web.outlet import Pace
from tests.fakes import FakeBrowse, FakeDeliver, FakeIssue, FakeSignals, FakeUsers

USERNAME = "ines"
PASSWORD = "correct horse battery"
LATIN_NAME = "jürgen"
LATIN_PASSWORD = "straße nach süden"


@dataclass
class Backstage:
    """What stands behind an application in a test."""

    verifier: Verifier
    users: FakeUsers
    issue: FakeIssue = field(default_factory=FakeIssue)
    browse: FakeBrowse = field(default_factory=FakeBrowse)
    signals: FakeSignals = field(default_factory=FakeSignals)
    deliver: FakeDeliver = field(default_factory=FakeDeliver)
    ready: bool = True
    pace: Pace = field(default_factory=Pace)

    def web(self) -> ASGIApp:
        """The web application."""
        return build_web(
            WebParts(
                verifier=self.verifier,
                issue=cast("Issue", self.issue),
                browse=cast("Browse", self.browse),
                signals=cast("Signals", self.signals),
                is_ready=lambda: self.ready,
            )
        )

    def echo(self) -> ASGIApp:
        """Echo."""
        return build_echo(
            EchoParts(
                deliver=cast("Deliver", self.deliver),
                is_ready=lambda: self.ready,
                pace=self.pace,
            )
        )


@dataclass(frozen=True)
class Live:
    """An application on a real socket."""

    port: int

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def connect(self, *, receive_bytes: int | None = None) -> socket.socket:
        """A plain connection; ``receive_bytes`` makes the reader's buffer small."""
        connection = socket.socket()
        if receive_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def say(self, request: bytes) -> bytes:
        """Send bytes, read until the server closes."""
        with self.connect() as connection:
            connection.sendall(request)
            return read_all(connection)


def read_all(connection: socket.socket) -> bytes:
    """Everything until the other side closes or resets."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while more := connection.recv(65536):
            found += more
    return found


def drain(connection: socket.socket) -> None:
    """Read until the other side closes; raises where it resets."""
    while connection.recv(65536):
        pass


class _Server(uvicorn.Server):
    """In a thread there are no signals to capture."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture nothing."""
        yield


@contextlib.contextmanager
def serve(application: ASGIApp) -> Iterator[Live]:
    """Serve as ``callreel serve`` does, on a free port."""
    config = uvicorn.Config(
        application,
        http=GuardedConnection,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield Live(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(15)
            assert not thread.is_alive()


def wait_until(condition: object, within_s: float = 5.0) -> None:
    """Return once ``condition()`` holds; fail after ``within_s``."""
    assert callable(condition)
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.005)
