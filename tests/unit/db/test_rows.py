"""The condition that a Scope stands for, without a database."""

from __future__ import annotations

from sqlalchemy.dialects import sqlite

from callreel.db.rows import in_scope
from callreel.model import Scope


def sql(scope: Scope) -> str:
    """The condition as text."""
    compiled = in_scope(scope).compile(
        dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}
    )
    return " ".join(str(compiled).split())


def test_an_empty_scope_is_never_true() -> None:
    """Nobody reaches everything because nothing was said."""
    assert sql(Scope()) in {"0 = 1", "false", "0"}


def test_everything_sets_no_condition() -> None:
    """Whatever else was named beside it."""
    assert sql(Scope(everything=True)) in {"1 = 1", "true", "1"}
    assert sql(Scope(everything=True, site_ids=frozenset({"s1"}))) in {"1 = 1", "true", "1"}


def test_sites_and_groups_add_up() -> None:
    """A call is within reach by its site, or by the group of its user."""
    both = sql(Scope(site_ids=frozenset({"s2", "s1"}), group_ids=frozenset({"g1"})))
    assert both == (
        "call_records.site_id IN ('s1', 's2') OR call_records.directory_user_id IN "
        "(SELECT directory_users.id FROM directory_users WHERE directory_users.group_id IN ('g1'))"
    )
