"""What stands before every endpoint, by itself."""

from __future__ import annotations

import pytest
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from callreel.web.edge import FixedHeaders
from tests.loops import run


def sent(name: str, value: str) -> list[tuple[bytes, bytes]]:
    """The headers of an answer that says something itself, behind one that is fixed."""
    started: list[Message] = []

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        """What an application says."""
        await Response(headers={name: value})(scope, receive, send)

    async def receive() -> Message:
        """Nobody says anything."""
        raise AssertionError("nobody reads")

    async def send(message: Message) -> None:  # the shape of ASGI
        """Keeps what is said."""
        started.append(message)

    application = FixedHeaders(answer, {"cache-control": "no-store"})
    run(application({"type": "http", "method": "GET"}, receive, send))
    return [each for each in started[0]["headers"] if each[0] != b"content-length"]


@pytest.mark.parametrize("value", ["max-age=60", "private", "not-no-store", "x-no-store, public"])
def test_a_fixed_header_is_put_over_another(value: str) -> None:
    """No endpoint can loosen it."""
    assert sent("Cache-Control", value) == [(b"cache-control", b"no-store")]


@pytest.mark.parametrize("value", ["private, no-store", "no-store, no-transform", "no-store"])
def test_one_that_says_the_same_and_more_is_left(value: str) -> None:
    """Once, as it was said."""
    assert sent("Cache-Control", value) == [(b"cache-control", value.encode())]


def test_a_fixed_header_that_nobody_says_is_added() -> None:
    """To whatever else there is."""
    assert sent("X-Other", "1") == [(b"x-other", b"1"), (b"cache-control", b"no-store")]
