"""Figures with a target: `python -m tests.benchmarks [--only NAME ...] [--large]`.

Exit code 1 if a target is missed. What the other files of this folder measure has no target; each is run by its name.
"""

import argparse
import sys
from importlib import import_module

# A file each, with a function `figures(large) -> Iterator[Figure]`.
PARTS = {
    "startup": "how long the command line takes to come and go",
    "throughput": "scanning a folder of mixed recordings",
    "export": "the shipped detectors by ONNX Runtime beside PyTorch",
    "precision": "bfloat16 and batches of other sizes",
    "training": "training beside plain loops, and surgery on a large encoder",
    "memory": "scanning a recording of hours, and thousands of small ones",
    "score_file": "evaluating as many scores as the largest public set has",
}


def main() -> int:
    """Prints a line for each figure, as soon as it is there."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME", help=", ".join(PARTS))
    parser.add_argument("--large", action="store_true", help="more of everything, for an idle machine")
    options = parser.parse_args()
    missed = 0
    for name in options.only:
        print(f"{name}: {PARTS[name]}", flush=True)
        for figure in import_module(f"tests.benchmarks.{name}").figures(options.large):
            print(f"  {figure.line()}", flush=True)
            missed += not figure.met
    print(f"{missed} missed" if missed else "all met")
    return min(missed, 1)


if __name__ == "__main__":
    sys.exit(main())
