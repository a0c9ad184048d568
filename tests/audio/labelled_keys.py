"""Pressed keys at known places: in silence, noise and speech, clipped, quiet, out of tune."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soundfile

from callreel.audio.blocks import SafeBlock
from callreel.audio.dtmf import HIGH_HZ, LOW_HZ
from callreel.audio.g711 import ulaw_decode, ulaw_encode
from callreel.audio.obfuscate import _OBFUSCATOR_SEAL
from callreel.demo.conversations import SPEECH

FULL_SCALE = 32767.0


@dataclass
class Kind:
    """How keys are pressed and what is heard besides."""

    dbfs: tuple[float, float] = (-25, -6)
    held_s: tuple[float, float] = (0.05, 0.15)
    twist_db: float = 6.0
    off: float = 0.015
    """The share by which frequencies are off, either way."""
    noise_db: float | None = 30.0
    """How far noise is below the keys."""
    speech_db: float | None = None
    """How far speech is below the keys."""
    gain: float = 1.0
    """Above 1 it clips."""


KINDS = {
    "clean": Kind(noise_db=None),
    "noise 15 dB below": Kind(noise_db=15),
    "noise 10 dB below": Kind(noise_db=10),
    "speech 20 dB below": Kind(speech_db=20),
    "speech 10 dB below": Kind(speech_db=10),
    "speech 3 dB below": Kind(speech_db=3),
    "clipped by 18 dB": Kind(gain=8, noise_db=20),
    "held for 40 to 50 ms": Kind(held_s=(0.04, 0.05)),
    "quiet, -40 to -30 dBFS": Kind(dbfs=(-40, -30)),
    "1.8 % off": Kind(off=0.018),
}


class Heard:
    """Samples as masked sound."""

    def __init__(self, samples: np.ndarray, rate_hz: int = 8000) -> None:
        self._samples = samples if samples.ndim == 2 else samples[:, None]
        self.rate_hz = rate_hz
        self.channels = self._samples.shape[1]
        self.frames = len(self._samples)

    def read(self, start: int, count: int) -> SafeBlock:
        """As ``SafeSound.read``, within the sound."""
        part = self._samples[start : start + count]
        return SafeBlock(part, self.rate_hz, seal=_OBFUSCATOR_SEAL)


def key(draw: np.random.Generator, kind: Kind, rate_hz: int = 8000) -> np.ndarray:
    """One key, its edges a millisecond or so."""
    count = round(draw.uniform(*kind.held_s) * rate_hz)
    at = np.arange(count) / rate_hz
    level = 10 ** (draw.uniform(*kind.dbfs) / 20) * FULL_SCALE
    twist = 10 ** (draw.uniform(-kind.twist_db, kind.twist_db) / 40)
    off = 1 + draw.uniform(-kind.off, kind.off)
    low, high = draw.choice(LOW_HZ), draw.choice(HIGH_HZ)
    tone = np.sin(2 * np.pi * low * off * at + draw.uniform(0, 6)) / twist
    tone += np.sin(2 * np.pi * high * off * at + draw.uniform(0, 6)) * twist
    edge = min(count // 4, rate_hz // 400)
    tone[:edge] *= np.linspace(0, 1, edge)
    tone[-edge:] *= np.linspace(1, 0, edge)
    return tone * level


def pressed(
    kind: Kind, count: int, seed: int, rate_hz: int = 8000
) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """int16 mono that went through G.711 once, and where its keys are, in seconds."""
    draw = np.random.default_rng(seed)
    parts, places, at = [], [], 0
    for number in range(count):
        # Numbers of eight keys, with a while between them.
        pause = draw.uniform(0.05, 0.4) + (6.0 if number % 8 == 0 else 0.0)
        parts += [np.zeros(round(pause * rate_hz)), key(draw, kind, rate_hz)]
        at += len(parts[-2])
        places.append((at, at + len(parts[-1])))
        at += len(parts[-1])
    sound = np.concatenate([*parts, np.zeros(rate_hz)])
    level = np.sqrt(np.mean(np.concatenate([sound[a:b] for a, b in places]) ** 2))
    if kind.noise_db is not None:
        sound += draw.normal(0, level * 10 ** (-kind.noise_db / 20), len(sound))
    if kind.speech_db is not None:
        spoken = np.resize(speech()[seed * 8000 :], len(sound))
        loud = np.sqrt(np.mean(spoken**2))
        sound += spoken * (level * 10 ** (-kind.speech_db / 20) / loud)
    clipped = np.clip(sound * kind.gain, -32768, 32767).astype(np.int16)
    through = ulaw_decode(ulaw_encode(clipped.reshape(-1, 1)))
    return through, [(a / rate_hz, b / rate_hz) for a, b in places]


def speech() -> np.ndarray:
    """The conversations of the demo: two machines that talk, float, 8 kHz, mono."""
    found = []
    for path in sorted(SPEECH.iterdir(), key=lambda each: each.name):
        if path.name.endswith(".flac"):
            with path.open("rb") as file:
                samples, _ = soundfile.read(file, dtype="float64", always_2d=True)
            found += [samples[:, channel] * FULL_SCALE for channel in range(samples.shape[1])]
    return np.concatenate(found)
