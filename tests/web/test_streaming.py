"""Streams that end early: the reader goes, dawdles, or a mask arrives. Real sockets, no mercy."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from pathlib import Path

import httpx2
import pytest
from structlog.typing import EventDict

from callreel.errors import MaskChanged, Unavailable
from callreel.web.outlet import Pace
from tests.web.stage import Backstage, Live, drain, make_certificate, read_all, serve, wait_until

LONG = bytes(1000) * 20_000
"""20 MB: more than all buffers between us and a reader hold."""
GET = b"GET /v/t HTTP/1.1\r\nHost: e\r\n\r\n"


def begin(live: Live, *, receive_bytes: int = 4096) -> socket.socket:
    """Ask, and read the head and a little."""
    connection = live.connect(receive_bytes=receive_bytes)
    connection.sendall(GET)
    assert connection.recv(500).startswith(b"HTTP/1.1 200")
    return connection


def reset(connection: socket.socket) -> None:
    """Go away without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


@pytest.mark.parametrize("leave", [reset, socket.socket.close], ids=["reset", "close"])
@pytest.mark.parametrize("delay_s", [0.0, 0.002])
def test_a_stream_ends_within_a_tenth_of_a_second_of_its_reader(
    live_echo: Live, backstage: Backstage, leave: object, delay_s: float
) -> None:
    """Whether it waits for the reader or for the encoder; what was sent is told when it closes."""
    backstage.deliver.content, backstage.deliver.part_delay_s = LONG, delay_s
    connection = begin(live_echo)
    time.sleep(0.2)
    left_at = time.monotonic()
    assert callable(leave)
    leave(connection)
    wait_until(lambda: backstage.deliver.open_now == 0)
    assert backstage.deliver.closings[0] - left_at < 0.1
    sent = backstage.deliver.deliveries[0].closed_with
    assert sent is not None
    assert 0 < sent < len(LONG)
    pulled = backstage.deliver.pulled
    time.sleep(0.1)
    assert backstage.deliver.pulled == pulled


