"""The proof of a mask: what it says, and that it says no where a mask is broken."""

from __future__ import annotations

import hashlib
import json
import math
import re
import wave
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import callreel.audio.masked
from callreel.audio.blocks import RawBlock, SafeBlock
from callreel.audio.formats import FORMATS
from callreel.audio.obfuscate import derive, obfuscate
from callreel.db import audit
from callreel.errors import BadRequest, NotFound, NotReady
from callreel.flows.proof_page import page
from callreel.flows.prove import check
from callreel.model import (
    AudioSpec,
    Fill,
    OutputChannels,
    Party,
    RecordingId,
    Role,
    Span,
    UnixMillis,
)
from callreel.spans import Mask
from tests.flows.house import START, House


@pytest.fixture
def masked(house: House) -> RecordingId:
    """A recording with a span of each kind."""
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    boss = house.user("boss", Role.COMPLIANCE)
    for span in (Span(1, 2), Span(4.0001, 5.2, Party.LEFT), Span(8.5, math.inf, Party.RIGHT)):
        house.masking.add(boss, recording, span, "<b>card</b> & number", address=None)
    return recording


def test_a_proof_covers_every_format_and_choice_of_channels(
    house: House, masked: RecordingId
) -> None:
    """With hashes of what a listener gets, levels, causes and the commitment to the source."""
    proof = house.prover.prove(masked, actor="ann")
    assert proof.proven
    document: dict[str, Any] = json.loads(json.dumps(proof.document))
    outputs = {(each["format"], each["channel"]): each for each in document["outputs"]}
    wanted = {(name, "both") for name in FORMATS}
    wanted |= {("wav", choice.value) for choice in OutputChannels}
    assert outputs.keys() == wanted
    listener = house.user()
    for (name, channel), output in outputs.items():
        spec = AudioSpec(name, OutputChannels(channel))
        heard = house.hear(house.ask(listener, masked, spec))
        assert hashlib.sha256(heard).hexdigest() == output["sha256"]
    plain = outputs["wav", "both"]
    assert (plain["unmasked_samples_are_the_source"], plain["masked_samples_are_the_fill"]) == (
        True,
        True,
    )
    assert [(span["channel"], span["start_frame"]) for span in plain["spans"]] == [
        *((0, 8000), (0, 32000)),
        *((1, 8000), (1, 68000)),
    ]
    for span in plain["spans"]:
        assert span["inside_dbfs"] == pytest.approx(-23.01, abs=0.1)
    for output in document["outputs"]:
        assert abs(output["outside_dbfs"] - plain["outside_dbfs"]) < 4
    assert [span["cause"] for span in document["spans"]] == ["hand"] * 3
    sha256 = hashlib.sha256((house.folder / "R.wav").read_bytes()).hexdigest()
    assert document["source_commitment"] == house.keys.commit_source(sha256)
    assert sha256 not in json.dumps(document)
    assert house.prover.prove(masked, actor="ann", with_hash=True).document["source_sha256"] == (
        sha256
    )
    assert house.actions(masked)[-1] == ("recording.prove", "allowed")


def test_after_burn_in_the_commitment_is_still_to_what_came_in(
    house: House, masked: RecordingId
) -> None:
    """So that whoever kept the source can show which one it was."""
    before = house.prover.prove(masked, actor="ann").document
    assert house.burner.burn(masked, actor="ann", cause="command").done
    after = house.prover.prove(masked, actor="ann").document
    assert after["source_commitment"] == before["source_commitment"]
    assert (before["burned_in"], after["burned_in"]) == (False, True)


def test_a_changed_report_is_found_out(house: House, masked: RecordingId) -> None:
    """Any member: the signature covers the whole."""
    document = json.loads(json.dumps(house.prover.prove(masked, actor="ann").document))
    check(document, house.keys)
    for name in document:
        changed = {**document, name: "something else"}
        with pytest.raises(BadRequest, match="changed"):
            check(changed, house.keys)
    with pytest.raises(BadRequest):
        check({**document, "more": 1}, house.keys)


