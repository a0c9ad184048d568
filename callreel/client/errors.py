"""What can go wrong for a program that uses the client; drawn on the package's page."""

from __future__ import annotations

import httpx2


class ClientError(Exception):
    """Root of the tree."""


class AuthenticationRefused(ClientError):
    """The user name, password or API key is wrong."""


class Refused(ClientError):
    """The server understood and says no."""

    def __init__(self, message: str, *, code: str, status: int, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s


class NotFound(Refused):
    """There is no such thing, or it is not yours."""


class NotReady(Refused):
    """The call still runs, or ended only just now."""


class Gone(Refused):
    """Deleted by retention, or an address that is over."""


class Unplayable(Refused):
    """It could not be decoded when it came in."""


class ServerUnavailable(ClientError):
    """No answer, or none in time."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class DeadlineExceeded(ClientError):
    """The time that was given is over; what was fetched so far is removed."""


class BadAnswer(ClientError):
    """Not what the contract says."""


_REFUSALS: dict[int, type[Refused]] = {404: NotFound, 409: NotReady, 410: Gone, 422: Unplayable}


def refusal_of(response: httpx2.Response) -> ClientError:
    """The error of an answer, from a problem document or a line ``code: sentence``."""
    status = response.status_code
    code, message = _code_and_message(response)
    retry_after_s = float(whole_number(response.headers.get("retry-after")) or 1)
    if status == 401:  # noqa: PLR2004  # a status of HTTP
        return AuthenticationRefused(message)
    if status in {429, 502, 503, 504}:
        return ServerUnavailable(message, retry_after_s=retry_after_s)
    if 300 <= status < 400:  # noqa: PLR2004  # statuses of HTTP
        return BadAnswer("The server sends on to another address; that is not followed.")
    kind = _REFUSALS.get(status, Refused)
    return kind(message, code=code, status=status, retry_after_s=retry_after_s)


def _code_and_message(response: httpx2.Response) -> tuple[str, str]:
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        try:
            document = response.json()
            return str(document["code"]), str(document["detail"])
        except (ValueError, KeyError, TypeError):
            pass
    code, colon, sentence = response.text.partition(": ")
    if colon and code.isidentifier():
        return code, sentence
    return "unknown", f"The server answered {response.status_code}."


def whole_number(text: str | None) -> int | None:
    """A number in a header; None where it is none."""
    return int(text) if text is not None and text.isascii() and text.isdigit() else None
