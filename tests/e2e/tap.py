"""A wire tap: hands bytes on between a client and a server, and keeps what went over."""

from __future__ import annotations

import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field

_REQUEST = re.compile(
    rb"^(?P<method>GET|HEAD|POST) (?P<path>\S+) HTTP/1\.[01]\r\n(?P<headers>(?:[^\r\n]+\r\n)*)\r\n",
    re.MULTILINE,
)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) ")


@dataclass(frozen=True, slots=True)
class Request:
    """The head of a request as it went over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    """By name in lower case."""


@dataclass(slots=True)
class Wire:
    """What went over one connection, both ways."""

    sent: bytearray = field(default_factory=bytearray)
    came: bytearray = field(default_factory=bytearray)


class Tap:
    """Listens on a port of its own and speaks to another.

    Args:
        target_port: Of the server, on this machine.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._stopping = threading.Event()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.wires: list[Wire] = []
        self.port: int = self._listening.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @property
    def url(self) -> str:
        """The origin that clients are given."""
        return f"http://127.0.0.1:{self.port}"

    def requests(self) -> list[Request]:
        """Every request so far, in the order of its connections."""
        found = []
        for wire in list(self.wires):
            for match in _REQUEST.finditer(bytes(wire.sent)):
                lines = match["headers"].decode("latin-1").splitlines()
                pairs = (line.partition(":") for line in lines)
                headers = {name.lower(): value.strip() for name, _, value in pairs}
                found.append(Request(match["method"].decode(), match["path"].decode(), headers))
        return found

    def statuses(self) -> list[int]:
        """The status of every answer so far; for a server that sends no binary bodies."""
        return [int(code) for wire in list(self.wires) for code in _STATUS.findall(wire.came)]

    def forget(self) -> None:
        """Begin anew."""
        self.wires.clear()

    def close(self) -> None:
        """Stop listening, and end what is under way."""
        self._stopping.set()
        for thread in [self._accepting, *self._threads]:
            thread.join()
        self._listening.close()

    def _accept(self) -> None:
        while not self._stopping.is_set():
            if select.select([self._listening], [], [], 0.05)[0]:
                client, _ = self._listening.accept()
                thread = threading.Thread(target=self._hand_on, args=(client,))
                self._threads.append(thread)
                thread.start()

    def _hand_on(self, client: socket.socket) -> None:
        wire = Wire()
        self.wires.append(wire)
        with closing(client), suppress(ConnectionError):
            server = socket.create_connection(("127.0.0.1", self._target_port))
            with closing(server):
                ways = {client: (server, wire.sent), server: (client, wire.came)}
                while not self._stopping.is_set():
                    for one in select.select(list(ways), [], [], 0.05)[0]:
                        other, kept = ways[one]
                        data = one.recv(65536)
                        if not data:
                            return
                        kept += data
                        other.sendall(data)


@contextmanager
def tapping(target_port: int) -> Iterator[Tap]:
    """A tap on a server, until the block ends."""
    tap = Tap(target_port)
    try:
        yield tap
    finally:
        tap.close()
