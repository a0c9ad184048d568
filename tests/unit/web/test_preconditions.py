"""What a client says about the bytes that it has. Source: RFC 9110, section 13."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from callreel.web.preconditions import is_known, is_refused, wanted_range

TAG = '"now"'


def headers(*given: tuple[str, str]) -> Headers:
    """Headers in order, repeated ones too."""
    return Headers(raw=[(name.lower().encode(), value.encode()) for name, value in given])


@pytest.mark.parametrize(
    ("value", "known"),
    [
        ('"now"', True),
        ('W/"now"', True),
        ('"old", "now"', True),
        ("*", True),
        ('"old"', False),
        ("now", False),
        ("", False),
    ],
)
def test_known_bytes_are_compared_weakly(value: str, known: bool) -> None:  # a table's column
    """If-None-Match."""
    assert is_known(headers(("If-None-Match", value)), TAG) is known


@pytest.mark.parametrize(
    ("value", "refused"),
    [('"now"', False), ("*", False), ('"old", "now"', False), ('W/"now"', True), ('"old"', True)],
)
def test_wanted_bytes_are_compared_strongly(value: str, refused: bool) -> None:  # as above
    """If-Match; without it nothing is refused."""
    assert is_refused(headers(("If-Match", value)), TAG) is refused
    assert not is_refused(headers(), TAG)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ([("Range", "bytes=0-1")], "bytes=0-1"),
        ([("Range", "bytes=0-1"), ("If-Range", '"now"')], "bytes=0-1"),
        ([("Range", "bytes=0-1"), ("If-Range", '"old"')], None),
        ([("Range", "bytes=0-1"), ("If-Range", 'W/"now"')], None),
        ([("Range", "bytes=0-1"), ("If-Range", "Tue, 24 Nov 2026 06:00:00 GMT")], None),
        ([("Range", "bytes=0-1"), ("If-Range", '"now"'), ("If-Range", '"now"')], None),
        ([("Range", "bytes=0-1"), ("Range", "bytes=2-3")], None),
        ([("If-Range", '"now"')], None),
        ([], None),
    ],
)
def test_a_range_counts_while_the_bytes_are_the_same(
    given: list[tuple[str, str]], wanted: str | None
) -> None:
    """If-Range is compared strongly, and a date never matches."""
    assert wanted_range(headers(*given), TAG) == wanted
