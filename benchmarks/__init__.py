"""Measurements beside peers; ``python -m benchmarks`` (or ``make bench``) runs them.

docs/decisions/benchmarks.md says how and why; docs/benchmarks.md holds the last full run.
"""
