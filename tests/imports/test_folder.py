"""A folder of sound with side-cars: what becomes a call, what shares, what is held back."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from callreel.audio import sniff
from callreel.errors import BadInput
from callreel.flows.entry import CallEntry, Result, SharedRecording
from callreel.importers.folder import FolderOptions, read_folder
from callreel.importers.items import Problem
from callreel.importers.monitor import is_audio_name
from callreel.importers.sidecar import FIELDS, read_sidecar
from callreel.model import Direction, Party, Span

WriteWav = Callable[..., Path]
WriteSidecar = Callable[..., Path]


def _read(
    root: Path, options: FolderOptions | None = None
) -> tuple[list[CallEntry], dict[str, Problem]]:
    items = list(read_folder(root, options or FolderOptions()))
    problems = {item.origin: item for item in items if isinstance(item, Problem)}
    return [item for item in items if isinstance(item, CallEntry)], problems


def test_sound_without_side_car_is_a_call_known_by_its_content(
    tmp_path: Path, write_wav: WriteWav
) -> None:
    """Nothing names it, so the sound does."""
    write_wav(tmp_path / "a" / "call.wav")
    (entry,), problems = _read(tmp_path, FolderOptions(datasource="7", voicelocation="4"))
    assert problems == {}
    assert (entry.datasource, entry.voicelocation) == ("7", "4")
    assert (entry.source_key, entry.voicefilename, entry.started_at) == (None, None, None)
    assert entry.audio is not None
    assert entry.audio.name == "a/call.wav"


@pytest.mark.parametrize("name", ["call.json", "call.wav.json", "CALL.JSON", "Call.wav.Json"])
def test_a_side_car_tells_everything_about_its_call(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar, name: str
) -> None:
    """``name.json`` and ``name.wav.json`` alike, in any case, every field of it."""
    write_wav(tmp_path / "call.wav")
    write_sidecar(
        tmp_path / name,
        datasource="3",
        voicelocation="4",
        voicefilename="NCS1",
        started_at="2026-11-23T09:30:00+01:00",
        duration_s=12.5,
        direction="inbound",
        from_="01632 960111",
        to="2104",
        extension=2104,
        channel="trunk-1",
        spans=[
            {"start_s": 1, "end_s": 2.5, "channel": "left"},
            {"start_s": 4, "end_s": None, "channel": "both"},
        ],
    )
    (entry,), problems = _read(tmp_path)
    assert problems == {}
    assert (entry.datasource, entry.voicelocation, entry.voicefilename) == ("3", "4", "NCS1")
    assert entry.started_at == 1795422600000
    assert (entry.duration_s, entry.direction) == (12.5, Direction.INBOUND)
    assert (entry.from_number, entry.to_number) == ("01632 960111", "2104")
    assert (entry.extension, entry.channel) == ("2104", "trunk-1")
    assert entry.spans == (Span(1.0, 2.5, Party.LEFT), Span(4.0, math.inf, None))


def test_a_call_keeps_its_identity_when_its_side_car_is_mended_or_moved(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar
) -> None:
    """A corrected number is a change, not a second call; folders above do not count."""
    keys = set()
    for folder, number in (("x", "01632960111"), ("y/z", "01632960112")):
        write_wav(tmp_path / folder / "call.wav")
        write_sidecar(tmp_path / folder / "call.json", voicefilename="V", from_=number)
        (entry,), _ = _read(tmp_path / folder)
        keys.add(entry.source_key)
    assert len(keys) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b'{"from": "1", "spans": [{"start_s": 1, "en', "torn"),
        (b"", "torn"),
        (b"[]", "one JSON object"),
        (b"\xff\xfe", "UTF-8"),
        (b'{"spams": []}', "did you mean spans"),
        (b'{"spans": [], "spans": [{"start_s": 1, "end_s": 2}]}', "twice"),
        (b'{"spans": {}}', "spans must be a list"),
        (b'{"spans": [{"start_s": 2, "end_s": 1}]}', "span 1 ends before"),
        (b'{"spans": [{"start_s": 1}]}', "span 1: end_s"),
        (b'{"spans": [{"start_s": -1, "end_s": 1}]}', "0 or more"),
        (b'{"spans": [{"start_s": NaN, "end_s": 1}]}', "NaN"),
        (b'{"spans": [{"start_s": 1e999, "end_s": 1}]}', "0 or more"),
        (b'{"spans": [{"start_s": true, "end_s": 1}]}', "number of seconds"),
        (b'{"spans": [{"start_s": 1, "end_s": 2, "channel": "middle"}]}', "left or right"),
        (b'{"spans": [{"start_s": 1, "end_s": 2, "end": 3}]}', "no field 'end'"),
        (b'{"spans": [7]}', "span 1 must be an object"),
        (b'{"started_at": "yesterday"}', "started_at"),
        (b'{"started_at": 1795422600}', "started_at"),
        (b'{"duration_s": -1}', "duration_s"),
        (b'{"duration_s": "12"}', "duration_s"),
        (b'{"direction": "sideways"}', "direction"),
        (b'{"direction": []}', "direction"),
        (b'{"direction": {}}', "direction"),
        (b'{"spans": [{"start_s": 1, "end_s": 2, "channel": []}]}', "left or right"),
        (b'{"spans": [{"start_s": 1, "end_s": 1' + b"0" * 400 + b"}]}", "0 or more"),
        (b'{"from": {"a": 1}}', "from must be a text"),
        (b'{"from": "a\\u0000b"}', "control characters"),
        (b'{"to": "\\ud800"}', "half a character"),
        (b"[" * 100_000, "torn"),
        (b'{"from": "' + b"x" * (1 << 20) + b'"}', "larger than 1 MiB"),
    ],
)
def test_a_side_car_that_cannot_be_read_holds_its_sound_back(
    tmp_path: Path, write_wav: WriteWav, text: bytes, says: str
) -> None:
    """What cannot be read may have been the spans that must not be heard."""
    write_wav(tmp_path / "call.wav")
    (tmp_path / "call.json").write_bytes(text)
    entries, problems = _read(tmp_path)
    assert entries == []
    assert says in problems["call.json"].reason
    assert "call.json" in problems["call.wav"].reason
    assert {problem.result for problem in problems.values()} == {Result.SKIPPED}


def test_every_documented_field_and_no_other_is_known() -> None:
    """The names are the contract of the issue."""
    assert set(FIELDS) == {
        "datasource", "voicelocation", "voicefilename", "recording", "started_at", "duration_s",
        "direction", "from", "to", "caller_name", "extension", "channel", "agent_channel", "spans",
    }  # fmt: skip
    with pytest.raises(BadInput, match="known are"):
        read_sidecar(b'{"zzz": 1}', FolderOptions().timezone)


def test_callers_names_and_the_agents_channel_come_in(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar
) -> None:
    """And a channel that there is not is refused by its name."""
    write_wav(tmp_path / "a.wav")
    write_sidecar(tmp_path / "a.json", caller_name="Northern Pipes", agent_channel="right")
    ((entry,), problems) = _read(tmp_path)
    assert problems == {}
    assert (entry.caller_name, entry.agent_channel) == ("Northern Pipes", Party.RIGHT)
    with pytest.raises(BadInput, match="agent_channel must be left or right"):
        read_sidecar(b'{"agent_channel": "middle"}', FolderOptions().timezone)


@pytest.mark.parametrize("shared", ["leg1.wav", "conversation-7"])
def test_calls_with_the_same_recording_share_it_and_all_spans(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar, shared: str
) -> None:
    """By the name of a file or by any key; each brings the spans of both, so that no leg is
    visible before it is masked.
    """
    write_wav(tmp_path / "leg1.wav")
    write_sidecar(
        tmp_path / "leg1.json",
        recording=shared,
        voicefilename="V1",
        spans=[{"start_s": 1, "end_s": 2}],
    )
    write_sidecar(
        tmp_path / "leg2.json",
        recording=shared,
        voicefilename="V2",
        spans=[{"start_s": 3, "end_s": 4}],
    )
    (first, second), problems = _read(tmp_path)
    assert problems == {}
    assert first.audio == second.audio
    assert (first.voicefilename, second.voicefilename) == ("V1", "V2")
    assert second.shared == SharedRecording(None, "V1")
    assert first.spans == second.spans == (Span(1.0, 2.0), Span(3.0, 4.0))
    assert first.source_key != second.source_key


def test_a_second_file_of_a_shared_recording_must_hold_the_same_sound(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar
) -> None:
    """The intake compares them; here both files are named."""
    for leg in ("leg1", "leg2"):
        write_wav(tmp_path / f"{leg}.wav")
        write_sidecar(tmp_path / f"{leg}.json", recording="key")
    (first, second), _ = _read(tmp_path)
    assert first.second_copy is None
    assert second.second_copy is not None
    assert second.second_copy.name == "leg2.wav"


def test_the_same_names_share_as_well(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar
) -> None:
    """Two side-cars of one (datasource, voicelocation, voicefilename) speak of one recording."""
    for leg in ("a", "b"):
        write_wav(tmp_path / f"{leg}.wav")
        write_sidecar(tmp_path / f"{leg}.json", voicefilename="V", from_=f"0163296011{leg}"[:10])
    (first, second), _ = _read(tmp_path)
    assert first.audio == second.audio
    assert second.second_copy is not None


def test_a_side_car_waits_for_its_sound(tmp_path: Path, write_sidecar: WriteSidecar) -> None:
    """With and without a recording that it shares."""
    write_sidecar(tmp_path / "one.json", from_="01632960111")
    write_sidecar(tmp_path / "two.json", recording="one.wav")
    entries, problems = _read(tmp_path)
    assert entries == []
    assert {problem.result for problem in problems.values()} == {Result.WAITING}
    assert "one.wav" in problems["two.json"].reason


@pytest.mark.parametrize(
    "torn",
    [
        b'{"recording": "leg1.wav", "spans": [{"sta',
        b'{"recording": "leg1.wav", "span": []}',
        b'{"recording": "key", "spans": [{"sta',
    ],
)
def test_an_unreadable_side_car_of_one_leg_holds_back_the_shared_recording(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar, torn: bytes
) -> None:
    """Its spans are not known, and they bind to the recording, not to the leg."""
    write_wav(tmp_path / "leg1.wav")
    write_sidecar(tmp_path / "leg1.json", recording="key")
    (tmp_path / "leg2.json").write_bytes(torn)
    entries, problems = _read(tmp_path)
    assert entries == []
    assert "leg2.json" in problems["leg1.wav"].reason


def test_a_side_car_spelt_as_its_sound_goes_before_one_in_another_case(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar
) -> None:
    """Two calls whose names differ in case only have each their own."""
    for name in ("call", "CALL"):
        write_wav(tmp_path / f"{name}.wav")
        write_sidecar(tmp_path / f"{name}.json", voicefilename=name)
    entries, problems = _read(tmp_path)
    assert problems == {}
    assert {(entry.voicefilename, entry.audio and entry.audio.name) for entry in entries} == {
        ("call", "call.wav"),
        ("CALL", "CALL.wav"),
    }


def test_two_side_cars_for_one_file_are_one_too_many(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar
) -> None:
    """Which of them holds the spans is not known."""
    write_wav(tmp_path / "call.wav")
    write_sidecar(tmp_path / "call.json")
    write_sidecar(tmp_path / "call.wav.json")
    entries, problems = _read(tmp_path)
    assert entries == []
    assert "two side-cars" in problems["call.wav"].reason


def test_side_cars_that_name_each_other_end(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar
) -> None:
    """A circle is one recording."""
    for one, other in (("a", "b"), ("b", "a")):
        write_wav(tmp_path / f"{one}.wav")
        write_sidecar(tmp_path / f"{one}.json", recording=f"{other}.wav")
    (first, second), problems = _read(tmp_path)
    assert problems == {}
    assert first.audio == second.audio


def test_a_recording_of_another_datasource_is_not_shared(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar
) -> None:
    """A side-car cannot reach into another tenant's sound by a file name (T47)."""
    write_wav(tmp_path / "leg1.wav")
    write_sidecar(tmp_path / "leg1.json", datasource="1", voicefilename="V")
    write_sidecar(tmp_path / "leg2.json", datasource="2", recording="leg1.wav")
    entries, problems = _read(tmp_path)
    assert [entry.origin for entry in entries] == ["leg1.wav"]
    assert "another datasource" in problems["leg2.json"].reason


