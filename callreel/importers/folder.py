"""A folder of sound, each file with an optional side-car ``name.json``.

Calls share a recording by ``recording`` in their side-cars: the name of another file, or any key.
What cannot be read is refused together with the sound it may speak about: sound whose spans are not
known must not come in. User documentation: docs/imports.md.
"""

from __future__ import annotations

import json
import os
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from pathlib import Path

from callreel.errors import BadInput
from callreel.flows.entry import (
    DEFAULT_DATASOURCE,
    CallEntry,
    Result,
    SharedRecording,
    SoundFile,
)
from callreel.importers.items import Items, Problem
from callreel.importers.monitor import is_audio_name, walk_files
from callreel.importers.sidecar import MAX_BYTES, Sidecar, read_sidecar
from callreel.model import Disposition, Span
from callreel.store.base import ObjectMissing, ObjectUnreadable
from callreel.store.beneath import open_beneath

_RECORDING = re.compile(r'"recording"\s*:\s*"([^"\\]*)"')
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True, slots=True)
class FolderOptions:
    """What side-cars need not say."""

    datasource: str = DEFAULT_DATASOURCE
    voicelocation: str | None = None
    timezone: tzinfo = UTC
    """Of a ``started_at`` without offset."""
    in_place: bool = False
    require_sidecar: bool = False
    """Sound without a side-car waits for it."""


@dataclass(frozen=True, slots=True)
class _Node:
    """One call to be: a file of sound, a side-car, or both."""

    name: str
    """Of the sound where there is any, else of the side-car."""
    audio: str | None
    sidecar: Sidecar | None


@dataclass(slots=True)
class _Found:
    """What lies in the folder."""

    audio: list[str] = field(default_factory=list)
    sidecars: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    held: dict[str, str] = field(default_factory=dict)
    """Sound, or shared key, that an unreadable side-car may speak about, and that side-car."""


def read_folder(root: Path, options: FolderOptions) -> Items:
    """Entries of everything beneath a folder; the same for the same files in any order.

    Args:
        root: The folder.
        options: What side-cars need not say.

    Yields:
        Problems first, then entries; calls that share a recording follow each other.

    Raises:
        BadInput: The folder cannot be read.

    Cost: reads every side-car, no sound; memory for all of them.
    """
    found = _scan(root)
    nodes = _nodes(root, found, options)
    yield from found.problems
    for group in _groups(nodes, options):
        yield from _entries(root, group, found, options)


def _scan(root: Path) -> _Found:
    found = _Found()
    for name, entry in walk_files(root, found.problems):
        if any(part.startswith(".") for part in name.split("/")):
            # Copying programs write to a hidden name first; systems keep their notes there.
            continue
        if not entry.is_file(follow_symlinks=False):
            found.problems.append(Problem(name, "a link or a device; neither is followed"))
        elif is_audio_name(name):
            found.audio.append(name)
        elif name.lower().endswith(".json"):
            found.sidecars.append(name)
        else:
            kind = posixpath.splitext(name)[1] or "no extension"
            found.problems.append(Problem(name, f"not a kind of sound that is known ({kind})"))
    return found


def _nodes(root: Path, found: _Found, options: FolderOptions) -> list[_Node]:
    read: dict[str, Sidecar] = {}
    broken: set[str] = set()
    for name in found.sidecars:
        sidecar = _read(root, name, found, options)
        if sidecar is None:
            broken.add(name)
        else:
            read[name] = sidecar
    nodes = []
    owned: set[str] = set()
    by_stem = _by_stem(found.sidecars)
    for audio in found.audio:
        beside = _beside(audio, by_stem)
        owned.update(beside)
        if len(beside) > 1:
            reason = f"it has two side-cars, {' and '.join(beside)}; remove one"
            found.problems.append(Problem(audio, reason))
        elif beside and beside[0] in broken:
            reason = f"its side-car {beside[0]} cannot be read"
            found.problems.append(Problem(audio, reason))
        elif not beside and options.require_sidecar:
            found.problems.append(Problem(audio, "its side-car is not there yet", Result.WAITING))
        else:
            nodes.append(_Node(audio, audio, read[beside[0]] if beside else None))
    nodes += [_Node(name, None, read[name]) for name in read if name not in owned]
    return nodes


def _by_stem(sidecars: Iterable[str]) -> dict[str, list[str]]:
    """Side-cars by what stands before ``.json``, in no case: recorders write ``CALL.JSON`` too."""
    found: dict[str, list[str]] = {}
    for name in sidecars:
        found.setdefault(posixpath.splitext(name)[0].casefold(), []).append(name)
    return found


def _beside(audio: str, by_stem: Mapping[str, list[str]]) -> list[str]:
    """The side-cars of a file of sound: spelt like it, or else in another case.

    One that is missed would let the sound come in without its spans.
    """
    stems = (audio, posixpath.splitext(audio)[0])
    near = [name for stem in stems for name in by_stem.get(stem.casefold(), ())]
    exact = [name for name in near if posixpath.splitext(name)[0] in stems]
    return exact or near


def _read(root: Path, name: str, found: _Found, options: FolderOptions) -> Sidecar | None:
    contents = b""
    try:
        with os.fdopen(open_beneath(root, name), "rb") as file:
            contents = file.read(MAX_BYTES + 1)
        return read_sidecar(contents, options.timezone)
    except (ObjectMissing, ObjectUnreadable, OSError):
        found.problems.append(Problem(name, "it cannot be opened"))
    except BadInput as error:
        found.problems.append(Problem(name, error.message))
    _hold(name, contents, found)
    return None


