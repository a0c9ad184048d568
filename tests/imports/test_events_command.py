"""``callreel import events`` as it is typed; and that nothing tells which keys were typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callreel.bootstrap import open_base
from callreel.cli.main import main
from callreel.db import schema, search
from callreel.db.call_filter import CallFilter
from callreel.model import Call, Scope, Span
from callreel.settings import load_settings
from tests.counts import repeated
from tests.imports.switch_lines import (
    AGENT,
    CALLER,
    LEG_A,
    START_S,
    ami,
    ami_key,
    as_json,
    as_plain,
    cel,
    cel_key,
    cel_keys,
    fs_command,
    fs_key,
)

WriteWav = Callable[..., Path]
PROGRAM = [sys.executable, "-c", "from callreel.cli.main import main; main()"]
MASTER = (
    '"","01632960111","2104","from-trunk","","PJSIP/trunk-0000ce14","PJSIP/2104-0000ce15","Dial","",'
    '"2026-11-23 09:30:00","2026-11-23 09:30:05","2026-11-23 09:31:00",60,55,"ANSWERED",'
    f'"DOCUMENTATION","{CALLER}",""\n'
)
RANG = (
    MASTER.replace("09:30:05", "09:30:12").replace("09:31:00", "09:31:12").replace("60,55", "72,60")
)
"""The same, but it rang for twelve seconds and was talked for sixty."""
STATES = ("new", "changed", "already there", "waiting", "skipped")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation to copy: making keys and a password takes time."""
    folder = tmp_path_factory.mktemp("installed") / "data"
    assert CliRunner().invoke(main, ["init", "--data", str(folder)]).exit_code == 0
    return folder


def made(installed: Path, folder: Path) -> Path:
    """A data folder of the test's own."""
    folder.mkdir(parents=True)
    (folder / "keys.json").write_bytes((installed / "keys.json").read_bytes())
    (folder / "keys.json").chmod(0o600)
    assert CliRunner().invoke(main, ["migrate", "--data", str(folder)]).exit_code == 0
    return folder


@pytest.fixture
def data(installed: Path, tmp_path: Path) -> Path:
    """A data folder."""
    return made(installed, tmp_path / "data")


def run(data: Path, *arguments: object) -> Result:
    """``callreel import ...``."""
    said = ["import", *map(str, arguments), "--data", str(data)]
    return CliRunner().invoke(main, said)


def events(data: Path, kind: str, path: Path, *arguments: object) -> Result:
    """``callreel import events KIND FILE``."""
    return run(data, "events", kind, path, *arguments)


def summed(done: Result) -> dict[str, int]:
    """The last line as numbers; nothing that is none."""
    parts = [part.rsplit(" ", 1) for part in done.stdout.splitlines()[-1].split(", ")]
    return {name: int(count) for name, count in parts if count != "0"}


def calls(data: Path) -> tuple[Call, ...]:
    """Every call."""
    base = open_base(load_settings(data, {}))
    with closing(base), base.db.read() as conn:
        found = search.search_calls(
            conn, Scope(everything=True), CallFilter(), limit=100, cursor=None
        )
    return found.items


def rows(data: Path) -> dict[str, list[str]]:
    """Everything in the database, less what chance and the clock decide."""
    base = open_base(load_settings(data, {}))
    found = {}
    with closing(base), base.db.read() as conn:
        for table in schema.metadata.sorted_tables:
            found[table.name] = sorted(
                json.dumps(
                    {
                        name: value if name != "detail" else {**json.loads(value), "signals": None}
                        for name, value in row._mapping.items()
                        if name not in {"id", "seq"}
                        and not name.endswith("_at")
                        # Of an audit row this is when it was written; of a signal, when it was.
                        and (table.name, name) != ("audit", "at")
                    },
                    default=str,
                )
                for row in conn.execute(table.select())
            )
    return found


KINDS = {
    "asterisk-cel": "\n".join([*cel_keys("*5", 5), *cel_keys("*6", 9)]) + "\n",
    "asterisk-ami": ami("UserEvent", 5, UserEvent="mask")
    + ami("UserEvent", 9.3, UserEvent="unmask"),
}


