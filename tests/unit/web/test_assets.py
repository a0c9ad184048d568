"""What pages carry: known copies of others' files, addresses that never change, no way out."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re

import pytest

from callreel.web.pages.assets import FOLDER, Assets
from callreel.web.pages.page import TEMPLATES

VENDOR = FOLDER / "vendor"


def test_every_vendored_file_is_the_one_that_was_fetched() -> None:
    """Name, version, licence and hash of each; nothing beside them."""
    lines = (VENDOR / "VENDORED.txt").read_text().splitlines()
    rows = list(csv.reader(lines[1:], skipinitialspace=True))
    assert {row[3] for row in rows} | {"VENDORED.txt"} == {path.name for path in VENDOR.iterdir()}
    for _, version, licence, name, digest in rows:
        assert version
        assert licence in {"0BSD", "OFL-1.1", "ISC"}
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == digest


def test_style_and_scripts_name_each_other_by_their_hashes() -> None:
    """A browser keeps them for ever, so an address must change with the content."""
    assets = Assets()
    for name in ("app.css", "app.js"):
        text = assets._assets[name].data.decode()
        named = re.findall(r'"(/static/[^"]+)"', text)
        assert named
        for address in named:
            digest, _, other = address.removeprefix("/static/").partition("/")
            assert hashlib.sha256(assets._assets[other].data).hexdigest()[:16] == digest


def test_nothing_is_fetched_from_anywhere_else() -> None:
    """No address of another host in what is ours."""
    for path in [*FOLDER.glob("*.*"), *TEMPLATES.glob("*.html")]:
        found = re.findall(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", path.read_text())
        assert [each for each in found if "www.w3.org" not in each] == [], path.name


@pytest.mark.parametrize("path", sorted(TEMPLATES.glob("*.html")), ids=lambda path: path.name)
def test_templates_hold_no_code_and_no_style(path) -> None:  # type: ignore[no-untyped-def]  # noqa: ANN001
    """The policy would refuse them in the browser; here they are found sooner."""
    text = path.read_text()
    assert re.search(r"\sstyle=", text) is None
    assert re.search(r"\son[a-z]+=", text) is None
    assert re.search(r"<script(?![^>]*\ssrc=)", text) is None
    assert "javascript:" not in text
    assert "hx-on" not in text
    assert "js:" not in text
    if path.name != "report.html":
        assert "|safe" not in text


def test_what_is_shipped_is_small() -> None:
    """Less than 25 kB of scripts and 8 kB of style, compressed (bar 7)."""

    def size(suffix: str) -> int:
        return sum(len(gzip.compress(each.read_bytes(), 9)) for each in FOLDER.rglob(suffix))

    assert size("*.js") < 25_000
    assert size("*.css") < 8_000
