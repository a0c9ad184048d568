"""A filtered list of calls as a file: CSV for programs, CSV for spreadsheets, or a workbook.

Rows are read in pages by their place, each in a short transaction of its own and within what the
owner reaches at that moment, so that a million calls need the memory of a thousand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from callreel.access.policy import Action, scope_for
from callreel.db import directory, listing, search
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.db.search import Order as Sorting
from callreel.documents.cells import Cell
from callreel.documents.tables import Column, Table, write_csv, write_xlsx
from callreel.errors import BadRequest
from callreel.flows.filters import filter_of, filter_parameters, filter_words
from callreel.flows.making import Made, Order, Parameters
from callreel.model import Span, UnixMillis
from callreel.periods import local, parse_period, words
from callreel.wording import to_translate, worded
from callreel.zones import zone_named

PAGE = 1000
FORMATS = ("csv", "csv-spreadsheet", "xlsx")
"""RFC 4180 with raw values, CSV that a spreadsheet may open, and a workbook."""
COLUMNS = (
    Column("id", "Call", "text"),
    Column("started_at", "Started", "instant"),
    Column("duration_s", "Length", "seconds"),
    Column("rang_s", "Rang", "seconds"),
    Column("talk_s", "Talk", "seconds"),
    Column("direction", "Direction", "text"),
    Column("outcome", "Outcome", "text"),
    Column("from", "From", "text"),
    Column("to", "To", "text"),
    Column("caller_name", "Caller's name", "text"),
    Column("extension", "Extension", "text"),
    Column("agent_name", "Agent", "text"),
    Column("group_name", "Group", "text"),
    Column("site_name", "Site", "text"),
    Column("channel", "Channel", "text"),
    Column("datasource", "Datasource", "text"),
    Column("recording_id", "Recording", "text"),
    Column("recording_s", "Recording's length", "seconds"),
    Column("voicelocation", "Voicelocation", "text"),
    Column("voicefilename", "File", "text"),
    Column("masked_spans", "Masked spans", "count"),
    Column("masked_s", "Masked", "seconds"),
)
"""``docs/schedules.md`` says what each of them holds; a test compares the two."""
_SORTED = {
    Sorting.NEWEST: "newest first",
    Sorting.OLDEST: "oldest first",
    Sorting.LONGEST: "longest first",
    Sorting.SHORTEST: "shortest first",
}
_KEYS = frozenset({"filter", "period", "format", "sort", "zone"})
# To count by anything else, each call must be looked at; that costs what the export itself does.
_COUNTED = frozenset({"since", "until", "ext", "direction", "datasource", "rec", "site_id"})


@dataclass(frozen=True, slots=True)
class _Asked:
    """Parameters, read."""

    wanted: CallFilter
    period: str | None
    """Words such as ``yesterday``; takes the place of the filter's instants."""
    format: str
    sort: Sorting
    zone: ZoneInfo


class CallExport:
    """Makes files of calls; a ``making.Kind``.

    Parameters: ``filter`` (the fields of ``CallFilter``), ``period`` (see ``periods``), ``format``
    (one of FORMATS), ``sort`` (a value of ``db.search.Order``) and ``zone`` (a name such as
    ``Europe/London``); all may be left out.
    """

    action = Action.SEE_CALLS

    def __init__(self, db: Database) -> None:
        self._db = db

    def checked(self, parameters: Parameters) -> Parameters:
        """See ``making.Kind``."""
        asked = _read(parameters)
        if asked.period is not None:
            # Any moment will do to learn whether it is one.
            _resolved(asked, 1_800_000_000_000)
        return {
            "filter": filter_parameters(asked.wanted),
            "format": asked.format,
            "sort": asked.sort.value,
            "zone": asked.zone.key,
            **({} if asked.period is None else {"period": asked.period}),
        }

    def make(self, order: Order) -> Made:
        """See ``making.Kind``."""
        asked = _resolved(_read(order.parameters), order.at)
        counted = _Counted()
        table = self._table(order, asked, counted)
        day = local(order.at, asked.zone).date().isoformat()
        if asked.format == "xlsx":
            path = order.folder / f"calls-{day}.xlsx"
            heed = lambda: order.heed(counted.rows, counted.total)  # noqa: E731  # it is one word
            write_xlsx(table, path, zone=asked.zone, heed=heed)
        else:
            path = order.folder / f"calls-{day}.csv"
            spreadsheet = asked.format == "csv-spreadsheet"
            with path.open("x", encoding="utf-8", newline="") as file:
                write_csv(table, file, for_spreadsheets=spreadsheet, zone=asked.zone)
        title = "Calls"
        if asked.wanted.since is not None and asked.wanted.until is not None:
            title += f", {words(asked.wanted.since, asked.wanted.until, asked.zone)}"
        return Made(path, counted.rows, title)

    def _table(self, order: Order, asked: _Asked, counted: _Counted) -> Table:
        scope = scope_for(order.principal(), self.action)
        with self._db.read() as conn:
            told = directory.scope_words(conn, scope)
            if filter_parameters(asked.wanted).keys() <= _COUNTED:
                counted.total = search.count_calls(conn, scope, asked.wanted)
        facts = (("Scope", told), *_facts(asked))
        return Table("Calls", facts, COLUMNS, self._rows(order, asked, counted), None)

    def _rows(self, order: Order, asked: _Asked, counted: _Counted) -> Iterator[tuple[Cell, ...]]:
        cursor: str | None = None
        while True:
            order.heed(counted.rows, counted.total)
            scope = scope_for(order.principal(), self.action)
            with self._db.read() as conn:
                page = listing.page(conn, scope, asked.wanted, asked.sort, PAGE, cursor)
            for viewed in page.items:
                # A workbook takes rows slowly: a page is more than a second at times.
                if counted.rows % 100 == 0:
                    order.heed(counted.rows, counted.total)
                counted.rows += 1
                yield _row(viewed)
            cursor = page.next
            if cursor is None:
                return


