"""What an export wrote, item by item: a journal while it runs, a manifest when it is done.

The journal gets a line once the file that it tells of is durable, so an export that was killed goes
on where it was. When all is done the same lines are put in order, without a time or anything else
that would differ in a second run: the same recordings give the same bytes.
"""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from callreel.errors import Conflict

Item = Mapping[str, object]
"""One recording: JSON values by name; ``file`` is null where ``error`` is not."""

NAME = "manifest.jsonl"
TABLE = "manifest.csv"
SUMS = "SHA256SUMS"
_COLUMNS = (
    *("recording_id", "file", "format", "channel", "bytes", "sha256", "duration_s", "started_at"),
    *("mask_revision", "masked_spans", "calls", "proof", "proofs", "error"),
)
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Manifest:
    """The manifest of one folder; use it as a context, by one export at a time.

    Args:
        folder: Where the files are; it exists.

    Raises:
        Conflict: Another export writes there.
        OSError: The folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = _journal(folder / NAME)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise Conflict(f"Another export writes to {folder} at this moment.") from None
        # Of an export that was killed; the sound in them may be masked by now.
        for left in folder.glob("*.part"):
            left.unlink()
        self._items = {item["recording_id"]: item for item in self._read()}

    def _read(self) -> Iterable[Item]:
        self._file.seek(0)
        whole = 0
        for line in self._file:
            # The last line of a process that died may be cut.
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            try:
                item = json.loads(line)
            except ValueError:
                continue
            if _is_item(item):
                yield item
        self._file.truncate(whole)

    def find(self, recording_id: str) -> Item | None:
        """What is known of a recording here."""
        return self._items.get(recording_id)

    def add(self, item: Item) -> None:
        """Add or replace an item, durably. Its file is durable already."""
        self._items[item["recording_id"]] = item
        self._file.write(_line(item))
        self._file.flush()
        os.fsync(self._file.fileno())

    def finish(self) -> None:
        """Write the manifest in order, a table for people, and what ``sha256sum -c`` reads."""
        items = sorted(
            self._items.values(), key=lambda item: (str(item["started_at"]), item["recording_id"])
        )
        sums = [(item["sha256"], item["file"]) for item in items if item["file"]]
        for item in items:
            sums += [(digest, name) for name, digest in proofs_of(item).items()]
        text = "".join(f"{digest}  {name}\n" for digest, name in sums)
        replace(self._folder / SUMS, text.encode())
        replace(self._folder / TABLE, _table(items).encode())
        replace(self._folder / NAME, b"".join(_line(item) for item in items))

    def __enter__(self) -> Self:
        """Use as a context."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close, and let others write."""
        self._file.close()


def _line(item: Item) -> bytes:
    return json.dumps(item, sort_keys=True).encode() + b"\n"


def _journal(path: Path) -> BinaryIO:
    """The journal, open for reading and for adding lines.

    Raises:
        Conflict: Something else is there, such as a link.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    try:
        return os.fdopen(os.open(path, flags, 0o600), "a+b")
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.EISDIR, errno.ENXIO}:
            raise Conflict(f"{path} is no file of an export; remove it.") from None
        raise


def _is_item(item: object) -> bool:
    """Whether a line is one that we wrote; what is not is as if it were not there."""
    return (
        isinstance(item, dict)
        and isinstance(item.get("recording_id"), str)
        and isinstance(item.get("started_at"), str)
        and (item.get("file") is None or isinstance(item.get("sha256"), str))
        and isinstance(item.get("proofs", {}), dict)
    )


def proofs_of(item: Item) -> Mapping[str, str]:
    """The files of a recording's proof, and their hashes."""
    proofs = item.get("proofs")
    return (
        {str(name): str(each) for name, each in proofs.items()} if isinstance(proofs, dict) else {}
    )


def fresh(path: Path) -> BinaryIO:
    """A new file that only its owner reads; what was there under the name goes, also a link."""
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def replace(path: Path, data: bytes) -> None:
    """Write a file durably, whole or not at all."""
    beside = path.with_name(path.name + ".part")
    with fresh(beside) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _table(items: Iterable[Item]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_COLUMNS)
    writer.writerows([_cell(item.get(name)) for name in _COLUMNS] for item in items)
    return text.getvalue()


def _cell(value: object) -> str:
    """For a spreadsheet, which must not take what a caller sent as a number for a formula."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return f"'{text}" if text.startswith(_FORMULA) else text
