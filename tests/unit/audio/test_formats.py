"""Which format an address or a program asks for."""

from __future__ import annotations

import ctypes
import sys

import pytest

from callreel.audio.encoders import ffmpeg, libopus
from callreel.audio.formats import FORMATS, by_name, find_format, require_available
from callreel.audio.pipeline import encoder_version
from callreel.errors import FormatNeedsExtra, UnknownFormat


@pytest.mark.parametrize(
    ("extension", "refine", "name"),
    [
        (".wav", None, "wav"),
        ("wav", None, "wav"),
        (".WAV", "WAV-ULAW", "wav-ulaw"),
        (".wav", "wav", "wav"),
        (".wav", "wav-alaw", "wav-alaw"),
        (".mp3", None, "mp3"),
        (".mp3", "mp3", "mp3"),
        (".opus", None, "opus"),
        (".ogg", None, "opus"),
        (".ogg", "ogg", "opus"),
        (".opus", "ogg", "opus"),
        (".ogg", "opus", "opus"),
        (".flac", None, "flac"),
        (".m4a", None, "m4a"),
        (".webm", None, "webm"),
    ],
)
def test_the_extension_chooses_and_format_refines(
    extension: str, refine: str | None, name: str
) -> None:
    """Source: contract.md 2.5."""
    assert find_format(extension, refine) == name


@pytest.mark.parametrize(
    ("extension", "refine"),
    [(".wav", "mp3"), (".mp3", "wav"), (".wav", ""), (".wav", "wav-gsm"), (".ogg", "webm")],
)
def test_format_stays_inside_the_family(extension: str, refine: str) -> None:
    """Anything else is a 400 that lists the known ones."""
    with pytest.raises(UnknownFormat) as refused:
        find_format(extension, refine)
    assert refused.value.message.startswith("Parameter format")
    assert all(name in refused.value.message for name in FORMATS)


@pytest.mark.parametrize("extension", ["", ".", ".wma", ".wav ", ".mp3.exe", "..wav"])
def test_an_unknown_extension_lists_the_known_ones(extension: str) -> None:
    """Each once; nothing of the request comes back."""
    with pytest.raises(UnknownFormat) as refused:
        find_format(extension, None)
    assert refused.value.message == (
        "There is no such format; known extensions are .wav, .mp3, .opus, .ogg, .flac, .m4a, .webm."
    )


def test_programs_name_formats_as_the_table_does() -> None:
    """And may say "ogg"."""
    assert [by_name(name) for name in FORMATS] == list(FORMATS)
    assert by_name("OGG") == "opus"
    with pytest.raises(UnknownFormat, match="wav, wav-ulaw, wav-alaw, mp3, opus, flac, m4a, webm"):
        by_name("wma")


def test_media_types_and_known_sizes_are_the_contracts() -> None:
    """Source: contract.md 3.3."""
    assert {name: (known.media_type, known.size_known) for name, known in FORMATS.items()} == {
        "wav": ("audio/wav", True),
        "wav-ulaw": ("audio/wav", True),
        "wav-alaw": ("audio/wav", True),
        "mp3": ("audio/mpeg", True),
        "opus": ("audio/ogg", True),
        "flac": ("audio/flac", False),
        "m4a": ("audio/mp4", False),
        "webm": ("audio/webm", False),
    }


def test_every_format_is_available_with_all_extras() -> None:
    """As the tests run, and as ``make run`` installs it."""
    for name in FORMATS:
        require_available(name)
        assert encoder_version(name)


def test_an_encoder_names_its_revision_and_its_library() -> None:
    """What the bytes depend on goes into the entity tag."""
    assert encoder_version("wav") == "wav2"
    assert encoder_version("mp3").startswith("mp3-1 lame ")
    assert encoder_version("opus").startswith("opus1 libopus ")
    assert encoder_version("flac").startswith("flac1 libsndfile ")
    assert encoder_version("m4a").startswith("ffmpeg1 av ")


@pytest.mark.parametrize("name", ["m4a", "webm"])
def test_without_pyav_the_message_names_the_extra(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """None in ``sys.modules`` is what Python itself takes for "not there"."""
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(FormatNeedsExtra, match=r"callreel\[ffmpeg\]"):
        require_available(name)
    with pytest.raises(FormatNeedsExtra):
        ffmpeg.version()


def test_without_libopus_the_message_names_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Either the extra, whose wheel carries one, or the system's package."""
    monkeypatch.setattr(libopus, "_load", lambda: libopus.first_that_loads(["libopus-none.so"]))
    with pytest.raises(
        FormatNeedsExtra, match=r"callreel\[ffmpeg\] or the system package libopus0"
    ):
        require_available("opus")
    with pytest.raises(FormatNeedsExtra):
        encoder_version("opus")


def test_the_libopus_inside_pyavs_wheel_is_found() -> None:
    """So that Opus needs no system package where the extra is installed."""
    library = libopus.first_that_loads(libopus.beside_pyav())
    assert library is not None
    library.opus_get_version_string.restype = ctypes.c_char_p
    assert library.opus_get_version_string().startswith(b"libopus")


def test_without_pyav_there_is_no_libopus_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for it is no error."""
    monkeypatch.setitem(sys.modules, "av", None)
    assert libopus.beside_pyav() == []
