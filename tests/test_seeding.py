import subprocess
import sys

from deepcheck.seeding import seed_of


def test_a_seed_is_the_same_in_every_process():
    # Python's own hash() is not: it is salted anew in each process.
    code = "from deepcheck.seeding import seed_of; print(seed_of('batch', 0, 3, 'ü', None, 1.5))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert int(printed) == seed_of("batch", 0, 3, "ü", None, 1.5)


def test_a_seed_is_pinned():
    # Another value would change every training that is resumed with a newer version.
    assert seed_of("batch", 0, 0, 0) == 4225578136136905719


def test_seeds_are_63_bit_and_differ():
    seeds = {seed_of("sample", epoch, step) for epoch in range(50) for step in range(50)}
    assert len(seeds) == 2500
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert max(seeds) > 2**62


def test_parts_do_not_run_together():
    assert len({seed_of(1, 23), seed_of(12, 3), seed_of("1", 23), seed_of(1, "23"), seed_of((1, 23))}) == 5
