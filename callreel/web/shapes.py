"""Records to the shapes that leave: JSON, CSV and XML. Source: contract.md 6.2."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import cast
from xml.etree import ElementTree as ET

from callreel.db.changes import Change
from callreel.flows.issue import Issued
from callreel.model import Call, Span
from callreel.wire import CallItem, ChangeItem, SpanItem, TokenBody, iso_instant

COLUMNS = tuple(CallItem.__annotations__)

# What XML 1.0 cannot hold at all, escaped or not.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def span_items(spans: Sequence[Span]) -> list[SpanItem]:
    """Spans; a channel of None is both."""
    return [
        {
            "start_s": span.start_s,
            "end_s": span.end_s,
            "channel": None if span.channel is None else span.channel.value,
        }
        for span in spans
    ]


def call_item(call: Call) -> CallItem:
    """One call."""
    return {
        "id": call.id,
        "recording_id": call.recording_id,
        "datasource": call.datasource,
        "voicelocation": call.voicelocation,
        "voicefilename": call.voicefilename,
        "started_at": iso_instant(call.started_at),
        "duration_s": call.duration_s,
        "direction": call.direction.value,
        "from": call.from_number,
        "to": call.to_number,
        "extension": call.extension,
        "channel": call.channel,
        "masked_spans": span_items(call.masked_spans),
    }


def token_body(issued: Issued) -> TokenBody:
    """The answer to a request for a token."""
    return {
        "url": issued.url,
        "expires_at": iso_instant(issued.expires_at),
        "content_type": issued.content_type,
        "duration_s": issued.duration_s,
        "size_bytes": issued.size_bytes,
        "masked_spans": span_items(issued.masked_spans),
        "mask_revision": issued.mask_revision,
    }


def change_item(change: Change) -> ChangeItem:
    """One entry of the feed."""
    return {
        "kind": change.kind,
        "at": iso_instant(change.at),
        "call_id": change.call_id,
        "recording_id": change.recording_id,
    }


def _cell(name: str, item: CallItem) -> str:
    value = cast("dict[str, object]", item)[name]
    if name == "masked_spans":
        return " ".join(
            f"{span['start_s']}-{span['end_s']}"
            + (f"/{span['channel']}" if span["channel"] else "")
            for span in item["masked_spans"]
        )
    return "" if value is None else str(value)


def as_csv(items: Iterable[CallItem]) -> str:
    """RFC 4180, for machines: values are as they are, a spreadsheet may take some for formulas."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows([_cell(name, item) for name in COLUMNS] for item in items)
    return text.getvalue()


def as_xml(items: Iterable[CallItem], following: str | None) -> bytes:
    """``<calls next="…"><call><id>…`` ; null is an element that is not there."""
    root = ET.Element("calls")
    if following is not None:
        root.set("next", following)
    for item in items:
        row = ET.SubElement(root, "call")
        for name in COLUMNS:
            if name == "masked_spans":
                spans = ET.SubElement(row, name)
                for span in item["masked_spans"]:
                    given = {key: str(value) for key, value in span.items() if value is not None}
                    ET.SubElement(spans, "span", given)
            elif cast("dict[str, object]", item)[name] is not None:
                ET.SubElement(row, name).text = _NOT_IN_XML.sub("\ufffd", _cell(name, item))
    return cast("bytes", ET.tostring(root, encoding="utf-8", xml_declaration=True))
