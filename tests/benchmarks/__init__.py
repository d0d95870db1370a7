"""Measurements to run by hand; no tests. `python -m tests.benchmarks` prints those that have a target."""
