"""Where a request comes from, behind a proxy that is trusted and one that is not."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import select

from callreel.db.database import open_database
from callreel.db.schema import audit
from tests.e2e.live import CALLREEL, clean_environment, free_ports, must, run_callreel

PASSWORD = "correct horse battery staple"
GUESSES = 20
"""Wrong passwords for one name from one address before it must wait."""


@contextmanager
def served(data: Path, trusted: str) -> Iterator[int]:
    """A server behind https at another address, with one user; gives its port."""
    must(run_callreel("init", "--data", str(data)))
    must(
        run_callreel(
            "user", "add", "ann", "--role", "supervisor", "--password-stdin", "--data", str(data),
            text_in=PASSWORD + "\n",
        )
    )  # fmt: skip
    port, echo_port = free_ports(2)
    ports = ("--port", str(port), "--echo-port", str(echo_port))
    with subprocess.Popen(
        [*CALLREEL, "serve", "--data", str(data), *ports, "--base-url", "https://calls.example"],
        env=clean_environment(CALLREEL__SERVER__TRUSTED_PROXIES=trusted),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            assert b"answers at" in process.stdout.readline()
            yield port
        finally:
            process.terminate()


def sign_in(port: int, password: str, *forwarded: str) -> int:
    """The form, as a proxy passes it on."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.putrequest("POST", "/login", skip_host=True)
        body = urlencode({"username": "ann", "password": password}).encode()
        for name, value in (
            ("Host", "calls.example"),
            ("Origin", "https://calls.example"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("Content-Length", str(len(body))),
            ("X-Forwarded-Proto", "https"),
            *(("X-Forwarded-For", each) for each in forwarded),
        ):
            connection.putheader(name, value)
        connection.endheaders(body)
        return connection.getresponse().status


def signed_in_from(data: Path) -> list[str]:
    """The addresses that the audit log tells of those who signed in."""
    with closing(open_database(f"sqlite:///{data / 'callreel.db'}")) as db, db.read() as conn:
        begun = select(audit.c.address).where(audit.c.action == "session.begin")
        return [str(each) for each in conn.execute(begun.order_by(audit.c.seq)).scalars()]


def test_a_trusted_proxy_says_where_somebody_comes_from(tmp_path: Path) -> None:
    """Its own word is the last one; who guesses elsewhere locks nobody else out."""
    with served(tmp_path / "data", "192.0.2.1, 127.0.0.0/8") as port:
        guesses = [401]
        # They are forgotten slowly, and a busy machine is slow to look at one.
        while guesses[-1] == 401 and len(guesses) < 4 * GUESSES:
            guesses.append(sign_in(port, "wrong", "203.0.113.7"))
        assert guesses[-1] == 429
        assert len(guesses) > GUESSES
        assert sign_in(port, PASSWORD, "203.0.113.9") == 303
        assert sign_in(port, PASSWORD, "203.0.113.7, 2001:db8::5") == 303
        assert sign_in(port, PASSWORD, "203.0.113.7", "203.0.113.11, 192.0.2.1") == 303
    assert signed_in_from(tmp_path / "data") == ["203.0.113.9", "2001:db8::5", "203.0.113.11"]


@pytest.mark.parametrize("trusted", ["", "192.0.2.1"])
def test_nobody_else_is_believed(tmp_path: Path, trusted: str) -> None:
    """The socket says it, whatever the head of the request says, the scheme included."""
    with served(tmp_path / "data", trusted) as port:
        # By its origin, which is https, the form is from another site than this http.
        assert sign_in(port, PASSWORD, "203.0.113.9") == 403
        with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
            body = urlencode({"username": "ann", "password": PASSWORD})
            connection.request(
                "POST",
                "/login",
                body,
                {
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Sec-Fetch-Site": "same-origin",
                    "X-Forwarded-For": "203.0.113.9",
                },
            )
            assert connection.getresponse().status == 303
    assert signed_in_from(tmp_path / "data") == ["127.0.0.1"]
