"""Conversions of an hour, beside Debian's ffmpeg and beside our own without masks.

Server and ffmpeg may use both cores, which they share with the reader.
"""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from benchmarks.bench import Bench
from benchmarks.calls import Recorded
from benchmarks.ffmpeg import convert
from benchmarks.figures import Figure, Sample, in_turns, percentile
from benchmarks.ours import PATIENT, Busy, Ours, fetch, fresh, serving

FFMPEG = "ffmpeg"
_MIB = 1 << 20
_LOOK_S = 0.01
_MOST_ENCODES = 50
_RANGE_BYTES = 65_536


def whole(bench: Bench) -> Iterator[Figure]:
    """First byte and last byte of an hour that nobody asked for before."""
    with bench.folder() as folder:
        made = bench.calls()
        data = made.copy_to(folder)
        hour, warm = made.recorded["hour"], made.recorded["minute-0"]
        for form in ("wav", "mp3", "opus", "flac", "m4a"):
            first: tuple[list[Sample], list[Sample]] = ([], [])
            last: tuple[list[Sample], list[Sample]] = ([], [])
            for _ in range(bench.rounds):
                with fresh(data, bench.both_cores, warm, form) as ours:
                    fetched = ours.fetch(hour, form)
                peer = convert(hour, form, bench.both_cores)
                for side, one in ((0, fetched), (1, peer)):
                    first[side].append(Sample(one.first_byte_s * 1000))
                    last[side].append(Sample(one.whole_s * 1000))
            if form in {"wav", "mp3", "opus"}:
                yield Figure(f"first-{form}", *first, FFMPEG)
            if form != "wav":
                yield Figure(f"whole-{form}", *last, FFMPEG)


def seek(bench: Bench) -> Iterator[Figure]:
    """First byte of ranges at random places, of which nothing was made before."""
    draw = random.Random(2)  # noqa: S311  # places, the same in each run
    with bench.folder() as folder:
        made = bench.calls()
        data = made.copy_to(folder)
        hour, warm = made.recorded["hour"], made.recorded["minute-0"]
        for form in ("mp3", "opus"):
            with fresh(data, bench.both_cores, warm, form) as ours:
                size = ours.size(hour, form)

                def mine(ours: Ours = ours, form: str = form, size: int = size) -> Sample:
                    times = []
                    for _ in range(bench.some(20, 3)):
                        start = draw.randrange(size - 1)
                        wanted = f"{start}-{min(size, start + _RANGE_BYTES) - 1}"
                        fetched = ours.fetch(hour, form, bytes_of=wanted, leave=True)
                        times.append(fetched.first_byte_s * 1000)
                    return _middle(times)

                def theirs(form: str = form) -> Sample:
                    times = []
                    for _ in range(bench.some(5, 2)):
                        from_s = draw.uniform(0, hour.duration_s * 0.9)
                        peer = convert(hour, form, bench.both_cores, from_s=from_s, leave=True)
                        times.append(peer.first_byte_s * 1000)
                    return _middle(times)

                yield Figure(f"seek-{form}", *in_turns(bench.rounds, mine, theirs), "ffmpeg -ss")


def _middle(times: Sequence[float]) -> Sample:
    return Sample(percentile(times, 50), {"p99": percentile(times, 99), "of": len(times)})


def masked(bench: Bench) -> Iterator[Figure]:
    """The same hour with masks and without; who goes first changes with every round."""
    with bench.folder() as folder:
        made = bench.calls()
        data = made.copy_to(folder)
        both = (made.recorded["hour"], made.recorded["hour-plain"])
        for form in ("wav", "mp3", "opus", "flac", "m4a", "webm"):
            taken: dict[str, list[Sample]] = {each.name: [] for each in both}
            for turn in range(bench.rounds):
                with fresh(data, bench.both_cores, made.recorded["minute-0"], form) as ours:
                    for recorded in both if turn % 2 else reversed(both):
                        fetched = ours.fetch(recorded, form)
                        taken[recorded.name].append(Sample(fetched.whole_s * 1000))
            yield Figure(f"masked-{form}", taken["hour"], taken["hour-plain"], "ours, unmasked")


def one_more_span(bench: Bench) -> Iterator[Figure]:
    """The whole file again after a span was added by hand, and the encode before it."""
    draw = random.Random(3)  # noqa: S311  # places, the same in each run
    again: list[Sample] = []
    anew: list[Sample] = []
    with bench.folder() as folder:
        made = bench.calls()
        hour, warm = made.recorded["hour"], made.recorded["minute-0"]
        for _ in range(bench.rounds):
            data = made.copy_to(folder)
            with fresh(data, bench.both_cores, warm, "mp3") as ours:
                anew.append(Sample(ours.fetch(hour, "mp3").whole_s * 1000))
                start_s = draw.uniform(0.2, 0.4) * hour.duration_s
                span = {"start_s": start_s, "end_s": start_s + 5, "reason": "of a benchmark"}
                ours.asked("POST", f"/api/v1/recordings/{hour.recording_id}/spans", span)
                again.append(Sample(ours.fetch(hour, "mp3").whole_s * 1000))
    yield Figure("one-more-span", again, anew, "ours, anew")


