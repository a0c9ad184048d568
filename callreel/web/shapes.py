"""Records to the shapes that leave: JSON, CSV and XML. Source: contract.md 6.2."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Sequence
from typing import cast
from xml.etree import ElementTree as ET

from callreel.db.changes import Change
from callreel.db.masks import StoredSpan
from callreel.db.unsettled import ListedSignal
from callreel.flows.issue import Issued
from callreel.flows.masking import RecordingSpans
from callreel.flows.ongoing import OngoingCall
from callreel.flows.peaks import SeenPeaks
from callreel.flows.signal import SignalAnswer
from callreel.flows.ticket import IssuedTicket
from callreel.model import Call, Party, Span
from callreel.wire import (
    CallItem,
    ChangeItem,
    OngoingItem,
    PeaksBody,
    RecordingSpansBody,
    SignalBody,
    SignalItem,
    SpanItem,
    StoredSpanItem,
    TicketBody,
    TokenBody,
    iso_instant,
)

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


def ongoing_item(call: OngoingCall) -> OngoingItem:
    """One call in progress."""
    return {
        "datasource": call.datasource,
        "id": call.id,
        "state": call.state.value,
        "direction": call.direction.value,
        "from": call.from_number,
        "to": call.to_number,
        "caller_name": call.caller_name,
        "extension": call.extension,
        "agent": call.agent_name,
        "started_at": iso_instant(call.started_at),
        "answered_at": None if call.answered_at is None else iso_instant(call.answered_at),
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


def ticket_body(issued: IssuedTicket) -> TicketBody:
    """The answer to a request for a link."""
    return {"url": issued.url, "expires_at": iso_instant(issued.expires_at)}


def signal_body(answer: SignalAnswer) -> SignalBody:
    """The answer to a signal."""
    return {
        "signals": list(answer.signal_ids),
        "at": iso_instant(answer.at),
        "state": "bound" if answer.matches else "held",
        "matched": [
            {"call_id": match.call_id, "recording_id": match.recording_id}
            for match in answer.matches
        ],
    }


def signal_item(signal: ListedSignal) -> SignalItem:
    """One signal of the list."""
    return {
        "id": signal.id,
        "at": iso_instant(signal.at),
        "received_at": iso_instant(signal.received_at),
        "mute": "on" if signal.mute else "off",
        "objtype": signal.objtype,
        "objid": signal.objid,
        "call_id": signal.call_id,
        "source": signal.source,
        "state": signal.state.value,
        "recording_ids": list(signal.recording_ids),
        "settled": signal.settled,
        "settled_by": signal.settled_by,
        "settled_reason": signal.settled_reason,
    }


def recording_spans_body(seen: RecordingSpans) -> RecordingSpansBody:
    """What is masked in a recording, and why."""
    return {
        "recording_id": seen.recording_id,
        "mask_revision": seen.mask_revision,
        "masked_spans": span_items(seen.masked_spans),
        "spans": [_stored_span(each) for each in seen.spans],
        "changed": seen.changed,
    }


def _stored_span(stored: StoredSpan) -> StoredSpanItem:
    return {
        "id": stored.id,
        "start_s": stored.span.start_s,
        "end_s": None if math.isinf(stored.span.end_s) else stored.span.end_s,
        "channel": None if stored.span.channel is None else stored.span.channel.value,
        "source": stored.source.value,
        "state": stored.state,
        "reason": stored.reason,
        "actor": stored.actor,
        "created_at": iso_instant(stored.created_at),
        "changed_at": None if stored.changed_at is None else iso_instant(stored.changed_at),
        "changed_by": stored.changed_by,
        "change_reason": stored.change_reason,
        "signal_on": stored.signal_on_id,
        "signal_off": stored.signal_off_id,
    }


def peaks_body(seen: SeenPeaks) -> PeaksBody:
    """What a waveform is drawn from."""
    facts, points = seen.facts, seen.points
    names = [None] if facts.channels == 1 else [Party.LEFT.value, Party.RIGHT.value]
    return {
        "recording_id": seen.recording_id,
        "mask_revision": seen.mask_revision,
        "duration_s": facts.duration_s,
        "rate_hz": facts.rate_hz,
        "frames": facts.frames,
        "channels": facts.channels,
        "from_s": points.start / facts.rate_hz,
        "to_s": points.end / facts.rate_hz,
        "frames_per_point": points.frames_per_point,
        "peaks": [
            {
                "channel": name,
                "min": points.lowest[:, channel].tolist(),
                "max": points.highest[:, channel].tolist(),
            }
            for channel, name in enumerate(names)
        ],
        "masked_spans": span_items(seen.masked_spans),
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
