"""A bare ASGI application: Basic login, a signature, a URL; no routes, no rules, no audit row.

It says what the server under Callreel can do at the most. Started by uvicorn.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time

from starlette.types import Receive, Scope, Send

_LOGIN = b"Basic " + base64.b64encode(b"bench:the password of a benchmark")
_KEY = bytes(range(32))


async def application(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answer every request."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/livez":
        status, body = 200, b"ok"
    elif dict(scope["headers"]).get(b"authorization") != _LOGIN:
        status, body = 401, b"who are you?"
    else:
        signed = b"%d|%s" % (time.time() + 60, scope["query_string"])
        mac = hmac.digest(_KEY, signed, hashlib.sha256)
        token = base64.urlsafe_b64encode(signed + mac).rstrip(b"=")
        status, body = 200, b"http://127.0.0.1:8081/v/" + token
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