@pytest.mark.parametrize("first", ["call", "events"])
@pytest.mark.parametrize("kind", KINDS)
def test_events_of_asterisk_mask_its_calls_whichever_comes_first(
    data: Path, tmp_path: Path, write_wav: WriteWav, kind: str, first: str
) -> None:
    """Bound by the unique id, held until there is a call of it; told beside the sum."""
    (tmp_path / "Master.csv").write_text(MASTER)
    write_wav(tmp_path / "monitor" / f"in-x-20261123-093000-{CALLER}.wav", seconds=60)
    path = tmp_path / "events"
    path.write_bytes(KINDS[kind].encode())
    bring = ("asterisk", tmp_path / "Master.csv", "--monitor", tmp_path / "monitor", "--utc")
    if first == "call":
        assert summed(run(data, *bring)) == {"new": 1}
    done = events(data, kind, path)
    assert (done.exit_code, summed(done)) == (0, {"new": 2})
    held = 0 if first == "call" else 2
    assert done.stderr.startswith(f"held until their call comes {held}, events of other kinds ")
    if first == "events":
        assert summed(run(data, *bring)) == {"new": 1}
    (call,) = calls(data)
    # The record is cut to whole seconds, so the recording may have begun one later.
    assert call.masked_spans == (Span(3.5, 9.8),)
    assert summed(events(data, kind, path)) == {"already there": 2}
    assert calls(data) == (call,)


def test_of_a_recording_since_the_answer_the_right_stretch_is_masked(
    data: Path, tmp_path: Path, write_wav: WriteWav
) -> None:
    """The call rang for twelve seconds; sound of sixty is what was said since."""
    (tmp_path / "Master.csv").write_text(RANG)
    write_wav(tmp_path / "monitor" / f"in-x-20261123-093000-{CALLER}.wav", seconds=60)
    run(data, "asterisk", tmp_path / "Master.csv", "--monitor", tmp_path / "monitor", "--utc")
    path = tmp_path / "events"
    told = ami("UserEvent", 32, UserEvent="mask") + ami("UserEvent", 40, UserEvent="unmask")
    path.write_text(told)
    assert events(data, "asterisk-ami", path).exit_code == 0
    (call,) = calls(data)
    (span,) = call.masked_spans
    # 20 to 28 s of the sound, a second more before it since the record knows whole ones.
    assert (span.start_s, span.end_s) == (18.5, 28.5)


@pytest.mark.parametrize("first", ["call", "events"])
def test_events_of_freeswitch_mask_its_calls_whichever_comes_first(
    data: Path, tmp_path: Path, write_wav: WriteWav, first: str
) -> None:
    """The command names the one leg, the keys were typed on the other."""
    variables = {
        "uuid": LEG_A,
        "start_epoch": str(START_S),
        "caller_id_number": "01632960111",
        "duration": "60",
    }
    (tmp_path / "cdr").mkdir()
    (tmp_path / "cdr" / "a.json").write_text(json.dumps({"variables": variables}))
    write_wav(tmp_path / "rec" / f"{LEG_A}.wav", seconds=60)
    path = tmp_path / "events"
    told = [fs_command("mask", 5), fs_command("unmask", 9)]
    path.write_text(as_plain([*told, fs_key("*", 20), fs_key("5", 21)]))
    bring = ("freeswitch", tmp_path / "cdr", "--recordings", tmp_path / "rec", "--utc")
    if first == "call":
        assert summed(run(data, *bring)) == {"new": 1}
    assert summed(events(data, "freeswitch", path)) == {"new": 3}
    if first == "events":
        assert summed(run(data, *bring)) == {"new": 1}
    assert calls(data)[0].masked_spans == (Span(3.5, 9.5), Span(18.5, 60.0))