def count_files() -> int:
    """Open files of this process."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def new_threads(known: set[threading.Thread]) -> tuple[int, int, int, int]:
    """Threads since then: that open, that read, that watch masks, all others."""
    names = [thread.name for thread in threading.enumerate() if thread not in known]
    opening = sum(name.startswith("echo-open") for name in names)
    reading = sum(name.startswith("echo-read") for name in names)
    watching = sum(name.startswith("mask-watch") for name in names)
    return opening, reading, watching, len(names) - opening - reading - watching


def test_a_hundred_dropped_readers_leave_nothing_open(
    live_echo: Live, backstage: Backstage
) -> None:
    """No file, no slot, and no thread but those of the pools, which are made once and stay."""
    backstage.deliver.content = LONG
    known = set(threading.enumerate())
    for _ in range(2):
        connections = [begin(live_echo) for _ in range(50)]
        for connection in connections:
            reset(connection)
        wait_until(lambda: backstage.deliver.open_now == 0)
        if len(backstage.deliver.deliveries) == 50:
            files = count_files()
    wait_until(lambda: count_files() <= files)
    opening, reading, watching, others = new_threads(known)
    assert (opening <= 128, reading <= 16, watching <= 1, others) == (True, True, True, 0)
    assert all(each.closed_with is not None for each in backstage.deliver.deliveries)
    assert len(backstage.deliver.closings) == 100


@pytest.mark.parametrize(
    "error", [MaskChanged("A mask came."), Unavailable("Away."), RuntimeError("boom")]
)
def test_a_stream_that_may_not_go_on_is_broken_off(
    live_echo: Live, backstage: Backstage, error: Exception, logs: list[EventDict]
) -> None:
    """Never a clean end with sound missing: the length was promised (contract.md 3.6)."""
    backstage.deliver.content = bytes(100_000)
    backstage.deliver.fail_at, backstage.deliver.stream_error = 50, error
    with httpx2.Client(trust_env=False) as client:
        with client.stream("GET", f"{live_echo.url}/v/t") as answer:
            assert answer.status_code == 200
            assert answer.headers["content-length"] == "100000"
            with pytest.raises((httpx2.RemoteProtocolError, httpx2.ReadError)):
                list(answer.iter_raw())
        assert answer.num_bytes_downloaded <= 50_000
    wait_until(lambda: backstage.deliver.open_now == 0)
    closed_with = backstage.deliver.deliveries[0].closed_with
    assert closed_with is not None
    assert closed_with <= 50_000
    wait_until(lambda: any(each["event"] == "request" for each in logs))
    (entry,) = [each for each in logs if each["event"] == "request"]
    assert entry["complete"] is False


def test_a_mask_stops_a_slow_reader_with_little_on_its_way(
    live_echo: Live, backstage: Backstage
) -> None:
    """What is pulled ahead of a reader that takes nothing is little, and nothing comes after."""
    backstage.deliver.content = LONG
    connection = begin(live_echo)
    time.sleep(0.3)
    pulled = backstage.deliver.pulled
    time.sleep(0.3)
    # Nobody reads, so nothing is made: the next part is checked when there is room for it.
    assert backstage.deliver.pulled == pulled
    assert pulled * 1000 < 300_000
    backstage.deliver.stream_error = MaskChanged("A mask came.")
    backstage.deliver.fail_at = pulled
    got = read_all(connection)
    connection.close()
    assert len(got) < 300_000
    wait_until(lambda: backstage.deliver.open_now == 0)


@pytest.mark.parametrize(
    "change",
    [True, Unavailable("Away."), RuntimeError("boom")],
    ids=["a mask", "no database", "a fault of ours"],
)
def test_a_mask_ends_what_waits_for_a_reader_that_paused(
    live_echo: Live, backstage: Backstage, change: bool | Exception
) -> None:
    """It was quick and took much; then it stops reading, as a player does that has enough."""
    backstage.deliver.content, backstage.deliver.part_bytes = LONG, 4000
    connection = begin(live_echo)
    got = 0
    while got < 1_000_000:
        got += len(connection.recv(65536))
    time.sleep(0.6)
    pulled = backstage.deliver.pulled
    # All that is made and not read lies in the two kernels: no part more than waits there.
    assert pulled * 4000 - got < 300_000
    backstage.deliver.changes = change
    wait_until(lambda: backstage.deliver.open_now == 0)
    assert backstage.deliver.pulled == pulled
    # What our kernel still held is gone; only what had reached the reader's machine is left.
    with pytest.raises(ConnectionResetError):
        drain(connection)
    connection.close()


def test_one_look_serves_all_who_pause(live_echo: Live, backstage: Backstage) -> None:
    """However many they are; and nobody looks when nobody waits."""
    backstage.deliver.content = LONG
    connections = [begin(live_echo) for _ in range(20)]
    wait_until(lambda: backstage.deliver.looks > 0)
    before = backstage.deliver.looks
    time.sleep(1.0)
    assert 1 <= backstage.deliver.looks - before <= 5
    for connection in connections:
        reset(connection)
    wait_until(lambda: backstage.deliver.open_now == 0)
    time.sleep(0.6)
    over = backstage.deliver.looks
    time.sleep(0.6)
    assert backstage.deliver.looks == over


def test_a_reader_gets_one_part_at_a_time(live_echo: Live, backstage: Backstage) -> None:
    """So that at most a second of sound waits for it after the check."""
    backstage.deliver.content, backstage.deliver.part_bytes = LONG, 100_000
    connection = begin(live_echo)
    time.sleep(0.3)
    assert backstage.deliver.pulled * 100_000 <= 600_000
    before = backstage.deliver.pulled
    got = 0
    while got < 90_000:
        got += len(connection.recv(4096))
    time.sleep(0.2)
    assert backstage.deliver.pulled <= before + 2
    reset(connection)


def test_a_reader_that_takes_too_little_is_cut_off(
    backstage: Backstage, logs: list[EventDict]
) -> None:
    """Its connection is reset and its slot is free (threats.md T43)."""
    backstage.pace = Pace(bytes_per_s=100_000, over_s=0.5)
    backstage.deliver.content = LONG
    with serve(backstage.echo()) as live:
        connection = begin(live)
        began = time.monotonic()
        wait_until(lambda: backstage.deliver.open_now == 0)
        assert 0.3 < time.monotonic() - began < 2
        with pytest.raises(ConnectionResetError):
            drain(connection)
        connection.close()
    assert [each["event"] for each in logs].count("slow reader") == 1


def test_a_reader_that_takes_enough_is_left_alone(backstage: Backstage) -> None:
    """However long it takes; the time that making the sound takes is not held against it."""
    backstage.pace = Pace(bytes_per_s=20_000, over_s=0.3)
    backstage.deliver.content, backstage.deliver.part_bytes = bytes(400_000), 20_000
    backstage.deliver.part_delay_s = 0.1
    with serve(backstage.echo()) as live:
        connection = live.connect(receive_bytes=4096)
        connection.sendall(GET)
        got = 0
        while more := connection.recv(8192):
            got += len(more)
            time.sleep(0.01)
            if got > 400_000:
                break
        connection.close()
    assert got > 400_000
    assert backstage.deliver.deliveries[0].closed_with == 400_000


def test_a_reader_that_left_before_the_sound_was_open_costs_nothing(
    live_echo: Live, backstage: Backstage
) -> None:
    """No token is burned for it and nothing counts as listened to."""
    backstage.deliver.part_delay_s = 0.3
    connection = live_echo.connect()
    connection.sendall(GET)
    wait_until(lambda: backstage.deliver.open_now == 1)
    reset(connection)
    wait_until(lambda: backstage.deliver.open_now == 0)
    assert backstage.deliver.starts == 0
    assert backstage.deliver.deliveries[0].closed_with == 0


def test_those_who_wait_for_a_render_do_not_hold_up_those_who_listen(backstage: Backstage) -> None:
    """Sixty of them, more than the threads that Starlette has for everything."""
    waiting = threading.Event()
    plain_open = backstage.deliver.open

    def slow_open(token: str, *, head: bool, address: str | None) -> object:
        if token == "render":
            assert waiting.wait(20)
        return plain_open(token, head=head, address=address)

    backstage.deliver.open = slow_open  # type: ignore[method-assign,assignment]
    with serve(backstage.echo()) as live, contextlib.ExitStack() as stack:
        for _ in range(60):
            connection = stack.enter_context(live.connect())
            connection.sendall(GET.replace(b"/v/t", b"/v/render"))
        with httpx2.Client(trust_env=False, timeout=5) as client:
            assert client.get(f"{live.url}/v/quick").status_code == 200
        waiting.set()
        wait_until(lambda: len(backstage.deliver.closings) == 61)


def test_one_connection_serves_many_requests(live_echo: Live, backstage: Backstage) -> None:
    """Ranges and refusals in between leave it in step."""
    with httpx2.Client(base_url=live_echo.url, trust_env=False) as client:
        for _ in range(5):
            assert client.get("/v/t").content == backstage.deliver.content
            answer = client.get("/v/t", headers={"Range": "bytes=7-8"})
            assert answer.content == backstage.deliver.content[7:9]
            assert client.get("/nothing").status_code == 404


def test_a_server_that_stops_knows_what_it_sent(backstage: Backstage) -> None:
    """What left while the last part was on its way counts as well."""
    backstage.deliver.content, backstage.deliver.part_delay_s = LONG, 0.002
    received = 0
    with serve(backstage.echo()) as live, live.connect() as connection:
        connection.sendall(GET)
        stop = threading.Timer(0.5, live.stop)
        stop.start()
        # A loop that ended first may leave the socket open: it ends with the process then.
        with contextlib.suppress(ConnectionResetError, TimeoutError):
            while more := connection.recv(65536):
                received += len(more)
    wait_until(lambda: backstage.deliver.open_now == 0)
    sent = backstage.deliver.deliveries[0].closed_with
    assert sent is not None
    # The head of the answer is no sound; what was on its way at the end may be lost.
    assert received > 100_000
    assert sent > received - 1000


def test_over_tls_it_is_all_the_same(backstage: Backstage, tmp_path: Path) -> None:
    """Whole answers arrive, those who leave are noticed, those who dawdle are cut off."""
    backstage.pace = Pace(bytes_per_s=100_000, over_s=0.5)
    with serve(backstage.echo(), make_certificate(tmp_path)) as live:
        backstage.deliver.content = bytes(range(250)) * 8000
        with live.connect() as connection:
            connection.sendall(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert read_all(connection).endswith(backstage.deliver.content)
        backstage.deliver.content = LONG
        begin(live).close()
        wait_until(lambda: len(backstage.deliver.closings) == 2)
        dawdling = begin(live)
        wait_until(lambda: len(backstage.deliver.closings) == 3)
        assert len(read_all(dawdling)) < len(LONG)
        dawdling.close()
    assert backstage.deliver.open_now == 0
