"""Sound and side-cars for tests of importers: short, made from numbers, the same every time."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

RATE_HZ = 8000


def wav_bytes(seed: int, seconds: float = 0.25, channels: int = 1) -> bytes:
    """A whole WAV file of 16-bit samples; another sound for another seed."""
    count = int(seconds * RATE_HZ) * channels
    data = struct.pack(f"<{count}h", *((i * (seed * 37 + 11)) % 2000 - 1000 for i in range(count)))
    fmt = struct.pack(
        "<4sIHHIIHH",
        b"fmt ", 16, 1, channels, RATE_HZ, RATE_HZ * 2 * channels, 2 * channels, 16,
    )  # fmt: skip
    body = b"WAVE" + fmt + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


WriteWav = Callable[..., Path]
WriteSidecar = Callable[..., Path]


@pytest.fixture
def write_wav() -> WriteWav:
    """Write a WAV file, with the folders above it."""

    def write(path: Path, seed: int = 1, seconds: float = 0.25, channels: int = 1) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wav_bytes(seed, seconds, channels))
        return path

    return write


@pytest.fixture
def write_sidecar() -> WriteSidecar:
    """Write a side-car; ``from_`` stands for ``from``."""

    def write(path: Path, **fields: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        named = {name.rstrip("_"): value for name, value in fields.items()}
        path.write_text(json.dumps(named), encoding="utf-8")
        return path

    return write
