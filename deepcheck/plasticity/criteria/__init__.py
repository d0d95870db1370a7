"""Which units are worth keeping, by name; each criterion in a file of its own.

A criterion is a function `(statistics: UnitStatistics, generator) -> Tensor` of one score a unit, higher = keep. The
units are those that compete: of one group, or of several groups pooled.
"""

from deepcheck.registry import Registry

CRITERIA = Registry(
    "criterion",
    {
        "gradient-entropy": "deepcheck.plasticity.criteria.gradient_entropy:score",
        "gradient": "deepcheck.plasticity.criteria.gradient:score",
        "entropy": "deepcheck.plasticity.criteria.entropy:score",
        "coactivation": "deepcheck.plasticity.criteria.coactivation:score",
        "magnitude": "deepcheck.plasticity.criteria.magnitude:score",
        "newest": "deepcheck.plasticity.criteria.newest:score",
        "random": "deepcheck.plasticity.criteria.random:score",
    },
)
PAIRWISE = frozenset({"coactivation"})
"""Criteria that compare units with each other, for which every pair has to be looked at."""
DATA_FREE = frozenset({"magnitude", "newest", "random"})
"""Criteria that need no pass over labelled recordings."""
