"""What pruning pays in time: `python -m tests.benchmarks.pruning [family ...]`.

Of every family the wall time of a forward pass without a share of the units of all layers and parts, as a ratio to the
whole model in the same rounds (`engine.target_speed.speed_of`; batches as in a scan), beside the shares of parameters
and of operations that are left. Weights are random: time does not depend on them.
"""

import argparse
from collections.abc import Sequence
from typing import Any

import torch

from deepcheck.card import Card, DetectorSpec
from deepcheck.checkpoint import Checkpoint, describe_widths, snapshot
from deepcheck.detectors.base import build, parameter_count
from deepcheck.engine.cost import cost_of
from deepcheck.engine.surgery import pruned, statistics_of
from deepcheck.engine.target_speed import speed_of
from deepcheck.errors import ConfigError
from deepcheck.plasticity.selection import Ask, Selection, pools_of, select

FAMILIES: dict[str, DetectorSpec] = {
    "resnet18": DetectorSpec("resnet18", {"width": 64}),
    "resnet18, width 16": DetectorSpec("resnet18", {"width": 16}),
    "gru": DetectorSpec("gru", {"units": [256, 256]}),
    "lstm": DetectorSpec("lstm", {"units": [256, 256]}),
    "wav2vec2-small": DetectorSpec("wav2vec2", {"size": "small"}),
    "wav2vec2-base": DetectorSpec("wav2vec2", {"size": "base"}),
    "distilled": DetectorSpec("distilled", {"pool": "all"}),
}
SHARES = (0.1, 0.25, 0.5, 0.75, 0.9)
ROW = "{:20} {:>8} {:>12} {:>12} {:>14}"


def parent_of(spec: DetectorSpec) -> Checkpoint:
    """A model of the kind with random weights."""
    torch.manual_seed(0)
    detector = build(spec)
    card = Card("parent", detector.spec, describe_widths(detector), parameters=parameter_count(detector))
    return snapshot(detector, card)


def without(parent: Checkpoint, share: float) -> Sequence[Selection]:
    """Who goes when every layer and part loses that share of its units, as at random."""
    groups = [group for group in parent.build().groups() if not group.stack]
    selections: dict[str, Selection] = {}
    for part in dict.fromkeys(group.part for group in groups):
        layers = sorted({group.layer for group in groups if group.part == part})
        try:
            pools = pools_of(groups, Ask(layers, part, fraction=share))
        except ConfigError:  # a share of few heads is none
            continue
        for one in select(statistics_of(parent, pools, "random"), pools, "random"):
            selections[one.group.name] = one
    return [*selections.values()]


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", default=list(FAMILIES), choices=[*FAMILIES, []], metavar="family")
    chosen: Any = parser.parse_args().families
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    print(ROW.format("family", "pruned", "parameters", "operations", "times as fast"))
    for family in chosen:
        parent = parent_of(FAMILIES[family])
        whole = cost_of(parent.build().eval())
        for share in SHARES:
            selections = without(parent, share)
            left = cost_of(pruned(parent, selections, name="child", criterion="random").child.build().eval())
            shares = (left.parameters / whole.parameters, left.gflop_per_s / whole.gflop_per_s)
            speed = speed_of(parent, selections)
            print(ROW.format(family, f"{share:.0%}", *(f"{one:.1%}" for one in shares), f"{speed:.2f}"), flush=True)


if __name__ == "__main__":
    main()
