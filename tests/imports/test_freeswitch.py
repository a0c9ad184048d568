"""Call records of FreeSWITCH in its three forms, the hostile ones as well."""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from callreel.flows.entry import CallEntry, Result
from callreel.importers.freeswitch import FreeSwitchOptions, read_freeswitch
from callreel.importers.items import Item, Problem
from callreel.importers.monitor import MonitorTree
from callreel.model import Direction, Disposition

UUID = "a5c9f6c0-e752-11e3-8bfb-65b6c3cdac7d"
LINE = (
    '"9007","9007","01614960199","public","2014-05-29 16:59:50","","2014-05-29 16:59:50","0","0",'
    f'"NORMAL_CLEARING","{UUID}","","","",""'
)
VARIABLES = {
    "uuid": UUID,
    "caller_id_number": "01632960111",
    "destination_number": "2104",
    "start_epoch": "1795426200",
    "start_stamp": "2026-11-23 10:30:00",
    "answer_epoch": "1795426205",
    "duration": "60",
    "hangup_cause": "NORMAL_CLEARING",
    "call_direction": "inbound",
    "caller_id_name": "Ann & Bob <x>",
}
UTC_OPTIONS = FreeSwitchOptions(timezone=UTC)


def _json(variables: dict[str, str]) -> bytes:
    encoded = {name: quote(value) for name, value in variables.items()}
    return json.dumps({"core-uuid": "x", "variables": encoded, "callflow": []}).encode()


def _xml(variables: dict[str, str]) -> bytes:
    inner = "".join(f"<{name}>{quote(value)}</{name}>" for name, value in variables.items())
    return f'<?xml version="1.0"?><cdr core-uuid="x"><variables>{inner}</variables></cdr>'.encode()


def _items(
    path: Path, recordings: Path | None = None, options: FreeSwitchOptions = UTC_OPTIONS
) -> list[Item]:
    tree = None if recordings is None else MonitorTree(recordings)
    return list(read_freeswitch([path], tree, options))


def _written(tmp_path: Path, name: str, contents: bytes) -> Path:
    path = tmp_path / "cdr" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(contents)
    return path


def test_the_example_template_is_read(tmp_path: Path) -> None:
    """A real line, with a stamp in the switch's own zone."""
    path = _written(tmp_path, "Master.csv", f"{LINE}\n".encode())
    options = FreeSwitchOptions(timezone=ZoneInfo("Europe/London"))
    (entry,) = _items(path, options=options)
    assert isinstance(entry, CallEntry)
    assert entry.source_key == f"uuid:{UUID}"
    assert entry.started_at == 1401379190000
    assert (entry.from_number, entry.to_number) == ("9007", "01614960199")
    assert (entry.direction, entry.extension) == (Direction.OUTBOUND, "9007")


@pytest.mark.parametrize("name", ['Jo "Q" Example', 'a","b', '","', "x,y", '"'])
def test_a_quote_in_the_callers_name_shifts_nothing(tmp_path: Path, name: str) -> None:
    """Values are pasted unescaped, so a line is cut from the right."""
    path = _written(tmp_path, "Master.csv", LINE.replace('"9007"', f'"{name}"', 1).encode() + b"\n")
    (entry,) = _items(path)
    assert isinstance(entry, CallEntry)
    assert entry.from_number == "9007"
    assert entry.source_key == f"uuid:{UUID}"


def test_broken_lines_are_listed_and_a_torn_last_one_waits(tmp_path: Path) -> None:
    """The row between them comes in."""
    text = f"x,y\n{LINE}\n{LINE.replace(UUID, 'none')}\n{LINE[:-30]}"
    short, entry, unnamed, torn = _items(_written(tmp_path, "Master.csv", text.encode()))
    assert isinstance(entry, CallEntry)
    assert isinstance(short, Problem)
    assert isinstance(unnamed, Problem)
    assert isinstance(torn, Problem)
    assert [p.result for p in (short, unnamed, torn)] == [
        Result.SKIPPED, Result.SKIPPED, Result.WAITING,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "contents"),
    [("a.cdr.json", _json(VARIABLES)), (f"a_{UUID}.cdr.xml", _xml(VARIABLES))],
)
def test_json_and_xml_records_say_the_same(tmp_path: Path, name: str, contents: bytes) -> None:
    """Values are URL-encoded; seconds since 1970 need no zone, so they win over the stamp."""
    (entry,) = _items(_written(tmp_path, name, contents).parent)
    assert isinstance(entry, CallEntry)
    assert entry.started_at == 1795426200000
    assert (entry.from_number, entry.to_number, entry.duration_s) == ("01632960111", "2104", 60.0)
    assert (entry.direction, entry.extension) == (Direction.INBOUND, "2104")
    assert entry.disposition is Disposition.ANSWERED


def test_a_call_that_nobody_answered_is_abandoned(tmp_path: Path) -> None:
    """Its answer epoch is 0."""
    variables = {**VARIABLES, "answer_epoch": "0", "hangup_cause": "ORIGINATOR_CANCEL"}
    (entry,) = _items(_written(tmp_path, "a.json", _json(variables)))
    assert isinstance(entry, CallEntry)
    assert entry.disposition is Disposition.ABANDONED


