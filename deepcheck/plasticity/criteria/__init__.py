"""Which units are worth keeping, by name; each criterion in a file of its own.

A criterion is a function `(statistics: GroupStatistics, generator) -> Tensor` of one score a unit, higher = keep.
"""

from deepcheck.registry import Registry

CRITERIA = Registry(
    "criterion",
    {
        "gradient-entropy": "deepcheck.plasticity.criteria.gradient_entropy:score",
        "gradient": "deepcheck.plasticity.criteria.gradient:score",
        "entropy": "deepcheck.plasticity.criteria.entropy:score",
        "magnitude": "deepcheck.plasticity.criteria.magnitude:score",
        "newest": "deepcheck.plasticity.criteria.newest:score",
        "random": "deepcheck.plasticity.criteria.random:score",
    },
)
NEED_DATA = frozenset({"gradient-entropy", "gradient", "entropy"})
"""Criteria that need a pass over labelled recordings."""