@dataclass(slots=True)
class _Counted:
    """How far an export is."""

    rows: int = 0
    total: int | None = None


def _row(viewed: listing.ViewedCall) -> tuple[Cell, ...]:
    call = viewed.call
    return (
        call.id,
        call.started_at,
        _rounded(viewed.call_s),
        _rounded(viewed.rang_s),
        _rounded(viewed.talk_s),
        call.direction.value,
        viewed.disposition.value,
        call.from_number,
        call.to_number,
        viewed.caller_name,
        call.extension,
        viewed.agent_name,
        viewed.group_name,
        viewed.site_name,
        call.channel,
        call.datasource,
        call.recording_id,
        _rounded(viewed.recording_s),
        call.voicelocation,
        call.voicefilename,
        len(call.masked_spans),
        _rounded(_masked_s(call.masked_spans, call.duration_s)),
    )


def _rounded(seconds: float | None) -> float | None:
    """To the millisecond, as instants are."""
    return None if seconds is None else round(seconds, 3)


def _masked_s(spans: Iterable[Span], duration_s: float) -> float:
    """For how long one party or both are masked; an end that nobody knows is the end."""
    masked_s, reached = 0.0, 0.0
    for span in sorted(spans, key=lambda each: each.start_s):
        end = min(span.end_s, duration_s)
        masked_s += max(0.0, end - max(reached, span.start_s))
        reached = max(reached, end)
    return masked_s


def _facts(asked: _Asked) -> Iterator[tuple[str, str]]:
    wanted, zone = asked.wanted, asked.zone
    if wanted.since is not None and wanted.until is not None:
        yield "Period", words(wanted.since, wanted.until, zone)
    else:
        for name, at in (("From", wanted.since), ("Before", wanted.until)):
            if at is not None:
                yield name, local(at, zone).isoformat(" ", "seconds")
    yield "Filters", filter_words(wanted) or "none"
    yield "Sorted", _SORTED[asked.sort]


def _resolved(asked: _Asked, at: int) -> _Asked:
    if asked.period is None:
        return asked
    period = parse_period(asked.period, UnixMillis(at), asked.zone)
    return replace(asked, wanted=replace(asked.wanted, since=period.since, until=period.until))


def _read(parameters: Parameters) -> _Asked:
    unknown = sorted(parameters.keys() - _KEYS)
    if unknown:
        raise BadRequest(
            worded(
                "%(unknown)s: not known; use %(known)s.",
                unknown=unknown[0],
                known=", ".join(sorted(_KEYS)),
            )
        )
    chosen = parameters.get("format", "csv")
    if chosen not in FORMATS:
        raise BadRequest(
            worded(
                "format: %(form)s is not one of %(known)s.",
                form=repr(chosen),
                known=", ".join(FORMATS),
            )
        )
    sort = parameters.get("sort", Sorting.NEWEST.value)
    if sort not in tuple(Sorting):
        raise BadRequest(
            worded(
                "sort: %(sort)s is not one of %(known)s.",
                sort=repr(str(sort)[:40]),
                known=", ".join(Sorting),
            )
        )
    period = parameters.get("period")
    if period is not None and not isinstance(period, str):
        raise BadRequest(to_translate("period: not a text."))
    return _Asked(
        filter_of(parameters.get("filter", {})),
        period,
        str(chosen),
        Sorting(str(sort)),
        zone_named(parameters.get("zone", "UTC")),
    )
