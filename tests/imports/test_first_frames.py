"""Recordings that begin later than their call: signals still mask what was said at that time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from callreel.flows.entry import CallEntry
from tests.imports.switch_lines import CALLER
from tests.imports.test_asterisk import _items as asterisk_items
from tests.imports.test_freeswitch import _items as freeswitch_items

ROW = (
    '"","01632960111","2104","from-trunk","","PJSIP/trunk-0000ce14","PJSIP/2104-0000ce15","Dial","",'
    '"2026-11-23 09:30:00","2026-11-23 09:30:12","2026-11-23 09:31:12","72","60","ANSWERED",'
    f'"DOCUMENTATION","{CALLER}",""\n'
)


@pytest.mark.parametrize(
    ("row", "answered_s"),
    [
        (ROW, 12),
        (ROW.replace('"2026-11-23 09:30:12"', '""'), 12),
        (ROW.replace('"2026-11-23 09:30:12"', '"0000-00-00 00:00:00"'), None),
        (ROW.replace('"2026-11-23 09:30:12"', '""').replace('"60"', '""'), None),
        (ROW.replace("ANSWERED", "NO ANSWER"), None),
    ],
)
def test_asterisk_tells_when_somebody_answered(
    tmp_path: Path, row: str, answered_s: int | None
) -> None:
    """By its time, or by how long they talked; what cannot be read is not known."""
    (tmp_path / "Master.csv").write_text(row)
    (entry,) = asterisk_items(tmp_path / "Master.csv")
    assert isinstance(entry, CallEntry)
    assert entry.started_at is not None
    assert entry.clock_s == 1.0
    if answered_s is None:
        assert entry.answered_at is None
    else:
        assert entry.answered_at == entry.started_at + answered_s * 1000


@pytest.mark.parametrize(
    ("variables", "answered_s", "clock_s"),
    [
        ({"start_epoch": "1795426200", "answer_epoch": "1795426212"}, 12, 1.0),
        ({"start_epoch": "1795426200", "answer_epoch": "0"}, None, 1.0),
        ({"start_uepoch": "1795426200250000", "answer_uepoch": "1795426212250000"}, 12, 0.0),
        ({"start_stamp": "2026-11-23 09:30:00", "answer_stamp": "2026-11-23 09:30:12"}, 12, 1.0),
        ({"start_stamp": "2026-11-23 09:30:00", "answer_stamp": "soon"}, None, 1.0),
    ],
)
def test_freeswitch_tells_when_somebody_answered(
    tmp_path: Path, variables: dict[str, str], answered_s: int | None, clock_s: float
) -> None:
    """To the microsecond where it says so."""
    leg = {"uuid": "0d5cd4c3-7d0f-4b5e-9a39-1d2f3a4b5c6d", "duration": "72", **variables}
    (tmp_path / "a.json").write_text(json.dumps({"variables": leg}))
    (entry,) = freeswitch_items(tmp_path / "a.json")
    assert isinstance(entry, CallEntry)
    assert entry.started_at is not None
    assert entry.clock_s == clock_s
    told = entry.answered_at and entry.answered_at - entry.started_at
    assert told == (None if answered_s is None else answered_s * 1000)
