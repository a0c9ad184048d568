"""A window that stays open over midnight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse
from urllib.parse import urlencode

import pytest

from callreel.bootstrap import system_clock
from callreel.model import UnixMillis
from callreel.web.pages import calls
from tests.pages.town import PASSWORD, Town, answering, listen

DAY_MS = 86_400_000


@contextmanager
def watched(port: int, cookie: str, query: str) -> Iterator[HTTPResponse]:
    """The rows that come in, as a window gets them."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=3)) as connection:
        connection.request("GET", f"/calls/live/0?{query}", headers={"Cookie": cookie})
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.readline() == b"retry: 1000\n"
        yield answer


def until_still_here(answer: HTTPResponse) -> None:
    """Read on until the server says that nothing came for a while."""
    line = b"."
    while b"still here" not in line:
        line = answer.readline()
        assert line, "the answer ended"


def signed_in(port: int) -> str:
    """The cookie of the administrator."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        body = urlencode({"username": "admin", "password": PASSWORD})
        head = {"Content-Type": "application/x-www-form-urlencoded"}
        connection.request("POST", "/login", body, head)
        told = connection.getresponse().headers["Set-Cookie"]
        return str(told).partition(";")[0]


def test_today_is_another_day_after_midnight(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """What watches today ends, so that the window comes back for the new one; others go on."""
    monkeypatch.setattr(calls, "KEEP_ALIVE_S", 0.2)
    days = [0]

    def clock() -> UnixMillis:
        """Of the pages alone."""
        return UnixMillis(system_clock() + days[0] * DAY_MS)

    pages = replace(town.serving.web.pages, clock=clock)
    serving = replace(town.serving, web=replace(town.serving.web, pages=pages))
    other = replace(town, serving=serving)
    with listen() as listening, answering(other, listening):
        port: int = listening.getsockname()[1]
        cookie = signed_in(port)
        with (
            watched(port, cookie, "since=today") as today,
            watched(port, cookie, "since=2026-11-20") as fixed,
            watched(port, cookie, "q=priya") as always,
        ):
            for each in (today, fixed, always):
                until_still_here(each)
            days[0] = 1
            # It says that it is still there five times a second.
            assert b"" in [today.readline() for _ in range(40)]
            for each in (fixed, always):
                until_still_here(each)
                until_still_here(each)
