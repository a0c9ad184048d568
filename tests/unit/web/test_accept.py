"""Which kind of list an Accept header asks for. Source: RFC 9110, section 12.5.1."""

from __future__ import annotations

import pytest

from callreel.web.accept import accepted_kind


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("", "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV", "csv"),
        ("text/xml", "xml"),
        ("application/xml;q=0.9, text/csv;q=0.8", "xml"),
        ("application/xml;q=0.5, text/csv; q=0.8", "csv"),
        ("text/csv, application/json", "json"),
        ("text/csv, */*;q=0.1", "csv"),
        ("text/csv;q=0, */*", "json"),
        ("text/csv;q=0", "json"),
        ("text/csv;header=present;q=1", "csv"),
        ("image/png", "json"),
        (",,;q=, ;", "json"),
    ],
)
def test_the_kind_that_is_weighed_most_is_taken(header: str, kind: str) -> None:
    """JSON where nothing fits, or as well."""
    assert accepted_kind(header) == kind
