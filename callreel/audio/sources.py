"""Stored sound as int16, at any place: the one door between a store's bytes and the obfuscator.

Serving trusts the facts that ``audio/probe.py`` found at ingest and nothing that the file says
since. The names of the codecs are in ``audio/codecs.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeGuard

from callreel.audio.blocks import RawBlock, StoredBytes, StoredPlace
from callreel.audio.codecs import CODECS
from callreel.audio.decoders.g722 import G722Decoder, require_g722
from callreel.audio.decoders.linear import LinearSource
from callreel.audio.decoders.onward import OnwardSource
from callreel.audio.decoders.seeking import SeekingSource
from callreel.audio.decoders.sndfile import SndfileDecoder
from callreel.audio.decoders.withheld import withheld
from callreel.audio.reader import ByteReader
from callreel.model import SourceFacts
from callreel.spans import Mask

_SEEKING = frozenset({"flac", "ima_adpcm"})


class Source(Protocol):
    """A recording that is open for reading; not for two threads at once.

    ``tests/audio/reading/test_sources.py`` runs over every codec.
    """

    @property
    def facts(self) -> SourceFacts:
        """What was found at ingest."""

    def read(self, start: int, count: int) -> RawBlock:
        """Frames [start, start + count), exactly; the same ones whatever was read before.

        Args:
            start: Frame number, 0 or more.
            count: At most so many that start + count is at most ``facts.frames``.

        Raises:
            Unplayable: The stored bytes are not what they were at ingest.

        Cost: one block in memory. Onward reading is cheap; a jump may decode all that lies before.
        """

    def close(self) -> None:
        """Give back what the decoder holds; the reader stays open. Closing twice is allowed."""


class StoredSource(Source, Protocol):
    """A source of which every frame has its own bytes, so that it can be read undecoded."""

    def stored(self, start: int, count: int) -> StoredBytes:
        """The bytes of frames [start, start + count) as they are stored; raises as ``read`` does.

        For ``obfuscate.clear_extents`` and nothing else.
        """


class PlacedSource(StoredSource, Protocol):
    """A stored source whose frames may lie in a file of this machine."""

    @property
    def place(self) -> Callable[[int, int], StoredPlace] | None:
        """From a start and a count of frames to their place; None where they lie in no file.

        For ``obfuscate.clear_extents`` and nothing else.
        """


def is_stored(source: Source) -> TypeGuard[StoredSource]:
    """Whether every frame of a source has its own bytes.

    Not ``isinstance``: of a protocol that takes longer than to find the recording.
    """
    return hasattr(source, "stored")


def is_placed(source: Source) -> TypeGuard[PlacedSource]:
    """Whether its frames may lie in a file of this machine."""
    return hasattr(source, "place")


def open_source(reader: ByteReader, facts: SourceFacts, mask: Mask | None = None) -> Source:
    """Open a recording for reading.

    Args:
        reader: Its bytes; must stay open until the source is closed, and its owner closes it.
        facts: What ``audio/probe.py`` found about these very bytes.
        mask: What is going to be masked, so that no decoder remembers it; whoever serves a
            recording must give it. The sound is not masked yet: that is the obfuscator's part.

    Raises:
        Unplayable: Its codec needs an optional library that is not installed.
    """
    if mask is not None:
        reader = withheld(reader, facts, mask)
    if CODECS[facts.codec].sample_bytes:
        return LinearSource(reader, facts)
    if facts.codec in _SEEKING:
        return SeekingSource(reader, facts)
    if facts.codec == "g722":
        require_g722()
        return OnwardSource(facts, lambda: G722Decoder(reader, facts))
    return OnwardSource(facts, lambda: SndfileDecoder(reader, facts))
