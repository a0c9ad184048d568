"""Exports: masked, whole, with proofs; killed and begun again; never what is masked by now."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from callreel.audio import encoders
from callreel.db import audit, calls
from callreel.db.call_filter import CallFilter
from callreel.errors import Conflict, NotFound, Unavailable
from callreel.flows.export import ExportOrder
from callreel.flows.manifest import NAME, SUMS, TABLE, Item, Manifest
from callreel.model import AudioSpec, RecordingId, Role, Span
from tests.flows.house import START, House, samples

PLAIN = ExportOrder(AudioSpec("wav"), with_proof=False, actor="test")


def export(
    house: House,
    folder: Path,
    recordings: Sequence[str],
    order: ExportOrder = PLAIN,
    *,
    finish: bool = True,
) -> list[Item]:
    """One run over recordings."""
    folder.mkdir(exist_ok=True)
    with Manifest(folder) as manifest:
        items = [
            house.exporter.export(RecordingId(each), order, folder, manifest) for each in recordings
        ]
        if finish:
            manifest.finish()
    return items


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture
def pair(house: House) -> list[str]:
    """Two recordings, the first of two calls and masked."""
    first = house.take("a", extension="2104", start_s=0, recording="A")
    house.take("b", extension="2105", start_s=4, recording="A")
    second = house.take("c", extension="=1+1", start_s=60, recording="B")
    ann = house.user("ann", Role.SUPERVISOR)
    house.masking.add(ann, RecordingId(first), Span(1.0, 2.0), "card", address=None)
    return [first, second]


def test_what_is_exported_is_what_is_served(house: House, pair: list[str], tmp_path: Path) -> None:
    """And the manifest tells what it is: calls, hash, length, what is masked."""
    out = tmp_path / "out"
    items = export(house, out, pair)
    for name, item in zip("AB", items, strict=True):
        source = samples((house.folder / f"{name}.wav").read_bytes())
        heard = samples((out / str(item["file"])).read_bytes())
        differs = (heard != source).any(axis=1)
        assert not differs[:8000].any()
        assert not differs[16000:].any()
        assert (differs[8000:16000].mean() > 0.9) == (name == "A")
    first = items[0]
    assert [call["from"] for call in first["calls"]] == ["01632960001"] * 2  # type: ignore[attr-defined]
    assert first["masked_spans"] == [{"start_s": 1.0, "end_s": 2.0, "channel": None}]
    assert (first["mask_revision"], first["duration_s"], first["error"]) == (2, 10.0, None)
    lines = [json.loads(line) for line in (out / NAME).read_text().splitlines()]
    assert lines == items
    sums = dict(reversed(line.split("  ")) for line in (out / SUMS).read_text().splitlines())
    assert sums == {item["file"]: item["sha256"] for item in items}
    assert house.actions(pair[0]).count(("recording.export", "allowed")) == 1


def test_a_table_holds_no_formula(house: House, pair: list[str], tmp_path: Path) -> None:
    """A cell that begins like one is text (threats.md, CSV injection)."""
    out = tmp_path / "out"
    items = export(house, out, pair)
    broken = export(house, out, ["r-unknown"])[0]
    assert "not_found" in str(broken["error"])
    with (out / TABLE).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["recording_id"]: row["sha256"] for row in rows if row["file"]} == {
        item["recording_id"]: item["sha256"] for item in items
    }
    assert all(not cell.startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    with Manifest(out) as manifest:
        manifest.add({**items[0], "recording_id": "=1+1", "started_at": ""})
        manifest.finish()
    assert "'=1+1" in (out / TABLE).read_text()


def test_a_second_run_writes_nothing_and_gives_the_same(
    house: House, pair: list[str], tmp_path: Path
) -> None:
    """To the byte; and no audit row, as nothing left."""
    out = tmp_path / "out"
    export(house, out, pair)
    before = contents(out)
    house.now += 86_400_000  # type: ignore[assignment]
    export(house, out, list(reversed(pair)))
    assert contents(out) == before
    assert house.actions(pair[0]).count(("recording.export", "allowed")) == 1


@pytest.mark.parametrize("hurt", ["gone", "changed", "journal cut", "journal torn"])
def test_what_is_missing_or_damaged_is_written_again(
    house: House, pair: list[str], tmp_path: Path, hurt: str
) -> None:
    """A run that was killed, a disk that lost something."""
    out, wanted = tmp_path / "out", tmp_path / "wanted"
    export(house, wanted, pair)
    items = export(house, out, pair, finish=hurt in {"gone", "changed"})
    file = out / str(items[0]["file"])
    journal = (out / NAME).read_bytes()
    if hurt == "gone":
        file.unlink()
    elif hurt == "changed":
        file.write_bytes(file.read_bytes()[:-1] + b"!")
    elif hurt == "journal cut":
        (out / NAME).write_bytes(journal[:-20])
    else:
        (out / NAME).write_bytes(b"{" + journal)
    export(house, out, pair)
    assert contents(out) == contents(wanted)


def test_a_mask_that_came_since_replaces_what_was_exported(
    house: House, pair: list[str], tmp_path: Path
) -> None:
    """The file of before holds what is masked now, and goes."""
    out = tmp_path / "out"
    (before,) = export(house, out, pair[:1])
    ann = house.user("bea", Role.SUPERVISOR)
    house.masking.add(ann, RecordingId(pair[0]), Span(5.0, 6.0), "name", address=None)
    (after,) = export(house, out, pair[:1])
    assert after["sha256"] != before["sha256"]
    heard = samples((out / str(after["file"])).read_bytes())
    source = samples((house.folder / "A.wav").read_bytes())
    assert (heard[40000:48000] != source[40000:48000]).mean() > 0.9


def test_a_mask_that_comes_while_it_is_written_is_in_it(
    house: House, pair: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file joins two masks, and none keeps the old one."""
    ann = house.user("bea", Role.SUPERVISOR)
    encode = encoders.wav.WavSegments.segment

    def meanwhile(self: encoders.wav.WavSegments, index: int) -> object:
        if index == 7:
            monkeypatch.undo()
            house.masking.add(ann, RecordingId(pair[0]), Span(5.0, 6.0), "name", address=None)
        return encode(self, index)

    monkeypatch.setattr(encoders.wav.WavSegments, "segment", meanwhile)
    (item,) = export(house, tmp_path / "out", pair[:1])
    assert item["mask_revision"] == 3
    heard = samples((tmp_path / "out" / str(item["file"])).read_bytes())
    source = samples((house.folder / "A.wav").read_bytes())
    assert (heard[40000:48000] != source[40000:48000]).mean() > 0.9


