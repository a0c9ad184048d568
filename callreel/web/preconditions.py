"""What a client says about the bytes that it has. Source: RFC 9110, sections 13.1 and 13.2.2."""

from __future__ import annotations

from starlette.datastructures import Headers


def is_refused(headers: Headers, etag: str) -> bool:
    """Whether If-Match asks for other bytes than these; a weak tag never matches."""
    wanted = _tags(headers, "if-match")
    return bool(wanted) and etag not in wanted and wanted != ["*"]


def is_known(headers: Headers, etag: str) -> bool:
    """Whether If-None-Match names these bytes, so that they need not be sent."""
    known = _tags(headers, "if-none-match")
    return etag in {tag.removeprefix("W/") for tag in known} or known == ["*"]


def wanted_range(headers: Headers, etag: str) -> str | None:
    """The Range header where there is one and If-Range lets it count; a date never does."""
    ranges, conditions = headers.getlist("range"), headers.getlist("if-range")
    if len(ranges) != 1 or (conditions and [each.strip() for each in conditions] != [etag]):
        return None
    return ranges[0]


def _tags(headers: Headers, name: str) -> list[str]:
    # Our own tags hold no comma, so that a foreign one that does may be cut without harm.
    given = ",".join(headers.getlist(name)).split(",")
    return [tag.strip() for tag in given if tag.strip()]
