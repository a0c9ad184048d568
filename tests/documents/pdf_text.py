"""The text of a PDF, read back without the library that wrote it: streams and character maps."""

from __future__ import annotations

import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)
_FONT = re.compile(rb"/BaseFont /([A-Z]{6})\+[^/]*[^>]*?/ToUnicode (\d+) 0 R")
_PIECE = re.compile(rb"/(\w+) [\d.]+ Tf|<([0-9a-f]+)>|(BT)")


def pdf_pages(document: bytes) -> list[str]:
    """The text of each page, without any white space: what is drawn has none that can be told."""
    objects = {int(number): body for number, body in _OBJECT.findall(document)}
    streams = {number: _stream(body) for number, body in objects.items()}
    packed = b"\n".join(streams[number] for number, body in objects.items() if b"/ObjStm" in body)
    fonts = {name: _characters(streams[int(number)]) for name, number in _FONT.findall(packed)}
    pages = re.findall(rb"/Type /Page\W[^>]*?/Contents (\d+) 0 R", packed)
    return ["".join(_drawn(streams[int(number)], fonts).split()) for number in pages]


def _stream(body: bytes) -> bytes:
    head, _, rest = body.partition(b"stream\n")
    if not rest:
        return b""
    raw = rest.rpartition(b"\nendstream")[0]
    return zlib.decompress(raw) if b"/FlateDecode" in head else raw


def _characters(char_map: bytes) -> dict[bytes, str]:
    pairs = re.findall(rb"<([0-9a-f]{4})> <([0-9a-f]+)>", char_map.partition(b"beginbfchar")[2])
    return {glyph: bytes.fromhex(text.decode()).decode("utf-16-be") for glyph, text in pairs}


def _drawn(content: bytes, fonts: dict[bytes, dict[bytes, str]]) -> str:
    found = []
    font: dict[bytes, str] = {}
    for name, glyphs, _begin in _PIECE.findall(content):
        if name:
            font = fonts[name]
        found += [font[glyphs[place : place + 4]] for place in range(0, len(glyphs), 4)]
    return "".join(found)
