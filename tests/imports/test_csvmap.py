"""Any CSV or JSON lines by a mapping file, and every way in which a mapping can be wrong."""

from __future__ import annotations

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from callreel.errors import BadInput
from callreel.flows.entry import CallEntry, Result
from callreel.importers.csvmap import read_mapped
from callreel.importers.items import Item, Problem
from callreel.importers.mapping import load_mapping
from callreel.model import Direction, Disposition

MINIMAL = 'timezone = "UTC"\n[columns]\nstarted_at = "Start"\n'
FULL = """
format = "csv"
encoding = "cp1252"
delimiter = ";"
skip_lines = 1
timezone = "Europe/London"
datasource = "7"
voicelocation = "4"
internal_digits = 4

[columns]
id = "Call"
started_at = ["Date", "Time"]
duration_s = "Length"
direction = "Dir"
from = "Caller"
to = "Called"
extension = "Ext"
channel = "Line"
disposition = "Status"
voicefilename = "Call"

[time]
formats = ["%d/%m/%Y %H:%M:%S", "iso"]

[direction]
A = "inbound"
B = "outbound"

[disposition]
lost = "abandoned"

[recordings]
path = "{year}/{month}/{day}/{Call}.wav"
"""
ROWS = """Export of the exchange
Call;Date;Time;Length;Dir;Caller;Called;Ext;Line;Status
c1;23/07/2026;00:30:00;0:01:05;A;Zoë 01632960111;2104;2104;trunk-1;ANSWERED
c2;23/07/2026;09:31:00;0;A;01632960112;2105;;;lost
"""


