"""Labelled recordings: what they are, where the lists of them come from, and how they are drawn for training."""
