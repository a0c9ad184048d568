"""The output formats: names, extensions, media types, and what must be installed for them.

Source: contract.md 2.5, 3.3 and 6.3.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from callreel.audio.encoders import ffmpeg, libopus
from callreel.errors import FormatNeedsExtra, UnknownFormat
from callreel.wording import worded


@dataclass(frozen=True, slots=True)
class Format:
    """One output format."""

    name: str
    extensions: tuple[str, ...]
    """With the dot; the first is used for file names. Formats that share one are a family."""
    media_type: str
    size_known: bool
    """Whether arithmetic tells the size before anything is encoded."""
    extra: str | None = None
    """What to install where its library may be missing; None where it never is."""
    is_installed: Callable[[], bool] = lambda: True


_FFMPEG = "callreel[ffmpeg]"
_OPUS = "callreel[ffmpeg] or the system package libopus0"

FORMATS: MappingProxyType[str, Format] = MappingProxyType(
    {
        chosen.name: chosen
        for chosen in (
            Format("wav", (".wav",), "audio/wav", size_known=True),
            Format("wav-ulaw", (".wav",), "audio/wav", size_known=True),
            Format("wav-alaw", (".wav",), "audio/wav", size_known=True),
            Format("mp3", (".mp3",), "audio/mpeg", size_known=True),
            Format(
                "opus",
                (".opus", ".ogg"),
                "audio/ogg",
                size_known=True,
                extra=_OPUS,
                is_installed=libopus.is_installed,
            ),
            Format("flac", (".flac",), "audio/flac", size_known=False),
            Format(
                "m4a",
                (".m4a",),
                "audio/mp4",
                size_known=False,
                extra=_FFMPEG,
                is_installed=ffmpeg.is_installed,
            ),
            Format(
                "webm",
                (".webm",),
                "audio/webm",
                size_known=False,
                extra=_FFMPEG,
                is_installed=ffmpeg.is_installed,
            ),
        )
    }
)
"""By name."""

_ALIASES = {"ogg": "opus"}


def by_name(name: str) -> str:
    """The name in the table of a format that a program named; case and "ogg" for opus are forgiven.

    Raises:
        UnknownFormat: There is no such format; the message lists those that are.
    """
    folded = name.lower()
    found = _ALIASES.get(folded, folded)
    if found not in FORMATS:
        raise UnknownFormat(
            worded("There is no such format; known are %(known)s.", known=", ".join(FORMATS))
        )
    return found


def find_format(extension: str, refine: str | None) -> str:
    """The format that an address asks for.

    Args:
        extension: Of the path, with or without its dot, in any case.
        refine: The parameter ``format``: one of the formats of that extension; None takes the
            first of them.

    Raises:
        UnknownFormat: No format has this extension, or ``refine`` is not one of those that do; the
            message lists what is known.

    Source: contract.md 2.5.
    """
    wanted = f".{extension.removeprefix('.').lower()}"
    family = [chosen.name for chosen in FORMATS.values() if wanted in chosen.extensions]
    if not family:
        known = [known for chosen in FORMATS.values() for known in chosen.extensions]
        raise UnknownFormat(
            worded(
                "There is no such format; known extensions are %(known)s.",
                known=", ".join(dict.fromkeys(known)),
            )
        )
    if refine is None:
        return family[0]
    folded = refine.lower()
    found = _ALIASES.get(folded, folded)
    if found not in family:
        raise UnknownFormat(
            worded(
                "Parameter format: with %(wanted)s it may be %(known)s; the "
                "extension chooses the family, one of %(known_2)s.",
                wanted=wanted,
                known=" or ".join(family),
                known_2=", ".join(FORMATS),
            )
        )
    return found


def require_available(name: str) -> None:
    """Return if the format's library is installed.

    Raises:
        FormatNeedsExtra: It is not; the message names what to install.
    """
    chosen = FORMATS[name]
    if not chosen.is_installed():
        raise FormatNeedsExtra(
            worded(
                "The format %(name)s needs %(extra)s to be installed.",
                name=name,
                extra=str(chosen.extra),
            )
        )
