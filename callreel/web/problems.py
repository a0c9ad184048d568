"""Errors to answers: the one table from error class to status, as plain text or as a problem.

What was not raised on purpose is told by an id only; the log has the rest.
"""

from __future__ import annotations

import secrets

import structlog
from starlette.responses import JSONResponse, PlainTextResponse, Response

from callreel.errors import (
    BadRequest,
    CallreelError,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    NotReady,
    RangeNotSatisfiable,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unplayable,
)

log = structlog.get_logger("callreel.web")

REALM = 'Basic realm="Callreel", charset="UTF-8"'
"""Basic and nothing else, or a .NET client asks for a scheme that we do not have."""

STATUS: tuple[tuple[type[CallreelError], int, str], ...] = (
    (BadRequest, 400, "Bad request"),
    (Unauthenticated, 401, "Authentication required"),
    (Forbidden, 403, "Forbidden"),
    (NotFound, 404, "Not found"),
    (NotReady, 409, "Not ready yet"),
    (Conflict, 409, "Conflict"),
    (Gone, 410, "Gone"),
    (RangeNotSatisfiable, 416, "Range not satisfiable"),
    (Unplayable, 422, "Unplayable recording"),
    (TooManyRequests, 429, "Too many requests"),
    (Unavailable, 503, "Not available now"),
)
"""First match wins; what is missing here is a 500. Source: contract.md 2.7 and 3.2."""


def status_of(error: CallreelError) -> tuple[int, str]:
    """Status and title of an error."""
    for kind, status, title in STATUS:
        if isinstance(error, kind):
            return status, title
    return 500, "Internal error"


def plain(error: CallreelError) -> Response:
    """One line, ``code: sentence``."""
    status, _ = status_of(error)
    line = " ".join(error.message.split())
    return PlainTextResponse(f"{error.code}: {line}", status, headers=_headers(error, status))


def problem(error: CallreelError) -> Response:
    """A problem document. Source: RFC 9457."""
    status, title = status_of(error)
    return JSONResponse(
        {
            "type": "about:blank",
            "title": title,
            "status": status,
            "detail": error.message,
            "code": error.code,
        },
        status,
        headers=_headers(error, status),
        media_type="application/problem+json",
    )


def _headers(error: CallreelError, status: int) -> dict[str, str]:
    headers = {"Cache-Control": "no-store"}
    if status == 401:  # noqa: PLR2004  # a status of HTTP
        headers["WWW-Authenticate"] = REALM
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.size}"
    return headers


def log_refusal(error: CallreelError) -> None:
    """Write what was refused, with the fields that clients do not see."""
    log.info("refused", code=error.code, **{key: str(value) for key, value in error.fields.items()})


def unexpected(error: Exception) -> CallreelError:
    """What a client is told of an error that nobody raised on purpose."""
    number = secrets.token_hex(6)
    log.error("unexpected", error_id=number, exc_info=error)
    return CallreelError(f"Something went wrong here; its number is {number}.")
