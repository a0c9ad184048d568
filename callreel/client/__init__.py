"""A client for programs: search, ask for tokens, fetch recordings whole, once, and of one revision.

    ClientError
    ├── AuthenticationRefused   the user name, password or API key is wrong
    ├── Refused                 the server understood and says no; has code and status
    │   ├── NotFound            no such call or recording, or not yours
    │   ├── NotReady            the call still runs; has retry_after_s
    │   ├── Gone                deleted by retention
    │   └── Unplayable          it could not be decoded when it came in
    ├── ServerUnavailable       no answer, or "come back later" for longer than the deadline
    ├── DeadlineExceeded        the time given was over
    └── BadAnswer               not what the contract says; nothing was kept

>>> with Client("https://calls.example", username="crm", password="…") as client:  # doctest: +SKIP
...     for call in client.search(mask=True):
...         client.fetch(call["recording_id"], Path(f"{call['id']}.mp3"), format="mp3")
"""

from __future__ import annotations

from callreel.client.client import Client, Fetched
from callreel.client.errors import (
    AuthenticationRefused,
    BadAnswer,
    ClientError,
    DeadlineExceeded,
    Gone,
    NotFound,
    NotReady,
    Refused,
    ServerUnavailable,
    Unplayable,
)
from callreel.client.transfer import Progress

__all__ = [
    "AuthenticationRefused",
    "BadAnswer",
    "Client",
    "ClientError",
    "DeadlineExceeded",
    "Fetched",
    "Gone",
    "NotFound",
    "NotReady",
    "Progress",
    "Refused",
    "ServerUnavailable",
    "Unplayable",
]
