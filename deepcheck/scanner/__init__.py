"""Scanning recordings: finding them, judging them, one result each."""
