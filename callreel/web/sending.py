"""Sound out: headers, range, streaming, closing on disconnect; the same for every door.

Source: contract.md section 3.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from callreel.errors import CallreelError
from callreel.flows.delivery import Delivery
from callreel.web.connection import break_off, way_out_of
from callreel.web.outlet import Body, Outlet, Pace, ReaderGone, SlowReader, until_gone
from callreel.web.preconditions import is_known, is_refused, wanted_range
from callreel.web.problems import as_told
from callreel.web.ranges import chosen_range
from callreel.web.threads import Threads
from callreel.web.watch import MaskWatch

log = structlog.get_logger("callreel.echo")

METHODS = "GET, HEAD"
_OPENING = 128
_READING = 16

Opener = Callable[[], Delivery]
"""Finds out whether a request may have sound, and opens it; runs in a thread."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What goes out."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: Body
    first: bytes | None = None
    """The beginning of the body; empty where that is to be poured, None where there is no body."""


class SoundSender:
    """Answers requests with sound.

    Args:
        name: Of its threads.
        changed: Which of some deliveries may not go on.
        pace: How slow a reader may be.
        refusal: The answer of an error.
        piece_bytes: The most that one answer to a range holds; None for as much as is asked for.
    """

    def __init__(
        self,
        name: str,
        changed: Callable[[Collection[Delivery]], Collection[Delivery]],
        pace: Pace,
        refusal: Callable[[Request, CallreelError], Response],
        piece_bytes: int | None = None,
    ) -> None:
        self._pace = pace
        self.refuse = refusal
        self._piece_bytes = piece_bytes
        self._watch = MaskWatch(changed)
        # To open may mean to wait for a render; those who wait must not hold up those who stream.
        self._opening = Threads(f"{name}-open", _OPENING)
        self._reading = Threads(f"{name}-read", _READING)
        self._making = threading.BoundedSemaphore(_READING)

    async def __call__(
        self, scope: Scope, receive: Receive, send: Send, opener: Callable[[Request], Opener]
    ) -> None:
        """Serve one request.

        Args:
            scope: As ASGI gives it.
            receive: As ASGI gives it.
            send: As ASGI gives it.
            opener: From the request to what opens its sound; what it raises is answered.
        """
        request = Request(scope)
        if request.method not in METHODS.split(", "):
            await Response(status_code=405, headers={"Allow": METHODS})(scope, receive, send)
            return
        gone = asyncio.create_task(until_gone(receive))
        outlet = Outlet(send, gone, self._pace, way_out_of(scope))
        try:
            await self._serve(request, opener(request), outlet)
        except ReaderGone:
            pass
        except SlowReader:
            log.info("slow reader", waited_s=self._pace.over_s)
            await break_off(scope, gone)
        except Exception as error:  # noqa: BLE001  # the edge: a plain answer, the rest to the log
            refusal = self.refuse(request, as_told(error))
            if not outlet.started:
                await refusal(scope, receive, send)
            elif not outlet.ended:
                # The length was promised: an answer cut short is seen as broken, as it must be.
                await break_off(scope, gone)
        finally:
            gone.cancel()

    async def _serve(self, request: Request, opener: Opener, outlet: Outlet) -> None:
        opening = self._opening.begin(self._open, request, opener, outlet)
        try:
            answer = await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unused)
            raise
        try:
            await outlet.start(answer.status, answer.headers)
            if answer.first is not None:
                await self._stream(answer.first, answer.body, outlet)
            await outlet.end()
        finally:
            if not answer.body.is_closed:
                # Begun and shielded: the server cancels this when it stops, and then whatever task
                # has not begun yet, and the source must close anyway.
                await asyncio.shield(self._opening.begin(answer.body.close, outlet.written))

    def _open(self, request: Request, opener: Opener, outlet: Outlet) -> _Answer:
        """Whatever can fail does so here, while there is still a status to say it with."""
        delivery = opener()
        body = Body(delivery, by_kernel=outlet.lends)
        try:
            return self._answer(request, delivery, body, outlet)
        except BaseException:
            body.close(0)
            raise

    def _answer(self, request: Request, delivery: Delivery, body: Body, outlet: Outlet) -> _Answer:
        headers = _headers(delivery)
        if is_refused(request.headers, delivery.etag):
            return _Answer(412, [*headers, (b"content-length", b"0")], body)
        if is_known(request.headers, delivery.etag):
            return _Answer(304, headers, body)
        size = delivery.size
        if request.method == "HEAD":
            length = [] if size is None else [(b"content-length", str(size).encode())]
            return _Answer(200, [*headers, *length], body)
        if size is None:
            raise AssertionError("a GET has a size")
        wanted = self._bounded(chosen_range(wanted_range(request.headers, delivery.etag), size))
        start, stop = wanted or (0, size)
        if wanted is not None:
            headers.append((b"content-range", f"bytes {start}-{stop - 1}/{size}".encode()))
        headers.append((b"content-length", str(stop - start).encode()))
        body.select(start, stop)
        with self._making:
            first = body.begin()
        outlet.require_reader()
        delivery.started()
        return _Answer(200 if wanted is None else 206, headers, body, first)

    def _bounded(self, wanted: tuple[int, int] | None) -> tuple[int, int] | None:
        # A server may send less than a range asked for (RFC 9110, section 15.3.7): the rest is
        # asked for again, and authorised again.
        if wanted is None or self._piece_bytes is None:
            return wanted
        return wanted[0], min(wanted[1], wanted[0] + self._piece_bytes)

    async def _stream(self, data: bytes, body: Body, outlet: Outlet) -> None:
        while True:
            # Each part is checked against the mask when it is pulled, so one is pulled only when
            # the one before has left: at most a second of sound is on its way when a span comes
            # (contract.md 3.6). While it waits for its reader, the watch looks on.
            if data and outlet.is_clear:
                await outlet.write(data)
            elif data:
                await self._watch.over(body.delivery, outlet.write(data))
            if not outlet.is_clear:
                await self._watch.over(body.delivery, outlet.drained())
            data = await outlet.pour(body, self._reading)
            outlet.require_reader()
            if not data:
                return


def _close_unused(opening: asyncio.Future[_Answer]) -> None:
    """Close what was opened for a request that was cancelled in the meantime."""
    with contextlib.suppress(CallreelError, ReaderGone, asyncio.CancelledError):
        opening.result().body.close(0)


def _headers(delivery: Delivery) -> list[tuple[bytes, bytes]]:
    headers = {
        "content-type": delivery.content_type,
        # The name is made of our id and the format: nothing from a record or a request.
        "content-disposition": f'{delivery.disposition}; filename="{delivery.filename}"',
        "accept-ranges": "bytes",
        "etag": delivery.etag,
    }
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
