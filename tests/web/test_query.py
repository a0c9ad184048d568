"""Queries: run together as the old sample sends them, decoded once, nothing guessed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.errors import BadRequest
from callreel.web.legacy import SIGNAL_NAMES, VOICE_NAMES
from callreel.web.query import run_together, strict

SPREAD = b"cmd=getvmsg&datasource=3&recordingid=NCS0000EA39&voicelocation=4&salt=638"
PARSED = {
    "cmd": "getvmsg",
    "datasource": "3",
    "recordingid": "NCS0000EA39",
    "voicelocation": "4",
    "salt": "638",
}


@pytest.mark.parametrize(
    "raw",
    [
        SPREAD,
        b"cmd=getvmsg&datasource=3recordingid=NCS0000EA39voicelocation=4salt=638",
        b"cmd=getvmsgdatasource=3recordingid=NCS0000EA39voicelocation=4salt=638",
        b"salt=638;voicelocation=4;RecordingID=NCS0000EA39;DATASOURCE=3;Cmd=getvmsg",
        b"&&cmd=getvmsg&;&datasource=3&voicefilename=NCS0000EA39&voicelocation=4&salt=638&",
        b"cmd=getvmsg&datasource=3VoiceFileName=NCS0000EA39&voicelocation=4salt=638",
        b"ignored=1&" + SPREAD + b"&also",
    ],
)
def test_every_spelling_of_the_old_query_is_read(raw: bytes) -> None:
    """Split at separators and where a known name with its equals sign begins (contract.md 2.2)."""
    assert run_together(raw, VOICE_NAMES) == PARSED


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"datasource=%5C3%5C", {"datasource": "\\3\\"}),
        (b"recordingid=a+b%2B", {"recordingid": "a+b+"}),
        (b"recordingid=a%26salt%3D1", {"recordingid": "a&salt=1"}),
        (b"recordingid=%2541", {"recordingid": "%41"}),
        (b"recordingid=salt", {"recordingid": "salt"}),
        (b"recordingid=", {"recordingid": ""}),
        (b"recordingid=a=b", {"recordingid": "a=b"}),
        (b"recordingid=xformat=mp3", {"recordingid": "x", "format": "mp3"}),
        (b"recordingid=" + "é".encode(), {"recordingid": "é"}),
        (b"", {}),
    ],
)
def test_values_are_decoded_once(raw: bytes, expected: dict[str, str]) -> None:
    """After splitting; a plus is a plus."""
    assert run_together(raw, VOICE_NAMES) == expected


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        (b"datasource=3&datasource=3", "datasource: given more than once"),
        (b"datasource=3Datasource=4", "datasource: given more than once"),
        (b"recordingid=a&voicefilename=a", "recordingid: given more than once"),
        (b"salt=1&salt=2", "salt: given more than once"),
        (b"recordingid=%", "recordingid: a % is not"),
        (b"recordingid=%G1", "recordingid: a % is not"),
        (b"recordingid=%ff", "recordingid: not UTF-8"),
        (b"salt=" + b"x" * 9000, "too long"),
    ],
)
def test_what_is_ambiguous_or_broken_is_named(raw: bytes, named: str) -> None:
    """A 400 that says which parameter, never a guess."""
    with pytest.raises(BadRequest, match=named):
        run_together(raw, VOICE_NAMES)


def test_a_name_within_a_longer_name_is_no_border() -> None:
    """``type=`` does not begin inside ``objtype=``."""
    raw = b"cat=4&type=1&objtype=user&objid=2104&key="
    expected = {"cat": "4", "type": "1", "objtype": "user", "objid": "2104", "key": ""}
    assert run_together(raw, SIGNAL_NAMES) == expected
    assert run_together(raw.replace(b"&", b""), SIGNAL_NAMES) == expected


@given(st.permutations(list(PARSED.items())), st.lists(st.sampled_from(["&", ";", ""]), min_size=5))
def test_order_and_separators_do_not_matter(
    items: list[tuple[str, str]], separators: list[str]
) -> None:
    """Any order, any mix of separators and none."""
    raw = "".join(f"{s}{k}={v}" for (k, v), s in zip(items, separators, strict=False))
    assert run_together(raw.encode(), VOICE_NAMES) == PARSED


@given(st.binary(max_size=60))
def test_no_bytes_make_it_fail_in_another_way(raw: bytes) -> None:
    """Whatever comes in: values or a 400."""
    for read in (lambda: run_together(raw, VOICE_NAMES), lambda: strict(raw, ["limit"])):
        with suppress(BadRequest):
            read()


def test_the_api_names_what_it_does_not_know() -> None:
    """Unknown names are refused with the known ones; so are repeated ones."""
    assert strict(b"limit=5&cursor=a%20b", ["limit", "cursor"]) == {"limit": "5", "cursor": "a b"}
    with pytest.raises(BadRequest, match=r"'limt' is not a parameter here; known: limit, cursor\."):
        strict(b"limt=5", ["limit", "cursor"])
    with pytest.raises(BadRequest, match="limit: given more than once"):
        strict(b"limit=5&limit=5", ["limit"])