def test_what_was_skipped_or_waits_is_listed(data: Path, tmp_path: Path) -> None:
    """A line each, the report, and the exit code with ``--strict``; as every import."""
    path, report = tmp_path / "cel.csv", tmp_path / "report.jsonl"
    bad = cel("mask", 0, eventtime="2026-11-23 09:30:00")
    path.write_text("\n".join([cel("mask", 5), bad, cel("CHAN_START", 0), cel("mask", 7)[:40]]))
    done = events(data, "asterisk-cel", path, "--report", report)
    assert (done.exit_code, summed(done)) == (0, {"new": 1, "waiting": 1, "skipped": 1})
    skipped, waiting, told = done.stderr.splitlines()
    assert skipped.startswith("skipped: cel.csv:2: its time has no zone; say --utc")
    assert waiting == "waiting: cel.csv:4: the last line is not complete yet"
    assert told == "held until their call comes 1, events of other kinds 1"
    results = [json.loads(line)["result"] for line in report.read_text().splitlines()]
    assert sorted(results) == ["new", "skipped", "waiting"]
    assert events(data, "asterisk-cel", path, "--strict").exit_code == 1
    assert events(data, "asterisk-cel", path, "--strict", "--utc").exit_code == 0


def test_a_log_that_grows_is_read_on(data: Path, tmp_path: Path) -> None:
    """What was half is whole at the next run, and what was there stays there."""
    path = tmp_path / "cel.csv"
    text = "\n".join([cel("mask", 5), *cel_keys("*6", 9), cel("mask", 20)]) + "\n"
    seen: dict[str, int] = {}
    for length in (*range(40, len(text), 97), len(text)):
        path.write_text(text[:length])
        done = events(data, "asterisk-cel", path)
        assert done.exit_code == 0
        seen["new"] = seen.get("new", 0) + summed(done).get("new", 0)
    assert seen == {"new": 3}
    assert summed(events(data, "asterisk-cel", path)) == {"already there": 3}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["smoke-signals", "{path}"], "'smoke-signals' is not one of"),
        (["asterisk-cel"], "Missing argument 'FILES...'"),
        (["asterisk-cel", "{path}x"], "does not exist"),
        (["asterisk-cel", "{path}", "--timezone", "Mars"], "no time zone 'Mars'"),
        (["asterisk-cel", "{path}", "--start-keys", "*6"], "must not be part of each other"),
        (["asterisk-cel", "{path}", "--stop-keys", "off"], "of the keys 0 to 9"),
        (["asterisk-cel", "{path}", "--key-gap", "0"], "key-gap"),
        (["asterisk-cel", "{path}", "--in-place"], "No such option"),
    ],
)
def test_wrong_usage_is_told(data: Path, tmp_path: Path, arguments: list[str], says: str) -> None:
    """In words, with exit code 2; nothing came in."""
    path = tmp_path / "cel.csv"
    path.write_text(cel("mask", 5) + "\n")
    done = run(data, "events", *(each.format(path=path) for each in arguments))
    assert done.exit_code == 2
    assert says in done.stderr
    assert rows(data)["signals"] == []


def test_the_sequences_can_be_said(data: Path, tmp_path: Path) -> None:
    """Or that there are none."""
    path = tmp_path / "cel.csv"
    path.write_text("\n".join([*cel_keys("#1", 5), *cel_keys("#2", 9, gap_s=4)]) + "\n")
    assert summed(events(data, "asterisk-cel", path)) == {}
    said = ("--start-keys", "#1", "--stop-keys", "#2", "--key-gap", "5")
    assert summed(events(data, "asterisk-cel", path, *said, "--no-keys")) == {}
    assert summed(events(data, "asterisk-cel", path, *said)) == {"new": 2}


