"""Style, scripts, icons and fonts: addresses hold a hash of the content, so that they never change.

A browser keeps them for ever and fetches nothing from any other host.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from callreel.errors import NotFound
from callreel.wording import to_translate

PREFIX = "/static"
FOLDER = Path(__file__).parent.parent / "static"

_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_HEADERS = {
    "cache-control": "public, max-age=31536000, immutable",
    "content-security-policy": "default-src 'none'",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, slots=True)
class _Asset:
    data: bytes
    media_type: str
    digest: str


class Assets:
    """Everything in ``static/``, read once."""

    def __init__(self) -> None:
        self._assets: dict[str, _Asset] = {}
        sheets = []
        for path in sorted(FOLDER.rglob("*")):
            if path.suffix in _MEDIA_TYPES:
                name = path.relative_to(FOLDER).as_posix()
                self._add(name, path.read_bytes(), _MEDIA_TYPES[path.suffix])
                if path.suffix in {".css", ".js"}:
                    sheets.append(name)
        # A style sheet names fonts, and a module names others: by their full addresses.
        for name in sheets:
            text = self._assets[name].data.decode()
            for other in self._assets:
                text = text.replace(f'"{PREFIX}/{other}"', f'"{self.url(other)}"')
            self._add(name, text.encode(), self._assets[name].media_type)

    def _add(self, name: str, data: bytes, media_type: str) -> None:
        self._assets[name] = _Asset(data, media_type, hashlib.sha256(data).hexdigest()[:16])

    def url(self, name: str) -> str:
        """The address of a file; KeyError where there is none of this name."""
        return f"{PREFIX}/{self._assets[name].digest}/{name}"

    async def answer(self, request: Request) -> Response:
        """``GET /static/{digest}/{name}``."""
        asset = self._assets.get(request.path_params["name"])
        if asset is None or asset.digest != request.path_params["digest"]:
            raise NotFound(to_translate("There is nothing at this address."))
        return Response(asset.data, media_type=asset.media_type, headers=_HEADERS)
