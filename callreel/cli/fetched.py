"""What ``callreel fetch`` knows of the files that it saved: which mask was in force then.

A file of the same size may hold speech that was masked since. The notes lie beside the files, so
that they go where the files go.
"""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path

NOTES = ".callreel-fetched.json"


def revision_of(path: Path) -> int | None:
    """The mask revision that a saved file was fetched with; None where nobody noted it."""
    noted = _read(path.parent).get(path.name)
    return noted if isinstance(noted, int) and not isinstance(noted, bool) else None


def note_revision(path: Path, revision: int | None) -> None:
    """Note the mask revision of a file that was saved; where that fails it is merely not known."""
    notes = _read(path.parent)
    notes[path.name] = revision
    with suppress(OSError):
        descriptor, beside = tempfile.mkstemp(prefix=NOTES, dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(notes, file)
        Path(beside).replace(path.parent / NOTES)


def _read(folder: Path) -> dict[str, object]:
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return notes if isinstance(notes, dict) else {}
