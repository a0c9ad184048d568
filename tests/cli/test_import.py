"""What an administrator reads after an import."""

from __future__ import annotations

import json
import os
import wave
from pathlib import Path

from click.testing import CliRunner
from sqlalchemy import create_engine, text

from callreel.cli.main import main


def test_a_repaired_recording_says_so(tmp_path: Path) -> None:
    """A dead recorder left a data size of 0: it plays, and the import and its report tell."""
    path = tmp_path / "in" / "dead.wav"
    path.parent.mkdir()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    whole = path.read_bytes()
    path.write_bytes(whole[:40] + bytes(4) + whole[44:])
    os.utime(path, (1_790_000_000, 1_790_000_000))
    data, report = str(tmp_path / "data"), tmp_path / "report.jsonl"
    assert CliRunner().invoke(main, ["init", "--data", data]).exit_code == 0
    arguments = ["import", "folder", str(path.parent), "--data", data, "--report", str(report)]
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, done.stdout) == (
        0,
        "new 1, changed 0, already there 0, waiting 0, skipped 0\n",
    )
    assert done.stderr.startswith("repaired: dead.wav: ")
    (line,) = report.read_text().splitlines()
    assert json.loads(line)["repaired"] in done.stderr.replace("\n", " ")
    again = CliRunner().invoke(main, arguments)
    assert "repaired" not in again.stderr


def test_a_data_folder_that_was_moved_still_finds_its_sound(tmp_path: Path) -> None:
    """The default store's address is relative to it: importing again finds everything there."""
    path = tmp_path / "in" / "call.wav"
    path.parent.mkdir()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    os.utime(path, (1_790_000_000, 1_790_000_000))
    first, second = tmp_path / "first", tmp_path / "second"
    CliRunner().invoke(main, ["init", "--data", str(first)])
    CliRunner().invoke(main, ["import", "folder", str(path.parent), "--data", str(first)])
    kept = sorted(each.name for each in (first / "store").rglob("*"))
    first.rename(second)
    again = ["import", "folder", str(path.parent), "--data", str(second)]
    done = CliRunner().invoke(main, again)
    assert done.stdout == "new 0, changed 0, already there 1, waiting 0, skipped 0\n"
    assert sorted(each.name for each in (second / "store").rglob("*")) == kept


def test_a_side_car_that_comes_after_its_sound_makes_no_second_call(tmp_path: Path) -> None:
    """A recorder that writes it a little later: the call is then told in full, once, and masked."""
    path = tmp_path / "in" / "call.wav"
    path.parent.mkdir()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000))
    data = tmp_path / "data"
    again = ["import", "folder", str(path.parent), "--data", str(data)]
    os.utime(path, (1_790_000_000, 1_790_000_000))
    CliRunner().invoke(main, ["init", "--data", str(data)])
    assert CliRunner().invoke(main, again).exit_code == 0
    said = {"from": "01632960111", "started_at": "2026-11-23T09:30:00Z"}
    said |= {"spans": [{"start_s": 0.1, "end_s": 0.2}]}
    (path.parent / "call.json").write_text(json.dumps(said))
    for _ in range(2):
        assert CliRunner().invoke(main, again).exit_code == 0
        with create_engine(f"sqlite:///{data / 'callreel.db'}").connect() as conn:
            calls = conn.execute(text("SELECT from_number FROM calls")).scalars().all()
            spans = conn.execute(text("SELECT count(*) FROM spans")).scalar_one()
        assert (calls, spans) == (["01632960111"], 1)
