"""Query strings: split before decoding, decoded once, duplicates refused.

The old programs' query is split more leniently than any framework does, so both are read here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from callreel.errors import BadRequest
from callreel.wording import worded

MAX_QUERY_BYTES = 8192

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")


def decoded(raw: bytes, name: str) -> str:
    """Percent-decode once; a plus is a plus.

    Raises:
        BadRequest: A broken escape, not UTF-8, or a control character: no name or number has one,
            and databases and logs are better without.
    """
    if _BROKEN_ESCAPE.search(raw):
        raise BadRequest(f"{name}: a % is not followed by two hex digits.")
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest(f"{name}: not UTF-8.") from None
    if _CONTROL.search(text):
        raise BadRequest(f"{name}: holds a control character.")
    return text


def run_together(
    raw: bytes, names: Mapping[str, str], unread: Collection[str] = ()
) -> dict[str, str]:
    """Read a query whose parameters may be run together, as the published sample sends it.

    It is split at ``&``, ``;``, and wherever a known name directly followed by ``=`` begins; names
    ignore case. Unknown names are ignored.

    Args:
        raw: The query string as it came.
        names: From each name in lower case to the one it is an alias of.
        unread: Names whose value may be anything, and is left out of what is returned.

    Returns:
        Decoded values by the names in ``names.values()``.

    Raises:
        BadRequest: A name given twice (aliases count as one), broken escapes, a query too long.

    Source: contract.md 2.2 and 2.3.
    """
    require_short(raw)
    found: dict[str, bytes] = {}
    for piece in _pieces(raw, names):
        key, _, value = piece.partition(b"=")
        name = names.get(unquote_to_bytes(key).decode("latin-1").lower())
        if name is None:
            continue
        if name in found:
            raise BadRequest(f"{name}: given more than once.")
        found[name] = value
    return {name: decoded(value, name) for name, value in found.items() if name not in unread}


def _pieces(raw: bytes, names: Iterable[str]) -> Iterator[bytes]:
    """What lies between separators and beginnings of known names."""
    begin = 0
    for border in _borders(tuple(names)).finditer(raw):
        yield raw[begin : border.start()]
        begin = border.end() if border.group() in {b"&", b";"} else border.start()
    yield raw[begin:]


@lru_cache(maxsize=16)
def _borders(names: tuple[str, ...]) -> re.Pattern[bytes]:
    # Longest first, and a name is consumed whole: "type=" does not begin inside "objtype=".
    alternatives = "|".join(sorted(map(re.escape, names), key=len, reverse=True))
    return re.compile(f"[&;]|(?:{alternatives})=".encode(), re.IGNORECASE)


def strict(raw: bytes, known: Iterable[str]) -> dict[str, str]:
    """Read the query of the API: known names only, each once, ``+`` a plus.

    Raises:
        BadRequest: An unknown name or one given twice, broken escapes, a query too long.
    """
    require_short(raw)
    names = list(known)
    found: dict[str, str] = {}
    for piece in raw.split(b"&"):
        if not piece:
            continue
        key, _, value = piece.partition(b"=")
        name = decoded(key, "query")
        if name not in names:
            raise BadRequest(
                f"{name[:40]!r} is not a parameter here; known: {', '.join(names) or 'none'}."
            )
        if name in found:
            raise BadRequest(f"{name}: given more than once.")
        found[name] = decoded(value, name)
    return found


def require_short(raw: bytes) -> None:
    """Raise BadRequest for a query that no program of good will sends."""
    if len(raw) > MAX_QUERY_BYTES:
        raise BadRequest(
            worded(
                "The query is too long: at most %(most)s bytes are read.", most=str(MAX_QUERY_BYTES)
            )
        )