def test_links_and_strangers_are_listed_and_hidden_files_are_not(
    tmp_path: Path, write_wav: WriteWav
) -> None:
    """A link is never followed, to a file or to a folder."""
    outside = write_wav(tmp_path / "outside" / "secret.wav")
    root = tmp_path / "root"
    write_wav(root / "call.wav")
    (root / "link.wav").symlink_to(outside)
    (root / "linked").symlink_to(outside.parent)
    (root / "notes.txt").write_text("x")
    (root / ".call.wav.Xy12").write_text("partial")
    write_wav(root / ".hidden" / "x.wav")
    entries, problems = _read(root)
    assert [entry.origin for entry in entries] == ["call.wav"]
    assert sorted(problems) == ["link.wav", "linked", "notes.txt"]


def test_sound_waits_for_its_side_car_where_one_is_required(
    tmp_path: Path, write_wav: WriteWav
) -> None:
    """Spans that come later would come too late."""
    write_wav(tmp_path / "call.wav")
    entries, problems = _read(tmp_path, FolderOptions(require_sidecar=True))
    assert entries == []
    assert problems["call.wav"].result is Result.WAITING


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the operating system's reason."""
    with pytest.raises(BadInput, match="nowhere"):
        list(read_folder(tmp_path / "nowhere", FolderOptions()))


