"""uvicorn's HTTP connection, with the limits that it lacks.

uvicorn waits without end for a request that trickles in and for a reader that takes nothing, keeps
heads of any length, and closes politely where an answer must be broken off. Here a request has a
deadline and a length, a stalled reader is cut off, and ``break_off`` resets the connection.

Next to nothing waits in our own buffers, so that a mask that arrives finds little sound on its way.
Source: threats.md T43 and 3.3; contract.md 3.6.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from asyncio.events import TimerHandle

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_S = 10.0
"""How long the head of a request may take."""
BODY_S = 30.0
"""How long its body may take after that."""
MAX_HEAD_BYTES = 64 * 1024
STALL_S = 30.0
"""How long a reader may take nothing worth speaking of, outside the paced answers of Echo."""
STALL_BYTES = 32 * 1024
"""What counts as something within that time."""
MAX_UNSENT_BYTES = 16 * 1024
"""How much the kernel takes from us before the network has room for it. What is in flight is not
limited by it."""

WAY_OUT = "callreel.way_out"
"""Key of a scope's state: the WayOut of its answer."""

_RESET = struct.pack("ii", 1, 0)
# Not in the socket module of every platform; 25 is Linux's.
_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)


class GuardedConnection(HttpToolsProtocol):
    """One connection of a client. Given to uvicorn as its ``http``."""

    _arrival: TimerHandle | None = None
    _reading: TimerHandle | None = None
    _head_bytes = 0
    _in_head = False
    _lost = False
    _socket: socket.socket

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Take a new connection."""
        super().connection_made(transport)
        # "Paused" then means that something waits, and "resumed" that nothing does. Not zero: TLS
        # transports of asyncio pause at the limit, not above it.
        transport.set_write_buffer_limits(high=1, low=0)
        self._socket = transport.get_extra_info("socket")
        self._set_option(socket.IPPROTO_TCP, _NOTSENT_LOWAT, MAX_UNSENT_BYTES)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._lost = True
        self._arrived()
        self._moved()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, within limits."""
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response("Request head too long.")
        elif self._arrival is None and self._is_idle():
            # Empty lines between requests count as the beginning of one.
            self._expect_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        if not self._in_head:
            self._expect_head()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._arrived()
        self._arrival = self.loop.call_later(BODY_S, self.break_off)
        super().on_headers_complete()
        self.scope["state"][WAY_OUT] = WayOut(self, self.cycle)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._arrived()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Something waits for the reader."""
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        """Nothing does any more."""
        super().resume_writing()
        self._moved()

    def break_off(self) -> None:
        """Reset the connection; what was not sent yet is dropped, by the kernel too."""
        if not self._lost:
            self._set_option(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.transport.abort()

    def is_clear(self) -> bool:
        """As ``WayOut.is_clear``."""
        return not self._lost and not self._waiting()

    def lends(self) -> bool:
        """As ``WayOut.lends``."""
        return self.transport.get_extra_info("sslcontext") is None

    def lend(self) -> int | None:
        """As ``WayOut.lend``."""
        if not self.is_clear() or not self.lends():
            return None
        try:
            return os.dup(self._socket.fileno())
        except OSError:
            # No descriptor is left, or this system's sockets have none: it goes the usual way.
            return None

    def _is_idle(self) -> bool:
        # uvicorn has no cycle before the first request, whatever its types say.
        return bool(getattr(self.cycle, "response_complete", True))

    def _expect_head(self) -> None:
        self._arrived()
        self._in_head, self._head_bytes = True, 0
        self._arrival = self.loop.call_later(HEAD_S, self.break_off)

    def _arrived(self) -> None:
        self._in_head = False
        if self._arrival is not None:
            self._arrival.cancel()
            self._arrival = None

    def _watch_reading(self) -> None:
        self._moved()
        self._reading = self.loop.call_later(STALL_S, self._check_reading, self._waiting())

    def _waiting(self) -> int:
        try:
            return self.transport.get_write_buffer_size()
        except AttributeError:
            # So asyncio says that a TLS transport was closed twice.
            return 0

    def _check_reading(self, waiting: int) -> None:
        if waiting - self._waiting() < STALL_BYTES:
            self.break_off()
        else:
            self._watch_reading()

    def _moved(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _set_option(self, level: int, name: int, value: int | bytes) -> None:
        try:
            self._socket.setsockopt(level, name, value)
        except OSError:
            # The other side is gone already, or this system has no such option: a limit is softer
            # then.
            return


class WayOut:
    """What an answer can do with the connection that it goes out by, besides sending messages."""

    def __init__(self, connection: GuardedConnection, cycle: RequestResponseCycle) -> None:
        self._connection = connection
        self._cycle = cycle
        self.aside = 0
        """Bytes of the body that were sent by what was lent."""
        self.break_off = connection.break_off

    def is_clear(self) -> bool:
        """Whether nothing that was handed over waits here."""
        return self._connection.is_clear()

    def lends(self) -> bool:
        """Whether it has a descriptor to lend: not over TLS."""
        return self._connection.lends()

    def lend(self) -> int | None:
        """A descriptor to send some of the body by, from a thread; to be closed.

        None over TLS, and while something that was handed over before waits here: what is sent by
        the descriptor would pass it.
        """
        return self._connection.lend()

    def sent_aside(self, count: int) -> None:
        """So many bytes of the body were sent by what was lent."""
        self.aside += count
        self._cycle.expected_content_length -= count


def way_out_of(scope: Scope) -> WayOut | None:
    """That of an answer; None where another server than ours runs the application."""
    found = scope.get("state", {}).get(WAY_OUT)
    return found if isinstance(found, WayOut) else None


async def break_off(scope: Scope, gone: asyncio.Task[None]) -> None:
    """End an answer so that nobody takes it for a whole one.

    Args:
        scope: Of the request.
        gone: Ends when the client is gone; waited for, so that the server knows it too.
    """
    way_out = way_out_of(scope)
    if way_out is not None:
        way_out.break_off()
        await asyncio.wait([gone], timeout=1.0)
