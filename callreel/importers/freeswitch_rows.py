"""Call records of FreeSWITCH: cdr_csv, json_cdr and xml_cdr files, as one kind of row.

Source: FreeSWITCH ``mod_cdr_csv`` (values are pasted without escaping), ``mod_json_cdr`` and
``mod_xml_cdr`` (values are URL-encoded by default); ingest.md 5.4.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from callreel.errors import BadInput
from callreel.flows.entry import Result
from callreel.importers.items import Problem

TEMPLATES: dict[str, tuple[str, ...]] = {
    "example": (
        "caller_id_name", "caller_id_number", "destination_number", "context", "start_stamp",
        "answer_stamp", "end_stamp", "duration", "billsec", "hangup_cause", "uuid", "bleg_uuid",
        "accountcode", "read_codec", "write_codec",
    ),
    "snom": (
        "caller_id_name", "caller_id_number", "destination_number", "context", "start_stamp",
        "answer_stamp", "end_stamp", "duration", "billsec", "hangup_cause", "uuid", "bleg_uuid",
        "accountcode", "read_codec", "write_codec", "sip_user_agent", "call_clientcode",
        "sip_rtp_rxstat", "sip_rtp_txstat", "sofia_record_file",
    ),
}  # fmt: skip
"""Columns of cdr_csv, by the name of the template."""

_LINE_MAX_BYTES = 64 * 1024
MAX_FILE_BYTES = 8 << 20
"""A json_cdr or xml_cdr file is one call; a larger one is an attack or something else."""
_MAX_DEPTH = 32
_MAX_ELEMENTS = 50_000
_SEPARATOR = re.compile(r'"?,"?')
_CDR_SUFFIXES = (".csv", ".json", ".xml")


@dataclass(frozen=True, slots=True)
class SwitchRow:
    """One leg of a call."""

    origin: str
    """File, and line where there are several in one."""
    values: Mapping[str, str] = field(default_factory=dict)
    """Names as in ``TEMPLATES`` and in channel variables; an empty text is none."""

    def first(self, *names: str) -> str:
        """The first of these that holds something; empty where none does."""
        return next((self.values[name] for name in names if self.values.get(name)), "")


SwitchRows = Iterator[SwitchRow | Problem]


def read_switch_file(path: Path, columns: tuple[str, ...]) -> SwitchRows:
    """Rows of one file, told apart by its first character and its name.

    Args:
        path: The file.
        columns: Of cdr_csv.

    Raises:
        BadInput: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
            if not start and not path.name.lower().endswith(".csv"):
                yield Problem(path.name, "it is empty, so far", Result.WAITING)
                return
            if start not in {b"{", b"<"}:
                file.seek(0)
                yield from _csv_rows(path.name, file, columns)
                return
            file.seek(0)
            contents = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    if len(contents) > MAX_FILE_BYTES:
        yield Problem(path.name, "it is larger than 8 MiB, which no record of one call is")
        return
    try:
        yield _xml_row(path.name, contents) if start == b"<" else _json_row(path.name, contents)
    except BadInput as error:
        yield Problem(path.name, error.message)
    except EOFError:
        yield Problem(path.name, "it is not complete yet", Result.WAITING)


def is_switch_file(name: str) -> bool:
    """Whether a file may hold records of FreeSWITCH, by its extension."""
    return name.lower().endswith(_CDR_SUFFIXES)


def _csv_rows(name: str, file: BinaryIO, columns: tuple[str, ...]) -> SwitchRows:
    number = 0
    while line := file.readline(_LINE_MAX_BYTES):
        number += 1
        if len(line) == _LINE_MAX_BYTES and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(_LINE_MAX_BYTES)
            yield Problem(f"{name}:{number}", "the line is longer than 64 KiB")
            continue
        text = line.decode("utf-8", "replace").rstrip("\r\n")
        if not text.strip():
            continue
        origin = f"{name}:{number}"
        cells = _lenient_cells(text, len(columns))
        # A line ends with a quote; a torn one may still have all of its columns but the end.
        if not line.endswith(b"\n") and (cells is None or not text.endswith('"')):
            yield Problem(origin, "the last line is not complete yet", Result.WAITING)
        elif cells is None:
            found = len(_SEPARATOR.split(text))
            yield Problem(origin, f"{found} columns, the template has {len(columns)}")
        else:
            yield SwitchRow(origin, dict(zip(columns, cells, strict=True)))


def _lenient_cells(text: str, count: int) -> list[str] | None:
    """Cut a line into cells from the right: only the first, the caller's name, is anybody's text.

    Values are pasted between quotes unescaped, so a quote or a comma in a name looks like a border.
    """
    if not text.startswith('"') or not text.endswith('"') or len(text) < 2:
        cells = text.split(",")
        return cells if len(cells) == count else None
    cells = text[1:-1].rsplit('","', count - 1)
    return cells if len(cells) == count else None


def _json_row(name: str, contents: bytes) -> SwitchRow:
    try:
        document = json.loads(contents.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        if not contents.rstrip().endswith(b"}"):
            raise EOFError from error
        raise BadInput("it is not JSON") from error
    variables = document.get("variables") if isinstance(document, dict) else None
    if not isinstance(variables, dict):
        raise BadInput("it has no variables, so it is no json_cdr")
    values = {str(key): _decoded(value) for key, value in variables.items()}
    flow = document.get("callflow")
    profiles = (
        [entry for entry in flow if isinstance(entry, dict)] if isinstance(flow, list) else []
    )
    # The first entry of the flow is the newest; the oldest tells what was dialled.
    for entry in profiles:
        profile = entry.get("caller_profile")
        if isinstance(profile, dict):
            for key, value in profile.items():
                if isinstance(value, str) and value:
                    values[f"profile_{key}"] = _decoded(value)
    return SwitchRow(name, values)


class _FlatTree(TreeBuilder):
    """A tree that is as flat and as small as records are; a deep one only costs time."""

    def __init__(self) -> None:
        super().__init__()
        self._depth = 0
        self._count = 0

    def start(self, tag: str, attrs: dict[str, str], /) -> Element:
        self._depth += 1
        self._count += 1
        if self._depth > _MAX_DEPTH or self._count > _MAX_ELEMENTS:
            raise BadInput("it has more elements, one within the other, than any record")
        return super().start(tag, attrs)

    def end(self, tag: str, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def _xml_row(name: str, contents: bytes) -> SwitchRow:
    try:
        parser = DefusedXMLParser(target=_FlatTree(), forbid_dtd=True)
        parser.feed(contents)
        root: Element = parser.close()
    except DefusedXmlException as error:
        raise BadInput("it declares entities or a document type, which no record does") from error
    except ParseError as error:
        if not contents.rstrip().endswith(b">") or not contents.rstrip().endswith(b"</cdr>"):
            raise EOFError from error
        raise BadInput(f"it is not XML: {error}") from error
    except (LookupError, ValueError) as error:
        raise BadInput("it names an encoding that no record has; they are UTF-8") from error
    variables = root.find("variables")
    if root.tag != "cdr" or variables is None:
        raise BadInput("it has no cdr with variables, so it is no xml_cdr")
    values = {child.tag: _decoded(child.text) for child in variables}
    for flow in root.findall("callflow"):
        profile = flow.find("caller_profile")
        for child in profile if profile is not None else ():
            if child.text:
                values[f"profile_{child.tag}"] = _decoded(child.text)
    return SwitchRow(name, values)


def _decoded(value: object) -> str:
    return unquote(value) if isinstance(value, str) else "" if value is None else str(value)
