"""Find calls on a Callreel server and fetch their recordings.

    from callreel.client import Client

    with Client("https://calls.example", "integrator", password) as client:
        for call in client.search(since="2026-09-21", rec=True):
            client.fetch(call, folder / f"{call['id']}.mp3", "mp3")

Source: contract.md sections 2, 3 and 6; docs/clients.md shows more.
"""

from __future__ import annotations

from callreel.client.client import CallFilter, Client
from callreel.client.errors import (
    AccessRefused,
    AuthenticationRefused,
    BadAnswer,
    BadRequest,
    BrokenTransfer,
    ClientError,
    DeadlineExceeded,
    Gone,
    NotFound,
    NotReady,
    NotRecorded,
    NotSaved,
    ServerFault,
    ServerUnavailable,
    Unplayable,
    Unreachable,
)
from callreel.client.shapes import CHANNELS, EXTENSIONS, ChangePage, Token
from callreel.client.transfer import Progress, Saved
from callreel.wire import CallItem, ChangeItem, SpanItem

__all__ = [
    "CHANNELS",
    "EXTENSIONS",
    "AccessRefused",
    "AuthenticationRefused",
    "BadAnswer",
    "BadRequest",
    "BrokenTransfer",
    "CallFilter",
    "CallItem",
    "ChangeItem",
    "ChangePage",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "Gone",
    "NotFound",
    "NotReady",
    "NotRecorded",
    "NotSaved",
    "Progress",
    "Saved",
    "ServerFault",
    "ServerUnavailable",
    "SpanItem",
    "Token",
    "Unplayable",
    "Unreachable",
]
