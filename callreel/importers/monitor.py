"""A tree of recordings, found again by the names that call records use for them.

FreePBX names a file ``type-dst-from-YYYYMMDD-HHMMSS-uniqueid.ext``, and a dash in a number makes
everything before the date unreadable; so only the end of a name is trusted. Source: ingest.md 5.3.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from callreel.errors import BadInput
from callreel.flows.entry import Result
from callreel.importers.fields import sound_beneath
from callreel.importers.items import Problem

ABSENT_MAX_BYTES = 44
"""A file of so many bytes or fewer is a header without sound. Source: FreePBX, ingest.md 5.3."""

AUDIO_EXTENSIONS = (
    ".wav", ".wave", ".wav49", ".flac",
    ".sln192", ".sln96", ".sln48", ".sln44", ".sln32", ".sln24", ".sln16", ".sln12",
    ".sln8", ".sln",
    ".ulaw", ".ul", ".ulw", ".mulaw", ".mu", ".pcm", ".alaw", ".al", ".alw",
    ".g722", ".gsm", ".opus", ".oga", ".ogg", ".mp3",
)  # fmt: skip
"""What a file of sound may be called, the better sound first where one call has several."""

_UNIQUE_ID_AT_END = re.compile(r"(?:^|-)(\d{6,}\.\d+)$")
_RANK = {extension: rank for rank, extension in enumerate(AUDIO_EXTENSIONS)}


def is_audio_name(name: str) -> bool:
    """Whether a file is sound, by its extension in any case."""
    return posixpath.splitext(name)[1].lower() in _RANK


def base_stem(name: str) -> str:
    """A file's name without folders and without extension."""
    return posixpath.splitext(posixpath.basename(name))[0]


def walk_files(root: Path, unreadable: list[Problem]) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file and link beneath a folder, by its relative name, sorted; no link is followed.

    Args:
        root: The folder.
        unreadable: Where folders beneath it are told of that cannot be read now; the rest comes in.

    Raises:
        BadInput: The folder itself cannot be read.
    """
    # A stack of what is left of each folder: a tree may be deeper than Python calls go.
    left = [("", iter(_entries(root)))]
    while left:
        inside, entries = left[-1]
        entry = next(entries, None)
        if entry is None:
            left.pop()
        elif entry.is_dir(follow_symlinks=False):
            try:
                deeper = _entries(Path(entry.path))
            except BadInput as error:
                unreadable.append(Problem(f"{inside}{entry.name}", error.message, Result.WAITING))
            else:
                left.append((f"{inside}{entry.name}/", iter(deeper)))
        else:
            yield inside + entry.name, entry


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        raise BadInput(f"cannot read the folder {folder}: {error.strerror}") from error


@dataclass(frozen=True, slots=True)
class NamedRecording:
    """What a record says about its recording."""

    name: str | None
    """Relative to the tree; None where there is none."""
    reason: str | None = None
    """Why there is none although the record names one."""
    refused: bool = False
    """Whether looking further would be wrong."""


class MonitorTree:
    """Recordings beneath one folder, by base name, by stem and by the unique id at the end.

    Args:
        root: The folder.

    Raises:
        BadInput: It cannot be read.

    Cost: one walk; memory for the names.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        self._by_unique_id: dict[str, list[str]] = {}
        self._empty: set[str] = set()
        self._unused: set[str] = set()
        self.unreadable: list[Problem] = []
        for name, entry in walk_files(root, self.unreadable):
            # One that was moved away since the folder was read is not there.
            with suppress(FileNotFoundError):
                if is_audio_name(name) and entry.is_file(follow_symlinks=False):
                    self._add(name, entry)

    def _add(self, name: str, entry: os.DirEntry[str]) -> None:
        size = entry.stat(follow_symlinks=False).st_size
        base = name.rpartition("/")[2]
        stem = posixpath.splitext(base)[0]
        self._by_name.setdefault(base, []).append(name)
        self._by_stem.setdefault(stem, []).append(name)
        at_end = _UNIQUE_ID_AT_END.search(stem)
        if at_end is not None:
            self._by_unique_id.setdefault(at_end.group(1), []).append(name)
        if size <= ABSENT_MAX_BYTES:
            self._empty.add(name)
        else:
            self._unused.add(name)

    def named(self, base: str) -> list[str]:
        """Files of that base name, with or without an extension; the better sound first."""
        return _ranked(self._by_name.get(base) or self._by_stem.get(base) or ())

    def at(self, name: str) -> list[str]:
        """The file of that relative name, if it is in the tree."""
        return [name] if name in self._by_name.get(name.rpartition("/")[2], ()) else []

    def of_unique_id(self, unique_id: str) -> list[str]:
        """Files whose name ends with a unique id, with or without the name of the system."""
        exact = self._by_stem.get(unique_id)
        if exact:
            return _ranked(exact)
        digits = _UNIQUE_ID_AT_END.search(unique_id)
        if digits is None:
            return []
        found = self._by_unique_id.get(digits.group(1), [])
        if digits.group(0).startswith("-"):
            # A unique id with a system's name in front: two systems may share the digits.
            found = [name for name in found if posixpath.splitext(name)[0].endswith(unique_id)]
        return _ranked(found)

    def spoken(self, spoken: str, recorded_under: str) -> NamedRecording:
        """The file that a record names by a path or by a base name.

        Args:
            spoken: As it stands in the record; not trusted.
            recorded_under: What absolute names begin with, where the tree lies elsewhere now.
        """
        relative = spoken.removeprefix(recorded_under.rstrip("/") + "/")
        if "/" not in relative:
            # The recorder's own format may have been converted since, so the stem is enough.
            candidates = self.named(relative) or self.named(base_stem(relative))
        else:
            sound = sound_beneath(self.root, relative, in_place=False)
            if sound is None:
                reason = f"it names a recording outside the folder, {spoken!r}: refused"
                return NamedRecording(None, reason, refused=True)
            candidates = self.at(sound.name)
        full = [name for name in candidates if not self.is_empty(name)]
        if len({posixpath.dirname(name) for name in full}) > 1:
            reason = f"{len(full)} recordings are named {spoken!r}: which one is meant?"
            return NamedRecording(None, reason, refused=True)
        if full:
            return NamedRecording(full[0])
        if candidates:
            return NamedRecording(
                None, f"the recording {spoken!r} holds no sound (44 bytes or fewer)"
            )
        return NamedRecording(None, f"the recording {spoken!r} is not in the folder")

    def is_empty(self, name: str) -> bool:
        """Whether a file holds a header at most."""
        return name in self._empty

    def use(self, name: str) -> None:
        """Note that a call record names this file."""
        self._unused.discard(name)

    def unused(self) -> list[str]:
        """Files with sound that no call record named so far, sorted."""
        return sorted(self._unused)


def _ranked(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (_RANK[posixpath.splitext(name)[1].lower()], name))
