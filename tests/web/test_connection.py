"""What arrives on a socket: limits of time and length, and requests that parsers read differently.

Source: threats.md T43 and T52.
"""

from __future__ import annotations

import base64
import socket
import time

import pytest

from callreel.web import connection as guarded
from tests.fakes import URL
from tests.web.stage import PASSWORD, USERNAME, Backstage, Live, drain, read_all, wait_until

LOGIN = b"Authorization: Basic " + base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()) + b"\r\n"
VOICE = b"/voice.wav?cmd=getvmsg&datasource=3&recordingid=a&voicelocation=4"


def request(target: bytes, *headers: bytes, method: bytes = b"GET") -> bytes:
    """A request that closes its connection."""
    lines = [method + b" " + target + b" HTTP/1.1", b"Host: web", b"Connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n" + LOGIN + b"\r\n"


def status_of(answer: bytes) -> int:
    """The status of the first answer."""
    return int(answer.split(b" ", 2)[1])


@pytest.mark.parametrize(
    "target",
    [
        VOICE,
        b"http://evil.example" + VOICE,
        b"http://127.0.0.1:22" + VOICE,
        VOICE.replace(b"voice", b"%76oice"),
        VOICE.replace(b".", b"%2e"),
        VOICE + b"#fragment",
    ],
)
def test_every_spelling_of_an_address_is_one_route_or_refused(
    live_web: Live, backstage: Backstage, target: bytes
) -> None:
    """And a host in it goes nowhere: the URL given out is built from what we know."""
    answer = live_web.say(request(target))
    assert status_of(answer) == 200
    assert answer.endswith(URL.encode())
    assert backstage.issue.asked[0]["voicefilename"] == "a"


@pytest.mark.parametrize(
    "target",
    [
        b"/" + VOICE,
        b"/%2f" + VOICE,
        VOICE.replace(b"/voice", b"/%2fvoice"),
        VOICE.replace(b"/voice", b"/x/../voice"),
        VOICE.replace(b"/voice", b"/./voice"),
        VOICE.replace(b"/voice", b"/x%2f..%2fvoice"),
        VOICE.replace(b"/voice", b"\\voice"),
        VOICE.replace(b"?", b"/?"),
        VOICE.replace(b"?", b"%3f"),
        VOICE.replace(b"?", b"%00?"),
        VOICE.replace(b"voice", b"vo\xefce"),
        b"*",
        b"voice.wav",
        b"",
    ],
)
def test_what_is_no_address_of_ours_is_refused(
    live_web: Live, backstage: Backstage, target: bytes
) -> None:
    """4xx; nothing is normalised into an address, and nothing redirects."""
    assert 400 <= status_of(live_web.say(request(target))) < 500
    assert backstage.issue.asked == []


@pytest.mark.parametrize(
    "headers",
    [
        (b"Content-Length: 0", b"Content-Length: 5"),
        (b"Content-Length: 5", b"Content-Length: 5"),
        (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
        (b"Transfer-Encoding: chunked", b"Content-Length: 5"),
        (b"Content-Length: -1",),
        (b"Content-Length: +5",),
        (b"Content-Length: 5, 5",),
        (b"Content-Length: 0x5",),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding: chunked, identity",),
        (b"X-Bad\x00: 1",),
        (b"X Bad: 1",),
        (b"X-Bad : 1",),
        (b" X-Folded: 1",),
    ],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_a_request_of_two_readings_is_refused(
    live_web: Live, backstage: Backstage, headers: tuple[bytes, ...], method: bytes
) -> None:
    """400 and the connection ends: what follows could be another's request (smuggling)."""
    smuggled = request(VOICE)
    answer = live_web.say(request(b"/livez", *headers, method=method) + b"0\r\n\r\n" + smuggled)
    assert status_of(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1
    assert backstage.issue.asked == []


def test_requests_after_each_other_are_answered_in_order(
    live_web: Live, backstage: Backstage
) -> None:
    """Pipelined, as an old client may."""
    first = request(b"/livez").replace(b"Connection: close\r\n", b"")
    answer = live_web.say(first + first + request(VOICE))
    assert answer.count(b"HTTP/1.1 200") == 3
    assert answer.endswith(URL.encode())


def test_an_endless_head_is_refused(live_web: Live) -> None:
    """At 64 KiB, not at the end of memory."""
    with live_web.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: web\r\n")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            connection.sendall((b"X-More: " + b"x" * 1000 + b"\r\n") * 10_000)


def test_a_long_address_is_a_400(live_web: Live, backstage: Backstage) -> None:
    """A query is read up to 8 KiB."""
    assert status_of(live_web.say(request(VOICE + b"&salt=" + b"x" * 30_000))) == 400
    assert backstage.issue.asked == []


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deadlines short enough for a test."""
    monkeypatch.setattr(guarded, "HEAD_S", 0.4)
    monkeypatch.setattr(guarded, "BODY_S", 0.6)
    monkeypatch.setattr(guarded, "STALL_S", 0.4)


def time_until_closed(connection: socket.socket, trickle: bytes = b"") -> float:
    """Seconds until the server ends a connection, sending a byte now and then."""
    began = time.monotonic()
    connection.settimeout(0.05)
    place = 0
    while time.monotonic() - began < 5:
        try:
            if trickle:
                connection.sendall(trickle[place % len(trickle) : place % len(trickle) + 1])
                place += 1
            if connection.recv(65536) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    return time.monotonic() - began


@pytest.mark.parametrize(
    ("opening", "trickle"),
    [
        (b"", b""),
        (b"", b"\r\n"),
        (b"GET /livez HTTP/1.1\r\n", b"X: y\r\n"),
        (b"POST /livez HTTP/1.1\r\nHost: web\r\nContent-Length: 1000\r\n\r\n", b"x"),
        (b"POST /livez HTTP/1.1\r\nHost: web\r\nContent-Length: 1000\r\n\r\n", b""),
        (b"GET /livez HTTP/1.1\r\nHost: web\r\n\r\n", b"\r\n"),
    ],
    ids=["silent", "empty lines", "head", "body", "no body", "empty lines between requests"],
)
def test_a_request_that_trickles_in_is_cut_off(
    hurried: None, live_web: Live, opening: bytes, trickle: bytes
) -> None:
    """Uvicorn alone would wait without end."""
    with live_web.connect() as connection:
        connection.sendall(opening)
        assert 0.2 < time_until_closed(connection, trickle) < 2.5


def test_a_body_that_does_not_come_costs_its_connection_only(
    hurried: None, live_web: Live, backstage: Backstage
) -> None:
    """A route that reads it is told that the client is gone; others are served meanwhile."""
    with live_web.connect() as connection:
        head = b"POST /api/v1/recordings/r/tokens HTTP/1.1\r\nHost: web\r\nContent-Length: 9\r\n"
        connection.sendall(head + b"Content-Type: application/json\r\n" + LOGIN + b"\r\n{")
        assert status_of(live_web.say(request(b"/livez"))) == 200
        assert time_until_closed(connection) < 2.5
    assert backstage.issue.asked == []


def test_a_client_in_no_hurry_between_requests_is_left_to_uvicorn(
    hurried: None, live_web: Live
) -> None:
    """The deadline of a head begins with the head."""
    with live_web.connect() as connection:
        for _ in range(2):
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: web\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            time.sleep(0.7)


def test_an_answer_that_nobody_takes_is_dropped(
    hurried: None, live_web: Live, backstage: Backstage
) -> None:
    """A list that its reader does not read holds no connection."""
    backstage.browse.following = "x" * 10_000_000
    with live_web.connect(receive_bytes=4096) as connection:
        connection.sendall(request(b"/api/v1/calls"))
        time.sleep(1.5)
        with pytest.raises(ConnectionResetError):
            drain(connection)


def test_an_answer_that_is_taken_slowly_arrives_whole(
    hurried: None, live_web: Live, backstage: Backstage
) -> None:
    """Long after it was handed over and the connection was told to close."""
    backstage.browse.following = "x" * 1_500_000
    with live_web.connect(receive_bytes=4096) as connection:
        connection.sendall(request(b"/api/v1/calls"))
        got = b""
        while more := connection.recv(65536):
            got += more
            time.sleep(0.02 if len(got) < 1_000_000 else 0)
    assert got.endswith(b'x"}')
    assert len(got) > 1_500_000


def test_little_waits_in_buffers_for_a_reader(live_echo: Live, backstage: Backstage) -> None:
    """Twenty megabytes are there; a reader with a small window makes us give out little of them."""
    backstage.deliver.content = bytes(20_000_000)
    with live_echo.connect(receive_bytes=4096) as connection:
        connection.sendall(b"GET /v/t HTTP/1.1\r\nHost: e\r\n\r\n")
        wait_until(lambda: backstage.deliver.pulled > 0)
        time.sleep(0.3)
        assert backstage.deliver.pulled * backstage.deliver.part_bytes < 300_000


def test_an_http_1_0_client_is_served(live_web: Live) -> None:
    """Old programs; the connection closes after the answer."""
    answer = live_web.say(b"GET " + VOICE + b" HTTP/1.0\r\n" + LOGIN + b"\r\n")
    assert status_of(answer) == 200
    assert answer.endswith(URL.encode())


def test_the_server_does_not_say_what_it_is(live_web: Live) -> None:
    """Nor on requests that it cannot read."""
    for said in (request(b"/livez"), b"nonsense\r\n\r\n"):
        assert b"server:" not in live_web.say(said).lower()


def test_a_client_that_stops_sending_gets_no_half_answer(live_web: Live) -> None:
    """Closing one direction counts as going away."""
    with live_web.connect() as connection:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost")
        connection.shutdown(socket.SHUT_WR)
        assert read_all(connection) == b""
