"""Randomness that is a function of what it is for, so that no random state has to be carried along."""

import hashlib


def seed_of(*parts: object) -> int:
    """A 63-bit seed that depends on `parts` alone: the same on every machine, in every process, after a resume."""
    digest = hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1