def _hold(name: str, contents: bytes, found: _Found) -> None:
    """Hold back the sound that an unreadable side-car names: its spans are not known.

    Names are looked for as they are and with JSON's escapes undone, since it may be torn anywhere.
    """
    text = _unescaped(contents)
    for audio in found.audio:
        base = posixpath.basename(audio)
        if os.fsencode(base) in contents or base in text:
            found.held[audio] = name
    named = _RECORDING.search(text)
    if named is not None:
        found.held[named.group(1)] = name


def _unescaped(contents: bytes) -> str:
    text = contents.decode("utf-8-sig", "replace")
    text = _ESCAPE.sub(lambda found: chr(int(found.group(1), 16)), text)
    # A character beyond the basic plane is escaped as two halves.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\\/", "/")


def _groups(nodes: list[_Node], options: FolderOptions) -> Iterator[list[_Node]]:
    """Calls that share a recording, the one whose sound it is first."""
    audio = {node.name: node for node in nodes if node.audio is not None}
    groups: dict[tuple[str, ...], list[_Node]] = {}
    for node in nodes:
        groups.setdefault(_group_key(node, audio, options), []).append(node)
    for _, group in sorted(groups.items()):
        yield sorted(group, key=lambda n: (n.audio is None, _recording(n) is not None, n.name))


def _group_key(node: _Node, audio: dict[str, _Node], options: FolderOptions) -> tuple[str, ...]:
    """What calls of one recording have in common: a key, names, or a file of sound."""
    seen: set[str] = set()
    while node.name not in seen:
        seen.add(node.name)
        shared = _recording(node)
        target = _target(node.name, shared, audio) if shared is not None else node.name
        if target is None:
            return "key", _datasource(node, options), shared or ""
        if target == node.name:
            said = node.sidecar
            if said is None or said.voicefilename is None:
                return "file", target
            location = said.voicelocation or options.voicelocation or ""
            return "names", _datasource(node, options), location, said.voicefilename
        node = audio[target]
    # Side-cars that name each other's sound in a circle: any of them names the group.
    return "file", min(seen)


def _recording(node: _Node) -> str | None:
    return node.sidecar.recording if node.sidecar is not None else None


def _target(name: str, shared: str, audio: dict[str, _Node]) -> str | None:
    beside = posixpath.normpath(posixpath.join(posixpath.dirname(name), shared))
    return next((path for path in (beside, posixpath.normpath(shared)) if path in audio), None)


def _datasource(node: _Node, options: FolderOptions) -> str:
    told = node.sidecar.datasource if node.sidecar is not None else None
    return told or options.datasource


def _entries(root: Path, group: list[_Node], found: _Found, options: FolderOptions) -> Items:
    holder = _holder(group, found)
    owner = group[0]
    # Every call brings the spans of all: the first of them may be seen before the last comes in.
    spans = tuple(dict.fromkeys(span for node in group for span in _spans(node)))
    for node in group:
        if holder is not None:
            yield Problem(node.name, f"the side-car {holder} speaks about it and cannot be read")
        elif owner.audio is None:
            yield Problem(node.name, _missing(node), Result.WAITING)
        elif _datasource(node, options) != _datasource(owner, options):
            yield Problem(node.name, f"it shares {owner.name}, which is of another datasource")
        else:
            yield _entry(root, node, owner, spans, options)


def _spans(node: _Node) -> tuple[Span, ...]:
    return node.sidecar.spans if node.sidecar is not None else ()


def _holder(group: list[_Node], found: _Found) -> str | None:
    names = {name for node in group for name in (node.name, _recording(node))}
    return next(
        (found.held[name] for name in sorted(filter(None, names)) if name in found.held), None
    )


def _missing(node: _Node) -> str:
    shared = _recording(node)
    if shared is None:
        return "there is no file of sound beside it yet"
    return f"there is no sound for its recording {shared!r} yet"


def _entry(
    root: Path, node: _Node, owner: _Node, spans: tuple[Span, ...], options: FolderOptions
) -> CallEntry:
    audio = SoundFile(root, owner.audio or "", options.in_place)
    copied = node.audio if node is not owner else None
    second = SoundFile(root, copied, options.in_place) if copied is not None else None
    said = node.sidecar
    if said is None:
        return CallEntry(
            datasource=options.datasource,
            source_key=None,
            origin=node.name,
            started_at=None,
            voicelocation=options.voicelocation,
            disposition=Disposition.ANSWERED,
            audio=audio,
            spans=spans,
        )
    return CallEntry(
        datasource=_datasource(node, options),
        # Not the folders above: the same files imported from another place are the same calls.
        source_key=json.dumps(
            [_stem(node.name), said.voicelocation, said.voicefilename, said.recording]
        ),
        keyed_by_sound=said.voicefilename is None and said.recording is None,
        origin=node.name,
        started_at=said.started_at,
        direction=said.direction,
        from_number=said.from_number,
        to_number=said.to_number,
        caller_name=said.caller_name,
        duration_s=said.duration_s,
        voicelocation=said.voicelocation or options.voicelocation,
        voicefilename=said.voicefilename,
        shared=_shared(owner, options) if node is not owner else None,
        extension=said.extension,
        channel=said.channel,
        disposition=Disposition.ANSWERED,
        spans=spans,
        audio=audio,
        agent_channel=said.agent_channel,
        second_copy=second,
    )


def _shared(owner: _Node, options: FolderOptions) -> SharedRecording:
    said = owner.sidecar
    if said is None:
        return SharedRecording(options.voicelocation, None)
    return SharedRecording(said.voicelocation or options.voicelocation, said.voicefilename)


def _stem(name: str) -> str:
    base = posixpath.basename(name)
    base = base[: -len(".json")] if base.lower().endswith(".json") else base
    return posixpath.splitext(base)[0] if is_audio_name(base) else base
