"""A body poured into a socket, as the sender does it."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from callreel.flows.delivery import Delivery
from callreel.web.outlet import Body


@contextmanager
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends; the first does not block, and takes a little at a time."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        yield ours, theirs


def poured(delivery: Delivery, start: int, stop: int) -> bytes:
    """What arrives when a body is poured, as the sender does it."""
    got = bytearray()
    with line() as (ours, theirs):

        def read() -> None:
            while data := theirs.recv(1 << 16):
                got.extend(data)

        reading = threading.Thread(target=read)
        reading.start()
        body = Body(delivery, by_kernel=True)
        body.select(start, stop)
        rest = body.begin()
        over = False
        while not over:
            ours.setblocking(True)
            ours.sendall(rest)
            ours.setblocking(False)
            sent = body.pour(os.dup(ours.fileno()), 0)
            if sent.error is not None:
                raise sent.error
            rest, over = sent.rest, sent.is_over
        ours.shutdown(socket.SHUT_WR)
        reading.join(20)
    return bytes(got)
