"""The two request lines of the product we replace, with plain text answers.

Source: contract.md sections 2 and 4.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from callreel.access.identity import Verifier
from callreel.audio.formats import find_format
from callreel.errors import BadRequest, CallreelError
from callreel.flows.issue import Issue
from callreel.flows.signal import Signals
from callreel.model import AudioSpec, OutputChannels
from callreel.web.problems import log_refusal, plain, unexpected
from callreel.web.query import run_together
from callreel.web.session import address_of, principal_of, require_same_site

VOICE_NAMES = {
    "cmd": "cmd",
    "datasource": "datasource",
    "recordingid": "recordingid",
    "voicefilename": "recordingid",
    "voicelocation": "voicelocation",
    "salt": "salt",
    "format": "format",
    "channel": "channel",
}
SIGNAL_NAMES = {name: name for name in ("cat", "type", "objtype", "objid", "key")}


class Legacy:
    """Answers the old programs."""

    def __init__(self, verifier: Verifier, issue: Issue, signals: Signals) -> None:
        self._verifier = verifier
        self._issue = issue
        self._signals = signals

    async def voice(self, request: Request) -> Response:
        """``GET /voice.wav?cmd=getvmsg…``: a token, as one absolute URL and nothing else."""
        try:
            principal = await principal_of(request, self._verifier)
            require_same_site(request)
            values = run_together(request.scope["query_string"], VOICE_NAMES)
            if values.get("cmd", "").lower() != "getvmsg":
                raise BadRequest("cmd: must be getvmsg.")
            names = {name: _required(values, name) for name in ("recordingid", "voicelocation")}
            datasource = _required(values, "datasource")
            spec = AudioSpec(
                find_format("." + request.path_params["extension"], values.get("format")),
                _channels(values.get("channel", "both")),
            )
            issued = await run_in_threadpool(
                self._issue.by_names,
                principal,
                datasource=_without_backslashes(datasource),
                voicelocation=names["voicelocation"],
                voicefilename=names["recordingid"],
                spec=spec,
                address=address_of(request),
            )
        except CallreelError as error:
            log_refusal(error)
            return plain(error)
        except Exception as error:  # noqa: BLE001  # the edge: a plain answer, the rest to the log
            return plain(unexpected(error))
        return PlainTextResponse(issued.url, headers={"Cache-Control": "no-store"})

    async def signal(self, request: Request) -> Response:
        """``GET /signal.js``: mute on or off; ``OK`` once it is on the disk."""
        try:
            principal = await principal_of(request, self._verifier)
            require_same_site(request)
            values = run_together(request.scope["query_string"], SIGNAL_NAMES)
            if _number(_required(values, "cat"), "cat") != 4:  # noqa: PLR2004  # contract.md 4
                raise BadRequest("cat: must be 4.")
            kind = _number(_required(values, "type"), "type")
            if kind not in {1, 2}:
                raise BadRequest("type: must be 1 (mute on) or 2 (mute off).")
            objtype = _required(values, "objtype").lower()
            if objtype not in {"user", "channel"}:
                raise BadRequest("objtype: must be user or channel.")
            await run_in_threadpool(
                self._signals.send,
                principal,
                objtype=objtype,
                objid=_required(values, "objid"),
                container=values.get("key") or None,
                mute=kind == 1,
                address=address_of(request),
            )
        except CallreelError as error:
            log_refusal(error)
            return plain(error)
        except Exception as error:  # noqa: BLE001  # as above
            return plain(unexpected(error))
        return PlainTextResponse("OK", headers={"Cache-Control": "no-store"})


def _required(values: dict[str, str], name: str) -> str:
    value = values.get(name, "")
    if not value:
        raise BadRequest(f"{name}: is missing.")
    return value


def _without_backslashes(datasource: str) -> str:
    """``\\3\\`` is ``3``. Source: contract.md 2.4."""
    if len(datasource) > 2 and datasource.startswith("\\") and datasource.endswith("\\"):  # noqa: PLR2004  # both ends
        return datasource[1:-1]
    return datasource


def _channels(value: str) -> OutputChannels:
    try:
        return OutputChannels(value.lower())
    except ValueError:
        known = ", ".join(OutputChannels)
        raise BadRequest(f"channel: must be one of {known}.") from None


def _number(text: str, name: str) -> int:
    digits = text.lower()
    try:
        if not digits.isascii() or "_" in digits:
            raise ValueError
        return int(digits, 16) if digits.startswith("0x") else int(digits)
    except ValueError:
        raise BadRequest(f"{name}: must be a number such as 4 or 0x04.") from None