def test_what_may_not_be_served_is_not_exported(
    house: House, pair: list[str], tmp_path: Path
) -> None:
    """The item says why; a file of before is gone, and the others come all the same."""
    out = tmp_path / "out"
    export(house, out, pair)
    with house.db.write() as conn:
        calls.delete_recording(conn, RecordingId(pair[0]), START)
    items = export(house, out, pair)
    assert "deleted" in str(items[0]["error"])
    assert [path.name for path in out.glob("call-*")] == [items[1]["file"]]
    assert house.exporter.size(map(RecordingId, pair), PLAIN.spec).refused == 1


def test_a_proof_goes_with_each(house: House, pair: list[str], tmp_path: Path) -> None:
    """It names the same mask; where it does not prove, nothing is exported."""
    out = tmp_path / "out"
    order = ExportOrder(AudioSpec("mp3"), with_proof=True, actor="test")
    (item,) = export(house, out, pair[:1], order)
    proof = json.loads((out / str(item["proof"])).read_text())
    assert proof["verdict"] == "masked"
    assert proof["recording"]["mask_revision"] == item["mask_revision"]
    served = {(o["format"], o["channel"]): o["sha256"] for o in proof["outputs"]}
    assert served["mp3", "both"] == item["sha256"]
    assert (out / f"proof-{pair[0]}.html").exists()


