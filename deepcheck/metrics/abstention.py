"""What judging less buys: the error among the surest scores, against how many of all those are."""

import numpy as np

from deepcheck.metrics.arguments import Scores, both_classes


def abstention_curve(bonafide: Scores, spoof: Scores) -> tuple[Scores, Scores, Scores]:
    """(share judged, error among these, least |llr| among these), the surest first; the last point judges all.

    The scores are natural-log likelihood ratios; one at or below 0 is called spoof. Each label weighs one half, however
    many trials it has, as it does for the ratio. Where |llr| is the same, trials are judged together or not at all.

    The risk-coverage curve of El-Yaniv and Wiener, "On the foundations of noise-free selective classification", 2010.
    `DataError` for empty or non-finite scores.
    """
    bonafide, spoof = both_classes(bonafide, spoof)
    llrs, sizes = np.concatenate([bonafide, spoof]), [bonafide.size, spoof.size]
    weights = np.repeat([0.5 / size for size in sizes], sizes)
    wrong = np.concatenate([bonafide <= 0, spoof > 0])
    surest, place = np.unique(-np.abs(llrs), return_inverse=True)
    judged = np.cumsum(np.bincount(place, weights))
    errors = np.cumsum(np.bincount(place, weights * wrong))
    return np.minimum(judged, 1.0), errors / judged, -surest
