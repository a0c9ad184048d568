"""Which kind of list a program wants: JSON, CSV or XML. Source: contract.md 6.2."""

from __future__ import annotations

import re

from starlette.requests import Request

from callreel.errors import BadRequest

KINDS = ("json", "csv", "xml")
"""Also the extensions of the address."""

_MEDIA_TYPES = {
    "application/json": "json",
    "text/csv": "csv",
    "application/xml": "xml",
    "text/xml": "xml",
}
_QUALITY = re.compile(r";\s*q\s*=\s*([01](?:\.[0-9]{0,3})?)\s*(?:;|$)")


def chosen_kind(request: Request) -> str:
    """By extension, else what is accepted most; JSON where all is the same or nothing fits.

    Raises:
        BadRequest: The extension is another.
    """
    extension = request.path_params.get("extension")
    if extension is None:
        return accepted_kind(",".join(request.headers.getlist("accept")))
    kind = str(extension).lower()
    if kind not in KINDS:
        raise BadRequest(f"The extension must be one of {', '.join(KINDS)}.")
    return kind


def accepted_kind(header: str) -> str:
    """The kind that an Accept header weighs most; of equal ones JSON, else the first named.

    Source: RFC 9110, section 12.5.1; a header that fits nothing is disregarded, as it allows.
    """
    best, best_quality = "json", 0.0
    for element in header.lower().split(","):
        name = element.partition(";")[0].strip()
        kind = "json" if name in {"*/*", "application/*"} else _MEDIA_TYPES.get(name)
        found = _QUALITY.search(element)
        quality = float(found.group(1)) if found else 1.0
        if kind is not None and (
            quality > best_quality or (quality == best_quality and kind == "json")
        ):
            best, best_quality = kind, quality
    return best
