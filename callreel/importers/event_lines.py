"""Files of events, read piece by piece: lines, and blocks of lines that an empty line ends.

Both are bounded, so that a file that is no file of events costs no memory. What is not ended yet is
told as such, for whoever reads a file that a switch is writing to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from callreel.errors import BadInput
from callreel.importers.tail import Tail

MAX_LINE_BYTES = 64 * 1024
MAX_BLOCK_LINES = 2000
"""FreeSWITCH writes a line for each variable of a channel; some have hundreds."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line; its text is not shown, as keys may stand in it."""

    number: int
    """From 1."""
    text: str | None = field(repr=False)
    """Without its end; None where it is longer than any line of events."""
    ended: bool
    """False only for the last one, where a switch may be at work."""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines up to an empty one."""

    number: int
    """Of its first line."""
    lines: tuple[str, ...] | None = field(repr=False)
    """None where it is larger than any event."""
    ended: bool


def open_events(path: Path | Tail) -> BinaryIO:
    """A file, open.

    Raises:
        BadInput: It cannot be read.
    """
    try:
        return path.open("rb")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def read_lines(path: Path | Tail) -> Iterator[Line]:
    """Every line of a file.

    Raises:
        BadInput: It cannot be read.
    """
    with open_events(path) as file:
        number = 0
        while raw := file.readline(MAX_LINE_BYTES):
            number += 1
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                while raw and not raw.endswith(b"\n"):
                    raw = file.readline(MAX_LINE_BYTES)
                yield Line(number, None, raw.endswith(b"\n"))
            else:
                yield Line(number, decoded(raw), raw.endswith(b"\n"))


def read_blocks(path: Path | Tail) -> Iterator[Block]:
    """Every block of a file.

    Raises:
        BadInput: It cannot be read.
    """
    lines: list[str] | None = []
    first = 0
    for line in read_lines(path):
        if line.text == "" and line.ended:
            if first:
                yield Block(first, None if lines is None else tuple(lines), ended=True)
            lines, first = [], 0
            continue
        first = first or line.number
        if lines is not None and line.text is not None and len(lines) < MAX_BLOCK_LINES:
            lines.append(line.text)
        else:
            lines = None
    if first:
        yield Block(first, None if lines is None else tuple(lines), ended=False)


def decoded(raw: bytes) -> str:
    """The text of a line, without its end; whatever the bytes are."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return text.rstrip("\r\n")


def headers(lines: tuple[str, ...]) -> dict[str, str] | None:
    """``Name: value`` lines by their names in lower case; None where a name is there twice.

    Lines of another form are left out: a banner, what a program that captured wrote in between.
    """
    found: dict[str, str] = {}
    for line in lines:
        name, separator, value = line.partition(":")
        if not separator:
            continue
        folded = name.strip().lower()
        if folded in found and folded in _ONCE:
            return None
        found.setdefault(folded, value.strip())
    return found


_ONCE = {"event", "event-name"}