@pytest.mark.parametrize(
    ("path", "name", "file"),
    [
        ("/var/lib/freeswitch/recordings/x/archive", "call.wav", "x/archive/call.wav"),
        ("", "call.wav", "x/archive/call.wav"),
        ("", "", f"2026/Nov/23/{UUID}.wav"),
    ],
)
def test_a_recording_is_found_by_path_by_name_and_by_uuid(
    tmp_path: Path, write_wav: Callable[..., Path], path: str, name: str, file: str
) -> None:
    """The switch's own path is read below the folder that was given."""
    write_wav(tmp_path / "rec" / file)
    variables = {**VARIABLES, "record_path": path, "record_name": name}
    record = _written(tmp_path, "a.json", _json(variables))
    (entry,) = _items(record, tmp_path / "rec")
    assert isinstance(entry, CallEntry)
    assert entry.audio is not None
    assert entry.audio.name == file


@pytest.mark.parametrize("spoken", ["../../secret.wav", "/etc/hostname", "a/../../secret.wav"])
def test_a_record_cannot_name_a_file_outside_the_folder(
    tmp_path: Path, write_wav: Callable[..., Path], spoken: str
) -> None:
    """The call stays, its sound is refused (T47)."""
    write_wav(tmp_path / "secret.wav")
    write_wav(tmp_path / "rec" / f"{UUID}.wav")
    record = _written(tmp_path, "a.json", _json({**VARIABLES, "record_name": spoken}))
    entry = _items(record, tmp_path / "rec")[0]
    assert isinstance(entry, CallEntry)
    assert entry.audio is None
    assert "refused" in (entry.missing or "")


LAUGHS = (
    b'<?xml version="1.0"?><!DOCTYPE cdr [<!ENTITY a "ha">'
    + b"".join(f'<!ENTITY a{n} "{f"&a{n - 1 if n else str()};" * 10}">'.encode() for n in range(20))
    + b"]><cdr><variables><uuid>&a19;</uuid></variables></cdr>"
)
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE cdr [<!ENTITY x SYSTEM "file:///etc/hostname">]>'
    b"<cdr><variables><uuid>&x;</uuid></variables></cdr>"
)


@pytest.mark.parametrize(
    "contents",
    [
        pytest.param(LAUGHS, id="billion laughs"),
        pytest.param(OUTSIDE, id="external entity"),
        pytest.param(_xml(VARIABLES) + b" " * (100 << 20), id="100 MB"),
        pytest.param(b"<cdr>" + b"<a>" * 200_000, id="deep"),
        pytest.param(b'{"a":' * 200_000, id="deep json"),
        pytest.param(b"<html></html>", id="something else"),
        pytest.param(b'{"variables": 7}', id="no variables"),
        pytest.param(b"{]}", id="no json"),
    ],
)
def test_a_hostile_record_is_refused_fast_and_small(tmp_path: Path, contents: bytes) -> None:
    """Within a second and 50 MB, with a reason (T46)."""
    path = _written(tmp_path, "a.cdr.xml", contents)
    tracemalloc.start()
    started = time.monotonic()
    (problem,) = _items(path.parent)
    elapsed_s = time.monotonic() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(problem, Problem)
    assert elapsed_s < 1
    assert peak < 50 << 20


def test_a_torn_record_waits(tmp_path: Path) -> None:
    """The switch is still writing it."""
    for name, contents in (("a.json", _json(VARIABLES)), ("a.xml", _xml(VARIABLES))):
        path = _written(tmp_path, name, contents[:-20])
        (problem,) = _items(path)
        assert isinstance(problem, Problem)
        assert problem.result is Result.WAITING


def test_recordings_that_no_record_names_are_listed(
    tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    """They wait for their record."""
    write_wav(tmp_path / "rec" / "stray.wav")
    entry, orphan = _items(_written(tmp_path, "a.json", _json(VARIABLES)), tmp_path / "rec")
    assert isinstance(entry, CallEntry)
    assert isinstance(orphan, Problem)
    assert (orphan.origin, orphan.result) == ("stray.wav", Result.WAITING)


@pytest.mark.parametrize("encoding", ["nosuch", "rot13", "cp932", "gbk"])
def test_a_record_in_an_encoding_that_is_none_costs_itself_only(
    tmp_path: Path, encoding: str
) -> None:
    """Listed with its reason; what lies behind it comes in."""
    good = _xml(VARIABLES)
    bad = good.replace(b'version="1.0"', f'version="1.0" encoding="{encoding}"'.encode())
    _written(tmp_path, "a.cdr.xml", bad)
    path = _written(tmp_path, "b.cdr.xml", good).parent
    items = list(read_freeswitch([path], None, UTC_OPTIONS))
    assert [type(item) for item in items] == [Problem, CallEntry]


@pytest.mark.parametrize("epoch", ["9" * 400, "9" * 5000, "\u00b2"])
def test_a_time_that_is_no_number_costs_its_record_only(tmp_path: Path, epoch: str) -> None:
    """Digits of other scripts and numbers beyond all clocks."""
    said = {**VARIABLES, "start_uepoch": epoch, "start_epoch": epoch, "start_stamp": "never"}
    path = _written(tmp_path, "a.cdr.json", _json(said))
    (item,) = read_freeswitch([path], None, UTC_OPTIONS)
    assert isinstance(item, Problem)


def test_an_empty_record_waits(tmp_path: Path) -> None:
    """The switch made the file and has not written it."""
    path = _written(tmp_path, "a.cdr.xml", b"")
    (item,) = read_freeswitch([path], None, UTC_OPTIONS)
    assert isinstance(item, Problem)
    assert item.result is Result.WAITING
