"""From a file of any kind to what a detector reads."""
