"""One Range header to one byte range, or none. Source: RFC 9110, section 14."""

from __future__ import annotations

import re

from callreel.errors import RangeNotSatisfiable

_ONE_RANGE = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.ASCII | re.IGNORECASE)


def chosen_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The bytes [start, stop) that a Range header asks for; None for the whole.

    What is not one well-formed byte range is ignored, several included, as HTTP allows.

    Args:
        header: The header's value; None where there is none.
        size: Size of the whole, in bytes.

    Raises:
        RangeNotSatisfiable: It starts behind the end, or asks for the last zero bytes.
    """
    match = _ONE_RANGE.fullmatch(header) if header is not None else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first and not last:
        return None
    if not first:
        length = int(last)
        if length == 0 or size == 0:
            raise RangeNotSatisfiable(size)
        return max(0, size - length), size
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeNotSatisfiable(size)
    return start, min(size, int(last) + 1) if last else size
