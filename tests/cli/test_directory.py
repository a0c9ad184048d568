"""Commands for sites and what they hold, over a real data folder."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callreel.bootstrap import open_base
from callreel.cli.main import main
from callreel.db import audit
from callreel.settings import load_settings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder that was set up."""
    data = tmp_path / "data"
    assert run(data, "init").exit_code == 0
    return data


def run(folder: Path, *arguments: str) -> Result:
    """One command."""
    return CliRunner().invoke(main, [*arguments, "--data", str(folder)])


def done(folder: Path, *arguments: str) -> str:
    """One command that must succeed; what it told."""
    result = run(folder, *arguments)
    assert result.exit_code == 0, result.output
    return result.output


def test_a_site_is_made_and_filled_before_its_first_call(folder: Path) -> None:
    """Each command does one thing and leaves an audit row of `command`."""
    assert done(folder, "site", "add", "leeds", "--name", "Leeds").startswith("leeds\tLeeds\t")
    done(folder, "site", "set", "Leeds", "--timezone", "Europe/London", "--pad", "1")
    assert done(folder, "site", "list").endswith("kept for ever\tEurope/London\n")
    done(folder, "datasource", "set", "pbx1", "Leeds")
    assert done(folder, "datasource", "list") == "pbx1\tsite leeds\n"
    done(folder, "group", "add", "Leeds", "Sales")
    done(folder, "group", "rename", "Leeds", "Sales", "Desk")
    done(folder, "group", "add", "Leeds", "Spare")
    done(folder, "extension", "set", "Leeds", "2104", "--name", "Ann Example", "--group", "Desk")
    done(folder, "extension", "set", "Leeds", "2105")
    done(folder, "extension", "set", "Leeds", "2105", "--name", "Bob Example")
    told = done(folder, "extension", "list", "--site", "Leeds")
    assert told == "leeds\t2104\tAnn Example\tDesk\nleeds\t2105\tBob Example\tno group\n"
    assert done(folder, "extension", "list", "--find", "bob").count("\n") == 1
    assert done(folder, "extension", "list", "--site", "leeds", "--group", "Desk").count("\n") == 1
    listed = [line.split("\t")[:2] for line in done(folder, "group", "list").splitlines()]
    assert listed == [["leeds/Desk", "1 users"], ["leeds/Spare", "0 users"]]
    done(folder, "extension", "set", "Leeds", "2104", "--group", "")
    done(folder, "group", "remove", "Leeds", "Desk")
    done(folder, "extension", "remove", "Leeds", "2105")
    done(folder, "channel", "add", "Leeds", "PJSIP/line1")
    assert done(folder, "channel", "list", "--find", "LINE1") == "leeds\tPJSIP/line1\n"
    done(folder, "channel", "remove", "Leeds", "PJSIP/line1")
    base = open_base(load_settings(folder, {}))
    with base.db.read() as conn:
        rows = audit.entries(conn)[1:]
    base.close()
    assert {row.actor for row in rows} == {"command"}
    assert [row.action for row in rows] == [
        *("site.add", "site.set", "datasource.add", "group.add", "group.rename", "group.add"),
        *("extension.add", "extension.add", "extension.set", "extension.set"),
        *("group.remove", "extension.remove", "channel.add", "channel.remove"),
    ]


def test_new_recordings_of_a_voicelocation_go_to_its_store(folder: Path, tmp_path: Path) -> None:
    """What was stored before stays where it is."""
    (tmp_path / "in").mkdir()
    (tmp_path / "disk").mkdir()
    assert "2\tfile://" in done(folder, "store", "add", "2", str(tmp_path / "disk"))
    assert [line.split("\t")[2] for line in done(folder, "store", "list").splitlines()] == [
        "ours",
        "ours",
    ]

    def bring_in(name: str, level: int) -> None:
        path = tmp_path / "in" / name
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8000)
            file.writeframes(bytes([level, 1]) * 8000)
        os.utime(path, (1_790_000_000, 1_790_000_000))
        done(folder, "import", "folder", str(tmp_path / "in"))

    bring_in("a.wav", 1)
    listed = done(folder, "voicelocation", "set", "1", "--store", "2")
    assert listed == "1\tour own Echo\tstore 2\n"
    bring_in("b.wav", 2)
    held = [len(list(place.glob("??/??/*"))) for place in (folder / "store", tmp_path / "disk")]
    assert held == [1, 1]
    done(folder, "voicelocation", "add", "9", "--echo-url", "https://echo9.example")
    done(folder, "voicelocation", "set", "9", "--echo-url", "")
    assert done(folder, "voicelocation", "list").splitlines()[1] == "9\tour own Echo\tstore 1"


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["site", "add", "a\nb"], 2, "site id"),
        (["site", "set", "leeds", "--timezone", "Mars"], 2, "time zone"),
        (["group", "add", "nowhere", "Sales"], 5, "nowhere"),
        (["group", "rename", "leeds", "None", "Desk"], 5, "None"),
        (["group", "remove", "leeds", "None"], 5, "None"),
        (["extension", "set", "leeds", "1", "--group", "None"], 5, "None"),
        (["extension", "list", "--group", "Desk"], 2, "--site"),
        (["extension", "remove", "leeds", "1"], 5, "'1'"),
        (["channel", "remove", "leeds", "T1"], 5, "T1"),
        (["datasource", "set", "x", "nowhere"], 5, "nowhere"),
        (["store", "add", "2", "/nowhere/at/all"], 2, "no folder here"),
        (["voicelocation", "set", "8", "--store", "1"], 5, "'8'"),
        (["voicelocation", "add", "8", "--echo-url", "ftp://x"], 2, "not an address"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    folder: Path, arguments: list[str], code: int, told: str
) -> None:
    """With the documented exit code."""
    done(folder, "site", "add", "leeds")
    result = run(folder, *arguments)
    assert (result.exit_code, told in result.output) == (code, True), result.output
    assert "Traceback" not in result.output
