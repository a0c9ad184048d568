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
from callreel.wording import to_translate, worded

log = structlog.get_logger("callreel.web")

REALM = 'Basic realm="Callreel", charset="UTF-8"'
"""Basic and nothing else, or a .NET client asks for a scheme that we do not have."""

STATUS: tuple[tuple[type[CallreelError], int, str], ...] = (
    (BadRequest, 400, to_translate("Bad request")),
    (Unauthenticated, 401, to_translate("Authentication required")),
    (Forbidden, 403, to_translate("Forbidden")),
    (NotFound, 404, to_translate("Not found")),
    (NotReady, 409, to_translate("Not ready yet")),
    (Conflict, 409, to_translate("Conflict")),
    (Gone, 410, to_translate("Gone")),
    (RangeNotSatisfiable, 416, to_translate("Range not satisfiable")),
    (Unplayable, 422, to_translate("Unplayable recording")),
    (TooManyRequests, 429, to_translate("Too many requests")),
    (Unavailable, 503, to_translate("Not available now")),
)
"""First match wins; what is missing here is a 500. Source: contract.md 2.7 and 3.2."""

METHOD_NOT_ALLOWED = 405
"""The one status that is of HTTP alone: no flow knows methods."""


def status_of(error: CallreelError) -> tuple[int, str]:
    """Status and title of an error."""
    for kind, status, title in STATUS:
        if isinstance(error, kind):
            return status, title
    return 500, to_translate("Internal error")


def plain(error: CallreelError) -> Response:
    """One line, ``code: sentence``."""
    status, _ = status_of(error)
    return _plain(status, error.code, error.message, _headers(error, status))


def problem(error: CallreelError) -> Response:
    """A problem document. Source: RFC 9457."""
    status, title = status_of(error)
    return _problem(status, title, error.code, error.message, _headers(error, status))


def wrong_method(allowed: str, *, as_problem: bool) -> Response:
    """The address is right, the method is not.

    Args:
        allowed: As the header ``Allow`` lists them.
        as_problem: As a problem document, else as one line.
    """
    code, sentence, headers = "method_not_allowed", f"Use {allowed} here.", {"Allow": allowed}
    if as_problem:
        return _problem(METHOD_NOT_ALLOWED, "Method not allowed", code, sentence, headers)
    return _plain(METHOD_NOT_ALLOWED, code, sentence, headers)


def _plain(status: int, code: str, sentence: str, headers: dict[str, str]) -> Response:
    return PlainTextResponse(f"{code}: {' '.join(sentence.split())}", status, headers=headers)


def _problem(
    status: int, title: str, code: str, sentence: str, headers: dict[str, str]
) -> Response:
    return JSONResponse(
        {"type": "about:blank", "title": title, "status": status, "detail": sentence, "code": code},
        status,
        headers=headers,
        media_type="application/problem+json",
    )


def _headers(error: CallreelError, status: int) -> dict[str, str]:
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = REALM
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(error.retry_after_s)
    if isinstance(error, RangeNotSatisfiable):
        headers["Content-Range"] = f"bytes */{error.size}"
    return headers


def log_refusal(error: CallreelError) -> None:
    """Write what was refused, with the fields that clients do not see."""
    fields = {f"about_{key}": str(value) for key, value in error.fields.items()}
    log.info("refused", code=error.code, **fields)


def as_told(error: Exception) -> CallreelError:
    """What a client is told of an error, and what the log is.

    One that nobody raised on purpose, or that is about the installation, is told by a number.
    """
    if isinstance(error, CallreelError) and status_of(error)[0] < 500:
        log_refusal(error)
        return error
    if isinstance(error, Unavailable):
        fields = {f"about_{key}": str(value) for key, value in error.fields.items()}
        log.warning("unavailable", code=error.code, told=error.message, **fields)
        return error
    number = secrets.token_hex(6)
    log.error("unexpected", error_id=number, exc_info=error)
    return CallreelError(
        worded("Something went wrong here; its number in the log is %(number)s.", number=number)
    )
