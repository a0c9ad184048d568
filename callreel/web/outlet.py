"""The way out to one client: what was sent, how fast it is taken, and whether anybody is there."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from starlette.types import Receive, Send

from callreel.audio.blocks import SafeBytes, SafeExtent
from callreel.flows.delivery import Delivery
from callreel.web.connection import WayOut
from callreel.web.threads import Threads

POUR_S = 0.05
"""How long a thread sends before the loop looks whether anybody is there still."""


@dataclass(frozen=True, slots=True)
class Pace:
    """When a reader is too slow. Source: threats.md T43."""

    bytes_per_s: int = 2048
    """Less is too slow. Below the slowest output, Opus in mono at 3,000 bytes a second, so that a
    player that reads at the speed of speech is not cut off."""
    over_s: float = 30.0
    """How long it may take less, the time that making the sound took not counted."""


class SlowReader(Exception):
    """The reader takes less than the minimum."""


class ReaderGone(Exception):
    """The reader closed the connection."""


class Outlet:
    """Sends one answer.

    Args:
        send: As ASGI gives it.
        gone: Ends when the client is gone: a server takes what is sent to nobody without a word.
        pace: How slow a reader may be.
        way_out: Besides ``send``, where the server is ours.
    """

    def __init__(
        self,
        send: Send,
        gone: asyncio.Task[None],
        pace: Pace,
        way_out: WayOut | None,
    ) -> None:
        self._send = send
        self._way_out = way_out
        self._gone = gone
        self._pace = pace
        self._waited_s = 0.0
        self._taken = 0
        self.lends = way_out is not None and way_out.lends()
        """Whether a body may be poured."""
        self.started = False
        self.ended = False
        self.written = 0
        """Bytes of the body that were handed over here; what was poured is counted by the body."""

    async def start(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        """Send status and headers."""
        self.require_reader()
        self.started = True
        await self._paced({"type": "http.response.start", "status": status, "headers": headers})

    async def write(self, data: bytes) -> None:
        """Hand over some of the body.

        Raises:
            SlowReader: Not taken in time.
            ReaderGone: Nobody is there to take it.
        """
        await self._paced({"type": "http.response.body", "body": data, "more_body": True})
        self.require_reader()
        self.written += len(data)
        self._count(len(data))

    async def pour(self, body: Body, threads: Threads) -> bytes:
        """Send on for as long as the client takes each part at once, without a way back to here.

        Returns:
            What it did not take at once, to be written; empty at the end of the body.

        Raises:
            ReaderGone: Nobody is there to take it.
            Others as ``Delivery.stream``.
        """
        way_out = self._way_out
        while way_out is not None and (lent := way_out.lend()) is not None:
            poured = await threads.run(body.pour, lent, self.written)
            way_out.sent_aside(poured.sent)
            self._count(poured.sent)
            if poured.error is not None:
                raise poured.error
            self.require_reader()
            if poured.rest or poured.is_over:
                return poured.rest
        return await threads.run(body.pull)

    def _count(self, taken: int) -> None:
        self._taken += taken
        if self._taken >= self._pace.bytes_per_s * self._pace.over_s:
            self._taken, self._waited_s = 0, 0.0

    @property
    def is_clear(self) -> bool:
        """Whether nothing that was handed over waits here."""
        return self._way_out is not None and self._way_out.is_clear()

    async def drained(self) -> None:
        """Return once what was handed over has left."""
        await self._paced({"type": "http.response.body", "body": b"", "more_body": True})
        self.require_reader()

    async def end(self) -> None:
        """Say that this was all."""
        self.ended = True
        await self._paced({"type": "http.response.body", "body": b"", "more_body": False})

    def require_reader(self) -> None:
        """Raise ReaderGone where nobody is there any more."""
        if self._gone.done():
            raise ReaderGone

    async def _paced(self, message: dict[str, object]) -> None:
        began = time.monotonic()
        try:
            async with asyncio.timeout(max(0.0, self._pace.over_s - self._waited_s)):
                await self._send(message)
        except TimeoutError:
            raise SlowReader from None
        self._waited_s += time.monotonic() - began


@dataclass(frozen=True, slots=True)
class Poured:
    """How far a body was sent."""

    sent: int
    rest: bytes = b""
    """What was pulled and not taken."""
    is_over: bool = False
    error: Exception | None = None
    """Why it cannot go on."""


class Body:
    """A stretch of a delivery, pulled in threads and closed once.

    Args:
        delivery: What it is of.
        by_kernel: Whether it may be poured.
    """

    def __init__(self, delivery: Delivery, *, by_kernel: bool) -> None:
        self.delivery = delivery
        self._by_kernel = by_kernel
        self._parts: Iterator[SafeBytes | SafeExtent] = iter(())
        self._extent: SafeExtent | None = None
        self._lock = threading.Lock()
        self._poured = 0
        self.is_closed = False

    def select(self, start: int, stop: int) -> None:
        """Choose the bytes [start, stop)."""
        self._parts = self.delivery.stream(start, stop, by_kernel=self._by_kernel)

    def begin(self) -> bytes:
        """The first part, at most a second of sound; empty where that is to be poured.

        Raises: as ``Delivery.stream``.
        """
        with self._lock:
            part = self._next()
            if isinstance(part, SafeExtent):
                self._extent = part
                return b""
            return part

    def pull(self) -> bytes:
        """The next part, at most a second of sound; empty at the end.

        Raises: as ``Delivery.stream``.
        """
        with self._lock:
            try:
                part = self._next()
                return self._read(part) if isinstance(part, SafeExtent) else part
            except BaseException:
                self._drop()
                raise

    def _next(self) -> bytes | SafeExtent:
        """What is left of an extent, or the next part; empty at the end."""
        extent, self._extent = self._extent, None
        return next(self._parts, b"") if extent is None else extent

    def _read(self, extent: SafeExtent) -> SafeBytes:
        data = self.delivery.read(extent)
        self._keep(extent, len(data))
        return data

    def _keep(self, extent: SafeExtent, taken: int) -> None:
        self._extent = extent.part(taken, extent.length) if taken < extent.length else None

    def pour(self, lent: int, written: int) -> Poured:
        """Send part after part while each is taken at once; not for longer than a moment.

        At the end of the body it is closed.

        Args:
            lent: A socket's descriptor that does not block; closed here.
            written: Bytes that were sent otherwise.
        """
        with self._lock, closing_descriptor(lent):
            poured = self._pour(lent)
            self._poured += poured.sent
            if poured.is_over:
                self._close(written)
            return poured

    def _pour(self, lent: int) -> Poured:
        sent, until = 0, time.monotonic() + POUR_S
        try:
            while time.monotonic() < until:
                part = self._next()
                if isinstance(part, SafeExtent):
                    taken = _taken(partial(self.delivery.send, part, lent))
                    sent += taken
                    self._keep(part, taken)
                    if not taken:
                        return Poured(sent, self._read(self._extent or part))
                    continue
                if not part:
                    return Poured(sent, is_over=True)
                taken = _taken(partial(os.write, lent, part))
                sent += taken
                if taken < len(part):
                    return Poured(sent, part[taken:])
        except Exception as error:  # noqa: BLE001  # raised once what was sent is counted
            self._drop()
            return Poured(sent, error=error)
        return Poured(sent)

    def close(self, written: int) -> None:
        """Close the delivery, after what may run in another thread.

        Args:
            written: Bytes that were sent otherwise than by ``pour``.
        """
        with self._lock:
            self._close(written)

    def _drop(self) -> None:
        """Nothing more comes of it: what may not go on must not go on with its next part."""
        self._parts, self._extent = iter(()), None

    def _close(self, written: int) -> None:
        self._drop()
        self.is_closed = True
        self.delivery.close(written + self._poured)


def _taken(send: Callable[[], int]) -> int:
    """How much a socket took; 0 where it takes nothing just now."""
    try:
        return send()
    except BlockingIOError:
        return 0
    except OSError:
        raise ReaderGone from None


@contextmanager
def closing_descriptor(descriptor: int) -> Iterator[None]:
    """Close a descriptor at the end of a block."""
    try:
        yield
    finally:
        os.close(descriptor)


async def until_gone(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
