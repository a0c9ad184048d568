"""Fetch what the pages carry of others and write it to ``callreel/web/static/vendor``.

``make vendor`` runs it on a developer's machine that has npm; what it wrote is kept in the
repository, so that neither users nor developers need npm.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path("callreel/web/static/vendor")
LIST = "VENDORED.txt"
ICONS_FILE = "icons.svg"

PACKAGES = {
    "htmx.org": (
        "4.0.1",
        "0BSD",
        {"dist/htmx.min.js": "htmx.js", "dist/ext/hx-sse.min.js": "hx-sse.js"},
    ),
    "@fontsource-variable/inter": (
        "5.3.0",
        "OFL-1.1",
        {
            f"files/inter-{script}-wght-normal.woff2": f"inter-{script}.woff2"
            for script in ("latin", "latin-ext", "cyrillic", "greek", "vietnamese")
        },
    ),
    "lucide-static": ("1.62.0", "ISC", {}),
}
"""Version, licence, and from the file in the package to the one here."""

ICONS = (
    "arrow-down-left", "arrow-left-right", "arrow-up-right", "audio-lines", "ban", "bookmark",
    "check", "chevron-left", "chevron-right", "columns-3", "download", "ear-off", "eye-off",
    "fast-forward", "keyboard", "link", "lock", "log-out", "message-square", "moon", "pause",
    "phone-missed", "phone-off", "play", "plus", "printer", "redo", "repeat", "search", "settings",
    "sun", "trash-2", "triangle-alert", "undo", "users", "x", "zoom-in", "zoom-out",
)  # fmt: skip


def main() -> int:
    """Fetch, write, and list with hashes; gives the exit code."""
    VENDOR.mkdir(parents=True, exist_ok=True)
    lines = ["name, version, licence, file, SHA-256"]
    with tempfile.TemporaryDirectory() as folder:
        for name, (version, licence, files) in PACKAGES.items():
            root = _unpacked(f"{name}@{version}", Path(folder))
            written = {here: (root / there).read_bytes() for there, here in files.items()}
            if name == "lucide-static":
                written[ICONS_FILE] = _sprite(root / "icons")
            for here, data in written.items():
                (VENDOR / here).write_bytes(data)
                digest = hashlib.sha256(data).hexdigest()
                lines.append(f"{name}, {version}, {licence}, {here}, {digest}")
    (VENDOR / LIST).write_text("\n".join(lines) + "\n")
    return 0


def _unpacked(package: str, folder: Path) -> Path:
    """The folder of a package's files."""
    told = subprocess.run(  # noqa: S603  # the names above
        ["npm", "pack", "--silent", package, "--pack-destination", folder],  # noqa: S607  # as told
        check=True,
        capture_output=True,
        text=True,
    )
    archive = folder / told.stdout.strip().splitlines()[-1]
    target = folder / archive.name.removesuffix(".tgz")
    with tarfile.open(archive) as packed:
        packed.extractall(target, filter="data")
    return target / "package"


def _sprite(icons: Path) -> bytes:
    """One file of symbols; colour and width of the strokes are set where one is used."""
    symbols = []
    for name in ICONS:
        drawn = re.search(r"<svg[^>]*>(.*)</svg>", (icons / f"{name}.svg").read_text(), re.DOTALL)
        if drawn is None:
            raise ValueError(f"{name}: not an icon")
        inside = re.sub(r"\s+", " ", drawn[1]).strip()
        symbols.append(f'<symbol id="{name}" viewBox="0 0 24 24">{inside}</symbol>')
    body = "\n".join(symbols)
    return f'<svg xmlns="http://www.w3.org/2000/svg">\n{body}\n</svg>\n'.encode()


if __name__ == "__main__":
    sys.exit(main())
