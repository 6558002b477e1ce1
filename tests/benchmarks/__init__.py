"""Benchmarks and published tables; not part of the test command."""
