"""Reports about what must not be heard: masks by week, what waits for a person, who listened."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta

from sqlalchemy import Connection

from callreel.db import listened, report_masks, reports, unsettled
from callreel.db.playbacks import Stretch
from callreel.documents import charts
from callreel.documents.shown import length
from callreel.documents.tables import Column
from callreel.flows.report_kinds.shape import (
    DAY_MS,
    MAX_ROWS,
    TOTAL,
    Content,
    Link,
    Question,
    Row,
    calls_in_all,
    linked,
    seconds,
    share,
    too_long,
)
from callreel.model import Call, Span
from callreel.periods import local, start_of_day
from callreel.wording import counted, joined, to_translate, worded

_WEEKS = (
    Column("week", "Week from", "text"),
    Column("calls", "Calls", "count"),
    Column("recorded", "Recorded", "count"),
    Column("masked", "Masked", "count"),
    Column("share", "Share of recorded", "share"),
    Column("masked_s", "Masked sound", "seconds"),
)


def masking(conn: Connection, asked: Question) -> Content:
    """Masked calls and masked sound by week; sound that legs share is counted once."""
    calls = _by_week(conn, asked, asked.chosen)
    with_sound = replace(asked.chosen, wanted=replace(asked.chosen.wanted, rec=True))
    recorded = _by_week(conn, asked, with_sound)
    masked: Counter[date] = Counter()
    masked_ms: Counter[date] = Counter()
    seen: set[str | None] = set()
    for call in report_masks.masked_calls(conn, asked.chosen):
        week = _week(local(call.started_at, asked.zone).date())
        masked[week] += 1
        if call.recording_id not in seen:
            seen.add(call.recording_id)
            masked_ms[week] += round(masked_s(call) * 1000)
    rows = []
    weeks = _all_weeks(asked) if calls else []
    for week in weeks:
        link = linked(
            asked.base,
            since=max(asked.period.since, start_of_day(week, asked.zone)),
            until=min(asked.period.until, start_of_day(week + timedelta(days=7), asked.zone)),
        )
        counts = (calls[week], recorded[week], masked[week])
        rows.append(_week_row(week.isoformat(), counts, masked_ms[week], link))
    sums = (calls.total(), recorded.total(), masked.total())
    told = length(seconds(masked_ms.total()))
    return Content(
        _WEEKS,
        rows,
        _week_row(TOTAL, sums, masked_ms.total(), asked.base),
        worded(
            "%(calls)s, %(time)s of sound masked",
            calls=counted(masked.total(), "%(num)s masked call", "%(num)s masked calls"),
            time=told,
        ),
        charts.stacked_bars(
            asked.say(to_translate("Masked calls by week")),
            [f"{week:%d %b}" for week in weeks],
            [
                charts.Series(
                    asked.say(to_translate("Masked calls")),
                    "masked",
                    [masked[week] for week in weeks],
                )
            ],
        ),
    )


def masked_s(call: Call) -> float:
    """For how many seconds anything of a call's recording is masked, on either channel."""
    return _union((span for span in call.masked_spans), call.duration_s)


def _union(spans: Iterable[Span], end_s: float) -> float:
    total = reached = 0.0
    for span in sorted(spans, key=lambda each: each.start_s):
        end = min(span.end_s, end_s)
        total += max(0.0, end - max(span.start_s, reached))
        reached = max(reached, end)
    return total


def _by_week(conn: Connection, asked: Question, chosen: reports.Chosen) -> Counter[date]:
    found: Counter[date] = Counter()
    for each in reports.tally(conn, chosen, reports.Slots(asked.zone, DAY_MS)):
        found[_week(date(1970, 1, 1) + timedelta(days=each.slot))] += each.calls
    return found


