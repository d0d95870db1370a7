"""Measurements to run by hand (python -m tests.benchmarks.NAME); no tests."""
