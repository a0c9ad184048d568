"""From what HTTP gave to an error of ours: statuses in one table, broken connections in another.

Source: contract.md 2.7, 3.2 and 6.1.
"""

from __future__ import annotations

import json
import re

import httpx2

from callreel.client.errors import (
    AccessRefused,
    AuthenticationRefused,
    BadAnswer,
    BadRequest,
    ClientError,
    Gone,
    NotFound,
    NotReady,
    ServerFault,
    ServerUnavailable,
    Unplayable,
    Unreachable,
)

REFUSALS: dict[int, type[ClientError]] = {
    400: BadRequest,
    403: AccessRefused,
    404: NotFound,
    410: Gone,
    422: Unplayable,
}
"""What only a Callreel server can mean; it says so with a code."""
BUSY = frozenset({429, 502, 503, 504})
"""What a server, or a proxy before it, answers while it can't."""
_MAX_MESSAGE_CHARS = 500
_PLAIN = re.compile(r"([a-z][a-z_]{2,40}): (.+)")


def refusal(response: httpx2.Response) -> ClientError:
    """The error that an answer other than success stands for; its body must have been read."""
    status = response.status_code
    code, said = _said(response)
    where = f"{response.url.scheme}://{response.url.netloc.decode('ascii')}"
    if 300 <= status < 400:
        return BadAnswer(
            f"{where} sends us on to another address, which is never followed with a login or a "
            "token; give the final address."
        )
    if status == 401:
        return AuthenticationRefused(said or "The login was refused.", code=code)
    if status in BUSY:
        said = said or f"{where} cannot answer now (status {status})."
        return ServerUnavailable(said, code=code, retry_after_s=_retry_after_s(response))
    if status >= 500:
        return ServerFault(said or f"{where} failed (status {status}).", code=code)
    fault: ClientError = BadAnswer(
        f"{where} answers {status}, but not as a Callreel server does; check the address."
    )
    if code and status == 409:
        fault = NotReady(said, code=code, retry_after_s=_retry_after_s(response))
    elif code and status in REFUSALS:
        fault = REFUSALS[status](said, code=code)
    return fault


def broken(error: httpx2.RequestError, where: str) -> ClientError:
    """The error that a connection which failed or broke stands for.

    Args:
        error: What happened.
        where: The address that was spoken to, for the message.
    """
    match error:
        case httpx2.ConnectTimeout():
            return Unreachable(f"{where} does not answer in time; is the address right?")
        case httpx2.UnsupportedProtocol():
            return Unreachable(f"{where} is not an http or https address.")
        case httpx2.ConnectError() | httpx2.ProxyError():
            return Unreachable(f"Cannot reach {where}: {clean(str(error))}")
        case httpx2.TimeoutException():
            return ServerUnavailable(f"{where} did not go on in time.")
        case httpx2.DecodingError() | httpx2.TooManyRedirects():
            return BadAnswer(f"{where} answers in a way that cannot be read.")
        case _:
            return ServerUnavailable(f"{where} broke off: {clean(str(error)) or 'no answer'}")


def clean(text: str) -> str:
    """One line of printable text, cut to a length: what came from outside may hold anything."""
    line = " ".join(text.split())
    return "".join(c if c.isprintable() else "\ufffd" for c in line)[:_MAX_MESSAGE_CHARS]


def _said(response: httpx2.Response) -> tuple[str, str]:
    """Code and sentence, as a problem document or one plain line tell them; else empty."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/problem+json":
        try:
            problem = json.loads(response.content)
            code, detail = problem["code"], problem["detail"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return "", ""
        if isinstance(code, str) and isinstance(detail, str):
            return clean(code), clean(detail)
    if kind == "text/plain":
        found = _PLAIN.fullmatch(clean(response.content.decode("utf-8", "replace")))
        if found:
            return found[1], found[2]
    return "", ""


def _retry_after_s(response: httpx2.Response) -> float | None:
    """Whole seconds; a date, which only proxies send, counts as nothing said."""
    value = response.headers.get("retry-after", "").strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
