"""The client: find calls, ask for tokens, fetch recordings whole."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypedDict, Unpack
from urllib.parse import quote

import httpx2

from callreel.client.deadline import Deadline
from callreel.client.errors import BadAnswer, BadRequest, NotFound, NotRecorded
from callreel.client.exchange import Exchange
from callreel.client.shapes import (
    EXTENSIONS,
    ChangePage,
    Token,
    read_call,
    read_call_page,
    read_change_page,
    read_token,
    token_at,
)
from callreel.client.transfer import Progress, Saved, Transfer, file_beside
from callreel.wire import CALLS_PATH, CHANGES_PATH, VOICE_PATH, CallItem, call_path, tokens_path

PAGE_CALLS = 500
"""How many calls are asked for at once."""


class CallFilter(TypedDict, total=False):
    """Which calls; what is left out does not narrow. Source: contract.md 6.2."""

    since: datetime | str
    """Started then or later; a text as the API reads it, UTC where it has no offset."""
    to: datetime | str
    """Started before then; as above."""
    party: str
    """A number on either side: whole, its beginning ``0161*``, or its end ``*0192``."""
    ext: str
    """The extension, whole."""
    dir: str
    """``inbound``, ``outbound``, ``internal`` or ``unknown``."""
    datasource: str
    """The feed that it came from."""
    rec: bool
    """Whether it has a recording."""
    mask: bool
    """Whether something in it is masked."""


class _BearerAuth(httpx2.Auth):
    def __init__(self, api_key: str) -> None:
        self._value = f"Bearer {api_key}"

    def auth_flow(
        self, request: httpx2.Request
    ) -> Generator[httpx2.Request, httpx2.Response, None]:
        request.headers["Authorization"] = self._value
        yield request


class Client:
    """A login at one Callreel server; use it in a ``with``, or close it.

    Every error is one of ``callreel.client.errors``; each method names those that are its own.
    AuthenticationRefused, AccessRefused, ServerUnavailable, DeadlineExceeded and BadAnswer may come
    out of all of them.

    Args:
        base_url: Address of the web application, such as ``https://calls.example``.
        username: With ``password``; or neither of them and ``api_key``.
        password: Of the web user.
        api_key: As ``callreel key add`` shows it.
        timeout_s: The longest silence before an answer or inside one. More than the 30 s that a
            server may take to make FLAC, AAC and WebM.
        patience_s: How long a question is repeated while the server says "not now".
        ca_file: PEM file of certificates to trust instead of the system's.

    Raises:
        ValueError: The address is none, or it is not one login.
        OSError: ``ca_file`` cannot be read.
    """

    def __init__(
        self,
        base_url: str,
        username: str | None = None,
        password: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 45.0,
        patience_s: float = 30.0,
        ca_file: Path | None = None,
    ) -> None:
        self._patience_s = patience_s
        auth = _login(username, password, api_key)
        self._exchange = Exchange(base_url, auth, timeout_s, ca_file)

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()

    @property
    def base_url(self) -> str:
        """Address of the web application, without a slash at its end."""
        return self._exchange.base_url

    def close(self) -> None:
        """Close all connections."""
        self._exchange.close()

    def search(
        self, *, page_calls: int = PAGE_CALLS, **chosen: Unpack[CallFilter]
    ) -> Iterator[CallItem]:
        """The calls that match, newest first, over all pages.

        Args:
            page_calls: How many are asked for at once, 1 to 1000.
            chosen: Which ones.

        Yields:
            One call at a time; the next page is asked for when it is needed.

        Raises:
            BadRequest: A filter cannot be understood; the message names it.
            ValueError: A datetime without offset.
        """
        query = {name: _filter_text(value) for name, value in _given(chosen).items()}
        query["limit"] = str(page_calls)
        while True:
            page = read_call_page(
                self._exchange.ask_json("GET", CALLS_PATH, self._deadline(), query=query)
            )
            yield from page.items
            if page.next is None:
                return
            if page.next == query.get("cursor"):
                raise BadAnswer("The server's list of calls goes round in a circle.")
            query["cursor"] = page.next

    def call(self, call_id: str) -> CallItem:
        """One call.

        Raises:
            NotFound: No such call, or not within reach of this login.
        """
        path = call_path(_id(call_id, "call"))
        return read_call(self._exchange.ask_json("GET", path, self._deadline()))

    def token(
        self,
        recording: CallItem | str,
        audio_format: str = "wav",
        channel: str = "both",
        *,
        single_use: bool = False,
    ) -> Token:
        """An address that fetches a recording for about a minute.

        Args:
            recording: Its id, or a call.
            audio_format: ``wav``, ``wav-ulaw``, ``wav-alaw``, ``mp3``, ``opus``, ``flac``, ``m4a``
                or ``webm``.
            channel: ``both``, ``left``, ``right`` or ``mix``.
            single_use: Good for one answer only.

        Raises:
            BadRequest: No such format or channel, or the server lacks what the format needs.
            NotFound: No such recording, or not within reach of this login.
            NotRecorded: Nothing was recorded of this call.
            NotReady: The call still runs, or its file still grows.
            Gone: Deleted by retention.
            Unplayable: The stored sound cannot be decoded.
        """
        return self._token(
            _recording_id(recording), audio_format, channel, self._deadline(), single_use=single_use
        )

    def token_by_names(
        self,
        datasource: str,
        voicelocation: str,
        voicefilename: str,
        audio_format: str = "wav",
        channel: str = "both",
    ) -> Token:
        """As ``token``, by the three names of the calls table; it tells nothing but the address.

        Raises: as ``token``.
        """
        if audio_format not in EXTENSIONS:
            known = ", ".join(EXTENSIONS)
            raise BadRequest(f"There is no format {audio_format!r}; known are {known}.")
        query = {
            "cmd": "getvmsg",
            "datasource": datasource,
            "recordingid": voicefilename,
            "voicelocation": voicelocation,
            "format": audio_format,
            "channel": channel,
        }
        path = VOICE_PATH + EXTENSIONS[audio_format]
        response = self._exchange.ask("GET", path, self._deadline(), query=query)
        return token_at(response.text)

    def changes(self, since: str | None = None) -> ChangePage:
        """New and changed calls, recordings and masks, in order, missing none.

        Args:
            since: ``next`` of the page before; None begins at the beginning.

        Returns:
            Some of them; none where nothing is new. ``next`` is where to go on.

        Raises:
            BadRequest: ``since`` is not one of ours.
        """
        query = {} if since is None else {"since": since}
        return read_change_page(
            self._exchange.ask_json("GET", CHANGES_PATH, self._deadline(), query=query)
        )

    def fetch(
        self,
        recording: CallItem | str,
        path: Path,
        audio_format: str = "wav",
        channel: str = "both",
        *,
        deadline_s: float = 600.0,
        progress: Progress | None = None,
    ) -> Saved:
        """Save a recording as a file, whole or not at all.

        Waits while the recording is not ready or the server busy; asks for another token when one
        is too old; goes on where a connection broke, and starts anew where the recording's mask has
        changed meanwhile.

        Args:
            recording: Its id, or a call.
            path: The file; one that is there is replaced. Its folder must exist. Readable by its
                owner alone.
            audio_format: as ``token``.
            channel: as ``token``.
            deadline_s: How long all of it may take.
            progress: Told of every piece: bytes so far, and of how many.

        Raises:
            NotRecorded: Nothing was recorded of this call.
            NotReady, ServerUnavailable: It will not change before the deadline.
            DeadlineExceeded: There was no time left.
            BrokenTransfer: What came was not what was announced, twice.
            NotSaved: The file cannot be written.
            BadRequest, NotFound, Gone, Unplayable: as ``token``.

        Cost: one pass; one piece of an answer held.
        """
        recording_id = _recording_id(recording)
        deadline = Deadline(deadline_s)

        revision: int | None = None

        def ask_token() -> Token:
            nonlocal revision
            token = self._token(recording_id, audio_format, channel, deadline)
            revision = token.mask_revision
            return token

        with file_beside(path) as file:
            transfer = Transfer(self._exchange, ask_token, file, deadline, progress)
            transfer.run()
        return Saved(
            path,
            transfer.count,
            transfer.sha256,
            transfer.content_type,
            transfer.etag,
            revision,
        )

    def _deadline(self) -> Deadline:
        return Deadline(self._patience_s)

    def _token(
        self,
        recording_id: str,
        audio_format: str,
        channel: str,
        deadline: Deadline,
        *,
        single_use: bool = False,
    ) -> Token:
        body = {"format": audio_format, "channel": channel, "single_use": single_use}
        path = tokens_path(_id(recording_id, "recording"))
        return read_token(self._exchange.ask_json("POST", path, deadline, body=body))


def _login(username: str | None, password: str | None, api_key: str | None) -> httpx2.Auth:
    if api_key is not None:
        if username is not None or password is not None:
            raise ValueError("give a user name and a password, or an API key, not both")
        if not (api_key.isascii() and api_key.isprintable() and api_key.strip()):
            raise ValueError("the API key holds characters that none has")
        return _BearerAuth(api_key.strip())
    if username is None or password is None:
        raise ValueError("give a user name and a password, or an API key")
    if ":" in username:
        raise ValueError("a user name holds no colon")
    return httpx2.BasicAuth(username, password)


def _id(text: str, what: str) -> str:
    """An id as a piece of a path, which it must not leave."""
    if text in {"", ".", ".."} or "/" in text:
        raise NotFound(f"There is no such {what}.")
    return quote(text, safe="")


def _recording_id(recording: CallItem | str) -> str:
    found = recording if isinstance(recording, str) else recording["recording_id"]
    if found is None:
        raise NotRecorded("Nothing was recorded of this call.")
    return found


def _given(chosen: CallFilter) -> Mapping[str, object]:
    return {name: value for name, value in chosen.items() if value is not None}


def _filter_text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time needs an offset")
        return value.isoformat()
    return str(value)