def _mapping(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "m.toml"
    path.write_text(text, encoding="utf-8")
    return path


def _items(
    tmp_path: Path, mapping: str, records: str | bytes, recordings: Path | None = None
) -> list[Item]:
    path = tmp_path / "calls.csv"
    path.write_bytes(records if isinstance(records, bytes) else records.encode())
    checked = load_mapping(_mapping(tmp_path, mapping))
    return list(read_mapped(path, checked, recordings=recordings))


def test_a_full_mapping_fills_every_field(tmp_path: Path) -> None:
    """Encoding, delimiter, a joined date and time, a zone, words, constants, a template."""
    (tmp_path / "rec").mkdir()
    first, second = _items(tmp_path, FULL, ROWS.encode("cp1252"), tmp_path / "rec")
    assert isinstance(first, CallEntry)
    assert isinstance(second, CallEntry)
    assert first.started_at == 1784763000000
    assert (first.datasource, first.voicelocation, first.voicefilename) == ("7", "4", "c1")
    assert (first.duration_s, first.direction) == (65.0, Direction.INBOUND)
    assert (first.from_number, first.to_number) == ("Zoë 01632960111", "2104")
    assert (first.extension, first.channel) == ("2104", "trunk-1")
    assert first.disposition is Disposition.ANSWERED
    assert second.disposition is Disposition.ABANDONED
    assert first.audio is not None
    # The day of the template is the exchange's, not UTC's.
    assert first.audio.name == "2026/07/23/c1.wav"
    assert first.source_key == "id:c1"


def test_json_lines_are_read_by_the_names_of_their_keys(tmp_path: Path) -> None:
    """Numbers and null become text; a torn last line waits."""
    mapping = (
        'format = "jsonl"\ntimezone = "UTC"\n[columns]\nstarted_at = "at"\nfrom = "a"\nto = "b"\n'
        '[time]\nformats = ["unix_ms", "unix"]\n'
    )
    records = (
        '{"at": 1795426200000, "a": 2104, "b": null}\n[]\n{"at": \n\n{"at": 1795426200, "a": "x'
    )
    first, array, torn, last = _items(tmp_path, mapping, records)
    assert isinstance(first, CallEntry)
    assert (first.started_at, first.from_number, first.to_number) == (1795426200000, "2104", "")
    assert isinstance(array, Problem)
    assert isinstance(torn, Problem)
    assert isinstance(last, Problem)
    assert (torn.result, last.result) == (Result.SKIPPED, Result.WAITING)


def test_columns_may_be_numbers_where_there_is_no_header(tmp_path: Path) -> None:
    """Counted from 1."""
    mapping = 'header = false\ntimezone = "UTC"\n[columns]\nstarted_at = 2\nfrom = 1\n'
    (entry,) = _items(tmp_path, mapping, "01632960111,2026-11-23T09:30:00\n")
    assert isinstance(entry, CallEntry)
    assert entry.from_number == "01632960111"
    wide = mapping.replace("from = 1", "from = 9")
    (short,) = _items(tmp_path, wide, "1,2026-11-23T09:30:00\n")
    assert isinstance(short, Problem)
    assert short.reason == "2 columns, 9 were expected"


def test_the_first_row_without_a_header_is_like_any_other(tmp_path: Path) -> None:
    """A title, or a line end within quotes, costs or spoils nothing behind it."""
    mapping = 'header = false\ntimezone = "UTC"\n[columns]\nstarted_at = 1\nfrom = 2\nto = 3\n'
    rows = ['2026-11-23T09:30:00,"a\nb",3\n', "A title\n", "2026-11-23T09:31:00,1,2\n"]
    for first in range(3):
        items = _items(tmp_path, mapping, "".join(rows[first:] + rows[:first]))
        calls = {item.from_number for item in items if isinstance(item, CallEntry)}
        assert calls == {"a\nb", "1"}
        assert len(items) == 3


def test_a_last_line_without_its_end_waits_until_the_file_is_left_alone(tmp_path: Path) -> None:
    """It may be cut where it still looks like a row, and then say something wrong."""
    records = tmp_path / "cut.csv"
    records.write_text("Start,To\n2026-11-23T09:30:00,1\n2026-11-23T09:31:00,01632960")
    mapping = load_mapping(_mapping(tmp_path, MINIMAL))
    whole, cut = list(read_mapped(records, mapping, recordings=None))
    assert isinstance(whole, CallEntry)
    assert isinstance(cut, Problem)
    assert cut.result is Result.WAITING
    os.utime(records, (1_790_000_000, 1_790_000_000))
    assert [type(item) for item in read_mapped(records, mapping, recordings=None)] == [
        CallEntry,
        CallEntry,
    ]


def test_a_row_of_another_encoding_costs_itself_only(tmp_path: Path) -> None:
    """Named, with what to mend; the rows around it come in."""
    times = [b"2026-11-23T09:3%d:00" % minute for minute in range(3)]
    records = b"Start,To\n%b,1\n%b,J\xfcrgen\n%b,2\n" % tuple(times)
    items = _items(tmp_path, MINIMAL, records)
    assert [type(item) for item in items] == [CallEntry, Problem, CallEntry]
    assert isinstance(items[1], Problem)
    assert items[1].origin == "calls.csv:3"
    assert "not utf-8-sig text" in items[1].reason


def test_a_line_of_any_length_costs_itself_and_little_memory(tmp_path: Path) -> None:
    """It is thrown away as it is read."""
    long = "x" * (64 << 20)
    records = f"Start,To\n2026-11-23T09:30:00,1\n{long}\n2026-11-23T09:31:00,2\n"
    path = tmp_path / "long.csv"
    path.write_text(records)
    del records, long
    mapping = load_mapping(_mapping(tmp_path, MINIMAL))
    tracemalloc.start()
    items = list(read_mapped(path, mapping, recordings=None))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [type(item) for item in items] == [CallEntry, Problem, CallEntry]
    assert peak < 24 << 20


def test_json_that_is_nested_beyond_reason_costs_its_row_only(tmp_path: Path) -> None:
    """At whatever depth Python gives up first."""
    for depth in (500, 990, 5000):
        deep = '{"Start": "2026-11-23T09:30:00", "x": ' + "[" * depth + "]" * depth + "}\n"
        good = '{"Start": "2026-11-23T09:31:00", "To": "1"}\n'
        items = _items(tmp_path, f'format = "jsonl"\n{MINIMAL}', deep + good)
        assert len(items) == 2
        assert isinstance(items[1], CallEntry)


@pytest.mark.parametrize("name", ["rot13", "hex", "base64", "zlib", "undefined", "utf-8\\u0000"])
def test_an_encoding_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """One line that says what to write instead."""
    with pytest.raises(BadInput, match="encoding"):
        load_mapping(_mapping(tmp_path, f'encoding = "{name}"\n{MINIMAL}'))


def test_a_mapping_beyond_reason_is_refused(tmp_path: Path) -> None:
    """Nested too deeply, or a folder that no system can have."""
    with pytest.raises(BadInput, match="nested"):
        load_mapping(_mapping(tmp_path, "a=" + "[" * 100_000))
    with pytest.raises(BadInput, match="root"):
        load_mapping(_mapping(tmp_path, f'{MINIMAL}[recordings]\nroot = "a\\u0000b"\n'))


def test_a_byte_order_mark_is_no_part_of_a_column(tmp_path: Path) -> None:
    """Also where the mapping says utf-8."""
    records = b"\xef\xbb\xbfStart,To\n2026-11-23T09:30:00,1\n"
    items = _items(tmp_path, f'encoding = "utf-8"\n{MINIMAL}', records)
    assert [type(item) for item in items] == [CallEntry]


def test_a_broken_row_is_listed_and_the_others_come_in(tmp_path: Path) -> None:
    """Too few columns, no time, and a torn last line."""
    records = "Start,To\n2026-11-23T09:30:00,1\nx\nnever,2\n2026-11-23T09:31:00,3\n2026-11"
    items = _items(tmp_path, MINIMAL, records)
    assert [type(item) for item in items] == [CallEntry, Problem, Problem, CallEntry, Problem]
    problems = [item for item in items if isinstance(item, Problem)]
    assert [p.origin for p in problems] == ["calls.csv:3", "calls.csv:4", "calls.csv:6"]
    assert [p.result for p in problems] == [Result.SKIPPED, Result.SKIPPED, Result.WAITING]


def test_a_line_end_within_quotes_is_part_of_the_text(tmp_path: Path) -> None:
    """And a quote that never closes costs its own row only."""
    records = (
        'Start,From\n2026-11-23T09:30:00,"two\nlines"\n2026-11-23T09:31:00,"torn\n'
        "2026-11-23T09:32:00,2104\n2026-11-23T09:33:00,2105\n"
    )
    items = _items(tmp_path, f'{MINIMAL}from = "From"\n', records)
    texts = [item.from_number if isinstance(item, CallEntry) else item.origin for item in items]
    assert texts == ["two\nlines", "calls.csv:4", "2104", "2105"]


def test_rows_without_an_id_are_known_by_their_content(tmp_path: Path) -> None:
    """The same row is the same call, another is another."""
    records = "Start,To\n2026-11-23T09:30:00,1\n2026-11-23T09:30:00,2\n2026-11-23T09:30:00,1\n"
    keys = [
        item.source_key
        for item in _items(tmp_path, MINIMAL, records)
        if isinstance(item, CallEntry)
    ]
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize("named", ["../x.wav", "/etc/hostname", "a/../../x.wav", "..\\x.wav"])
def test_a_row_cannot_name_a_file_outside_the_folder(tmp_path: Path, named: str) -> None:
    """The call comes in, without sound and with the reason (T47)."""
    (tmp_path / "rec").mkdir()
    mapping = f'{MINIMAL}recording = "File"\n'
    records = f"Start,File\n2026-11-23T09:30:00,{named}\n"
    (entry,) = _items(tmp_path, mapping, records, tmp_path / "rec")
    assert isinstance(entry, CallEntry)
    assert entry.audio is None
    assert "refused" in (entry.missing or "")


def test_a_template_cannot_be_led_out_of_the_folder_by_a_column(tmp_path: Path) -> None:
    """What a column holds is put in as text and looked at afterwards."""
    (tmp_path / "rec").mkdir()
    mapping = f'{MINIMAL}[recordings]\npath = "{{File}}.wav"\n'
    records = "Start,File\n2026-11-23T09:30:00,../x\n2026-11-23T09:31:00,\n"
    first, second = _items(tmp_path, mapping, records, tmp_path / "rec")
    assert isinstance(first, CallEntry)
    assert isinstance(second, CallEntry)
    assert "refused" in (first.missing or "")
    assert (second.audio, second.missing) == (None, None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[columns\n", "is not TOML"),
        (MINIMAL.replace('"UTC"', '"Mars/Base"'), "timezone: there is no time zone"),
        (MINIMAL.replace('timezone = "UTC"\n', ""), "timezone is missing"),
        ('timezone = "UTC"\n', "columns.started_at is missing"),
        (MINIMAL + 'form = "A"\n', "no key columns.form; did you mean from?"),
        ("colums = 1\n" + MINIMAL, "no key colums; did you mean columns?"),
        ('format = "xls"\n' + MINIMAL, "format = 'xls' is not known; write csv or jsonl"),
        ('encoding = "klingon"\n' + MINIMAL, "encoding = 'klingon'"),
        ('delimiter = ";;"\n' + MINIMAL, "delimiter must be one character"),
        ("delimiter = 7\n" + MINIMAL, "delimiter must be one character like"),
        ("header = 1\n" + MINIMAL, "header must be true or false"),
        ("skip_lines = -1\n" + MINIMAL, "skip_lines must be 0 or more"),
        ("header = false\n" + MINIMAL, "columns.started_at must be a number of a column"),
        (MINIMAL.replace('"Start"', "3"), "columns.started_at must be a name"),
        (MINIMAL.replace('"Start"', "[]"), "columns.started_at must be a name"),
        (MINIMAL + '[time]\nformats = "iso"\n', "time.formats must be a list"),
        (MINIMAL + '[time]\nformats = ["%H:%M"]\n', "time.formats holds '%H:%M'"),
        (MINIMAL + '[time]\nformat = ["iso"]\n', "no key time.format; did you mean formats?"),
        (MINIMAL + '[direction]\nA = "up"\n', "direction.A: 'up' is not a direction"),
        (MINIMAL + '[disposition]\nA = "up"\n', "disposition.A: 'up' is not one of"),
        (MINIMAL + '[recordings]\npath = "{a"\n', "a brace without its partner"),
        (MINIMAL + '[recordings]\npath = ""\n', "recordings.path must be a text"),
        (MINIMAL + '[recordings]\nroute = ""\n', "no key recordings.route; did you mean root?"),
        (MINIMAL + 'recording = "F"\n[recordings]\npath = "x"\n', "both name the file"),
    ],
)
def test_a_wrong_mapping_is_one_line_that_names_the_key_and_the_mending(
    tmp_path: Path, text: str, says: str
) -> None:
    """Nothing is guessed and nothing is imported."""
    with pytest.raises(BadInput) as caught:
        load_mapping(_mapping(tmp_path, text))
    assert says in caught.value.message
    assert "m.toml" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_mapping_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """Missing, or not text."""
    with pytest.raises(BadInput, match="cannot read"):
        load_mapping(tmp_path / "none.toml")
    (tmp_path / "m.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BadInput, match="not UTF-8"):
        load_mapping(tmp_path / "m.toml")


@pytest.mark.parametrize(
    ("records", "says"),
    [
        (b"Begin,To\n", "has no column Start; it has Begin, To"),
        (b"", "has no column Start"),
    ],
)
def test_records_that_do_not_fit_the_mapping_are_refused_at_once(
    tmp_path: Path, records: bytes, says: str
) -> None:
    """Every row would be wrong, so none is read."""
    with pytest.raises(BadInput, match=says):
        _items(tmp_path, MINIMAL, records)


def test_every_example_in_the_documentation_is_a_good_mapping(tmp_path: Path) -> None:
    """The page that people copy from."""
    page = Path("docs/imports.md").read_text(encoding="utf-8")
    examples = [block.partition("```")[0] for block in page.split("```toml\n")[1:]]
    assert len(examples) >= 2
    for example in examples:
        load_mapping(_mapping(tmp_path, example))
    for block in page.split("```json\n")[1:]:
        json.loads(block.partition("```")[0])


def test_a_big_file_is_streamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first entry comes before the last line is read."""
    path = tmp_path / "calls.csv"
    path.write_text("Start\n" + "2026-11-23T09:30:00\n" * 50_000)
    items = read_mapped(path, load_mapping(_mapping(tmp_path, MINIMAL)), recordings=None)
    first = next(items)
    path.unlink()
    assert isinstance(first, CallEntry)
    assert sum(1 for _ in items) == 49_999