def two_cores(bench: Bench) -> Iterator[Figure]:
    """Two conversions at once on two cores, and one on one core."""
    with bench.folder() as folder:
        made = bench.calls()
        data = made.copy_to(folder)
        pair = (made.recorded["hour"], made.recorded["hour-other"])
        warm = made.recorded["minute-0"]

        def converted(cores: Sequence[int], wanted: Sequence[Recorded]) -> Sample:
            with fresh(data, cores, warm, "mp3") as ours, ThreadPoolExecutor(2) as pool:
                began = time.perf_counter()
                list(pool.map(lambda each: ours.fetch(each, "mp3"), wanted))
                return Sample(len(wanted) / (time.perf_counter() - began))

        samples = in_turns(
            bench.rounds,
            lambda: converted(bench.both_cores, pair),
            lambda: converted(bench.server_core, pair[:1]),
        )
    yield Figure("two-cores", *samples, "ours, one on one core")


def memory(bench: Bench) -> Iterator[Figure]:
    """What a server grows by, for each of two conversions that run."""
    with bench.folder() as folder:
        made = bench.calls()
        data = made.copy_to(folder)
        pair = (made.recorded["hour"], made.recorded["hour-other"])

        def mine() -> Sample:
            with fresh(data, bench.both_cores, made.recorded["minute-0"], "mp3") as ours:
                return _grown(ours, pair)

        def theirs() -> Sample:
            return Sample(convert(pair[0], "mp3", bench.both_cores, look=True).most_memory / _MIB)

        yield Figure("conversion-memory", *in_turns(bench.rounds, mine, theirs), FFMPEG)


def _grown(ours: Ours, pair: Sequence[Recorded]) -> Sample:
    before = ours.running.memory()["anonymous"]
    with ThreadPoolExecutor(len(pair)) as pool:
        fetching = [pool.submit(ours.fetch, each, "mp3") for each in pair]
        most = before
        while not all(each.done() for each in fetching):
            most = max(most, ours.running.memory()["anonymous"])
            time.sleep(_LOOK_S)
        for each in fetching:
            each.result()
    return Sample((most - before) / len(pair) / _MIB, {"before_mib": before / _MIB})


def equal_requests(bench: Bench) -> Iterator[Figure]:
    """How often a server encodes for many who ask for the same at once.

    It is told from its CPU: what the crowd took, less what the same bytes cost as WAV, over what
    one of them took. A server that encodes for everybody is ended after some dozens.
    """
    many = bench.some(1000, 10)
    with bench.folder() as folder:
        made = bench.calls()
        call, warm = made.recorded["talk"], made.recorded["minute-0"]

        def measure(crowd: int, most_s: float) -> Sample:
            # On one core: what is waited for is not counted as work.
            data = made.copy_to(folder)
            with serving(
                data, bench.server_core, {"SERVER__MAX_STREAMS": str(4 * many), **PATIENT}
            ) as ours:
                ours.fetch(warm, "mp3")
                wanted = f"0-{ours.size(call, 'mp3') - 1}"
                sending = _Crowd(ours, call, "wav-ulaw", wanted).cpu_s(crowd, math.inf)
                wanting = _Crowd(ours, call, "mp3", None)
                work = wanting.cpu_s(crowd, sending + most_s)
            detail = {"cpu_s": work, "sending_cpu_s": sending, "refused": len(wanting.refused)}
            return Sample(max(0.01, work - sending), detail)

        one = measure(1, math.inf)
        crowds = measure(many, _MOST_ENCODES * one.value)
    encodes = crowds.value / one.value
    notes = [f"{many:,} requests at once, of which {crowds.detail['refused']} were refused first"]
    if encodes > _MOST_ENCODES * 0.9:
        notes.append("ended early: it encodes for each of them")
    yield Figure(
        "equal-requests",
        [Sample(encodes, crowds.detail)],
        [Sample(1.0, one.detail)],
        "one request",
        tuple(notes),
    )


@dataclass(frozen=True, slots=True)
class _Crowd:
    """Clients who ask for the same at the same moment."""

    ours: Ours
    call: Recorded
    form: str
    bytes_of: str | None
    refused: list[int] = field(default_factory=list)
    """One for each answer of 503."""

    def cpu_s(self, many: int, most_s: float) -> float:
        """What the server takes for them; above ``most_s`` it is ended."""
        before = self.ours.running.cpu_s()
        spent = 0.0
        gate = threading.Barrier(many)
        with ThreadPoolExecutor(many) as pool:
            asking = [pool.submit(self._ask, gate) for _ in range(many)]
            while not all(each.done() for each in asking):
                spent = max(spent, self.ours.running.cpu_s() - before)
                if spent > most_s:
                    self.ours.running.process.kill()
                    return spent
                time.sleep(_LOOK_S)
            for each in asking:
                each.result()
        return max(spent, self.ours.running.cpu_s() - before)

    def _ask(self, gate: threading.Barrier) -> None:
        token = self._token()
        gate.wait()
        headers = {} if self.bytes_of is None else {"Range": f"bytes={self.bytes_of}"}
        while True:
            try:
                fetch(self.ours.echo_port, token, headers)
            except Busy:
                # As a program does that is told to come again; its token is good for a minute.
                self.refused.append(1)
                time.sleep(1)
                token = self._token()
            else:
                return

    def _token(self) -> str:
        while True:
            try:
                return self.ours.token(self.call, self.form)
            except Busy:
                self.refused.append(1)
                time.sleep(1)
