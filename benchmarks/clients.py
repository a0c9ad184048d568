"""Those who ask: ``drain`` for requests a second, wrk over TLS, readers that are slow."""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Sample
from benchmarks.processes import Running, pinned, run

_SOURCE = Path(__file__).parent / "load" / "drain.c"
_ASKED = """
local paths = {%s}
local at = 0
request = function()
  at = at %% #paths + 1
  return wrk.format("GET", paths[at])
end
"""
_SLICE_S = 0.25
_ENOUGH = 4
_LONGEST_S = 40.0


@dataclass(frozen=True, slots=True)
class Load:
    """How hard is asked."""

    folder: Path
    """Where ``drain`` is compiled to, and requests are written."""
    cores: Sequence[int]
    """Of the client."""
    seconds: float

    def drain(
        self,
        port: int,
        paths: Sequence[str],
        server: Running,
        *,
        connections: int,
        headers: Sequence[Mapping[str, str]] = ({},),
    ) -> Sample:
        """Requests a second over kept connections, bodies dropped in the kernel.

        Args:
            port: Of a server of this machine.
            paths: Asked for in turns.
            server: Whose CPU is counted.
            connections: How many at once.
            headers: Sent in turns beside the paths.

        Raises:
            SystemExit: An answer was no success.
        """
        program = self._compiled()
        requests = self.folder / "requests.txt"
        turns = max(len(paths), len(headers))
        with requests.open("w") as writing:
            for turn in range(turns):
                told = [f"{key}: {text}" for key, text in headers[turn % len(headers)].items()]
                writing.write("\t".join([paths[turn % len(paths)], *told]) + "\n")

        def asked(seconds: float) -> dict[str, float]:
            words = [str(program), str(port), str(connections), str(seconds), str(requests)]
            told: dict[str, float] = json.loads(run(pinned(words, self.cores)))
            if told["errors"]:
                raise SystemExit(f"{told['errors']} of {told['requests']} answers were no success")
            return told

        return self._rate(asked, server, connections)

    def wrk(self, port: int, paths: Sequence[str], server: Running, *, connections: int) -> Sample:
        """Requests a second over TLS.

        Raises:
            SystemExit: An answer was no success.
        """
        script = self.folder / "wrk.lua"
        script.write_text(_ASKED % ", ".join(f'"{path}"' for path in paths))

        def asked(seconds: float) -> dict[str, float]:
            words = ["wrk", "-t", "1", "-c", str(connections), "-d", f"{max(1, seconds):.0f}s"]
            words += ["--timeout", "60s", "-s", str(script), f"https://127.0.0.1:{port}"]
            told = run(pinned(words, self.cores))
            if "Non-2xx" in told or "Socket errors" in told:
                raise SystemExit(told)
            requests = _number(told, r"(\d+) requests in")
            return {"requests": requests, "seconds": _number(told, r"in ([\d.]+)s,")}

        return self._rate(asked, server, connections)

    def _rate(
        self, asked: Callable[[float], dict[str, float]], server: Running, connections: int
    ) -> Sample:
        # What is under way when the time is up is not counted: ask for longer where that would be
        # much of it, but no longer than a token is good for.
        seconds = self.seconds
        while True:
            before = server.cpu_s()
            told = asked(seconds)
            if told["requests"] >= _ENOUGH * connections or seconds >= _LONGEST_S:
                break
            seconds = min(_LONGEST_S, seconds * 5)
        if not told["requests"]:
            raise SystemExit(f"not one answer in {seconds:.0f} s")
        return _rate(told, server.cpu_s() - before)

    def _compiled(self) -> Path:
        program = self.folder / "drain"
        if not program.exists() or program.stat().st_mtime < _SOURCE.stat().st_mtime:
            run(["cc", "-O2", "-o", str(program), str(_SOURCE)])
        return program


def _rate(told: Mapping[str, float], cpu_s: float) -> Sample:
    detail = {
        **told,
        "cpu_us_each": cpu_s / told["requests"] * 1e6,
        # Well below 1 something else than the server was the limit.
        "server_busy": cpu_s / told["seconds"],
    }
    return Sample(told["requests"] / told["seconds"], detail)


def _number(text: str, pattern: str) -> float:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"wrk said:\n{text}")
    return float(found.group(1))


def limited_by_client(samples: Sequence[Sample]) -> bool:
    """Whether the server had time left, so that the rate says little about it."""
    shares = [float(each.detail["server_busy"]) for each in samples]
    return sorted(shares)[len(shares) // 2] < 0.85


def read_slowly(
    port: int, paths: Sequence[str], *, rate_bytes_s: int, seconds: float, server: Running
) -> int:
    """Read with one connection for each path, slowly; gives the most anonymous memory seen.

    Receive buffers are small, so that what is not read waits at the server.

    Returns:
        Bytes.
    """
    held = server.memory()["anonymous"]
    with selectors.DefaultSelector() as watching:
        readers = [_reader(port, path) for path in paths]
        try:
            for reader in readers:
                watching.register(reader, selectors.EVENT_READ)
            each = max(1, round(rate_bytes_s * _SLICE_S))
            ends = time.monotonic() + seconds
            while time.monotonic() < ends:
                began = time.monotonic()
                for key, _ in watching.select(timeout=0):
                    reading = key.fileobj
                    assert isinstance(reading, socket.socket)  # noqa: S101  # what was registered
                    if not reading.recv(each):
                        raise SystemExit("a slow reader was cut off")
                held = max(held, server.memory()["anonymous"])
                time.sleep(max(0.0, _SLICE_S - (time.monotonic() - began)))
        finally:
            for reader in readers:
                reader.close()
    return held


def _reader(port: int, path: str) -> socket.socket:
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    reader.connect(("127.0.0.1", port))
    reader.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    return reader
