"""Calls, recordings, spans, people and audit in SQLite or PostgreSQL; the only place with SQL."""
