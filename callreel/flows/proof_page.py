"""A proof as a page for people: one file, no script, nothing fetched from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem;"
    "color:#1a1a1a;background:#fff}table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}"
    "th,td{text-align:left;padding:.25rem .5rem;border-bottom:1px solid #ccc;vertical-align:top}"
    "code{font-size:.85em;overflow-wrap:anywhere}.masked{color:#0a5c2b}.failed{color:#a40000}"
)
_HOW = (
    "Each output below was decoded as it is served, and made a second time with other speech under "
    "the masks. Where both have the same bytes, nothing of what is masked is in them. Of lossless "
    "outputs each sample was compared as well."
)
_YES_NO = {True: "yes", False: "NO", None: "—"}


def page(document: Mapping[str, Any]) -> str:
    """The report of ``flows/prove.py`` as HTML."""
    about = document["recording"]
    good = document["verdict"] == "masked"
    facts = [
        ("Recording", about["id"]),
        ("Named", f"{about['datasource']} / {about['voicelocation']} / {about['voicefilename']}"),
        ("Sound", f"{about['codec']}, {about['rate_hz']} Hz, {about['channels']} channel(s)"),
        ("Length", f"{about['duration_s']:.3f} s, {about['frames']} frames"),
        ("Mask revision", about["mask_revision"]),
        ("Content version", about["content_version"]),
        ("Commitment to what came in", document["source_commitment"]),
        ("Masks burned in", "yes" if document["burned_in"] else "no"),
        ("Made", f"{document['made_at']} by {document['made_by']}, {document['callreel']}"),
        ("Signature", document["signature"]),
    ]
    if "source_sha256" in document:
        facts.append(("SHA-256 of the stored bytes", document["source_sha256"]))
    verdict = "Masked wherever it is marked" if good else "NOT PROVEN"
    return "".join(
        [
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>Proof of masking</title>',
            f"<style>{_STYLE}</style><h1>Proof of masking</h1>",
            f'<p class="{"masked" if good else "failed"}"><strong>{verdict}</strong></p>',
            f"<p>{_HOW}</p>",
            _table((), facts),
            "<h2>What is masked, and why</h2>",
            _table(
                ("from s", "to s", "channel", "cause", "by", "since", "reason"),
                (
                    (
                        f"{span['start_s']:.3f}",
                        "the end" if span["end_s"] is None else f"{span['end_s']:.3f}",
                        span["channel"] or "both",
                        span["cause"],
                        span["by"] or span["signal_on"] or span["signal_off"] or "",
                        span["at"],
                        span["reason"] or "",
                    )
                    for span in document["spans"]
                ),
            ),
            "<h2>What was served</h2>",
            _table(
                (
                    "format",
                    "channel",
                    "same with other speech",
                    "unmasked is the source",
                    "masked is the fill",
                    "level outside dBFS",
                    "levels inside dBFS",
                    "SHA-256",
                ),
                (
                    (
                        output["format"],
                        output["channel"],
                        _YES_NO[output["same_with_other_speech"]],
                        _YES_NO[output["unmasked_samples_are_the_source"]],
                        _YES_NO[output["masked_samples_are_the_fill"]],
                        output["outside_dbfs"],
                        ", ".join(str(span["inside_dbfs"]) for span in output["spans"]),
                        output["sha256"],
                    )
                    for output in document["outputs"]
                ),
            ),
        ]
    )


def _table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(
        "<tr>" + "".join(f"<td><code>{escape(str(cell))}</code></td>" for cell in row) + "</tr>"
        for row in rows
    )
    return f"<table>{f'<tr>{titles}</tr>' if titles else ''}{body}</table>"
