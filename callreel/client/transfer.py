"""One recording on its way to a file: what came so far, all of one revision."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import BinaryIO

import httpx2

from callreel.client.errors import BadAnswer, whole_number

Progress = Callable[[int, int | None], None]
"""Called with the bytes so far and the bytes in all, None where that is not known yet."""


class Transfer:
    """What was received so far, of one revision."""

    def __init__(self, file: BinaryIO, progress: Progress | None) -> None:
        self._file = file
        self._progress = progress
        self._size: int | None = None
        self.received = 0
        self.etag = ""
        self.digest = hashlib.sha256()

    @property
    def is_whole(self) -> bool:
        """Whether every byte that was promised is there."""
        return self._size is not None and self.received == self._size

    def headers(self) -> dict[str, str]:
        """What asks for the rest, if the server still has the same; else for the whole."""
        plain = {"Accept-Encoding": "identity"}
        if not self.received:
            return plain
        return plain | {"Range": f"bytes={self.received}-", "If-Range": self.etag}

    def begin(self, response: httpx2.Response) -> None:
        """Take the headers of an answer; starts anew where it is the whole.

        Raises:
            BadAnswer: The headers are not what the contract says, or of another revision.
        """
        etag = response.headers.get("etag", "")
        length = whole_number(response.headers.get("content-length"))
        if not etag or length is None:
            raise BadAnswer("The recording came without ETag or Content-Length.")
        if response.status_code == 206:  # noqa: PLR2004  # a status of HTTP
            start, size = _content_range(response.headers.get("content-range", ""))
            if (etag, start, size - start) != (self.etag, self.received, length):
                raise BadAnswer("The rest of the recording does not fit what came before.")
            return
        # The whole: the first time, or because the mask changed; never joined to what was there.
        self._file.seek(0)
        self._file.truncate()
        self.received, self.digest = 0, hashlib.sha256()
        self.etag, self._size = etag, length

    def add(self, chunk: bytes) -> None:
        """Write what came.

        Raises:
            BadAnswer: It is more than was promised.
        """
        if self._size is None or self.received + len(chunk) > self._size:
            raise BadAnswer("The recording is longer than was said.")
        self._file.write(chunk)
        self.digest.update(chunk)
        self.received += len(chunk)
        if self._progress is not None:
            self._progress(self.received, self._size)


def _content_range(text: str) -> tuple[int, int]:
    """First byte and size of the whole."""
    span, _, size = text.removeprefix("bytes ").partition("/")
    first = whole_number(span.partition("-")[0])
    whole = whole_number(size)
    if first is None or whole is None:
        raise BadAnswer("The recording came with a Content-Range that cannot be read.")
    return first, whole
