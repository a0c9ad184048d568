"""The command that searches recordings for pressed keys, over a real data folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from callreel.cli.key_presses import NOT_SEARCHED
from callreel.cli.main import main
from tests.flows.test_key_presses import with_keys


def run(*arguments: str) -> Result:
    """One command."""
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An installation whose feed ``calls`` masks keys at once, with one recording that has some."""
    incoming, data = tmp_path / "in", tmp_path / "data"
    assert run("init", "--data", str(data)).exit_code == 0
    for name, places in (("first", (5.0,)), ("second", (5.0, 12.0))):
        folder = incoming / name
        folder.mkdir(parents=True)
        with_keys(folder / f"{name}.wav", *places)
        os.utime(folder / f"{name}.wav", (1_790_000_000, 1_790_000_000))
    into = ("--datasource", "calls", "--data", str(data))
    assert run("import", "folder", str(incoming / "first"), *into).exit_code == 0
    changed = run("site", "set", "calls", "--key-presses", "apply", "--data", str(data))
    assert changed.exit_code == 0, changed.output
    assert "keys apply" in run("site", "list", "--data", str(data)).stdout
    assert run("import", "folder", str(incoming / "second"), *into).exit_code == 0
    return data


def test_what_waits_is_searched(data: Path) -> None:
    """The first came before its site wanted keys masked, the second after."""
    done = run("mask", "find-keys", "--due", "--data", str(data))
    assert done.exit_code == 0, done.output
    told = sorted(line.partition(": ")[2] for line in done.stdout.splitlines())
    assert told == ["keys were heard; masked: 2", "keys were heard; proposed: 1"]
    assert run("mask", "find-keys", "--due", "--data", str(data)).stdout == ""


def test_a_recording_is_searched_again_when_asked(data: Path) -> None:
    """As its site wants it now."""
    run("mask", "find-keys", "--due", "--data", str(data))
    with create_engine(f"sqlite:///{data / 'callreel.db'}").connect() as conn:
        query = "SELECT recording_id FROM spans WHERE state = 'proposed'"
        recording = conn.execute(text(query)).scalar_one()
    done = run("mask", "find-keys", recording, "r1", "--data", str(data))
    assert done.exit_code == NOT_SEARCHED
    assert done.stdout == f"{recording}: keys were heard; masked: 1\n"
    assert done.stderr == "r1: NOT searched: There is no such recording.\n"
    shown = run("mask", "show", recording, "--data", str(data)).stdout
    assert "keys were pressed" in shown
    assert ("active" in shown, "proposed" in shown) == (True, False)


def test_it_wants_to_know_what_to_search() -> None:
    """Nothing is searched by mistake."""
    refused = run("mask", "find-keys", "--data", "nowhere")
    assert refused.exit_code == 2
    assert "--due" in refused.stderr
