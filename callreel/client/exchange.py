"""Requests: with the login to the web application, without any to Echo. Nothing is followed.

Two pools of connections that share nothing, so that no header of the one can reach the other.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

import httpx2

from callreel import __version__
from callreel.client.answers import broken, refusal
from callreel.client.deadline import Deadline
from callreel.client.errors import (
    BadAnswer,
    ClientError,
    DeadlineExceeded,
    ServerFault,
    ServerUnavailable,
    Unreachable,
)

CONNECT_S = 10.0
"""The longest wait for a connection."""
MAX_BROKEN = 3
"""How often a question is asked again where the connection broke."""

_LOOPBACK = ("all://localhost", "all://127.0.0.1", "all://[::1]")


class Exchange:
    """Speaks to one server.

    Args:
        base_url: Origin of the web application.
        auth: The login, as httpx2 wants it.
        timeout_s: The longest silence before an answer or inside one.
        ca_file: PEM file of certificates to trust instead of the system's.

    Raises:
        ValueError: ``base_url`` is no origin.
        OSError: ``ca_file`` cannot be read or holds no certificate.
    """

    def __init__(
        self, base_url: str, auth: httpx2.Auth, timeout_s: float, ca_file: Path | None
    ) -> None:
        self.base_url = _origin(base_url)
        self._timeout_s = timeout_s
        verify = True if ca_file is None else ssl.create_default_context(cafile=ca_file)
        self._web = _pool(auth, verify=verify)
        self._echo = _pool(None, verify=verify)

    def close(self) -> None:
        """Close all connections."""
        self._web.close()
        self._echo.close()

    def ask(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> httpx2.Response:
        """Ask the web application, again while it says "not now"; gives a successful answer, read.

        Raises:
            ClientError: Any of the tree but BrokenTransfer and NotSaved.
        """
        url = self.base_url + path
        if query:
            # A space as %20: for the server a plus is a plus.
            url += "?" + urlencode(query, quote_via=quote, safe="")
        tries = 0
        while True:
            deadline.require()
            fault: ClientError
            try:
                response = self._web.request(
                    method, url, json=body, timeout=self._timeout(deadline)
                )
            except httpx2.RequestError as error:
                fault = self._broken(error, self.base_url, deadline)
                may_pass = not isinstance(fault, Unreachable) and tries < MAX_BROKEN
            else:
                if response.status_code == 200:
                    return response
                fault = refusal(response)
                may_pass = not isinstance(fault, ServerFault)
            tries += 1
            # 409 too is over later, but for a token that is the caller's to wait for.
            if not may_pass or not isinstance(fault, ServerUnavailable):
                raise fault
            deadline.pause_or_raise(fault, tries)

    def ask_json(
        self,
        method: str,
        path: str,
        deadline: Deadline,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> object:
        """As ``ask``, and give the JSON of the answer.

        Raises:
            BadAnswer: It is not JSON.
            ClientError: as ``ask``.
        """
        response = self.ask(method, path, deadline, query=query, body=body)
        try:
            return json.loads(response.content)
        except (ValueError, RecursionError):
            raise BadAnswer(
                f"{self.base_url} does not answer as a Callreel server does; check the address."
            ) from None

    @contextmanager
    def listen(
        self, url: str, headers: Mapping[str, str], deadline: Deadline
    ) -> Iterator[httpx2.Response]:
        """Open an answer of Echo, status 200 or 206, its body still to come. No login is sent.

        Raises:
            ClientError: Also while the body is read inside the ``with``.
        """
        parts = urlsplit(url)
        where = f"{parts.scheme}://{parts.netloc}"
        try:
            with self._echo.stream(
                "GET", url, headers=dict(headers), timeout=self._timeout(deadline)
            ) as response:
                if response.status_code not in {200, 206}:
                    response.read()
                    raise refusal(response)
                yield response
        except httpx2.RequestError as error:
            raise self._broken(error, where, deadline) from error

    def _timeout(self, deadline: Deadline) -> httpx2.Timeout:
        silence_s = max(0.05, min(self._timeout_s, deadline.remaining_s))
        return httpx2.Timeout(silence_s, connect=min(CONNECT_S, silence_s))

    def _broken(self, error: httpx2.RequestError, where: str, deadline: Deadline) -> ClientError:
        if isinstance(error, httpx2.TimeoutException) and deadline.remaining_s <= 0:
            return DeadlineExceeded(f"{where} did not answer before the time was up.")
        return broken(error, where)


def _pool(auth: httpx2.Auth | None, *, verify: bool | ssl.SSLContext) -> httpx2.Client:
    return httpx2.Client(
        auth=auth,
        verify=verify,
        follow_redirects=False,
        headers={"User-Agent": f"callreel/{__version__}", "Accept-Encoding": "identity"},
        # A proxy of the environment is for the world outside, never for this machine.
        mounts=dict.fromkeys(_LOOPBACK),
    )


def _origin(base_url: str) -> str:
    """The address without a slash at its end."""
    plain = base_url.rstrip("/")
    parts = urlsplit(plain)
    if (
        parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.username is not None
        or parts.path
        or parts.query
        or parts.fragment
    ):
        raise ValueError(
            f"{base_url!r} is not an address such as https://calls.example; no name, password or "
            "path goes in it"
        )
    return plain
