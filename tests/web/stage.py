"""What stands behind the applications in tests, and real servers for them."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import uvicorn
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from starlette.types import ASGIApp

from callreel.access.identity import Verifier
from callreel.flows.browse import Browse
from callreel.flows.deliver import Deliver
from callreel.flows.directory import Directory
from callreel.flows.issue import Issue
from callreel.flows.jobs import Jobs
from callreel.flows.lease import Leases
from callreel.flows.listen import Listening
from callreel.flows.masking import Masking
from callreel.flows.noting import Noting
from callreel.flows.ongoing import Ongoing
from callreel.flows.peaks import Peaks
from callreel.flows.people import People
from callreel.flows.places import Places
from callreel.flows.reports import Reports
from callreel.flows.schedules import Schedules
from callreel.flows.sessions import Sessions
from callreel.flows.settling import Settling
from callreel.flows.signal import Signals
from callreel.flows.sites import Sites
from callreel.flows.ticket import Tickets
from callreel.flows.views import SavedViews
from callreel.flows.visitors import Visitors
from callreel.web.app import EchoParts, WebParts, build_echo, build_web
from callreel.web.connection import GuardedConnection
from callreel.web.outlet import Pace
from callreel.web.pages.site import PageParts
from callreel.web.session import CookieRules
from tests.fakes import (
    NOW,
    FakeBrowse,
    FakeDeliver,
    FakeIssue,
    FakeMasking,
    FakePeaks,
    FakeSessions,
    FakeSettling,
    FakeSignals,
    FakeUsers,
)

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
    masking: FakeMasking = field(default_factory=FakeMasking)
    settling: FakeSettling = field(default_factory=FakeSettling)
    peaks: FakePeaks = field(default_factory=FakePeaks)
    deliver: FakeDeliver = field(default_factory=FakeDeliver)
    ready: bool = True
    pace: Pace = field(default_factory=Pace)

    def web(self) -> ASGIApp:
        """The web application."""
        return build_web(
            WebParts(
                verifier=self.verifier,
                issue=cast("Issue", self.issue),
                tickets=cast("Tickets", None),
                browse=cast("Browse", self.browse),
                signals=cast("Signals", self.signals),
                masking=cast("Masking", self.masking),
                settling=cast("Settling", self.settling),
                peaks=cast("Peaks", self.peaks),
                pages=self._pages(),
                cookie=CookieRules(secure=False),
                is_ready=lambda: self.ready,
            )
        )

    def _pages(self) -> PageParts:
        """Nobody signs in here; tests of pages have a house of their own."""
        return PageParts(
            sessions=cast("Sessions", FakeSessions()),
            visitors=cast("Visitors", None),
            browse=cast("Browse", self.browse),
            listening=cast("Listening", self.deliver),
            peaks=cast("Peaks", self.peaks),
            masking=cast("Masking", self.masking),
            noting=cast("Noting", None),
            ongoing=cast("Ongoing", None),
            views=cast("SavedViews", None),
            jobs=cast("Jobs", None),
            leases=cast("Leases", None),
            schedules=cast("Schedules", None),
            reports=cast("Reports", None),
            sites=cast("Sites", None),
            directory=cast("Directory", None),
            people=cast("People", None),
            places=cast("Places", None),
            clock=lambda: NOW,
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
    tls: bool = False
    stop: Callable[[], None] = lambda: None
    """Ask it to stop, as a signal does."""

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def connect(self, *, receive_bytes: int | None = None) -> socket.socket:
        """A plain connection; ``receive_bytes`` makes the reader's buffer small."""
        connection = socket.socket()
        if receive_bytes is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        connection.settimeout(10)
        connection.connect(("127.0.0.1", self.port))
        if not self.tls:
            return connection
        context = ssl.create_default_context()
        # The certificate is of this test alone; who it is from is not what is tested.
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context.wrap_socket(connection)

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
def serve(application: ASGIApp, certificate: Path | None = None) -> Iterator[Live]:
    """Serve as ``callreel serve`` does, on a free port; with a certificate, over TLS."""
    config = uvicorn.Config(
        application,
        http=GuardedConnection,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=2,
        ssl_certfile=certificate,
    )
    server = _Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield Live(
                listening.getsockname()[1],
                certificate is not None,
                lambda: setattr(server, "should_exit", True),
            )
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


def make_certificate(folder: Path) -> Path:
    """A file with a key and a certificate that it signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    path = folder / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path
