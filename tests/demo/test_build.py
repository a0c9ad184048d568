"""The demo data set as the database has it in the end."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from callreel.bootstrap import Base, open_base
from callreel.db import calls, directory
from callreel.db.call_filter import CallFilter
from callreel.db.search import search_calls
from callreel.demo.build import build_demo
from callreel.demo.conversations import load_conversations
from callreel.demo.plan import PlannedCall, plan_calls
from callreel.demo.state import PLAN_FILE, read_plan
from callreel.demo.town import SITES
from callreel.errors import ConfigurationError
from callreel.flows.entry import call_id
from callreel.model import Call, Recording, RecordingState, Scope
from callreel.settings import load_settings

EVERYTHING = Scope(everything=True)
BUILD_AND_DIE = """
import os, signal, sys
from pathlib import Path
from callreel.demo.build import build_demo
from callreel.settings import load_settings

def progress(count, total):
    if count == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

build_demo(load_settings(Path(sys.argv[1]), {}), progress)
"""


def ignore_progress(_count: int, _total: int) -> None:
    """Nobody looks."""


@pytest.fixture
def base(built_demo: Path) -> Iterator[Base]:
    """The finished demo, open."""
    opened = open_base(load_settings(built_demo, {}))
    yield opened
    opened.close()


def every_call(base: Base) -> tuple[Call, ...]:
    """All calls of the demo."""
    with base.db.read() as conn:
        return search_calls(conn, EVERYTHING, CallFilter(), 1000, None).items


def recording_of(base: Base, call: Call) -> Recording:
    """The recording of a call that has one."""
    assert call.recording_id is not None
    with base.db.read() as conn:
        found = calls.find_recording(conn, EVERYTHING, call.recording_id)
    assert found is not None
    return found


def planned(data_dir: Path) -> tuple[PlannedCall, ...]:
    """What the build of a folder was meant to become."""
    plan = read_plan(data_dir)
    assert plan is not None
    return plan_calls(plan.seed, plan.built_at, load_conversations())


def test_every_planned_call_is_there_and_no_other(base: Base, built_demo: Path) -> None:
    """The intake took all of the plan."""
    wanted = {call_id(call.site.datasource, call.key) for call in planned(built_demo)}
    assert {call.id for call in every_call(base)} == wanted
    assert len(wanted) >= 200


def test_every_recording_can_be_played(base: Base, built_demo: Path) -> None:
    """Whatever the kind of file, the probe found what was made, to within a packet."""
    wanted = {call_id(call.site.datasource, call.key): call.sound for call in planned(built_demo)}
    codecs: Counter[str] = Counter()
    for call in every_call(base):
        if call.recording_id is not None:
            recording = recording_of(base, call)
            assert recording.state is RecordingState.READY
            assert recording.facts is not None
            assert recording.facts.repaired is None
            codecs[recording.facts.codec] += 1
            sound = wanted[call.id]
            assert sound is not None
            assert call.duration_s == pytest.approx(sound.duration_s, abs=0.08)
    assert len(codecs) >= 6


def test_masked_calls_show_the_spans_of_the_plan(base: Base, built_demo: Path) -> None:
    """What was planned is what a client is told; longer where a codec remembers (T17)."""
    wanted = {call_id(call.site.datasource, call.key): call.spans for call in planned(built_demo)}
    exact = several = 0
    for call in every_call(base):
        spans = wanted[call.id]
        assert bool(call.masked_spans) == bool(spans)
        several += len(call.masked_spans) > 1
        for span in spans:
            # A codec that keeps both parties together is masked for both (T17).
            assert any(
                shown.channel in {span.channel, None}
                and shown.start_s <= span.start_s + 0.001
                and shown.end_s >= span.end_s - 0.001
                for shown in call.masked_spans
            )
        if spans and not memory_frames(base, call):
            exact += 1
            shown_s = sum(shown.end_s - shown.start_s for shown in call.masked_spans)
            assert shown_s == pytest.approx(sum(s.end_s - s.start_s for s in spans), abs=0.01)
    assert exact >= 12
    assert several >= 5


def memory_frames(base: Base, call: Call) -> int:
    """How far the decoder of a call's sound remembers."""
    facts = recording_of(base, call).facts
    assert facts is not None
    return facts.memory_frames


def test_legs_of_a_transfer_share_a_recording(base: Base) -> None:
    """At least six recordings belong to two calls, of two extensions."""
    shared: dict[str, set[str | None]] = {}
    for call in every_call(base):
        if call.recording_id is not None:
            shared.setdefault(call.recording_id, set()).add(call.extension)
    pairs = [extensions for extensions in shared.values() if len(extensions) == 2]
    assert len(pairs) >= 6


def test_what_was_not_recorded_has_no_voicefilename(base: Base) -> None:
    """Abandoned calls: null, not an empty text."""
    silent = [call for call in every_call(base) if call.recording_id is None]
    assert len(silent) >= 20
    assert {(call.voicefilename, call.voicelocation) for call in silent} == {(None, None)}


def test_the_directory_names_sites_groups_and_people(base: Base) -> None:
    """Two sites with their own default voicelocation."""
    with base.db.read() as conn:
        found = {site.name: site.default_voicelocation for site in directory.list_sites(conn)}
    assert found == {site.name: site.voicelocation for site in SITES}


def test_a_finished_demo_is_left_alone(demo_copy: Path) -> None:
    """The second `make run` builds nothing."""
    told: list[int] = []
    before = (demo_copy / PLAN_FILE).read_bytes()
    build_demo(load_settings(demo_copy, {}), lambda count, _total: told.append(count))
    assert told == []
    assert (demo_copy / PLAN_FILE).read_bytes() == before
    assert not (demo_copy / "demo-sound").exists()


def test_a_build_that_was_killed_is_finished_by_the_next_run(tmp_path: Path) -> None:
    """After kill -9 in the middle: the same calls are there in the end, each once."""
    killed = subprocess.run([sys.executable, "-c", BUILD_AND_DIE, str(tmp_path), "90"], check=False)
    assert killed.returncode == -signal.SIGKILL
    half = planned(tmp_path)
    settings = load_settings(tmp_path, {})
    build_demo(settings, ignore_progress)
    base = open_base(settings)
    try:
        found = [call.id for call in every_call(base)]
    finally:
        base.close()
    assert sorted(found) == sorted(call_id(call.site.datasource, call.key) for call in half)
    assert not (tmp_path / "demo-sound").exists()
    plan = read_plan(tmp_path)
    assert plan is not None
    assert plan.complete


def test_a_real_installation_gets_no_made_up_calls(tmp_path: Path) -> None:
    """A folder with keys or a database that no demo made is refused, and stays as it is."""
    (tmp_path / "callreel.db").touch()
    with pytest.raises(ConfigurationError, match="not a demo"):
        build_demo(load_settings(tmp_path, {}), ignore_progress)
    assert list(tmp_path.iterdir()) == [tmp_path / "callreel.db"]
