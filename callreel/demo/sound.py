"""Recordings of the demo: a ring, perhaps music on hold, a conversation; in many kinds of files."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile

from callreel.demo.conversations import RATE_HZ, Conversation

_LEVEL = 1600
"""Peak of ring and music, of 32767: well under the speech."""
_LONGEST_S = 20
_RING_HZ = (400.0, 450.0)
_RING_PATTERN_S = ((0.0, 0.4), (0.6, 1.0))
_RING_EVERY_S = 3.0
"""What a caller in the United Kingdom hears. Source: BT SIN 350, ring tone."""
_MELODY_HZ = (392.0, 523.25, 659.25, 783.99, 659.25, 523.25)
_NOTE_S = 0.4


class Form(Enum):
    """A kind of file that telephone systems leave: suffix, libsndfile's names, mono, how often."""

    PCM = (".wav", "WAV", "PCM_16", False, 0.17)
    MULAW = (".wav", "WAV", "ULAW", False, 0.45)
    ALAW = (".wav", "WAV", "ALAW", False, 0.18)
    GSM = (".WAV", "WAV", "GSM610", True, 0.05)
    MP3 = (".mp3", "MP3", "MPEG_LAYER_III", False, 0.05)
    FLAC = (".flac", "FLAC", "PCM_16", False, 0.05)
    OGG = (".ogg", "OGG", "OPUS", False, 0.05)

    @property
    def extension(self) -> str:
        """The suffix of the file, with its dot."""
        return self.value[0]

    @property
    def mono(self) -> bool:
        """Whether both parties are mixed into one channel."""
        return self.value[3]

    @classmethod
    def drawn(cls, chance: float) -> Form:
        """The form that a number from 0 to 1 stands for."""
        for form in cls:
            chance -= form.value[4]
            if chance < 0:
                return form
        return cls.PCM


@dataclass(frozen=True, slots=True)
class Lead:
    """What is heard before somebody speaks, both parties alike."""

    ring_s: float
    hold_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds, on a frame."""
        return (round(self.ring_s * RATE_HZ) + round(self.hold_s * RATE_HZ)) / RATE_HZ


@dataclass(frozen=True, slots=True)
class PlannedSound:
    """A recording to be made."""

    told: Conversation
    lead: Lead
    form: Form
    name: str
    """Of the file."""

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return round(self.lead.duration_s + self.told.duration_s, 3)

    def write(self, folder: Path) -> None:
        """Make the file beneath a folder."""
        ring = _ringing()[: round(self.lead.ring_s * RATE_HZ)]
        hold = _melody()[: round(self.lead.hold_s * RATE_HZ)]
        lead = np.repeat(np.concatenate([ring, hold])[:, np.newaxis], 2, axis=1)
        sound = np.concatenate([lead, _spoken(self.told)])
        if self.form.mono:
            sound = (sound.astype(np.int32).sum(axis=1) >> 1).astype(np.int16)
        _, container, codec, *_ = self.form.value
        soundfile.write(folder / self.name, sound, RATE_HZ, format=container, subtype=codec)


@cache
def _spoken(told: Conversation) -> npt.NDArray[np.int16]:
    return told.sound()


@cache
def _ringing() -> npt.NDArray[np.int16]:
    at_s = np.arange(_LONGEST_S * RATE_HZ) / RATE_HZ
    inside = at_s % _RING_EVERY_S
    on = sum((inside >= start) & (inside < end) for start, end in _RING_PATTERN_S)
    tone = sum(np.sin(2 * np.pi * hertz * at_s) for hertz in _RING_HZ)
    return np.asarray(_LEVEL / 2 * tone * on, dtype=np.int16)


@cache
def _melody() -> npt.NDArray[np.int16]:
    at_s = np.arange(_LONGEST_S * RATE_HZ) / RATE_HZ
    hertz = np.array(_MELODY_HZ)[(at_s // _NOTE_S).astype(int) % len(_MELODY_HZ)]
    fading = np.exp(-4 * (at_s % _NOTE_S))
    return np.asarray(_LEVEL * fading * np.sin(2 * np.pi * hertz * at_s), dtype=np.int16)
