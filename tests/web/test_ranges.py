"""One Range header to one byte range, against a plain oracle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.errors import RangeNotSatisfiable
from callreel.web.ranges import chosen_range


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 20)),
        ("bytes=90-1000", (90, 100)),
        ("bytes=99-99", (99, 100)),
        ("bytes=-1", (99, 100)),
        ("bytes=-1000", (0, 100)),
        ("Bytes=0-9", (0, 10)),
        ("bytes= 0-9 ", (0, 10)),
        # not one well-formed byte range: the whole
        ("bytes=0-1,5-6", None),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=\u0660-\u0669", None),
        ("items=0-5", None),
        ("bytes 0-5", None),
        ("", None),
        ("bytes=0-" + "9" * 40, None),
    ],
)
def test_a_header_gives_one_range_or_the_whole(
    header: str | None, expected: tuple[int, int] | None
) -> None:
    """Of 100 bytes."""
    assert chosen_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=100-200", "bytes=-0"])
def test_a_range_behind_the_end_is_refused_with_the_size(header: str) -> None:
    """416 carries the size of the whole."""
    with pytest.raises(RangeNotSatisfiable) as refused:
        chosen_range(header, 100)
    assert refused.value.size == 100


@given(st.integers(1, 50), st.integers(0, 60), st.integers(0, 60))
def test_ranges_agree_with_slices(size: int, first: int, last: int) -> None:
    """What a range selects is what a slice of the whole would."""
    whole = bytes(range(size))
    try:
        chosen = chosen_range(f"bytes={first}-{last}", size)
    except RangeNotSatisfiable:
        assert first >= size
        return
    if last < first:
        assert chosen is None
    else:
        assert chosen is not None
        assert whole[slice(*chosen)] == whole[first : last + 1] != b""
