"""What a request of the API asks: its query and its JSON body, read strictly."""

from __future__ import annotations

import json

from starlette.requests import Request

from callreel.errors import BadRequest
from callreel.model import UnixMillis
from callreel.web import parameters
from callreel.web.query import strict

MAX_BODY_BYTES = 16 * 1024


def query_of(request: Request, table: tuple[parameters.Parameter, ...]) -> dict[str, object]:
    """The values of the query.

    Raises:
        BadRequest: A parameter is unknown, doubled or cannot be read; the message names it.
    """
    raw = strict(request.scope["query_string"], [parameter.name for parameter in table])
    return parameters.read(raw, table)


async def json_body(request: Request) -> dict[str, object]:
    """The members of the body; none where there is no body.

    Raises:
        BadRequest: It is no JSON object, too long, or names a member twice.
    """
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise BadRequest(f"The body is longer than {MAX_BODY_BYTES} bytes.")
    if not body:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BadRequest("The body must be application/json.")
    try:
        parsed = json.loads(body, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not JSON.") from None
    if not isinstance(parsed, dict):
        raise BadRequest("The body must be a JSON object.")
    return parsed


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise BadRequest("The body names a member more than once.")
    return found


def require_members(body: dict[str, object], known: tuple[str, ...]) -> None:
    """Refuse a body with a member that is not known.

    Raises:
        BadRequest: It names the member and the known ones.
    """
    for name in body:
        if name not in known:
            told = ", ".join(known)
            raise BadRequest(f"{name[:40]!r} is not a member here; known: {told}.")


def text_of(body: dict[str, object], name: str) -> str:
    """A text of the body.

    Raises:
        BadRequest: It is missing, or no text.
    """
    value = text_or_none(body, name)
    if value is None:
        raise BadRequest(f"{name}: is missing.")
    return value


def text_or_none(body: dict[str, object], name: str) -> str | None:
    """A text of the body; None where it is missing or null.

    Raises:
        BadRequest: It is no text, or cannot be stored.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not value:
        raise BadRequest(f"{name}: must be a text.")
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise BadRequest(f"{name}: holds a character that cannot be stored.")
    return value


def instant_of(body: dict[str, object], name: str) -> UnixMillis | None:
    """An instant of the body; None where it is missing or null.

    Raises:
        BadRequest: It is none.
    """
    value = text_or_none(body, name)
    return None if value is None else parameters.instant(name, value)
