"""Growing and pruning the units of a trained detector."""