def test_on_a_terminal_there_is_a_progress_bar(data: Path, tmp_path: Path) -> None:
    """As with every import."""
    path = tmp_path / "cel.csv"
    path.write_text(cel("mask", 5) + "\n")
    leader, follower = os.openpty()
    command = [*PROGRAM, "import", "events", "asterisk-cel", str(path), "--data", str(data)]
    done = subprocess.run(
        command,
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
    assert done.stdout.startswith(b"new 1,")


def typed_cel(number: str) -> str:
    """A card number between a start and a stop, and lines of it that are broken in each way."""
    lines = [*cel_keys("*5", 5), *cel_keys(number, 12, 0.8), *cel_keys("*6", 40)]
    for key in number:
        whole = cel_key(key, 30)
        lines += [
            whole[:-3],
            whole.replace(f"{START_S + 30}.000000", "never"),
            whole.replace(f'"{AGENT}"', f'"{number}"'),
            cel_key(key, -9000),
            cel("DTMF", 30.5, extra=key),
            cel("COFFEE", 31, name=number, extra=key, appdata=number),
        ]
    return "\n".join([*lines, cel("mask", 50, eventtime=number), cel_key(number[0], 60)[:-9]])


def typed_ami(number: str) -> str:
    """The same as events of the manager interface."""
    keys = [ami_key(key, 12 + n * 0.8) for n, key in enumerate(number)]
    bad = [ami("DTMFEnd", None, Digit=key, Direction="Received") for key in number]
    bad += [ami("DTMFEnd", 30, Digit=number, Direction="Received", Uniqueid=number)]
    bad += [ami("UserEvent", 30, UserEvent="Card", Number=number)]
    on, off = [ami_key("*", 5), ami_key("5", 5.3)], [ami_key("*", 40), ami_key("6", 40.3)]
    return "".join([*on, *keys, *bad, *off, ami_key(number[0], 60)[:-20]])


def typed_freeswitch(number: str) -> str:
    """The same as events of FreeSWITCH, plain and JSON."""
    keys = [fs_key(key, 12 + n * 0.8) for n, key in enumerate(number)]
    bad = [{**fs_key(key, 30), "Event-Date-Timestamp": number} for key in number]
    bad += [fs_key(key, 30, Unique_ID=number) for key in number]
    bad += [fs_command("mask", 31, uuid=number)]
    on, off = [fs_key("*", 5), fs_key("5", 5.3)], [fs_key("*", 40), fs_key("6", 40.3)]
    torn = as_json([fs_key(number[0], 60)])[:-9]
    return as_plain([*on, *keys, *bad]) + as_json([*off, *bad]) + torn


TYPED = {
    "asterisk-cel": typed_cel,
    "asterisk-ami": typed_ami,
    "freeswitch": typed_freeswitch,
}
DIGITS = st.text(alphabet="0123456789", min_size=16, max_size=16)


@given(one=DIGITS, other=DIGITS, kind=st.sampled_from(sorted(TYPED)))
@settings(
    parent=repeated(named=300, usual=12),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_nothing_tells_which_keys_were_typed(
    installed: Path,
    tmp_path_factory: pytest.TempPathFactory,
    one: str,
    other: str,
    kind: str,
) -> None:
    """Two logs that differ in the keys alone leave the same rows, report, output and audit."""
    left = []
    for number in (one, other):
        folder = tmp_path_factory.mktemp("typed")
        data = made(installed, folder / "data")
        path = folder / "events"
        path.write_text(TYPED[kind](number), newline="")
        told = []
        for _ in range(2):
            done = events(data, kind, path, "--report", folder / "report", "--utc")
            assert done.exit_code == 0, done.output
            assert done.exception is None
            told += [done.stdout, done.stderr, (folder / "report").read_text()]
        assert "new 2," in told[0]
        left.append((rows(data), told))
    assert left[0] == left[1]


@pytest.mark.parametrize("kind", sorted(TYPED))
def test_no_file_of_the_installation_holds_the_number(
    data: Path, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not the database, its journal, the report or a log; nor any six keys in a row of it."""
    number = "8306175284930617"
    path = tmp_path / "events"
    path.write_text(TYPED[kind](number), newline="")
    with caplog.at_level(0):
        done = events(data, kind, path, "--report", data / "report", "--utc")
    assert done.exit_code == 0
    files = [each for each in data.rglob("*") if each.is_file() and each.name != "keys.json"]
    kept = [each.read_bytes() for each in files]
    shown = [done.output.encode(), caplog.text.encode()]
    assert len(kept) >= 2
    for place in range(len(number) - 5):
        piece = number[place : place + 6].encode()
        assert not any(piece in each for each in (*kept, *shown))