def test_a_page_shows_the_report_and_runs_nothing(house: House, masked: RecordingId) -> None:
    """What people typed is text there; nothing is fetched from anywhere."""
    proof = house.prover.prove(masked, actor="ann")
    html = page(proof.document)
    assert "Masked wherever it is marked" in html
    assert "&lt;b&gt;card&lt;/b&gt; &amp; number" in html
    assert not re.search(r"<script|<b>|src=|href=|https?://", html)
    for output in proof.document["outputs"]:  # type: ignore[attr-defined]  # a list
        assert output["sha256"] in html


def late(block: SafeBlock, clear: SafeBlock) -> SafeBlock:
    """The last masked sample is let through."""
    different = np.flatnonzero((block.samples != clear.samples).any(axis=1))
    if not different.size:
        return block
    last = different[-1]
    return derive(block, lambda samples: np.concatenate([samples[:last], clear.samples[last:]]))


def softer(block: SafeBlock, clear: SafeBlock) -> SafeBlock:
    """What is masked can still be heard a little: one bit in the last place."""
    return derive(block, lambda samples: samples ^ (clear.samples < samples).astype(np.int16))


def too_much(block: SafeBlock, clear: SafeBlock) -> SafeBlock:  # a fault's shape
    """Everything is silent: that masks, and is not what was recorded."""
    return derive(block, np.zeros_like)


def another_tone(block: SafeBlock, clear: SafeBlock) -> SafeBlock:
    """Something else than the fill is written."""
    return derive(block, lambda samples: np.where(samples != clear.samples, samples + 1, samples))


@pytest.mark.parametrize("fault", [late, softer, too_much, another_tone])
def test_a_broken_mask_is_not_proven(
    house: House,
    masked: RecordingId,
    monkeypatch: pytest.MonkeyPatch,
    fault: Callable[[SafeBlock, SafeBlock], SafeBlock],
) -> None:
    """One sample too late, a trace of speech, all of it gone, another fill: each is seen."""

    def broken(block: RawBlock, start: int, mask: Mask, fill: Fill) -> SafeBlock:
        nothing = Mask(tuple(() for _ in mask.channels))
        clear = obfuscate(block, start, nothing, fill)
        return fault(obfuscate(block, start, mask, fill), clear)

    monkeypatch.setattr(callreel.audio.masked, "obfuscate", broken)
    proof = house.prover.prove(masked, actor="ann")
    assert not proof.proven
    assert proof.document["verdict"] == "NOT PROVEN"
    assert "NOT PROVEN" in page(proof.document)


def test_what_is_not_served_is_not_proven(house: House) -> None:
    """No such recording, and one whose call is not over."""
    with pytest.raises(NotFound):
        house.prover.prove(RecordingId("r" + "a" * 26), actor="ann")
    house.now = UnixMillis(START + 6_000)
    recording = RecordingId(house.take("a", extension="2104", start_s=0))
    with pytest.raises(NotReady):
        house.prover.prove(recording, actor="ann")
    with house.db.read() as conn:
        assert "recording.prove" not in {each.action for each in audit.entries(conn)}


def test_a_mono_recording_has_one_choice_of_channels(house: House) -> None:
    """Left, right and mix of mono are that mono."""
    with wave.open(str(house.folder / "M.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(11025)
        file.writeframes(np.arange(30_001, dtype="<i2").tobytes())
    recording = RecordingId(house.take("a", extension="2104", start_s=0, recording="M"))
    boss = house.user("boss", Role.COMPLIANCE)
    house.masking.add(boss, recording, Span(0, 1, Party.LEFT), "card", address=None)
    proof = house.prover.prove(recording, actor="ann")
    assert proof.proven
    assert len(proof.document["outputs"]) == len(FORMATS)  # type: ignore[arg-type]  # a list
