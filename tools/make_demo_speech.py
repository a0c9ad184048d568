"""Make the speech of the demo: text to two-channel telephone calls, by espeak-ng and flite.

The files that come out are committed; whoever runs Callreel needs neither program. Run it from
the root of the repository: ``python -m tools.make_demo_speech``. Left is the agent.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import tempfile
import tomllib
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

SCRIPT = Path(__file__).with_name("demo_conversations.toml")
SPEECH_DIR = Path(__file__).parents[1] / "callreel" / "demo" / "speech"

RATE_HZ = 8000
BAND_HZ = (300.0, 3400.0)
"""What a telephone passes. Source: ITU-T G.712."""
ACTIVE_LEVEL = 0.1
"""Root mean square of speech, full scale is 1: about -20 dBFS."""
KEPT_BITS = 12
"""Finer steps would be inaudible under the noise of G.711, and cost a third of the size."""

LEAD_S = 0.6
BETWEEN_TURNS_S = 0.35
BETWEEN_PARTS_S = 0.12
TAIL_S = 0.5

Sound = npt.NDArray[np.float64]
"""One channel, shape (frames,), full scale 1."""

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True, slots=True)
class Turn:
    """One person speaks without a break."""

    who: str
    """agent, colleague or caller."""
    channel: str
    """left or right."""
    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True, slots=True)
class CardSpan:
    """A stretch in which digits of a card are heard, half-open, in seconds."""

    start_s: float
    end_s: float
    channel: str


@dataclass(slots=True)
class Tape:
    """Two channels that grow while people speak in turn."""

    now_s: float = LEAD_S
    pieces: list[tuple[int, int, Sound]] = field(default_factory=list)
    """Channel, first frame, sound."""
    turns: list[Turn] = field(default_factory=list)
    spans: list[CardSpan] = field(default_factory=list)

    def speak(self, who: str, voice: str, text: str) -> None:
        """Add one turn at the end."""
        column, channel = (1, "right") if who == "caller" else (0, "left")
        start_s = self.now_s
        for part in re.split(r"(\{[^}]*\})", text):
            if not part.strip(" .,"):
                continue
            is_card = part.startswith("{")
            sound = say(voice, read_out(part) if is_card else part.strip())
            first = round(self.now_s * RATE_HZ)
            end_s = (first + len(sound)) / RATE_HZ
            self.pieces.append((column, first, sound))
            if is_card:
                start, end = math.floor(self.now_s * 1000), math.ceil(end_s * 1000)
                self.spans.append(CardSpan(start / 1000, end / 1000, channel))
            self.now_s = end_s + BETWEEN_PARTS_S
        end_s = self.now_s - BETWEEN_PARTS_S
        shown = re.sub(r"[{}]", "", text)
        self.turns.append(Turn(who, channel, round(start_s, 3), round(end_s, 3), shown))
        self.now_s = end_s + BETWEEN_TURNS_S

    def sound(self) -> npt.NDArray[np.int16]:
        """The whole, int16, shape (frames, 2)."""
        frames = round((self.now_s - BETWEEN_TURNS_S + TAIL_S) * RATE_HZ)
        whole = np.zeros((frames, 2))
        for column, first, piece in self.pieces:
            whole[first : first + len(piece), column] += piece
        step = 1 << (16 - KEPT_BITS)
        return (np.clip(np.rint(whole * 32768 / step), -2047, 2047) * step).astype(np.int16)


def read_out(digits: str) -> str:
    """Digits as words, with a breath between groups: ``{12 3}`` is "one two, three"."""
    groups = digits.strip("{}").split()
    return ", ".join(" ".join(_DIGITS[int(digit)] for digit in group) for group in groups) + "."


def say(voice: str, text: str) -> Sound:
    """Speak a text as a telephone would carry it, without silence around."""
    engine, name, speed, *rest = voice.split(":")
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "speech.wav"
        if engine == "flite":
            stretch = f"duration_stretch={speed}"
            command = ["flite", "-voice", name, "--setf", stretch, "-t", text, "-o", str(wav)]
        else:
            command = ["espeak-ng", "-v", name, "-s", speed, "-p", rest[0], "-w", str(wav), text]
        subprocess.run(command, check=True)  # noqa: S603  # our own texts and two known programs
        samples, rate_hz = soundfile.read(wav, dtype="float64")
    return leveled(trimmed(band_limited(soxr.resample(samples, rate_hz, RATE_HZ, "VHQ"))))


def band_limited(sound: Sound) -> Sound:
    """Keep what a telephone passes, with soft edges."""
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    low = np.clip((hertz - BAND_HZ[0] * 0.6) / (BAND_HZ[0] * 0.4), 0, 1)
    high = np.clip((BAND_HZ[1] * 1.1 - hertz) / (BAND_HZ[1] * 0.1), 0, 1)
    return np.asarray(np.fft.irfft(spectrum * low * high, len(sound)), dtype=np.float64)


def trimmed(sound: Sound) -> Sound:
    """Cut silence at both ends, so that the times of a span are the times of its digits."""
    loud = np.flatnonzero(np.abs(sound) > np.abs(sound).max() * 0.02)
    return sound[loud[0] : loud[-1] + 1]


def leveled(sound: Sound) -> Sound:
    """Bring speech to one level whoever speaks, without clipping."""
    gain = ACTIVE_LEVEL / np.sqrt(np.mean(np.square(sound)))
    return sound * float(min(gain, 0.95 / np.abs(sound).max()))


def main() -> None:
    """Write every conversation and the index beside it."""
    SPEECH_DIR.mkdir(exist_ok=True)
    index = []
    for told in tomllib.loads(SCRIPT.read_text(encoding="utf-8"))["conversation"]:
        tape = Tape()
        for who, text in told["turns"]:
            tape.speak(who, told[who], text)
        sound = tape.sound()
        file = f"{told['name']}.flac"
        soundfile.write(
            SPEECH_DIR / file,
            sound,
            RATE_HZ,
            format="FLAC",
            subtype="PCM_16",
            compression_level=1.0,
        )
        index.append(
            {
                "file": file,
                "title": told["title"],
                "language": told.get("language", "en"),
                "kind": told["kind"],
                "duration_s": round(len(sound) / RATE_HZ, 3),
                "agent_channel": "left",
                "turns": [asdict(turn) for turn in tape.turns],
                "card_spans": [asdict(span) for span in tape.spans],
            }
        )
    text = json.dumps({"conversations": index}, ensure_ascii=False, indent=1)
    (SPEECH_DIR / "index.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
