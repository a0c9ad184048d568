"""Cursors of a list, without a database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.db import cursor as place
from callreel.errors import BadRequest
from callreel.model import UnixMillis

STORABLE = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@given(st.integers(-(10**15), 10**15), STORABLE)
def test_a_cursor_is_the_place_it_was_made_from(started_at: int, call_id: str) -> None:
    """Whatever the id holds, bars and line ends included; and it fits a URL as it is."""
    cursor = place.make(UnixMillis(started_at), call_id)
    assert cursor.replace("-", "").replace("_", "").isalnum()
    assert place.read(cursor) == (started_at, call_id)


@given(st.text())
def test_a_text_that_somebody_made_up_is_refused_or_is_a_place(cursor: str) -> None:
    """Never another error, never a number that the column cannot hold."""
    try:
        started_at, call_id = place.read(cursor)
    except BadRequest as error:
        assert error.message.startswith("cursor:")  # most texts are refused, not all
    else:
        assert abs(started_at) < 2**63
        assert call_id


@pytest.mark.parametrize("cursor", ["", "MXw", "fGMx", "MS41fGM", "MV8wfGM", "MXwA", "MXxj\n"])
def test_a_cursor_that_is_nearly_right_is_refused(cursor: str) -> None:
    """No id, no number, a fraction, a number of another spelling, a NUL, a line end."""
    with pytest.raises(BadRequest, match="cursor"):
        place.read(cursor)
