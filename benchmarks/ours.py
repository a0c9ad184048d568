"""Callreel itself, as people start it, and what a client of it does."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import shutil
import ssl
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.calls import CALLREEL, PASSWORD, USERNAME, Recorded
from benchmarks.processes import Running, environment, free_ports, pinned, run, started, wait_for

PATIENT = {"CACHE__WAIT_S": "3600"}
"""Settings with which a request waits for its render however long that takes."""
_READ = 1 << 18


def login(username: str) -> str:
    """The header of a web user's login."""
    return "Basic " + base64.b64encode(f"{username}:{PASSWORD}".encode()).decode()


LOGIN = login(USERNAME)


class Busy(Exception):
    """503: ask again."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """One answer, read to its end or left."""

    status: int
    first_byte_s: float
    """From the request to the first byte of the body."""
    whole_s: float
    size: int


def connected(port: int, *, tls: bool = False) -> http.client.HTTPConnection:
    """A connection to a server of this machine."""
    if not tls:
        return http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    trusting = ssl.create_default_context()
    trusting.check_hostname = False
    trusting.verify_mode = ssl.CERT_NONE  # our own certificate, made a moment ago
    return http.client.HTTPSConnection("127.0.0.1", port, timeout=600, context=trusting)


def fetch(
    port: int, path: str, headers: Mapping[str, str] | None = None, *, leave: bool = False
) -> Fetched:
    """Get something over a connection of its own.

    Args:
        port: Of a server of this machine.
        path: What is asked for.
        headers: With the request.
        leave: Go after the first byte.

    Raises:
        Busy: The server is.
        SystemExit: The answer is no success, or was broken off.
    """
    connection = connected(port)
    buffer = memoryview(bytearray(_READ))
    try:
        connection.connect()
        began = time.perf_counter()
        connection.request("GET", path, headers=dict(headers or {}))
        answer = connection.getresponse()
        if answer.status == 503:
            raise Busy(answer.read()[:300].decode())
        if answer.status >= 300:
            raise SystemExit(f"{path[:80]}: {answer.status} {answer.read()[:300]!r}")
        size = len(answer.read(1))
        first = time.perf_counter() - began
        while not leave and (got := answer.readinto(buffer)):
            size += got
        return Fetched(answer.status, first, time.perf_counter() - began, size)
    except http.client.IncompleteRead as error:
        raise SystemExit(f"{path[:80]}: broken off") from error
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class Ours:
    """A server that runs."""

    running: Running
    web_port: int
    echo_port: int
    tls: bool
    data_dir: Path

    def asked(
        self, method: str, path: str, body: object = None, *, username: str = USERNAME
    ) -> dict[str, object]:
        """Ask the web application as a program does; gives its JSON.

        Raises:
            Busy: The server is.
            SystemExit: The answer is no success.
        """
        connection = connected(self.web_port, tls=self.tls)
        try:
            headers = {"Authorization": login(username), "Content-Type": "application/json"}
            text = None if body is None else json.dumps(body)
            connection.request(method, path, body=text, headers=headers)
            answer = connection.getresponse()
            told = answer.read()
        finally:
            connection.close()
        if answer.status == 503:
            raise Busy(told[:300].decode())
        if answer.status >= 300:
            raise SystemExit(f"{method} {path}: {answer.status} {told[:300]!r}")
        found: dict[str, object] = json.loads(told)
        return found

    def size(self, recorded: Recorded, form: str) -> int:
        """Bytes of an output whose size arithmetic tells."""
        return int(str(self._issued(recorded, form)["size_bytes"]))

    def token(self, recorded: Recorded, form: str = "wav") -> str:
        """The path on Echo of a fresh token."""
        return "/" + str(self._issued(recorded, form)["url"]).split("/", 3)[3]

    def _issued(self, recorded: Recorded, form: str) -> dict[str, object]:
        path = f"/api/v1/recordings/{recorded.recording_id}/tokens"
        return self.asked("POST", path, {"format": form})

    def fetch(
        self, recorded: Recorded, form: str, *, bytes_of: str | None = None, leave: bool = False
    ) -> Fetched:
        """Sound by a fresh token, whose making is not part of the time."""
        headers = {} if bytes_of is None else {"Range": f"bytes={bytes_of}"}
        return fetch(self.echo_port, self.token(recorded, form), headers, leave=leave)


@contextlib.contextmanager
def serving(
    data_dir: Path,
    cores: Sequence[int],
    settings: Mapping[str, str] | None = None,
    *,
    certificate: tuple[Path, Path] | None = None,
) -> Iterator[Ours]:
    """``callreel serve`` until the block ends.

    Args:
        data_dir: Its data folder.
        cores: Where it may run.
        settings: As the environment names them, without ``CALLREEL__``.
        certificate: And key, for https.
    """
    web_port, echo_port = free_ports(2)
    command = [*CALLREEL, "serve", "--data", str(data_dir), "--port", str(web_port)]
    command += ["--echo-port", str(echo_port)]
    if certificate is not None:
        command += ["--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1])]
    told = data_dir / "server.json"
    told.unlink(missing_ok=True)
    env = environment(**{f"CALLREEL__{name}": value for name, value in (settings or {}).items()})
    log = data_dir / "serve.log"
    log.unlink(missing_ok=True)
    with started(pinned(command, cores), log, env=env) as running:
        wait_for(running, told.exists)
        yield Ours(running, web_port, echo_port, certificate is not None, data_dir)


@contextlib.contextmanager
def fresh(data_dir: Path, cores: Sequence[int], warm: Recorded, form: str) -> Iterator[Ours]:
    """A server that has rendered nothing, but has made the format once of another recording.

    What it kept is erased; what it loads at the first use of a format is loaded. A render is waited
    for however long it takes.
    """
    shutil.rmtree(data_dir / "cache", ignore_errors=True)
    with serving(data_dir, cores, PATIENT) as ours:
        ours.fetch(warm, form)
        yield ours


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine, made once."""
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    if not certificate.exists():
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"]
        command += ["-subj", "/CN=127.0.0.1", "-keyout", str(key), "-out", str(certificate)]
        run(command)
    return certificate, key
