"""What is written over what is masked: a tone, silence, or a file of the site's own.

A fill is a pure function of the frame number and the rate. It is not shown the sound that it
replaces, so it cannot depend on it, and it is the same however a recording is cut.
Source: audio.md section 3.
"""

from __future__ import annotations

import hashlib
import math
from functools import lru_cache

import numpy as np
import soxr

from callreel.audio.blocks import Samples
from callreel.errors import BadRequest
from callreel.model import DEFAULT_FILL, Fill
from callreel.spans import Interval
from callreel.wording import to_translate, worded

REVISION = "fill1"
"""Grows with any change of the samples that a fill gives."""
LEAST_HZ, MOST_HZ = 100.0, 3400.0
"""What a telephone line carries."""
LEAST_DBFS, MOST_DBFS = -60.0, -6.0
LEAST_S, MOST_S = 0.1, 10.0
FADE_S = 0.005
"""How long a fill swells and dies within the masked interval; only the fill is faded, so that no
masked sample is heard however softly."""
_FULL_SCALE = 32768.0
_QUIET_PEAK = 33
"""-60 dBFS: a file below it is taken for an empty recording."""


def identity(fill: Fill) -> str:
    """Names everything that a fill's samples depend on; part of entity tags and cache keys."""
    if fill.kind == "tone":
        return f"{REVISION}-tone-{fill.hz:g}-{fill.dbfs:g}"
    if fill.kind == "silence":
        return f"{REVISION}-silence"
    return f"{REVISION}-file-{_digest(fill.samples, fill.rate_hz)}"


def stretch(fill: Fill, interval: Interval, start: int, stop: int, rate_hz: int) -> Samples:
    """The fill of some frames of a masked interval, swelling at its start and dying at its end.

    Args:
        fill: What is written.
        interval: The whole masked interval; its edges are the only ones that fade, wherever a
            recording is cut into blocks.
        start: First frame wanted, within the interval.
        stop: Behind the last one.
        rate_hz: Frames per second.

    Returns:
        int16, shape (stop - start,). It is not shown the sound that it replaces.
    """
    count = stop - start
    if fill.kind == "silence":
        return np.zeros(count, np.int16)
    table, period = _table(fill, rate_hz)
    phase = start % period
    if phase + count <= len(table):
        plain = table[phase : phase + count]
    else:
        # A table is whole periods, so that it goes on with its first sample.
        times = -(-(phase + count) // len(table))
        plain = np.concatenate([table[phase:], *[table] * (times - 1)])[:count]
    fade = round(FADE_S * rate_hz)
    if start - interval[0] >= fade and interval[1] - stop >= fade:
        return plain
    written = plain.copy()
    # Of a narrow interval each frame may belong to both edges.
    for first, last in (
        (start, max(start, min(stop, interval[0] + fade))),
        (min(stop, max(start, interval[1] - fade)), stop),
    ):
        frames = np.arange(first, last)
        nearest = np.minimum(frames - interval[0], interval[1] - 1 - frames)
        faded = plain[first - start : last - start] * np.minimum(nearest / fade, 1.0)
        written[first - start : last - start] = np.rint(faded)
    return written


def _table(fill: Fill, rate_hz: int) -> tuple[Samples, int]:
    if fill.kind == "tone":
        return _tone_table(fill.hz, fill.dbfs, rate_hz)
    table = _file_table(fill.samples, fill.rate_hz, rate_hz)
    return table, len(table)


@lru_cache(maxsize=256)
def _digest(samples: bytes, rate_hz: int) -> str:
    return hashlib.sha256(samples + rate_hz.to_bytes(4, "little")).hexdigest()[:16]


@lru_cache(maxsize=32)
def _tone_table(hz: float, dbfs: float, rate_hz: int) -> tuple[Samples, int]:
    """Whole periods, two seconds or a little more: what a block asks for is one slice of it.

    A tone of so many tenths of a hertz comes back to its first sample within ten seconds.
    """
    tenths = round(hz * 10)
    period = rate_hz * 10 // math.gcd(rate_hz * 10, tenths)
    frames = np.arange(period)
    peak = math.ceil(_FULL_SCALE * 10 ** (dbfs / 20))
    one = np.sin(2 * np.pi * (frames * tenths % (rate_hz * 10)) / (rate_hz * 10)) * peak
    table = np.tile(np.rint(one).astype(np.int16), 2 + 2 * rate_hz // period)
    table.flags.writeable = False
    return table, period


@lru_cache(maxsize=32)
def _file_table(samples: bytes, from_hz: int, rate_hz: int) -> Samples:
    sound = np.frombuffer(samples, "<i2").astype(np.float64)
    if from_hz != rate_hz:
        sound = soxr.resample(sound, from_hz, rate_hz)
    # Its end meets its start without a click.
    ramp = np.linspace(0, 1, max(1, round(FADE_S * rate_hz)), endpoint=False)
    sound[: len(ramp)] *= ramp
    sound[-len(ramp) :] *= ramp[::-1]
    peak = _FULL_SCALE * 10 ** (MOST_DBFS / 20)
    loudest = float(np.abs(sound).max())
    if loudest > peak:
        sound *= peak / loudest
    table = np.rint(sound).astype(np.int16)
    table.flags.writeable = False
    return table


def fill_of(
    kind: str,
    hz: float = DEFAULT_FILL.hz,
    dbfs: float = DEFAULT_FILL.dbfs,
    samples: bytes = b"",
    rate_hz: int = 0,
) -> Fill:
    """A fill that was chosen.

    Raises:
        BadRequest: It is not one; the message names what to mend.
    """
    if kind == "silence":
        return Fill("silence")
    if kind == "tone":
        if not LEAST_HZ <= hz <= MOST_HZ:
            raise BadRequest(
                worded(
                    "fill: a tone has %(least_hz)s to %(most)s Hz, not %(hz)s.",
                    least_hz=f"{LEAST_HZ:g}",
                    most=f"{MOST_HZ:g}",
                    hz=f"{hz:g}",
                )
            )
        if not LEAST_DBFS <= dbfs <= MOST_DBFS:
            raise BadRequest(
                worded(
                    "fill: a level is %(least_dbfs)s to %(most)s dBFS, not %(dbfs)s.",
                    least_dbfs=f"{LEAST_DBFS:g}",
                    most=f"{MOST_DBFS:g}",
                    dbfs=f"{dbfs:g}",
                )
            )
        return Fill("tone", round(hz, 1), round(dbfs, 1))
    if kind != "file":
        raise BadRequest(worded("fill: must be tone, silence or file, not %(kind)s.", kind=kind))
    seconds = len(samples) / 2 / rate_hz if rate_hz else 0.0
    if not LEAST_S <= seconds <= MOST_S:
        raise BadRequest(
            worded(
                "fill: a file lasts %(least_s)s to %(most)s s, this one %(seconds)s s.",
                least_s=f"{LEAST_S:g}",
                most=f"{MOST_S:g}",
                seconds=f"{seconds:.2f}",
            )
        )
    if int(np.abs(np.frombuffer(samples, "<i2").astype(np.int32)).max()) < _QUIET_PEAK:
        raise BadRequest(
            to_translate("fill: there is no sound in this file; for silence choose silence.")
        )
    return Fill("file", samples=samples, rate_hz=rate_hz)
