"""A server of the tests' own that speaks the contract, and breaks it where a test says so.

It answers well by itself; steps that a test puts into ``web_steps`` and ``echo_steps`` are taken
first, one for each request.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

SOUND = bytes(range(256)) * 1200
"""What the one recording sounds like: 307,200 bytes, no two neighbours alike."""
CALL = {
    "id": "c1",
    "recording_id": "r1",
    "datasource": "3",
    "voicelocation": "4",
    "voicefilename": "NCS00000000EA39883596CC41E799B4630006CF2D56",
    "started_at": "2026-09-21T14:13:20.500+00:00",
    "duration_s": 19.2,
    "direction": "inbound",
    "from": "01632 960001",
    "to": "2104",
    "extension": "2104",
    "channel": None,
    "masked_spans": [{"start_s": 1.0, "end_s": 2.5, "channel": None}],
}
"""The one call."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """Takes the next step, or answers as it should."""

    protocol_version = "HTTP/1.1"
    seen: list[Seen]
    steps: deque[Step]
    default: Step

    def handle_one_request(self) -> None:
        """As inherited; a client that goes away is no matter."""
        try:
            super().handle_one_request()
        except ConnectionError:
            self.close_connection = True

    def do_GET(self) -> None:
        """Answer."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.seen.append(Seen(self.command, self.path, headers, body))
        step = self.steps.popleft() if self.steps else self.default
        step(self)

    do_POST = do_GET  # noqa: N815  # the name is http.server's

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as inherited
        """Stay quiet."""

    def answer(
        self, status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer."""
        self.head(status, len(body), content_type, headers)
        self.wfile.write(body)

    def head(
        self,
        status: int,
        length: int | None,
        content_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Send all but the body."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def hang_up(self) -> None:
        """Break the connection off."""
        self.wfile.flush()
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)


Step = Callable[[Handler], None]


def refuse(status: int, code: str, detail: str = "No.", **headers: str) -> Step:
    """A refusal as the API words it; ``Retry_After="1"`` becomes a header."""

    def step(handler: Handler) -> None:
        body = json.dumps({"code": code, "detail": detail, "status": status}).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.answer(status, body, "application/problem+json", named)

    return step


def refuse_plain(status: int, code: str, detail: str = "No.", **headers: str) -> Step:
    """A refusal as Echo and the old addresses word it."""

    def step(handler: Handler) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.answer(status, f"{code}: {detail}".encode(), "text/plain; charset=utf-8", named)

    return step


def reply(
    body: object, status: int = 200, content_type: str = "application/json", **headers: str
) -> Step:
    """Any answer: JSON of an object, or bytes as they are."""

    def step(handler: Handler) -> None:
        encoded = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        handler.answer(status, encoded, content_type, named)

    return step


def hang_up(handler: Handler) -> None:
    """Break off before any answer."""
    handler.hang_up()


def redirect(location: str) -> Step:
    """Send the client somewhere else."""
    return reply(b"", 302, "text/plain", Location=location)


def silence(seconds: float) -> Step:
    """Say nothing for so long, then break off."""

    def step(handler: Handler) -> None:
        time.sleep(seconds)
        handler.hang_up()

    return step


@dataclass
class Scripted:
    """A web application and an Echo on ports of their own."""

    base_url: str = ""
    echo_url: str = ""
    sound: bytes = SOUND
    etag: str = '"revision-1"'
    sound_headers: dict[str, str] = field(default_factory=dict)
    size_bytes: int | None = len(SOUND)
    """What a token announces."""
    web_steps: deque[Step] = field(default_factory=deque)
    echo_steps: deque[Step] = field(default_factory=deque)
    web_seen: list[Seen] = field(default_factory=list)
    echo_seen: list[Seen] = field(default_factory=list)
    expired: set[str] = field(default_factory=set)
    """Tokens that Echo takes for too old."""
    tokens: int = 0
    """How many were issued; the n-th is ``t<n>``."""
    revision: int = 1
    """Of the mask of every recording."""

    def web(self, handler: Handler) -> None:
        """Answer as the web application."""
        parts = urlsplit(handler.path)
        match parts.path.split("/")[1:]:
            case ["api", "v1", "calls"]:
                handler_page(handler, parse_qs(parts.query))
            case ["api", "v1", "calls", "c1"]:
                reply(CALL)(handler)
            case ["api", "v1", "recordings", "r1", "tokens"]:
                reply(self.token())(handler)
            case [voice] if voice.startswith("voice."):
                url = str(self.token()["url"]).encode()
                reply(url, content_type="text/plain; charset=utf-8")(handler)
            case ["api", "v1", "changes"]:
                changes = [{"kind": "call", "at": CALL["started_at"], "call_id": "c1"}]
                reply({"items": [changes[0] | {"recording_id": None}], "next": "9"})(handler)
            case _:
                refuse(404, "not_found", "There is no such thing.")(handler)

    def token(self) -> dict[str, object]:
        """A fresh one."""
        self.tokens += 1
        return {
            "url": f"{self.echo_url}/v/t{self.tokens}",
            "expires_at": "2026-09-21T14:14:20.500+00:00",
            "content_type": "audio/wav",
            "duration_s": 19.2,
            "size_bytes": self.size_bytes,
            "masked_spans": CALL["masked_spans"],
            "mask_revision": self.revision,
        }

    def echo(self, handler: Handler) -> None:
        """Answer as Echo."""
        if handler.path.rpartition("/")[2] in self.expired:
            refuse_plain(410, "token_expired", "This address is too old.")(handler)
        else:
            self.send_sound(handler, len(self.sound))

    def cut(self, after: int) -> Step:
        """Send so many bytes of what is asked for, then break off."""
        return lambda handler: self.send_sound(handler, after)

    def send_sound(self, handler: Handler, most: int, pause_s: float = 0) -> None:
        """Send what is asked for, or its beginning, in pieces."""
        start, status = 0, 200
        headers = {"ETag": self.etag, "Accept-Ranges": "bytes", **self.sound_headers}
        asked = handler.headers.get("Range")
        if asked and handler.headers.get("If-Range", self.etag) == self.etag:
            start, status = int(asked.removeprefix("bytes=").removesuffix("-")), 206
            size = len(self.sound)
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
        body = self.sound[start:]
        handler.head(status, len(body), "audio/wav", headers)
        for offset in range(0, min(most, len(body)), 65536):
            handler.wfile.write(body[offset : min(offset + 65536, most)])
            time.sleep(pause_s)
        if most < len(body):
            handler.hang_up()


def handler_page(handler: Handler, query: Mapping[str, list[str]]) -> None:
    """Three pages of one call each: the cursors are 1 and 2."""
    number = int(query.get("cursor", ["0"])[0])
    following = None if number == 2 else str(number + 1)
    reply({"items": [CALL | {"id": f"c{number + 1}"}], "next": following})(handler)


@contextmanager
def running() -> Iterator[Scripted]:
    """Both ports open, until the block ends."""
    scripted = Scripted()
    with (
        _listening(scripted.web, scripted.web_seen, scripted.web_steps) as scripted.base_url,
        _listening(scripted.echo, scripted.echo_seen, scripted.echo_steps) as scripted.echo_url,
    ):
        yield scripted


@contextmanager
def _listening(default: Step, seen: list[Seen], steps: deque[Step]) -> Iterator[str]:
    attributes = {"default": staticmethod(default), "seen": seen, "steps": steps}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), attributes))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
