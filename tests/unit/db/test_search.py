"""Cursors of a list of calls, without a database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.db.search import _make_cursor, _read_cursor
from callreel.errors import BadRequest
from callreel.model import Call, CallId, Direction, UnixMillis

STORABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def call(started_at: int, call_id: str) -> Call:
    """A call of which only its place in the list matters."""
    return Call(
        id=CallId(call_id),
        recording_id=None,
        datasource="1",
        voicelocation=None,
        voicefilename=None,
        started_at=UnixMillis(started_at),
        duration_s=0.0,
        direction=Direction.UNKNOWN,
        from_number="",
        to_number="",
        extension=None,
        channel=None,
        masked_spans=(),
    )


@given(st.integers(-(10**15), 10**15), STORABLE)
def test_a_cursor_is_the_place_it_was_made_from(started_at: int, call_id: str) -> None:
    """Whatever the id holds, bars and line ends included; and it fits a URL as it is."""
    cursor = _make_cursor(call(started_at, call_id))
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert _read_cursor(cursor) == (started_at, call_id)


@given(st.text())
def test_a_text_that_somebody_made_up_is_refused_or_is_a_place(cursor: str) -> None:
    """Never another error, never a number that the column cannot hold."""
    try:
        started_at, call_id = _read_cursor(cursor)
    except BadRequest as error:
        assert error.message.startswith("cursor:")  # most texts are refused, not all
    else:
        assert abs(started_at) < 2**63
        assert call_id


@pytest.mark.parametrize("cursor", ["", "MXw", "fGMx", "MS41fGM", "MV8wfGM", "MXwA", "MXxj\n"])
def test_a_cursor_that_is_nearly_right_is_refused(cursor: str) -> None:
    """No id, no number, a fraction, a number of another spelling, a NUL, a line end."""
    with pytest.raises(BadRequest, match="cursor"):
        _read_cursor(cursor)
