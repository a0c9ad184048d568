"""WAV that needs no conversion, whole, in ranges and over TLS, beside nginx on the same files.

Each server has one core to itself, the client the other.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from benchmarks.bench import Bench
from benchmarks.calls import Calls, Recorded
from benchmarks.clients import limited_by_client
from benchmarks.figures import Figure, Measure, Sample, in_turns
from benchmarks.nginx import Nginx
from benchmarks.ours import Ours, serving

_G711, _PCM = "wav-ulaw", "wav"
_MANY, _FEW = 32, 8
"""Connections for short answers, and for long ones."""
_RANGES = 256
_HEADROOM = {"SERVER__MAX_STREAMS": "2048"}


def whole(bench: Bench) -> Iterator[Figure]:
    """Whole files, in the encoding that they are stored in."""
    with bench.folder() as folder:
        made = bench.calls()
        data = made.copy_to(folder)
        with (
            serving(data, bench.server_core, _HEADROOM) as ours,
            bench.nginx(made.folder, folder) as peer,
        ):
            long, short = made.several("ten"), made.several("minute")
            yield _figure(
                "wav-10min",
                bench.rounds,
                _ours(bench, ours, long, _PCM, _FEW),
                _peer(bench, peer, [f"/{each.file.name}" for each in long], _FEW),
            )
            yield _figure(
                "wav-1min",
                bench.rounds,
                _ours(bench, ours, short, _G711, _MANY),
                _peer(bench, peer, [peer.secure(each.file) for each in short], _MANY),
            )


def ranges(bench: Bench) -> Iterator[Figure]:
    """Ranges at random places of masked 10-minute files."""
    with bench.folder() as folder:
        made = bench.calls()
        data = made.copy_to(folder)
        with (
            serving(data, bench.server_core, _HEADROOM) as ours,
            bench.nginx(made.folder, folder) as peer,
        ):
            long = made.several("ten")
            for name, size in (("range-1m", 1 << 20), ("range-64k", 1 << 16)):
                headers = _places(made, size)
                yield _figure(
                    name,
                    bench.rounds,
                    _ours(bench, ours, long, _PCM, _MANY, headers),
                    _peer(bench, peer, [f"/{each.file.name}" for each in long], _MANY, headers),
                )


def over_tls(bench: Bench) -> Iterator[Figure]:
    """Whole files over TLS 1.3, which both encrypt in the process; wrk asks."""
    with bench.folder() as folder:
        made = bench.calls()
        data = made.copy_to(folder)
        with (
            serving(data, bench.server_core, _HEADROOM, certificate=bench.certificate()) as ours,
            bench.nginx(made.folder, folder) as peer,
        ):
            for name, kind, form in (("tls-1min", "minute", _G711), ("tls-10min", "ten", _PCM)):
                files = made.several(kind)
                yield _figure(
                    name,
                    bench.rounds,
                    _ours(bench, ours, files, form, 16),
                    _peer(bench, peer, [f"/{each.file.name}" for each in files], 16, tls=True),
                )


def _places(made: Calls, size: int) -> list[dict[str, str]]:
    whole_size = made.recorded["ten-0"].file.stat().st_size
    # Calls of a small run are shorter than a range of a full one.
    size = min(size, whole_size // 2)
    draw = random.Random(1)  # noqa: S311  # places, the same in each run
    starts = [draw.randrange(whole_size - size) for _ in range(_RANGES)]
    return [{"Range": f"bytes={start}-{start + size - 1}"} for start in starts]


def _ours(
    bench: Bench,
    ours: Ours,
    files: Sequence[Recorded],
    form: str,
    connections: int,
    headers: Sequence[dict[str, str]] = ({},),
) -> Measure:
    def measure() -> Sample:
        # Fresh ones for each round: they are good for a minute.
        paths = [ours.token(each, form) for each in files]
        if ours.tls:
            return bench.load.wrk(ours.echo_port, paths, ours.running, connections=connections)
        return bench.load.drain(
            ours.echo_port, paths, ours.running, connections=connections, headers=headers
        )

    return measure


def _peer(
    bench: Bench,
    peer: Nginx,
    paths: Sequence[str],
    connections: int,
    headers: Sequence[dict[str, str]] = ({},),
    *,
    tls: bool = False,
) -> Measure:
    def measure() -> Sample:
        if tls:
            return bench.load.wrk(peer.tls_port, paths, peer.running, connections=connections)
        return bench.load.drain(
            peer.port, paths, peer.running, connections=connections, headers=headers
        )

    return measure


def _figure(name: str, rounds: int, ours: Measure, peer: Measure) -> Figure:
    ours_seen, peer_seen = in_turns(rounds, ours, peer)
    cheaper = _cpu(peer_seen) / _cpu(ours_seen)
    notes = [
        f"CPU each: {_cpu(ours_seen):,.0f} µs, nginx {_cpu(peer_seen):,.0f} µs ({cheaper:.2f})"
    ]
    for side, seen in (("ours", ours_seen), ("nginx", peer_seen)):
        if limited_by_client(seen):
            notes.append(f"{side} was not at the limit of its core: the client, or waiting, was")
    return Figure(name, ours_seen, peer_seen, "nginx", tuple(notes))


def _cpu(samples: Sequence[Sample]) -> float:
    spent = sorted(float(each.detail["cpu_us_each"]) for each in samples)
    return max(0.001, spent[len(spent) // 2])
