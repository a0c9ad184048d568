"""One recording over however many answers it takes, never joined from two revisions."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx2

from callreel.client.deadline import Deadline
from callreel.client.errors import (
    BadAnswer,
    BrokenTransfer,
    ClientError,
    Gone,
    NotReady,
    NotSaved,
    ServerFault,
    ServerUnavailable,
    Unreachable,
)
from callreel.client.exchange import Exchange
from callreel.client.shapes import Token

Progress = Callable[[int, int], None]
"""Told how many bytes have come, and of how many; the first falls when it starts anew."""

STALE = frozenset({"token_expired", "token_used"})
"""Codes of a 410 that a fresh token mends. Source: contract.md 3.2."""
MAX_STUCK = 6
"""How many tries in a row may bring nothing new."""
MAX_WRONG = 2
"""How many answers may differ from what was announced."""

_PART = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})")
_SHA256 = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/]{43}=):")


@dataclass(frozen=True, slots=True)
class Saved:
    """A recording that was saved whole."""

    path: Path
    size_bytes: int
    sha256: str
    """Hex, of the file as saved."""
    content_type: str
    etag: str | None
    """What the server calls these very bytes; changes with every mask."""
    mask_revision: int | None
    """Of the mask that was in force; where it grew since, the file holds what is masked now."""


@contextmanager
def file_beside(path: Path) -> Iterator[BinaryIO]:
    """A private file that takes the place of ``path`` once the block ends well.

    Raises:
        NotSaved: It cannot be made, written, or put there. Nothing is left behind.
    """
    part: str | None = None
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "it is a folder", str(path))
        # mkstemp makes it readable by its owner alone, and so it stays.
        descriptor, part = tempfile.mkstemp(".part", f".{path.name[:64]}.", path.parent)
        with os.fdopen(descriptor, "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
        part = None
    except OSError as error:
        raise NotSaved(f"Cannot save {path}: {error.strerror or error}.") from error
    finally:
        if part is not None:
            Path(part).unlink(missing_ok=True)


class Transfer:
    """Brings one recording into a file.

    Args:
        exchange: Reaches Echo.
        ask_token: Gets a token; called again when one is too old.
        file: Empty, written from its start.
        deadline: When all of it must be done.
        progress: Told of every piece.
    """

    def __init__(
        self,
        exchange: Exchange,
        ask_token: Callable[[], Token],
        file: BinaryIO,
        deadline: Deadline,
        progress: Progress | None,
    ) -> None:
        self._exchange = exchange
        self._ask_token = ask_token
        self._file = file
        self._deadline = deadline
        self._progress = progress or (lambda _count, _total: None)
        self._token: Token | None = None
        self._answered = False
        self._start_anew()

    def run(self) -> None:
        """Return when the file holds the whole recording.

        Raises:
            ClientError: It cannot be had; what the file holds then is worth nothing.
        """
        stuck = wrong = stale = 0
        while True:
            self._deadline.require()
            reached, fresh = self._count, self._token is None
            try:
                self._attempt()
            except Gone as fault:
                if fault.code not in STALE:
                    raise
                self._token = None
                stale = stale + 1 if fresh else 0
                if stale >= MAX_WRONG:
                    # One is good for a minute; those that are too old at once tell of clocks.
                    raise ServerFault(
                        "Echo refuses fresh tokens as too old: the clocks of the servers differ.",
                        code=fault.code,
                    ) from fault
            except BrokenTransfer:
                self._start_anew()
                self._token = None
                wrong += 1
                if wrong >= MAX_WRONG:
                    raise
            except (NotReady, ServerUnavailable) as fault:
                stuck = 1 if self._count > reached else stuck + 1
                self._answered = self._answered or not isinstance(fault, Unreachable)
                if not self._may_pass(fault, stuck):
                    raise
                self._deadline.pause_or_raise(fault, stuck)
            else:
                return

    @property
    def count(self) -> int:
        """Bytes received so far."""
        return self._count

    @property
    def sha256(self) -> str:
        """Hex, of these bytes."""
        return self._hash.hexdigest()

    def _may_pass(self, fault: ClientError, stuck: int) -> bool:
        if isinstance(fault, Unreachable):
            # Where it has answered once it will again, after its restart.
            return self._answered
        if isinstance(fault, ServerFault):
            return False
        return fault.retry_after_s is not None or stuck <= MAX_STUCK

    def _start_anew(self) -> None:
        self._file.seek(0)
        self._file.truncate()
        self._count = 0
        self._total = 0
        self._hash = hashlib.sha256()
        self.etag: str | None = None
        self.content_type = ""

    def _attempt(self) -> None:
        if self._token is None:
            self._token = self._ask_token()
        headers = {}
        if self._count and self.etag is not None:
            headers = {"Range": f"bytes={self._count}-", "If-Range": self.etag}
        with self._exchange.listen(self._token.url, headers, self._deadline) as response:
            self._accept(response, self._token)
            for piece in response.iter_raw():
                self._file.write(piece)
                self._hash.update(piece)
                self._count += len(piece)
                self._progress(self._count, self._total)
                self._deadline.require()
            self._check(response)

    def _accept(self, response: httpx2.Response, token: Token) -> None:
        """Prepare for the body: the rest of what is there, or the whole anew."""
        self._answered = True
        headers = response.headers
        kind = headers.get("content-type", "")
        if kind != token.content_type and not kind.startswith("audio/"):
            raise BadAnswer("Echo's address answers, but not with sound; check the address.")
        if headers.get("content-encoding", "identity") != "identity":
            raise BadAnswer("Something between us and Echo repacks sound; it must not.")
        if response.status_code == 206:
            part = _PART.fullmatch(headers.get("content-range", ""))
            expected = (self._count, self._total - 1, self._total)
            if not part or tuple(map(int, part.groups())) != expected:
                raise BrokenTransfer("Another part came than was asked for.", what="length")
            if headers.get("etag") != self.etag:
                raise BrokenTransfer("A part of another revision came.", what="hash")
            return
        self._start_anew()
        length = headers.get("content-length", "")
        if not (length.isascii() and length.isdigit()):
            raise BadAnswer("Echo did not say how long the recording is.")
        self._total = int(length)
        self.content_type = kind
        etag = headers.get("etag")
        # Only a strong one may join two parts. Source: RFC 9110, section 13.1.5.
        self.etag = None if etag is None or etag.startswith("W/") else etag
        if token.size_bytes not in {None, self._total}:
            raise BrokenTransfer(
                f"{self._total} bytes were offered where {token.size_bytes} were announced.",
                what="length",
            )

    def _check(self, response: httpx2.Response) -> None:
        if self._count != self._total:
            raise BrokenTransfer(
                f"{self._count} bytes came where {self._total} were announced.", what="length"
            )
        # Source: RFC 9530, section 3. Servers name none today.
        named = _SHA256.search(response.headers.get("repr-digest", ""))
        if named and base64.b64decode(named[1]) != self._hash.digest():
            raise BrokenTransfer("The sound came damaged: its hash is another.", what="hash")