def test_what_is_not_proven_stays_here(
    house: House, pair: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what an earlier run wrote goes."""
    out = tmp_path / "out"
    export(house, out, pair[:1])
    monkeypatch.setattr("callreel.flows.prove._verdict", lambda *_: "NOT PROVEN", raising=False)
    prove = house.prover.prove

    def doubtful(*args: object, **more: object) -> object:
        proof = prove(*args, **more)  # type: ignore[arg-type]
        return type(proof)(proof.document, proven=False)

    monkeypatch.setattr(house.prover, "prove", doubtful)
    order = ExportOrder(AudioSpec("wav"), with_proof=True, actor="test")
    (item,) = export(house, out, pair[:1], order)
    assert "proven" in str(item["error"])
    assert list(out.glob("call-*")) == []


def test_nothing_leaves_that_could_not_be_written_down(
    house: House, pair: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the audit log is away, so is the sound; and the export ends, to be run again."""

    def away(*_: object) -> None:
        raise Unavailable("The database is away.")

    monkeypatch.setattr(audit, "append", away)
    monkeypatch.setattr(house.db, "is_writable", lambda: False)
    with pytest.raises(Unavailable, match="run it again"):
        export(house, tmp_path / "out", pair)
    assert list((tmp_path / "out").glob("call-*")) == []


def test_two_exports_do_not_share_a_folder(tmp_path: Path) -> None:
    """At one time."""
    with Manifest(tmp_path), pytest.raises(Conflict, match="Another export"):
        Manifest(tmp_path)
    with Manifest(tmp_path):
        pass


@pytest.mark.parametrize("name", ["../x", "a/b", "", "*", "x" * 200])
def test_what_is_no_id_names_no_file(house: House, tmp_path: Path, name: str) -> None:
    """It would be part of a path."""
    with pytest.raises(NotFound):
        export(house, tmp_path / "out", [name])


def test_a_filter_finds_each_recording_once(house: House, pair: list[str]) -> None:
    """Although calls share it; newest first."""
    found = list(house.exporter.recordings_of(CallFilter()))
    assert found == [pair[1], pair[0]]
    assert list(house.exporter.recordings_of(CallFilter(mask=True))) == [pair[0]]
    size = house.exporter.size(iter(found), PLAIN.spec)
    assert (size.recordings, size.bytes, size.unknown) == (2, 2 * (44 + 320_000), 0)
    assert house.exporter.size(iter(found), AudioSpec("flac")).unknown == 2


def test_an_altered_or_missing_proof_is_made_again(house: House, tmp_path: Path) -> None:
    """Its hashes are in the manifest and in the sums, as those of the sound are."""
    recording = house.take("a", extension="2104", start_s=0, recording="A")
    order = ExportOrder(AudioSpec("wav"), with_proof=True, actor="test")
    folder = tmp_path / "out"
    (item,) = export(house, folder, [recording], order)
    proof = folder / str(item["proof"])
    sums = (folder / SUMS).read_text()
    for name in (proof, proof.with_suffix(".html")):
        assert f"{hashlib.sha256(name.read_bytes()).hexdigest()}  {name.name}" in sums
    proof.write_text('{"forged": true}')
    proof.with_suffix(".html").unlink()
    export(house, folder, [recording], order)
    assert "forged" not in proof.read_text()
    assert proof.with_suffix(".html").exists()


def test_a_call_that_came_since_is_told(house: House, tmp_path: Path) -> None:
    """The sound is as it was; what is told of it is of now."""
    recording = house.take("b", extension="2105", start_s=4, recording="A")
    folder = tmp_path / "out"
    (before,) = export(house, folder, [recording])
    house.take("a", extension="2104", start_s=0, recording="A")
    (after,) = export(house, folder, [recording])
    assert isinstance(before["calls"], list)
    assert isinstance(after["calls"], list)
    assert (len(before["calls"]), len(after["calls"])) == (1, 2)
    assert str(after["started_at"]) < str(before["started_at"])
    assert json.loads((folder / NAME).read_text())["calls"] == after["calls"]


def test_nothing_of_others_is_followed_or_readable(house: House, tmp_path: Path) -> None:
    """A link in a folder that others write to is removed or refused, and files are ours alone."""
    recording = house.take("a", extension="2104", start_s=0, recording="A")
    folder, victim = tmp_path / "out", tmp_path / "victim"
    folder.mkdir(mode=0o755)
    victim.write_text("precious")
    (folder / f"call-{recording}.part").symlink_to(victim)
    export(house, folder, [recording])
    assert victim.read_text() == "precious"
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    (folder / NAME).unlink()
    (folder / NAME).symlink_to(victim)
    with pytest.raises(Conflict, match="is no file of an export"):
        Manifest(folder)
    assert victim.read_text() == "precious"


def test_lines_that_are_not_ours_are_as_if_not_there(house: House, tmp_path: Path) -> None:
    """A journal that somebody damaged does not stop the export."""
    recording = house.take("a", extension="2104", start_s=0, recording="A")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / NAME).write_text('{"recording_id": "x"}\n[1]\n\n{"recording_id": 5}\n')
    (item,) = export(house, folder, [recording])
    assert item["error"] is None
    assert len((folder / NAME).read_text().splitlines()) == 1


def test_what_a_killed_export_left_is_removed_at_once(house: House, tmp_path: Path) -> None:
    """The sound in it may be masked by now, and nobody may ask for that recording again."""
    recording = house.take("a", extension="2104", start_s=0, recording="A")
    folder = tmp_path / "out"
    folder.mkdir()
    left = folder / "call-rother.part"
    left.write_bytes(b"speech")
    export(house, folder, [recording])
    assert not left.exists()
