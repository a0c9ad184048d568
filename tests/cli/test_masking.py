"""Commands that prove masks, burn them in and hold recordings, over a real data folder."""

from __future__ import annotations

import json
import os
import wave
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from sqlalchemy import create_engine, text

from callreel.cli.main import main


def run(*arguments: str, typed: str = "") -> Result:
    """One command; what is typed goes to its standard input."""
    return CliRunner().invoke(main, arguments, input=typed)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An installation with one masked recording and two people who may hold it."""
    incoming = tmp_path / "in"
    incoming.mkdir()
    samples = np.random.default_rng(2).integers(-9000, 9000, (16_000, 2)).astype("<i2")
    with wave.open(str(incoming / "call.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    sidecar = {"voicefilename": "V1", "spans": [{"start_s": 0.5, "end_s": 1.0}]}
    (incoming / "call.json").write_text(json.dumps(sidecar))
    for path in incoming.iterdir():
        os.utime(path, (1_790_000_000, 1_790_000_000))
    data = tmp_path / "data"
    assert run("init", "--data", str(data)).exit_code == 0
    assert run("import", "folder", str(incoming), "--data", str(data)).exit_code == 0
    for name, role in (("ann", "compliance"), ("bob", "compliance"), ("sue", "supervisor")):
        added = run(
            *("user", "add", name, "--role", role, "--password-stdin", "--data", str(data)),
            typed=f"{name} has a long password\n",
        )
        assert added.exit_code == 0, added.output
    return data


def recording_of(folder: Path) -> str:
    """The id of the one recording."""
    with create_engine(f"sqlite:///{folder / 'callreel.db'}").connect() as conn:
        return str(conn.execute(text("SELECT id FROM recordings")).scalar_one())


def test_a_proof_is_written_and_checked(folder: Path, tmp_path: Path) -> None:
    """As JSON and as a page; a changed report is found out."""
    recording = recording_of(folder)
    done = run("prove", recording, "-o", str(tmp_path / "proofs"), "--data", str(folder))
    assert (done.exit_code, "masked wherever it is marked" in done.stdout) == (0, True)
    report = tmp_path / "proofs" / f"proof-{recording}.json"
    assert "Proof of masking" in report.with_suffix(".html").read_text()
    assert run("prove", "--check", str(report), "--data", str(folder)).exit_code == 0
    whole = report.read_text()
    report.write_text(whole.replace("{", '{"verdict": "masked by two auditors",', 1))
    doubled = run("prove", "--check", str(report), "--data", str(folder))
    assert (doubled.exit_code, "more than once" in doubled.stderr) == (2, True)
    report.write_text(whole.replace('"masked"', '"Masked"', 1))
    changed = run("prove", "--check", str(report), "--data", str(folder))
    assert changed.exit_code == 2
    assert changed.stderr == (
        "callreel: This report was changed, or another installation made it.\n"
    )
    report.write_text("{")
    assert "cannot be read" in run("prove", "--check", str(report), "--data", str(folder)).stderr
    unknown = run("prove", "r1", "--data", str(folder))
    assert (unknown.exit_code, unknown.stderr) == (5, "callreel: There is no such recording.\n")
    assert run("prove", "--data", str(folder)).exit_code == 2


def test_masks_are_burned_in_once(folder: Path) -> None:
    """Each recording with what became of it."""
    recording = recording_of(folder)
    assert run("burn-in", "--data", str(folder)).exit_code == 2
    first = run("burn-in", recording, "--data", str(folder))
    assert (first.exit_code, first.stdout) == (
        0,
        f"{recording}: its masks are burned in; renders of older masks go in a minute\n",
    )
    assert run("burn-in", "--due", "--data", str(folder)).exit_code == 0
    assert run("prove", recording, "-o", str(folder / "p"), "--data", str(folder)).exit_code == 0
    unknown = run("burn-in", "r1", "--data", str(folder))
    assert (unknown.exit_code, unknown.stderr) == (
        6,
        "r1: NOT burned in: There is no such recording.\n",
    )


def test_a_hold_needs_its_people(folder: Path) -> None:
    """Placed and released by compliance; burned in despite it only by two of them."""
    recording = recording_of(folder)
    hold = ("hold", "place", recording, "--reason", "a claim", "--password-stdin")
    data = ("--data", str(folder))
    refused = run(*hold, "--by", "ann", *data, typed="wrong\n")
    assert (refused.exit_code, refused.stderr) == (1, "callreel: The password of ann is wrong.\n")
    refused = run(*hold, "--by", "sue", *data, typed="sue has a long password\n")
    assert refused.stderr == "callreel: sue is neither compliance nor administrator.\n"
    placed = run(*hold, "--by", "ann", *data, typed="ann has a long password\n")
    assert (placed.exit_code, placed.stdout) == (0, "On hold: 1.\n")
    listed = run("hold", "list", *data).stdout
    assert (listed.startswith(recording), listed.endswith("\tann\ta claim\n")) == (True, True)
    stopped = run("burn-in", recording, *data)
    assert (stopped.exit_code, "legal hold" in stopped.stderr) == (6, True)
    despite = ("burn-in", recording, "--despite-hold", "--password-stdin", "--by", "ann")
    both = "ann has a long password\n" * 2
    assert run(*despite, *data).exit_code == 2
    assert "somebody else" in run(*despite, "--and-by", "ann", *data, typed=both).stderr
    half = "ann has a long password\nwrong\n"
    assert run(*despite, "--and-by", "bob", *data, typed=half).exit_code == 1
    both = "ann has a long password\nbob has a long password\n"
    burned = run(*despite, "--and-by", "bob", *data, typed=both)
    assert (burned.exit_code, "burned in" in burned.stdout) == (0, True)
    release = ("hold", "release", recording, "--reason", "over", "--password-stdin")
    released = run(*release, "--by", "bob", *data, typed="bob has a long password\n")
    assert released.stdout == "Released: 1.\n"
    assert run("hold", "list", *data).stdout == ""
    assert "released by bob" in run("hold", "list", "--all", *data).stdout


def test_damaged_masks_are_looked_at_and_answered_for(folder: Path) -> None:
    """Refused until somebody with a name takes the responsibility."""
    recording = recording_of(folder)
    data = ("--data", str(folder))
    whole = run("mask", "show", recording, *data).stdout
    assert "0.5 s to 1.0 s\tboth\timport" in whole
    assert whole.endswith("The rows fit their seal.\n")
    with create_engine(f"sqlite:///{folder / 'callreel.db'}").begin() as conn:
        conn.execute(text("UPDATE spans SET end_s = 0.6"))
    assert "do NOT fit" in run("mask", "show", recording, *data).stdout
    refused = run("prove", recording, *data)
    assert (refused.exit_code, "administrator must look" in refused.stderr) == (3, True)
    reseal = ("mask", "reseal", recording, "--reason", "a test", "--password-stdin", *data)
    assert run(*reseal, "--by", "sue", typed="sue has a long password\n").exit_code == 1
    done = run(*reseal, "--by", "ann", typed="ann has a long password\n")
    assert (done.exit_code, done.stdout) == (0, "Sealed: 1 spans.\n")
    assert run("mask", "show", recording, *data).stdout.endswith("The rows fit their seal.\n")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--burn-in-after", "soon"), "'soon' is not a number of hours"),
        (("--burn-in-after", "-1"), "burn_in_after_s: -3600.0 is not a number of seconds"),
        (("--burn-in-after", "nan"), "burn_in_after_s: nan is not"),
        (("--fill", "tone", "--fill-hz", "9"), "fill: a tone has 100 to 3400 Hz, not 9."),
        (("--pad", "inf"), "pad_s: inf is not"),
        (("--max-span", "-2"), "max_span_s: -2.0 is not"),
    ],
)
def test_a_wrong_setting_of_a_site_is_refused(
    folder: Path, options: tuple[str, ...], said: str
) -> None:
    """And names what to mend."""
    done = run("site", "set", "1", *options, "--data", str(folder))
    assert (done.exit_code, said in done.stderr) == (2, True), done.stderr


def test_a_site_tells_how_it_masks(folder: Path, tmp_path: Path) -> None:
    """In words."""
    with wave.open(str(tmp_path / "beep.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(np.full(4000, 900, "<i2").tobytes())
    site = ("site", "set", "1", "--data", str(folder))
    for options, told in (
        (("--burn-in-after", "24"), "fill tone 1000 Hz -20 dBFS\tburn in after 24 h"),
        (("--fill-dbfs", "-30"), "fill tone 1000 Hz -30 dBFS\tburn in after 24 h"),
        (("--fill", "silence", "--burn-in-after", "never"), "fill silence\tburn in never"),
        (("--fill-file", str(tmp_path / "beep.wav")), "fill file 0.50 s\tburn in never"),
    ):
        assert run(*site, *options).exit_code == 0
        assert told in run("site", "list", "--data", str(folder)).stdout
    both = run(*site, "--fill-file", str(tmp_path / "beep.wav"), "--fill", "tone")
    assert (both.exit_code, "--fill-file goes without" in both.stderr) == (2, True)
