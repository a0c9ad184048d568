"""Check that what our documents link to is there: files, and headings inside them.

Run it from the root of the repository with ``python -m tools.check_links``. Addresses on other
servers are not asked for.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.*?) *#*$", re.MULTILINE)


def documents(root: Path) -> list[Path]:
    """Our documents: those at the root, and everything in ``docs``."""
    return sorted([*root.glob("*.md"), *root.glob("docs/**/*.md")])


def broken_links(root: Path) -> Iterator[str]:
    """One line for each link that leads nowhere."""
    for document in documents(root):
        text = _CODE.sub("", document.read_text(encoding="utf-8"))
        for target in _LINK.findall(text):
            if "://" in target or target.startswith("mailto:"):
                continue
            path, _, heading = unquote(target).partition("#")
            there = (document.parent / path).resolve() if path else document
            where = f"{document.relative_to(root)}: {target}"
            if not there.exists():
                yield f"{where}: there is no such file"
            elif heading and heading not in headings(there):
                yield f"{where}: there is no such heading"


def headings(document: Path) -> set[str]:
    """The names by which the headings of a document can be linked to."""
    found = _HEADING.findall(document.read_text(encoding="utf-8"))
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in found)
    return {heading.replace(" ", "-") for heading in plain}


def main() -> int:
    """Print what is broken.

    Returns:
        The exit code: 1 where something is.
    """
    root = Path(__file__).parents[1]
    broken = list(broken_links(root))
    print(*broken, sep="\n", end="\n" if broken else "")  # noqa: T201  # this is its answer
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
