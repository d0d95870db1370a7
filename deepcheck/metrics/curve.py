"""The curve of operating points with no more points than a plot can show."""

import numpy as np

from deepcheck.metrics.arguments import Scores, both_classes
from deepcheck.metrics.pav import pool
from deepcheck.metrics.tally import Values, tally


def visible_points(bonafide: Scores, spoof: Scores, step: float = 0.02) -> tuple[Values, Values]:
    """(frr, far) of the points of `detection.det_curve` that differ to the eye, from (0, 1) to (1, 0).

    Of the points that share a cell of `step` times `step` in log-odds the first is kept; a DET plot, whose axes are
    nearly those of log-odds, shows no difference. A rate of 0 or 1 counts as a quarter of a trial from there. However
    many trials there are, some two thousand points remain.
    """
    trials = tally(*both_classes(bonafide, spoof))
    frr, far = trials.frr, trials.fars[0]
    kept = np.zeros(frr.size, bool)
    kept[[0, -1]] = True
    for rate, counts in zip((frr, far), trials.counts, strict=True):
        quarter = 0.25 / counts.sum()
        inside = np.clip(rate, quarter, 1 - quarter)
        kept[1:] |= np.diff(np.floor(np.log(inside / (1 - inside)) / step)) != 0
    return frr[kept], far[kept]


def convex_hull(bonafide: Scores, spoof: Scores) -> tuple[Values, Values]:
    """(frr, far) of the corners of the lower convex hull of the curve, from (0, 1) to (1, 0).

    What a detector reaches that may choose between two thresholds at random (Fawcett and Niculescu-Mizil, "PAV and
    the ROC convex hull", 2007). The least of any weighted sum of the two rates lies at one of the corners.
    """
    genuine, false = pool(*tally(*both_classes(bonafide, spoof)).counts)
    frr = np.concatenate([[0], np.cumsum(genuine)]) / genuine.sum()
    far = np.concatenate([[false.sum()], false.sum() - np.cumsum(false)]) / false.sum()
    return frr, far
