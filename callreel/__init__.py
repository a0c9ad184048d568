"""Callreel: find, serve and protect recordings of telephone calls."""

__version__ = "0.1.0"
