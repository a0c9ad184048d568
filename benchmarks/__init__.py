"""Measurements; ``python -m benchmarks`` (or ``make bench``) runs them and prints a table."""
