"""What things are called on pages, by the names that addresses and rows use for them."""

from __future__ import annotations

from collections.abc import Mapping

from callreel.flows.reports import KINDS
from callreel.web.pages.words import Catalog

Names = Mapping[str, Mapping[str, str]]


def names(said: Catalog) -> Names:
    """Every name in one language."""
    _, pgettext = said.gettext, said.pgettext
    return {
        "roles": {
            "administrator": _("Administrator"),
            "supervisor": _("Supervisor"),
            "compliance": _("Compliance"),
            "integrator": _("Integrator"),
            "auditor": _("Auditor"),
        },
        "outcomes": {
            "answered": _("Answered"),
            "abandoned": _("Abandoned"),
            "busy": _("Busy"),
            "failed": _("Failed"),
            "unknown": _("Unknown"),
        },
        "ongoing_states": {
            "ringing": _("rings"),
            "talking": _("talks"),
            "held": _("on hold"),
        },
        "columns": {
            "started": _("Started"),
            "direction": _("Direction"),
            "party": _("Outside party"),
            "agent": _("Agent"),
            "group": _("Group"),
            "rang": _("Rang"),
            "talk": _("Talk"),
            "length": _("Length"),
            "shape": _("Shape of call"),
            "flags": _("Notes and masks"),
            "site": _("Site"),
            "to": _("To"),
            "outcome": _("Outcome"),
            "id": _("Call"),
        },
        "filters": {
            "q": _("Search"),
            "since": _("When"),
            "from": _("From"),
            "to": pgettext("date", "To"),
            "dir": _("Direction"),
            "state": _("Outcome"),
            "site": _("Site"),
            "grp": _("Group"),
            "agent": _("Agent"),
            "ext": _("Extension"),
            "min": _("Longer than"),
            "max": _("At most"),
            "rec": _("Recorded"),
            "mask": _("Masked"),
            "note": _("With notes"),
            "party": _("Number"),
            "proposed": _("Proposed masks"),
            "time": _("Time of day"),
            "weekday": _("Weekday"),
            "during": _("In progress at"),
            "zone": _("Time zone"),
        },
        "period_names": {
            "today": _("Today"),
            "yesterday": _("Yesterday"),
            "7d": _("7 days"),
            "30d": _("30 days"),
            "this-month": _("This month"),
            "last-month": _("Last month"),
            "this-week": _("This week"),
            "last-week": _("Last week"),
            "this-year": _("This year"),
            "last-year": _("Last year"),
        },
        "length_names": {
            "30s": _("30 seconds"),
            "1m": _("1 minute"),
            "5m": _("5 minutes"),
            "15m": _("15 minutes"),
            "1h": _("1 hour"),
        },
        "directory_tabs": {
            "extensions": _("Extensions"),
            "groups": _("Groups"),
            "channels": _("Channels"),
        },
        "fill_names": {"tone": _("A tone"), "silence": _("Silence"), "file": _("A file")},
        "key_press_names": {
            "off": _("Not looked for"),
            "list": _("Listed for a person"),
            "apply": _("Masked at once"),
        },
        "audiences": {
            "me": _("Me"),
            "team": _("My team"),
            "everyone": _("Everyone"),
        },
        "job_kinds": {"calls": _("List of calls")}
        | {f"report-{kind.slug}": said.translated(kind.title) for kind in KINDS},
        "job_states": {
            "waiting": _("Waiting"),
            "running": _("Being made"),
            "done": _("Done"),
            "failed": _("Failed"),
            "cancelled": _("Cancelled"),
        },
        "sources": {
            "signal": _("signal"),
            "dtmf": _("keys pressed"),
            "hand": _("by hand"),
            "detector": _("heard in the sound"),
            "import": _("came with the recording"),
        },
    }
