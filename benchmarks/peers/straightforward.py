"""A service as one would write it in an afternoon: FastAPI, ffmpeg, a signed address.

``RECORDINGS`` in the environment names a JSON file: name to ``{"file": …, "spans": [[0, 1], …]}``.
It has no audit log, no scopes, no late masks, no lengths and no ranges of converted sound.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials

RECORDINGS = json.loads(Path(os.environ["RECORDINGS"]).read_text())
PASSWORDS = {"bench": "the password of a benchmark"}
KEY = secrets.token_bytes(32)
TYPES = {"mp3": ("audio/mpeg", ["-c:a", "libmp3lame", "-b:a", "32k", "-f", "mp3"])}

app = FastAPI()
login = HTTPBasic()


def signed(text: str) -> str:
    """The signature of an address."""
    return base64.urlsafe_b64encode(hmac.digest(KEY, text.encode(), hashlib.sha256)).decode()


@app.get("/token/{name}.{form}")
def token(name: str, form: str, who: Annotated[HTTPBasicCredentials, Depends(login)]) -> str:
    """An address that is good for a minute."""
    if not secrets.compare_digest(PASSWORDS.get(who.username, ""), who.password):
        raise HTTPException(401)
    if name not in RECORDINGS or form not in TYPES:
        raise HTTPException(404)
    path = f"/sound/{int(time.time()) + 60}/{name}.{form}"
    return f"{path}?key={signed(path)}"


@app.get("/sound/{until}/{name}.{form}")
async def sound(until: int, name: str, form: str, key: str) -> StreamingResponse:
    """The recording with its masks, converted as it is sent."""
    if until < time.time() or not hmac.compare_digest(key, signed(f"/sound/{until}/{name}.{form}")):
        raise HTTPException(403)
    media_type, encoder = TYPES[form]
    spans = RECORDINGS[name]["spans"]
    masks = "+".join(f"between(t,{start},{stop})" for start, stop in spans) or "0"
    words = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", RECORDINGS[name]["file"]]
    words += ["-af", f"volume=0:enable='{masks}'", *encoder, "pipe:1"]

    async def pieces() -> AsyncIterator[bytes]:
        process = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
        assert process.stdout is not None  # noqa: S101  # it is a pipe
        try:
            while piece := await process.stdout.read(65536):
                yield piece
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    return StreamingResponse(pieces(), media_type=media_type)
