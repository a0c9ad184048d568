"""The conversations that come with the package. ``tools/make_demo_speech.py`` made them."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt
import soundfile

from callreel.model import Direction, Party, Span

RATE_HZ = 8000
SPEECH = resources.files("callreel.demo") / "speech"


@dataclass(frozen=True, slots=True)
class Conversation:
    """One two-channel conversation; left is the agent."""

    file: str
    """Name of the sound beneath ``speech``."""
    title: str
    """What it is about, for people."""
    language: str
    """ISO 639-1."""
    direction: Direction
    duration_s: float
    handed_over_s: float | None
    """When a colleague takes over, in seconds from the start; None where nobody does."""
    card_spans: tuple[Span, ...]
    """Where digits of a payment card are heard, and on which channel."""

    def sound(self) -> npt.NDArray[np.int16]:
        """The samples, int16, shape (frames, 2), 8 kHz."""
        data = (SPEECH / self.file).read_bytes()
        samples, _ = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
        return np.asarray(samples, dtype=np.int16)


def load_conversations() -> tuple[Conversation, ...]:
    """Every conversation, in the order of the index."""
    index = json.loads((SPEECH / "index.json").read_text(encoding="utf-8"))
    return tuple(
        Conversation(
            file=entry["file"],
            title=entry["title"],
            language=entry["language"],
            direction=Direction(entry["kind"]),
            duration_s=entry["duration_s"],
            handed_over_s=next(
                (turn["start_s"] for turn in entry["turns"] if turn["who"] == "colleague"), None
            ),
            card_spans=tuple(
                Span(span["start_s"], span["end_s"], Party(span["channel"]))
                for span in entry["card_spans"]
            ),
        )
        for entry in index["conversations"]
    )