def _week(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _all_weeks(asked: Question) -> list[date]:
    first = _week(local(asked.period.since, asked.zone).date())
    weeks = [first]
    while start_of_day(weeks[-1] + timedelta(days=7), asked.zone) < asked.period.until:
        weeks.append(weeks[-1] + timedelta(days=7))
    return weeks


def _week_row(name: str, counts: tuple[int, int, int], masked_ms: int, link: Link) -> Row:
    calls, recorded, masked = counts
    return Row(
        (name, calls, recorded, masked, share(masked, recorded), seconds(masked_ms)),
        {
            "calls": link,
            "recorded": linked(link, rec="yes"),
            "masked": linked(link, mask="yes"),
            "masked_s": linked(link, mask="yes"),
        },
    )


_EXCEPTIONS = (
    Column("at", "When", "instant"),
    Column("what", "What", "text"),
    Column("about", "About", "text"),
    Column("call", "Call", "text"),
    Column("recordings", "Recordings", "count"),
)
_STATES = frozenset({unsettled.SignalState.UNPAIRED, unsettled.SignalState.ORPHAN})


_SIGNALS = {
    ("orphan", True): to_translate("mute on that belongs to no call"),
    ("orphan", False): to_translate("mute off that belongs to no call"),
    ("unpaired", True): to_translate("mute on without its partner"),
    ("unpaired", False): to_translate("mute off without its partner"),
}


def exceptions(conn: Connection, asked: Question) -> Content:
    """What a person should look at: signals without partner or call, proposed masks."""
    rows = []
    counts: Counter[str] = Counter()
    for signal in _signals(conn, asked):
        name = "orphan" if signal.state is unsettled.SignalState.ORPHAN else "unpaired"
        what = _SIGNALS[name, signal.mute]
        counts[name] += 1
        links: dict[str, Link] = {"call": {"call": signal.call_id}} if signal.call_id else {}
        about = f"{signal.objtype} {signal.objid}"
        cells = (signal.at, what, about, signal.call_id or "", len(signal.recording_ids))
        rows.append(Row(cells, links))
    for call in report_masks.proposed_calls(conn, asked.chosen):
        if len(rows) >= MAX_ROWS:
            raise too_long()
        counts["proposed"] += 1
        about = worded("%(number)s to %(other)s", number=call.from_number, other=call.to_number)
        cells = (call.started_at, to_translate("proposed mask"), about, call.id, 1)
        rows.append(Row(cells, {"call": {"call": call.id}}))
    rows.sort(key=lambda row: (-int(row.cells[0] or 0), str(row.cells[3])))
    names = (
        ("unpaired", to_translate("Signals without partner")),
        ("orphan", to_translate("Signals without call")),
        ("proposed", to_translate("Calls with proposed masks")),
    )
    bars = [
        charts.Ranked(asked.say(told), counts[name], f"{counts[name]:,}") for name, told in names
    ]
    return Content(
        _EXCEPTIONS,
        rows,
        None,
        worded(
            "%(signals)s without partner, %(orphans)s without call, %(calls)s with proposed masks",
            signals=counted(counts["unpaired"], "%(num)s signal", "%(num)s signals"),
            orphans=counts["orphan"],
            calls=calls_in_all(counts["proposed"]),
        ),
        charts.ranked_bars(asked.say(to_translate("What waits for a person")), bars, "masked"),
    )


def _signals(conn: Connection, asked: Question) -> Iterable[unsettled.ListedSignal]:
    cursor, count = None, 0
    while True:
        page = unsettled.list_signals(
            conn,
            asked.chosen.scope,
            states=_STATES,
            settled=False,
            limit=1000,
            cursor=cursor,
            since=asked.period.since,
            until=asked.period.until,
        )
        count += len(page.items)
        if count > MAX_ROWS:
            raise too_long()
        yield from page.items
        cursor = page.next
        if cursor is None:
            return


_LISTENED = (
    Column("at", "When", "instant"),
    Column("user", "Who", "text"),
    Column("address", "From where", "text"),
    Column("call", "Call", "text"),
    Column("started_at", "Call started", "instant"),
    Column("from", "Caller", "text"),
    Column("to", "Called", "text"),
    Column("extension", "Extension", "text"),
    Column("what", "What", "text"),
    Column("heard", "Which stretches", "text"),
    Column("sent", "Sent to the player", "text"),
    Column("for_s", "For", "seconds"),
    Column("bytes", "Bytes sent", "count"),
)


def playback(conn: Connection, asked: Question) -> Content:
    """Who listened to which recording, when and from where, newest first."""
    found = listened.listened(
        conn, asked.chosen.scope, asked.period.since, asked.period.until, MAX_ROWS + 1
    )
    if len(found) > MAX_ROWS:
        raise too_long()
    rows = [_listened(each) for each in found]
    by_user: dict[str, int] = defaultdict(int)
    for each in found:
        by_user[each.username] += 1
    bars = [
        charts.Ranked(name, count, f"{count:,}")
        for name, count in sorted(by_user.items(), key=lambda one: (-one[1], one[0]))[:20]
    ]
    return Content(
        _LISTENED,
        rows,
        None,
        worded(
            "Recordings were played %(times)s by %(users)s",
            times=counted(len(rows), "%(num)s time", "%(num)s times"),
            users=counted(len(by_user), "%(num)s user", "%(num)s users"),
        ),
        charts.ranked_bars(asked.say(to_translate("Times played, by user")), bars),
    )


def _told(stretches: Sequence[Stretch]) -> str:
    return joined(
        [
            worded("%(begin)s to %(end)s", begin=length(start), end=length(end))
            for start, end in stretches
        ]
    )


def _listened(each: listened.ListenedCall) -> Row:
    it, call = each.listening, each.call
    heard: str = to_translate("not known")
    if it.heard is not None:
        heard = _told(it.heard) or to_translate("nothing told")
    cells = (
        it.at,
        each.username,
        it.address or "",
        call.id,
        call.started_at,
        call.from_number,
        call.to_number,
        call.extension or "",
        it.what,
        heard,
        "" if it.sent is None else _told(it.sent),
        None if it.until is None else seconds(it.until - it.at),
        it.bytes_sent,
    )
    return Row(cells, {"call": {"call": call.id}, "started_at": {"call": call.id}})
