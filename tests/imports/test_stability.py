"""Whether a file is finished, from its header and its age."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from callreel.flows.entry import CallEntry, Result, SoundFile
from callreel.importers.items import Item, Problem
from callreel.importers.stability import Header, Patience, finished, look

NOW_NS = 1_795_426_200 * 10**9
WriteWav = Callable[..., Path]


def _aged(path: Path, age_s: float) -> SoundFile:
    changed_ns = NOW_NS - int(age_s * 1e9)
    os.utime(path, ns=(changed_ns, changed_ns))
    return SoundFile(path.parent, path.name)


def _entry(sound: SoundFile | None) -> CallEntry:
    return CallEntry("1", "k", "origin", None, audio=sound)


def _finished(
    sound: SoundFile,
    patience: Patience | None = None,
    meanwhile: Callable[[float], bool] = lambda _seconds: False,
) -> Item:
    items: list[Item] = [_entry(sound)]
    (item,) = finished(iter(items), patience or Patience(), now_ns=lambda: NOW_NS, wait=meanwhile)
    return item


def test_a_whole_wav_file_is_taken_at_once(tmp_path: Path, write_wav: WriteWav) -> None:
    """Its header agrees with its size, so nobody has to wait."""
    sound = _aged(write_wav(tmp_path / "a.wav"), 0)
    assert look(sound).header is Header.WHOLE
    assert isinstance(_finished(sound), CallEntry)


@pytest.mark.parametrize("cut", [1, 100, 3990, 4008, 4020, 4036])
def test_a_torn_wav_file_waits_until_it_was_quiet_for_long(
    tmp_path: Path, write_wav: WriteWav, cut: int
) -> None:
    """Cut anywhere, in the header as well; after a minute it is taken as it is."""
    path = write_wav(tmp_path / "a.wav")
    path.write_bytes(path.read_bytes()[:-cut])
    sound = _aged(path, 30)
    assert look(sound).header is Header.SHORT
    waiting = _finished(sound)
    assert isinstance(waiting, Problem)
    assert waiting.result is Result.WAITING
    assert isinstance(_finished(_aged(path, 61)), CallEntry)


def test_a_file_that_contradicts_itself_but_is_all_there_does_not_wait(
    tmp_path: Path, write_wav: WriteWav
) -> None:
    """Waiting would not mend it; the probe says what is wrong with it."""
    path = write_wav(tmp_path / "a.wav")
    whole = path.read_bytes()
    (tmp_path / "nothing.wav").write_bytes(b"RIFF\x04\0\0\0WAVE")
    (tmp_path / "no-data.wav").write_bytes(b"RIFF\x1c\0\0\0" + whole[8:36])
    (tmp_path / "lies.wav").write_bytes(whole[:40] + b"\xff\xff\xff\x7f" + whole[44:])
    for name, header in (
        ("nothing.wav", Header.WHOLE),
        ("no-data.wav", Header.WHOLE),
        ("lies.wav", Header.OPEN),
    ):
        sound = _aged(tmp_path / name, 0)
        assert look(sound).header is header
        assert isinstance(_finished(sound), CallEntry)


@pytest.mark.parametrize("told", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_a_wav_file_whose_recorder_has_not_told_the_length_is_looked_at_twice(
    tmp_path: Path, write_wav: WriteWav, told: bytes
) -> None:
    """Unchanged it is a dead recorder's, changed it is growing."""
    path = write_wav(tmp_path / "a.wav")
    contents = path.read_bytes()
    path.write_bytes(contents[:40] + told + contents[44:])
    sound = _aged(path, 0)
    assert look(sound).header is Header.OPEN

    def grow(_seconds: float) -> bool:
        with path.open("ab") as file:
            file.write(bytes(100))
        return False

    assert isinstance(_finished(sound), CallEntry)
    assert isinstance(_finished(sound, meanwhile=grow), Problem)


@pytest.mark.parametrize("name", ["a.mp3", "a.ulaw", "a.ogg"])
def test_any_other_file_must_be_left_alone_for_a_while(tmp_path: Path, name: str) -> None:
    """An old one is taken at once, a young one after a second look."""
    path = tmp_path / name
    path.write_bytes(bytes(range(256)) * 4)
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    assert isinstance(_finished(_aged(path, 3), meanwhile=wait), CallEntry)
    assert waits == []
    assert isinstance(_finished(_aged(path, 0.5), meanwhile=wait), CallEntry)
    assert waits == [1.5]


def test_a_wait_that_is_cut_short_takes_nothing(tmp_path: Path) -> None:
    """Who was told to stop does not know whether the file is finished."""
    path = tmp_path / "a.mp3"
    path.write_bytes(b"x")
    assert isinstance(_finished(_aged(path, 0), meanwhile=lambda _seconds: True), Problem)


def test_a_watch_does_not_believe_a_header_that_agrees(tmp_path: Path, write_wav: WriteWav) -> None:
    """Some recorders write the length of what is there so far again and again."""
    patience = Patience(stable_for_s=5, trust_header=False)
    path = write_wav(tmp_path / "a.wav")
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    assert isinstance(_finished(_aged(path, 1), patience, wait), CallEntry)
    assert waits == [4.0]


def test_entries_without_sound_and_problems_pass(tmp_path: Path) -> None:
    """So does sound that is not there: the intake says why."""
    items: list[Item] = [
        Problem("x", "y"),
        _entry(None),
        _entry(SoundFile(tmp_path, "missing.wav")),
    ]
    assert list(finished(iter(items), Patience())) == items
