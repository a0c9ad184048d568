"""The command that exports recordings, over a real data folder."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callreel.cli.export import NOT_EXPORTED
from callreel.cli.main import main
from tests.flows.test_key_presses import with_keys


def run(*arguments: str) -> Result:
    """One command."""
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An installation with three recordings of two feeds, the last one cut short in its header."""
    data = tmp_path / "data"
    assert run("init", "--data", str(data)).exit_code == 0
    for feed, name in (("one", "a"), ("two", "b"), ("two", "broken")):
        folder = tmp_path / feed / name
        folder.mkdir(parents=True)
        with_keys(folder / f"{name}.wav", 5.0, noise=ord(name[0]))
        if name == "broken":
            (folder / "broken.wav").write_bytes(b"RIFF")
        os.utime(folder / f"{name}.wav", (1_790_000_000, 1_790_000_000))
    for feed in ("one", "two"):
        done = run(
            *("import", "folder", str(tmp_path / feed)),
            *("--datasource", feed, "--data", str(data)),
        )
        assert done.exit_code == 0, done.output
    return data


def test_all_that_is_found_is_exported_and_can_be_checked(data: Path, tmp_path: Path) -> None:
    """What cannot be played is named, with the exit code of something missing."""
    out = tmp_path / "out"
    wanted = ("export", "--everything", "--no-proof", "-o", str(out), "--data", str(data))
    done = run(*wanted)
    assert done.exit_code == NOT_EXPORTED
    assert "NOT exported: unplayable:" in done.stderr
    assert "1 not exported" in done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    for line in lines:
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    assert sorted((out / "SHA256SUMS").read_text().splitlines()) == sorted(lines)
    items = [json.loads(line) for line in (out / "manifest.jsonl").read_text().splitlines()]
    assert sorted(item["error"] is None for item in items) == [False, True, True]
    assert out.stat().st_mode & 0o077 == 0
    assert run(*wanted).stdout == done.stdout


def test_a_filter_and_a_form_are_chosen(data: Path, tmp_path: Path) -> None:
    """As in the list of calls."""
    out = tmp_path / "out"
    done = run(
        *("export", "--datasource", "one", "-f", "mp3", "--channel", "left"),
        *("-o", str(out), "--data", str(data)),
    )
    assert done.exit_code == 0, done.stderr
    assert done.stdout.endswith(".mp3\n")
    (proof,) = out.glob("proof-*.json")
    assert json.loads(proof.read_text())["verdict"] == "masked"


def test_a_dry_run_tells_how_much_it_would_be(data: Path, tmp_path: Path) -> None:
    """And writes nothing."""
    out = tmp_path / "out"
    given = ("export", "--everything", "--dry-run", "-o", str(out), "--data", str(data))
    size = 2 * (44 + 30 * 8000 * 4)
    assert run(*given).stdout == f"3 recordings, {size} bytes; 1 are not served now\n"
    assert "2 whose size is known once they are made" in run(*given, "-f", "flac").stdout
    assert not out.exists()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), "--everything"),
        (("--everything", "r1"), "--everything"),
        (("--since", "yesterday"), "since"),
        (("--dir", "sideways"), "dir"),
        (("../x",), "not the id"),
    ],
)
def test_what_is_wrong_is_named(
    data: Path, tmp_path: Path, given: tuple[str, ...], told: str
) -> None:
    """Nothing is exported by mistake."""
    done = run("export", *given, "-o", str(tmp_path / "out"), "--data", str(data))
    assert done.exit_code in {2, 5}
    assert told in done.stderr


def test_a_folder_that_cannot_be_written_is_named(data: Path, tmp_path: Path) -> None:
    """The export can be run again."""
    (tmp_path / "out").write_text("a file")
    done = run("export", "--everything", "-o", str(tmp_path / "out" / "x"), "--data", str(data))
    assert done.exit_code == 3
    assert "run it again" in done.stderr