def test_every_kind_of_sound_that_can_be_played_is_picked_up() -> None:
    """What the probe knows by its extension is a file of sound to the importers."""
    raw = {f"x.{extension}" for extension in (*sniff._RAW_LAWS, *sniff._RAW_RATES_HZ)}
    others = {"x.wav", "x.WAV", "x.flac", "x.mp3", "x.ogg", "x.opus", "x.gsm", "x.g722"}
    assert [name for name in sorted(raw | others) if not is_audio_name(name)] == []


@pytest.mark.parametrize("escaped", [True, False])
@pytest.mark.parametrize("torn", [0, 4])
def test_a_broken_side_car_holds_back_the_sound_that_it_names_in_any_spelling(
    tmp_path: Path, write_wav: WriteWav, escaped: bool, torn: int
) -> None:
    """Most programs escape what is not ASCII; the spans of that sound are not known."""
    name = "h\u00f6rer \U0001f4de.wav"
    write_wav(tmp_path / "a" / name)
    said = {"recording": f"a/{name}", "spans": [{"start_s": 2, "end_s": 1}]}
    text = json.dumps(said, ensure_ascii=escaped)
    if escaped:
        text = text.replace("/", "\\/")
    (tmp_path / "leg.json").write_text(text[: len(text) - torn], encoding="utf-8")
    entries, problems = _read(tmp_path)
    assert entries == []
    assert "leg.json" in problems[f"a/{name}"].reason


def test_a_folder_of_any_depth_is_read(tmp_path: Path, write_wav: WriteWav) -> None:
    """Deeper than Python calls go."""
    write_wav(tmp_path / "call.wav")
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("a", dir_fd=here)
        deeper = os.open("a", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    entries, _ = _read(tmp_path)
    assert len(entries) == 1
    # Python's own tools for trees are not that deep.
    subprocess.run(["rm", "-rf", str(tmp_path / "a")], check=True)


def test_a_folder_that_goes_away_during_the_walk_costs_itself_only(
    tmp_path: Path, write_wav: WriteWav, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits, since it may come back; what lies beside it comes in."""
    write_wav(tmp_path / "a" / "one.wav", seed=1)
    write_wav(tmp_path / "b" / "two.wav", seed=2)
    look = os.scandir

    def gone(path: Path) -> object:
        if Path(path).name == "a":
            raise FileNotFoundError(2, "No such file or directory")
        return look(path)

    monkeypatch.setattr(os, "scandir", gone)
    entries, problems = _read(tmp_path)
    assert [entry.audio and entry.audio.name for entry in entries] == ["b/two.wav"]
    assert problems["a"].result is Result.WAITING
