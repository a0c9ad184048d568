"""The server itself: tokens, slow readers, its start, its memory, and a service of 60 lines."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from benchmarks.bench import Bench
from benchmarks.clients import limited_by_client, read_slowly
from benchmarks.figures import Figure, Sample, in_turns
from benchmarks.ours import LOGIN, PATIENT, Ours, connected, fetch, serving
from benchmarks.peers.serving import Peer, peer

_BARE = "bare ASGI"
_MIB = 1 << 20
_CLIENTS = 64
_SLOW_BYTES_S = 16_384
_IDLE_S = 2.0


def tokens(bench: Bench) -> Iterator[Figure]:
    """Tokens the old way, by Basic login, each with its audit row on the disk before the answer."""
    with bench.folder() as folder:
        made = bench.calls()
        paths = [
            "/voice.wav?cmd=getvmsg&datasource=1&voicelocation=1&salt=1&recordingid=" + each.name
            for each in made.several("minute")
        ]
        login = [{"Authorization": LOGIN}]
        with (
            serving(made.copy_to(folder), bench.server_core) as ours,
            peer("bare:application", folder, bench.server_core) as bare,
        ):

            def asked(one: Ours | Peer) -> Callable[[], Sample]:
                port = one.web_port if isinstance(one, Ours) else one.port
                return lambda: bench.load.drain(
                    port, paths, one.running, connections=_CLIENTS, headers=login
                )

            # The first login of all costs a password hash; those after it are remembered.
            ours.token(made.recorded["minute-0"])
            mine, theirs = in_turns(bench.rounds, asked(ours), asked(bare))
    notes = []
    if limited_by_client(mine):
        notes.append("ours was not at the limit of its core: the disk, or the client, was")
    yield Figure("tokens", mine, theirs, _BARE, tuple(notes))
    for name, key in (("tokens-p99", "p99_ms"), ("tokens-cpu", "cpu_us_each")):
        yield Figure(name, _detail(mine, key), _detail(theirs, key), _BARE)


def _detail(samples: list[Sample], key: str) -> list[Sample]:
    return [Sample(float(each.detail[key])) for each in samples]


def slow_readers(bench: Bench) -> Iterator[Figure]:
    """Anonymous memory that a server grows by for each reader of a few KB a second."""
    many = bench.some(500, 20)
    seconds = bench.some(8, 1)
    room = {"SERVER__MAX_STREAMS": str(4 * many)}
    with bench.folder() as folder:
        made = bench.calls()
        long = made.several("ten")

        def mine() -> Sample:
            # A server of its own each time: what was grown once is not given back.
            data = made.copy_to(folder)
            with serving(data, bench.server_core, room) as ours:
                ours.fetch(long[0], "wav")
                before = ours.running.memory()["anonymous"]
                paths = [ours.token(long[turn % len(long)]) for turn in range(many)]
                most = read_slowly(
                    ours.echo_port,
                    paths,
                    rate_bytes_s=_SLOW_BYTES_S,
                    seconds=seconds,
                    server=ours.running,
                )
                return Sample((most - before) / many / 1000, {"before_mib": before / _MIB})

        def theirs() -> Sample:
            with bench.nginx(made.folder, folder) as web:
                fetch(web.port, f"/{long[0].file.name}")
                before = web.running.memory()["anonymous"]
                most = read_slowly(
                    web.port,
                    [f"/{long[turn % len(long)].file.name}" for turn in range(many)],
                    rate_bytes_s=_SLOW_BYTES_S,
                    seconds=seconds,
                    server=web.running,
                )
                return Sample((most - before) / many / 1000, {"before_mib": before / _MIB})

        mine_seen, theirs_seen = in_turns(bench.rounds, mine, theirs)
    yield Figure("slow-readers", mine_seen, theirs_seen, "nginx", (f"{many} readers",))


def start(bench: Bench) -> Iterator[Figure]:
    """From the start of the process to its first answer, and its memory when nothing is asked."""
    with bench.folder() as folder:
        data = bench.calls().copy_to(folder)
        mine: list[tuple[Sample, Sample]] = []
        theirs: list[tuple[Sample, Sample]] = []
        for _ in range(bench.rounds):
            mine.append(_started(lambda: serving(data, bench.server_core), bench))
            theirs.append(
                _started(lambda: peer("bare:application", folder, bench.server_core), bench)
            )
        for name, which in (("ready", 0), ("idle-memory", 1)):
            yield Figure(
                name, [both[which] for both in mine], [both[which] for both in theirs], _BARE
            )


def _started(
    begin: Callable[[], AbstractContextManager[Ours | Peer]], bench: Bench
) -> tuple[Sample, Sample]:
    began = time.perf_counter()
    with begin() as one:
        ports = [one.web_port, one.echo_port] if isinstance(one, Ours) else [one.port]
        for port in ports:
            connection = connected(port)
            connection.request("GET", "/livez")
            connection.getresponse().read()
            connection.close()
        ready_s = time.perf_counter() - began
        time.sleep(bench.some(1, 0) * _IDLE_S)
        memory = {name: size / _MIB for name, size in one.running.memory().items()}
    return Sample(ready_s), Sample(memory["pss"], memory)


def straightforward(bench: Bench) -> Iterator[Figure]:
    """One masked MP3, wanted by 16 clients again and again; both may use both cores."""
    clients, files = 16, bench.some(48, 16)
    with bench.folder() as folder:
        made = bench.calls()
        call = made.recorded["talk"]
        table = folder / "recordings.json"
        table.write_text(json.dumps({call.name: {"file": str(call.file), "spans": call.spans}}))

        def timed(one: Callable[[int], None]) -> Sample:
            with ThreadPoolExecutor(clients) as pool:
                began = time.perf_counter()
                list(pool.map(one, range(files)))
                return Sample(files / (time.perf_counter() - began))

        def mine() -> Sample:
            # A fresh server: the first of the files is made within what is measured.
            data = made.copy_to(folder)
            with serving(data, bench.both_cores, PATIENT) as ours:
                ours.fetch(made.recorded["minute-0"], "mp3")

                def one(_: int) -> None:
                    ours.fetch(call, "mp3")

                return timed(one)

        def theirs() -> Sample:
            with peer(
                "straightforward:app", folder, bench.both_cores, RECORDINGS=str(table)
            ) as other:

                def one(_: int) -> None:
                    fetch(other.port, _address(other, call.name))

                return timed(one)

        yield Figure("straightforward", *in_turns(bench.rounds, mine, theirs), "60 lines")


def _address(other: Peer, name: str) -> str:
    connection = connected(other.port)
    connection.request("GET", f"/token/{name}.mp3", headers={"Authorization": LOGIN})
    path: str = json.loads(connection.getresponse().read())
    connection.close()
    return path
