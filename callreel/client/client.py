"""The client: requests to the web application and, without credentials, to Echo."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import cast

import httpx2

from callreel.client.errors import (
    BadAnswer,
    ClientError,
    DeadlineExceeded,
    Gone,
    NotFound,
    NotReady,
    ServerUnavailable,
    refusal_of,
)
from callreel.client.transfer import Progress, Transfer
from callreel.wire import (
    CALLS_PATH,
    CHANGES_PATH,
    VOICE_PATH,
    CallItem,
    CallPageBody,
    ChangePageBody,
    SpanItem,
    TokenBody,
    call_path,
    tokens_path,
)

DEFAULT_DEADLINE_S = 300.0
NETWORK_TIMEOUT_S = 30.0
MAX_CUTS = 10
"""How often a transfer may be cut without a byte of progress before it is given up."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A recording that was saved whole."""

    path: Path
    size_bytes: int
    sha256: str
    """Hex, of the saved bytes."""
    etag: str
    """Names the output and its mask revision."""
    masked_spans: tuple[SpanItem, ...]
    mask_revision: int


class Client:
    """Talks to one Callreel; use it as a context manager. Not for several threads at once."""

    def __init__(
        self,
        base_url: str,
        *,
        username: str | None = None,
        password: str | None = None,
        api_key: str | None = None,
        timeout_s: float = NETWORK_TIMEOUT_S,
        verify: bool | str = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Give either a user name with its password, or an API key.

        Args:
            base_url: Address of the web application.
            username: A web user.
            password: Its password.
            api_key: An API key instead.
            timeout_s: How long a single step on the network may take.
            verify: False checks no certificate; a text names a file of trusted ones.
            sleep: Waits between attempts.

        Raises:
            ValueError: Neither or both kinds of credentials.
        """
        if (api_key is None) == (username is None or password is None):
            raise ValueError("give a user name with its password, or an API key")
        headers = {"Authorization": f"Bearer {api_key}"} if api_key is not None else {}
        auth = None
        if username is not None and password is not None:
            auth = httpx2.BasicAuth(username, password)
        # Two clients: Echo is another origin and must never see a password.
        self._web = httpx2.Client(
            base_url=base_url, auth=auth, headers=headers, timeout=timeout_s, verify=verify
        )
        self._echo = httpx2.Client(timeout=timeout_s, verify=verify)
        self._sleep = sleep

    def __enter__(self) -> Client:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._web.close()
        self._echo.close()

    def search(self, **filters: str | int | bool) -> Iterator[CallItem]:
        """Every call that the filters find, newest first, page by page as it is read.

        Args:
            **filters: ``party, ext, dir, datasource, rec, mask, since, to, limit``; ``from_`` for
                ``from``. See docs/api.md.

        Raises:
            AuthenticationRefused, Refused, ServerUnavailable, BadAnswer.
        """
        query = {name.rstrip("_"): _text(value) for name, value in filters.items()}
        while True:
            page = cast("CallPageBody", self._json("GET", CALLS_PATH, params=query))
            yield from page["items"]
            if page["next"] is None:
                return
            query["cursor"] = page["next"]

    def call(self, call_id: str) -> CallItem:
        """One call.

        Raises:
            NotFound: No such call, or not yours.
            AuthenticationRefused, Refused, ServerUnavailable, BadAnswer.
        """
        return cast("CallItem", self._json("GET", call_path(_segment(call_id))))

    def changes(self, since: str | None = None) -> ChangePageBody:
        """What changed behind a cursor; go on with ``next``.

        Raises:
            AuthenticationRefused, Refused, ServerUnavailable, BadAnswer.
        """
        query = {} if since is None else {"since": since}
        return cast("ChangePageBody", self._json("GET", CHANGES_PATH, params=query))

    def token(
        self,
        recording_id: str,
        *,
        format: str = "wav",  # noqa: A002  # the contract's word
        channel: str = "both",
        single_use: bool = False,
    ) -> TokenBody:
        """A URL that fetches a recording, good for 60 seconds.

        Raises:
            NotFound, NotReady, Gone, Unplayable: contract.md 2.7.
            AuthenticationRefused, Refused, ServerUnavailable, BadAnswer.
        """
        wanted = {"format": format, "channel": channel, "single_use": single_use}
        return cast(
            "TokenBody", self._json("POST", tokens_path(_segment(recording_id)), body=wanted)
        )

    def token_by_names(
        self, datasource: str, voicelocation: str, voicefilename: str, *, extension: str = "wav"
    ) -> str:
        """The same as programs written for TIM Enterprise ask for it: three names, one URL.

        Raises: as ``token``.
        """
        query = {
            "cmd": "getvmsg",
            "datasource": datasource,
            "recordingid": voicefilename,
            "voicelocation": voicelocation,
        }
        return self._answer("GET", f"{VOICE_PATH}.{extension}", params=query).text

    def fetch(
        self,
        recording_id: str,
        target: Path,
        *,
        format: str = "wav",  # noqa: A002  # the contract's word
        channel: str = "both",
        deadline_s: float = DEFAULT_DEADLINE_S,
        progress: Progress | None = None,
    ) -> Fetched:
        """Save a recording whole, or not at all.

        It is written beside ``target`` and given its name when length and revision are right. A
        transfer that is cut goes on where it stopped, with a fresh token where the old one is over;
        if the mask changed meanwhile it begins anew, so that no file joins two revisions.

        Args:
            recording_id: Which.
            target: Where to; replaced if it is there.
            format: Name of a format.
            channel: ``both``, ``left``, ``right`` or ``mix``.
            deadline_s: How long all of it may take, waiting included.
            progress: Told how far it is.

        Raises:
            DeadlineExceeded: It took too long.
            NotFound, Gone, Unplayable, AuthenticationRefused, Refused, ServerUnavailable, BadAnswer.
        """
        descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        part = Path(name)
        try:
            with os.fdopen(descriptor, "w+b") as file:
                transfer = Transfer(file, progress)
                token = self._transferred(
                    transfer, recording_id, format, channel, time.monotonic() + deadline_s
                )
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return Fetched(
            path=target,
            size_bytes=transfer.received,
            sha256=transfer.digest.hexdigest(),
            etag=transfer.etag,
            masked_spans=tuple(token["masked_spans"]),
            mask_revision=token["mask_revision"],
        )

    def _transferred(
        self,
        transfer: Transfer,
        recording_id: str,
        format_name: str,
        channel: str,
        deadline: float,
    ) -> TokenBody:
        cuts = 0
        while True:
            before = transfer.received
            wait_s = 0.0
            try:
                token = self.token(recording_id, format=format_name, channel=channel)
                self._stream(transfer, token, deadline)
                if transfer.is_whole:
                    return token
                last: ClientError = ServerUnavailable("The transfer was cut again and again.")
            except (NotReady, ServerUnavailable) as error:
                last, wait_s = error, error.retry_after_s
            except Gone as error:
                if error.code != "token_expired":
                    raise
                last = error
            cuts = 0 if transfer.received > before else cuts + 1
            if isinstance(last, ServerUnavailable) and cuts > MAX_CUTS:
                raise last
            if time.monotonic() + wait_s > deadline:
                raise DeadlineExceeded(f"Not fetched in the time given; last: {last}") from last
            self._sleep(wait_s or min(5.0, 0.2 * cuts))

    def _stream(self, transfer: Transfer, token: TokenBody, deadline: float) -> None:
        try:
            with self._echo.stream("GET", token["url"], headers=transfer.headers()) as response:
                if response.status_code not in {200, 206}:
                    response.read()
                    raise refusal_of(response)
                transfer.begin(response)
                for chunk in response.iter_raw():
                    transfer.add(chunk)
                    if time.monotonic() > deadline:
                        raise DeadlineExceeded("Not fetched in the time given.")
        except httpx2.TransportError:
            # Cut: what came is kept, and the caller goes on behind it.
            return

    def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> object:
        answer = self._answer(method, path, params=params, body=body)
        try:
            return answer.json()
        except ValueError:
            raise BadAnswer(f"{path} answered with something that is not JSON.") from None

    def _answer(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> httpx2.Response:
        try:
            response = self._web.request(method, path, params=params, json=body)
        except httpx2.TransportError as error:
            raise ServerUnavailable(f"{self._web.base_url} does not answer: {error}") from error
        if response.status_code != 200:  # noqa: PLR2004  # a status of HTTP
            raise refusal_of(response)
        return response


def _text(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _segment(text: str) -> str:
    """An id as one segment of a path."""
    if not text or not text.isascii() or not text.isalnum():
        raise NotFound(f"{text!r} is not an id.", code="not_found", status=404)
    return text
