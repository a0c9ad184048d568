"""``callreel import`` and ``callreel watch`` as they are typed: output, exit codes, bad input."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callreel.bootstrap import open_base
from callreel.cli.main import main
from callreel.db import search
from callreel.db.call_filter import CallFilter
from callreel.model import Call, Scope
from callreel.settings import load_settings

WriteWav = Callable[..., Path]
WriteSidecar = Callable[..., Path]

MASTER = (
    '"","01632960111","2104","from-trunk","","SIP/t-0000ce14","SIP/2104-0000ce15","Dial","",'
    '"2026-07-23 09:30:00","2026-07-23 09:30:05","2026-07-23 09:31:00",60,55,"ANSWERED",'
    '"DOCUMENTATION","1795426200.99",""\n'
)
MAPPING = 'timezone = "UTC"\n[columns]\nid = "Id"\nstarted_at = "Start"\nfrom = "From"\n'
PROGRAM = [sys.executable, "-c", "from callreel.cli.main import main; main()"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation to copy: making keys and a password takes time."""
    folder = tmp_path_factory.mktemp("installed") / "data"
    assert CliRunner().invoke(main, ["init", "--data", str(folder)]).exit_code == 0
    return folder


@pytest.fixture
def data(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of the test's own, named by the environment."""
    folder = tmp_path / "data"
    folder.mkdir()
    monkeypatch.setenv("CALLREEL_DATA", str(folder))
    for name in ("keys.json",):
        (folder / name).write_bytes((installed / name).read_bytes())
        (folder / name).chmod(0o600)
    assert CliRunner().invoke(main, ["migrate", "--data", str(folder)]).exit_code == 0
    return folder


def _run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def _calls(data: Path) -> tuple[Call, ...]:
    base = open_base(load_settings(data, {}))
    try:
        with base.db.read() as conn:
            return search.search_calls(
                conn, Scope(everything=True), CallFilter(), limit=100, cursor=None
            ).items
    finally:
        base.close()


def test_a_folder_comes_in_once(data: Path, tmp_path: Path, write_wav: WriteWav) -> None:
    """The last line sums up; a second run finds everything there."""
    write_wav(tmp_path / "in" / "a.wav", seed=1)
    write_wav(tmp_path / "in" / "b.wav", seed=2)
    first = _run("import", "folder", tmp_path / "in")
    assert first.exit_code == 0
    assert first.stdout == "new 2, changed 0, already there 0, waiting 0, skipped 0\n"
    assert first.stderr == ""
    again = _run("import", "folder", tmp_path / "in")
    assert again.stdout == "new 0, changed 0, already there 2, waiting 0, skipped 0\n"
    assert len(_calls(data)) == 2


def test_what_was_skipped_is_listed_with_its_reason(
    data: Path, tmp_path: Path, write_wav: WriteWav
) -> None:
    """A line each on standard error; ``--strict`` makes it an exit code, ``--report`` a file."""
    write_wav(tmp_path / "in" / "a.wav")
    write_wav(tmp_path / "in" / "evil\x1b[2J.wav", seed=2)
    (tmp_path / "in" / "evil\x1b[2J.json").write_text("{")
    report = tmp_path / "report.jsonl"
    done = _run("import", "folder", tmp_path / "in", "--report", report)
    assert done.exit_code == 0
    assert done.stdout.endswith("skipped 2\n")
    lines = done.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["skipped", "skipped"]
    assert "\x1b" not in done.stderr
    rows = [json.loads(line) for line in report.read_text().splitlines()]
    assert sorted(row["result"] for row in rows) == ["new", "skipped", "skipped"]
    assert all(row["reason"] for row in rows if row["result"] == "skipped")
    assert _run("import", "folder", tmp_path / "in", "--strict").exit_code == 1


def test_a_torn_file_waits_and_comes_in_when_it_is_whole(
    data: Path, tmp_path: Path, write_wav: WriteWav
) -> None:
    """Nothing of it is seen before."""
    path = write_wav(tmp_path / "in" / "a.wav")
    whole = path.read_bytes()
    path.write_bytes(whole[:-100])
    torn = _run("import", "folder", tmp_path / "in")
    assert (torn.exit_code, torn.stdout) == (
        0,
        "new 0, changed 0, already there 0, waiting 1, skipped 0\n",
    )
    assert "shorter than its header" in torn.stderr
    assert _calls(data) == ()
    path.write_bytes(whole)
    assert _run("import", "folder", tmp_path / "in").stdout.startswith("new 1,")


@pytest.mark.parametrize(
    ("zone", "started_at"),
    [
        (["--utc"], 1784799000000),
        (["--timezone", "Europe/London"], 1784795400000),
        (["--local"], 1784791800000),
    ],
)
def test_asterisk_comes_in_in_the_zone_that_was_said(
    data: Path,
    tmp_path: Path,
    write_wav: WriteWav,
    monkeypatch: pytest.MonkeyPatch,
    zone: list[str],
    started_at: int,
) -> None:
    """UTC, a named zone, or this machine's."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    (tmp_path / "Master.csv").write_text(MASTER)
    write_wav(tmp_path / "monitor" / "out-2104-x-20260723-093000-1795426200.99.wav")
    done = _run(
        "import", "asterisk", tmp_path / "Master.csv", "--monitor", tmp_path / "monitor", *zone
    )
    assert (done.exit_code, done.stdout[:5]) == (0, "new 1")
    (call,) = _calls(data)
    assert call.started_at == started_at
    assert call.recording_id is not None


def test_csv_comes_in_by_its_mapping(data: Path, tmp_path: Path, write_wav: WriteWav) -> None:
    """With recordings, and a call whose recording is not there."""
    write_wav(tmp_path / "rec" / "c1.wav")
    (tmp_path / "m.toml").write_text(MAPPING + '[recordings]\nroot = "rec"\npath = "{Id}.wav"\n')
    (tmp_path / "calls.csv").write_text(
        "Id,Start,From\nc1,2026-11-23T09:30:00,01632960111\nc2,2026-11-23T09:31:00,01632960112\n"
    )
    done = _run("import", "csv", tmp_path / "calls.csv", "--mapping", tmp_path / "m.toml")
    assert done.exit_code == 0
    assert done.stdout == "new 2, changed 0, already there 0, waiting 0, skipped 1\n"
    assert "without sound: calls.csv:3" in done.stderr
    assert sorted(call.recording_id is not None for call in _calls(data)) == [False, True]


def test_freeswitch_comes_in_from_a_folder(data: Path, tmp_path: Path, write_wav: WriteWav) -> None:
    """One file a call, and recordings by uuid."""
    uuid = "a5c9f6c0-e752-11e3-8bfb-65b6c3cdac7d"
    write_wav(tmp_path / "rec" / f"{uuid}.wav")
    (tmp_path / "cdr").mkdir()
    variables = {"uuid": uuid, "start_epoch": "1795426200", "caller_id_number": "01632960111"}
    (tmp_path / "cdr" / "a.json").write_text(json.dumps({"variables": variables}))
    done = _run("import", "freeswitch", tmp_path / "cdr", "--recordings", tmp_path / "rec", "--utc")
    assert (done.exit_code, done.stdout[:5]) == (0, "new 1")
    assert _calls(data)[0].recording_id is not None


def test_in_place_copies_nothing(data: Path, tmp_path: Path, write_wav: WriteWav) -> None:
    """The store stays empty."""
    write_wav(tmp_path / "in" / "a.wav")
    assert _run("import", "folder", tmp_path / "in", "--in-place").exit_code == 0
    assert len(_calls(data)) == 1
    assert [path for path in (data / "store").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["folder", "{tmp}/nowhere"], 2, "does not exist"),
        (["asterisk", "{tmp}/Master.csv"], 2, "Say --utc, --local or --timezone"),
        (["asterisk", "{tmp}/Master.csv", "--timezone", "Mars"], 2, "no time zone 'Mars'"),
        (["asterisk", "{tmp}/Master.csv", "--utc", "--context", "a"], 2, "NAME=inbound"),
        (["asterisk", "{tmp}/Master.csv", "--utc", "--context", "a=up"], 2, "not a direction"),
        (["asterisk", "{tmp}/Master.csv", "--utc", "--internal-digits", "0"], 2, "internal-digits"),
        (["csv", "{tmp}/Master.csv"], 2, "--mapping"),
        (
            ["csv", "{tmp}/Master.csv", "--mapping", "{tmp}/bad.toml"],
            2,
            "columns.started_at is missing",
        ),
        (
            ["csv", "{tmp}/Master.csv", "--mapping", "{tmp}/good.toml"],
            2,
            "has no column From, Id, Start",
        ),
        (["freeswitch", "{tmp}/Master.csv", "--utc", "--template", "x"], 2, "--template 'x'"),
        (["folder", "{tmp}", "--timezone", "Mars"], 2, "no time zone 'Mars'"),
        (["folder", "{tmp}", "--report", "{tmp}/no/r"], 2, "--report: cannot write"),
        (["folder", "{tmp}", "--data", "{tmp}/none"], 2, "Run 'callreel init --data"),
        (["folder", "{tmp}", "--stable-for", "-1"], 2, "stable-for"),
    ],
)
def test_bad_input_is_told_in_words_with_an_exit_code(
    data: Path, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    """What is wrong and how to mend it; nothing came in."""
    (tmp_path / "Master.csv").write_text(MASTER)
    (tmp_path / "bad.toml").write_text("[columns]\n")
    (tmp_path / "good.toml").write_text(MAPPING)
    done = _run("import", *(each.format(tmp=tmp_path) for each in arguments))
    assert done.exit_code == code
    assert says in done.stderr
    assert "Traceback" not in done.output
    assert _calls(data) == ()


def test_a_store_that_is_away_is_exit_code_3(
    data: Path, tmp_path: Path, write_wav: WriteWav
) -> None:
    """And the next run brings everything in."""
    write_wav(tmp_path / "in" / "a.wav")
    (data / "store").rename(data / "away")
    done = _run("import", "folder", tmp_path / "in")
    assert (done.exit_code, done.stdout) == (3, "")
    assert "store" in done.stderr
    (data / "away").rename(data / "store")
    assert _run("import", "folder", tmp_path / "in").stdout.startswith("new 1,")


def test_a_store_that_may_not_be_written_is_told(
    data: Path, tmp_path: Path, write_wav: WriteWav
) -> None:
    """A file where a folder should be stands for any disk that refuses."""
    write_wav(tmp_path / "in" / "a.wav")
    shutil.rmtree(data / "store")
    (data / "store").write_bytes(b"")
    done = _run("import", "folder", tmp_path / "in")
    assert done.exit_code == 3
    assert done.stderr.startswith("callreel: ")


def test_on_a_terminal_there_is_a_progress_bar(
    data: Path, tmp_path: Path, write_wav: WriteWav
) -> None:
    """Elsewhere there is none: see the first test."""
    write_wav(tmp_path / "in" / "a.wav")
    leader, follower = os.openpty()
    done = subprocess.run(
        [*PROGRAM, "import", "folder", str(tmp_path / "in")],
        stdout=subprocess.PIPE,
        stderr=follower,
        stdin=follower,
        timeout=60,
        check=True,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(follower)
    shown = os.read(leader, 65536).decode()
    os.close(leader)
    assert "importing" in shown
    assert "0/1" in shown
    assert done.stdout == b"new 1, changed 0, already there 0, waiting 0, skipped 0\n"


def test_a_watch_takes_what_comes_and_stops_cleanly(
    data: Path, tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar
) -> None:
    """A file that grows waits until it is whole; SIGTERM ends it with the summary and 0."""
    folder = tmp_path / "in"
    whole = write_wav(tmp_path / "made.wav", seconds=1).read_bytes()
    folder.mkdir()
    watch = subprocess.Popen(
        [
            *PROGRAM, "watch", str(folder),
            "--interval", "0.1", "--stable-for", "0.4", "--quiet-for", "30",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        write_wav(folder / "first.wav", seed=5)
        for _ in range(10):
            with (folder / "growing.wav").open("ab") as file:
                file.write(whole[len(whole) // 10 * _ : len(whole) // 10 * (_ + 1)])
            time.sleep(0.1)
        _until(lambda: len(_calls(data)) == 1)
        assert [call.duration_s for call in _calls(data)] == [0.25]
        with (folder / "growing.wav").open("ab") as file:
            file.write(whole[len(whole) // 10 * 10 :])
        _until(lambda: len(_calls(data)) == 2)
        assert {call.duration_s for call in _calls(data)} == {0.25, 1.0}
        (folder / "late.json").write_text("{")
        write_wav(folder / "late.wav", seed=6)
        time.sleep(1)
        assert len(_calls(data)) == 2
        write_sidecar(folder / "late.json", from_="01632960111")
        _until(lambda: len(_calls(data)) == 3)
    finally:
        watch.send_signal(signal.SIGTERM)
        stdout, stderr = watch.communicate(timeout=30)
    assert watch.returncode == 0
    assert stdout.startswith("new 3, changed 0, already there 0,")
    # A reason is told once, not at every look.
    assert len(stderr.splitlines()) == len(set(stderr.splitlines()))
    assert "waiting: growing.wav" in stderr
    assert "skipped: late.json" in stderr


def test_a_watch_goes_on_when_its_store_comes_back(
    data: Path, tmp_path: Path, write_wav: WriteWav
) -> None:
    """A full or missing disk pauses it (F3); with ``--once`` it is exit code 3."""
    folder = tmp_path / "in"
    write_wav(folder / "a.wav")
    (data / "store").rename(data / "away")
    once = _run("watch", folder, "--once", "--stable-for", "0")
    assert once.exit_code == 3
    watch = subprocess.Popen(
        [*PROGRAM, "watch", str(folder), "--interval", "0.1", "--stable-for", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert watch.stderr is not None
        assert "store" in watch.stderr.readline()
        (data / "away").rename(data / "store")
        _until(lambda: len(_calls(data)) == 1)
    finally:
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=30)
    assert watch.returncode == 0


def test_a_watch_goes_on_when_its_folder_comes_back(
    data: Path, tmp_path: Path, write_wav: WriteWav
) -> None:
    """A network disk that is away for a while does not end it; one that never was there does."""
    folder = tmp_path / "in"
    write_wav(folder / "a.wav", seed=1)
    assert _run("watch", tmp_path / "none").exit_code == 2
    watch = subprocess.Popen(
        [*PROGRAM, "watch", str(folder), "--interval", "0.1", "--stable-for", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        _until(lambda: len(_calls(data)) == 1)
        folder.rename(tmp_path / "away")
        assert watch.stderr is not None
        assert "cannot read the folder" in watch.stderr.readline()
        write_wav(tmp_path / "away" / "b.wav", seed=2)
        (tmp_path / "away").rename(folder)
        _until(lambda: len(_calls(data)) == 2)
    finally:
        watch.send_signal(signal.SIGINT)
        watch.communicate(timeout=30)
    assert watch.returncode == 0


def _until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, "it did not come in time"
        time.sleep(0.1)
