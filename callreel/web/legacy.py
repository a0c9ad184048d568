"""The two request lines of the product we replace, with plain text answers.

Source: contract.md sections 2 and 4.
"""

from __future__ import annotations

import functools

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from callreel.audio.formats import find_format
from callreel.errors import BadRequest
from callreel.flows.issue import Issue
from callreel.flows.signal import SignalOrder, Signals
from callreel.model import AudioSpec, OutputChannels
from callreel.web.query import run_together
from callreel.web.session import Session, address_of, require_own_site
from callreel.web.threads import begun

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

_CATEGORY = {"4", "0x04"}
_MUTE = {"1": True, "0x01": True, "2": False, "0x02": False}


class Legacy:
    """Answers the old programs; its errors are for ``problems.plain``."""

    def __init__(self, session: Session, issue: Issue, signals: Signals) -> None:
        self._session = session
        self._issue = issue
        self._signals = signals

    async def voice(self, request: Request) -> Response:
        """``GET /voice.wav?cmd=getvmsg…``: a token, as one absolute URL and nothing else.

        Raises: as ``Session.principal_of`` and ``Issue.by_names``; BadRequest names the parameter.
        """
        principal = await self._session.principal_of(request)
        values = run_together(request.scope["query_string"], VOICE_NAMES, unread={"salt"})
        if _required(values, "cmd") != "getvmsg":
            raise BadRequest("cmd: must be getvmsg.")
        datasource = _without_backslashes(_required(values, "datasource"))
        voicefilename = _required(values, "recordingid")
        voicelocation = _required(values, "voicelocation")
        spec = AudioSpec(
            find_format(request.path_params["extension"], values.get("format")),
            channels_of("channel", values.get("channel", "both")),
        )
        issued = await begun(
            functools.partial(
                self._issue.by_names,
                principal,
                datasource=datasource,
                voicelocation=voicelocation,
                voicefilename=voicefilename,
                spec=spec,
                address=address_of(request),
            ),
            blocks=self._issue.blocks,
        )
        return PlainTextResponse(issued.url)

    async def signal(self, request: Request) -> Response:
        """``GET /signal.js``: mute on or off; ``OK`` once it is on the disk.

        Raises: as ``Session.principal_of`` and ``Signals.send``; BadRequest names the parameter;
            Forbidden where another web site sent it.
        """
        require_own_site(request)
        principal = await self._session.principal_of(request)
        values = run_together(request.scope["query_string"], SIGNAL_NAMES)
        if _required(values, "cat").lower() not in _CATEGORY:
            raise BadRequest("cat: must be 4 (or 0x04).")
        mute = _MUTE.get(_required(values, "type").lower())
        if mute is None:
            raise BadRequest("type: must be 1 (mute on) or 2 (mute off); 0x01 and 0x02 too.")
        objtype = _required(values, "objtype").lower()
        if objtype not in {"user", "channel"}:
            raise BadRequest("objtype: must be user or channel.")
        await run_in_threadpool(
            self._signals.send,
            principal,
            SignalOrder(
                mute=mute,
                objtype=objtype,
                objid=_required(values, "objid"),
                container=values.get("key") or None,
            ),
            address=address_of(request),
        )
        return PlainTextResponse("OK")


def channels_of(name: str, value: str) -> OutputChannels:
    """The channels that a program chose.

    Args:
        name: Of the parameter, for the message.
        value: In any case.

    Raises:
        BadRequest: There is no such choice; the message lists those that are.
    """
    try:
        return OutputChannels(value.lower())
    except ValueError:
        raise BadRequest(f"{name}: must be one of {', '.join(OutputChannels)}.") from None


def _required(values: dict[str, str], name: str) -> str:
    value = values.get(name, "")
    if not value:
        raise BadRequest(f"{name}: is missing.")
    return value


def _without_backslashes(datasource: str) -> str:
    r"""``\3\`` is ``3``. Source: contract.md 2.4."""
    if len(datasource) > 2 and datasource.startswith("\\") and datasource.endswith("\\"):
        return datasource[1:-1]
    return datasource
