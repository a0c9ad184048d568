"""Sound out: the one route of Echo. Headers, range, streaming, closing on disconnect.

Echo never asks for credentials and never redirects: a .NET client would answer with the user's
password (threats.md T12). Source: contract.md section 3.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from callreel.errors import CallreelError
from callreel.flows.deliver import Deliver, Delivery
from callreel.web.problems import log_refusal, plain, unexpected
from callreel.web.ranges import chosen_range
from callreel.web.session import address_of

log = structlog.get_logger("callreel.echo")


@dataclass(frozen=True, slots=True)
class Pace:
    """When a reader is too slow. Source: threats.md T43."""

    bytes_per_s: int = 4096
    over_s: float = 30.0


class SlowReader(Exception):
    """The reader takes less than the minimum."""


class Echo:
    """Answers requests with a token."""

    def __init__(self, deliver: Deliver, pace: Pace) -> None:
        self._deliver = deliver
        self._pace = pace

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        request = Request(scope, receive)
        if request.method not in {"GET", "HEAD"}:
            await Response(status_code=405, headers={"Allow": "GET, HEAD"})(scope, receive, send)
            return
        head = request.method == "HEAD"
        try:
            delivery = await run_in_threadpool(
                self._deliver.open,
                request.path_params["token"],
                head=head,
                address=address_of(request),
            )
        except CallreelError as error:
            log_refusal(error)
            await _refusal(error)(scope, receive, send)
            return
        except Exception as error:  # noqa: BLE001  # the edge: a plain answer, the rest to the log
            await _refusal(unexpected(error))(scope, receive, send)
            return
        sent = _Sent()
        try:
            await self._answer(request, delivery, head, send, sent)
        except CallreelError as error:
            log_refusal(error)
            if sent.started:
                # The length was promised: an answer cut short is seen as broken, as it must be.
                raise
            await _refusal(error)(scope, receive, send)
        except SlowReader:
            log.info("slow reader", bytes_sent=sent.count)
            raise
        finally:
            # Shielded: a client that went away cancels this task, and the source must close anyway.
            await asyncio.shield(run_in_threadpool(delivery.close, sent.count))

    async def _answer(
        self, request: Request, delivery: Delivery, head: bool, send: Send, sent: _Sent
    ) -> None:
        headers = _headers(delivery)
        if _not_modified(request, delivery.etag):
            await _start(send, 304, headers, sent)
            await send({"type": "http.response.body", "body": b""})
            return
        size = delivery.size
        if size is None:
            await _start(send, 200, headers, sent)
            await send({"type": "http.response.body", "body": b""})
            return
        wanted = None
        if _range_applies(request, delivery.etag):
            wanted = chosen_range(request.headers.get("range"), size)
        start, stop = wanted or (0, size)
        if wanted is not None:
            headers.append((b"content-range", f"bytes {start}-{stop - 1}/{size}".encode()))
        headers.append((b"content-length", str(stop - start).encode()))
        status = 200 if wanted is None else 206
        if head:
            await _start(send, status, headers, sent)
            await send({"type": "http.response.body", "body": b""})
            return
        parts = delivery.stream(start, stop)
        # Whatever can fail does so here, while there is still a status to say it with.
        first = await run_in_threadpool(next, parts, b"")
        await run_in_threadpool(delivery.started)
        await _start(send, status, headers, sent)
        await self._stream(first, parts, send, sent)

    async def _stream(self, body: bytes, parts: Iterator[bytes], send: Send, sent: _Sent) -> None:
        # One part at a time: each was checked against the mask right before it is sent, and a span
        # that comes while a slow reader holds one back stops the next (contract.md 3.6).
        began, counted = time.monotonic(), 0
        while body:
            try:
                async with asyncio.timeout(self._pace.over_s):
                    await send({"type": "http.response.body", "body": body, "more_body": True})
            except TimeoutError:
                raise SlowReader from None
            sent.count += len(body)
            counted += len(body)
            elapsed = time.monotonic() - began
            if elapsed > self._pace.over_s:
                if counted < self._pace.bytes_per_s * elapsed:
                    raise SlowReader
                began, counted = time.monotonic(), 0
            body = await run_in_threadpool(next, parts, b"")
        await send({"type": "http.response.body", "body": b""})


@dataclass(slots=True)
class _Sent:
    """How far an answer got."""

    started: bool = False
    count: int = 0


async def _start(send: Send, status: int, headers: list[tuple[bytes, bytes]], sent: _Sent) -> None:
    sent.started = True
    await send({"type": "http.response.start", "status": status, "headers": headers})


def _headers(delivery: Delivery) -> list[tuple[bytes, bytes]]:
    headers = {
        "content-type": delivery.content_type,
        # The name is made of our id and the format: nothing from a record or a request.
        "content-disposition": f'attachment; filename="{delivery.filename}"',
        "accept-ranges": "bytes",
        "etag": delivery.etag,
        **SAFE_HEADERS,
    }
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


SAFE_HEADERS = {
    "cache-control": "private, no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "cross-origin",
}
"""On every answer of Echo; the last lets a page of the other origin play the sound."""


def _refusal(error: CallreelError) -> Response:
    response = plain(error)
    for name, value in SAFE_HEADERS.items():
        response.headers[name] = value
    return response


def _not_modified(request: Request, etag: str) -> bool:
    """Whether the client has these very bytes. Source: RFC 9110, section 13.1.2."""
    known = [
        tag.strip().removeprefix("W/")
        for tag in request.headers.get("if-none-match", "").split(",")
    ]
    return etag in known or known == ["*"]


def _range_applies(request: Request, etag: str) -> bool:
    """Whether If-Range allows a part; weak tags and dates never do. Source: contract.md 3.3."""
    condition = request.headers.get("if-range")
    return condition is None or condition.strip() == etag
