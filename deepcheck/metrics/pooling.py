"""One log-likelihood ratio for a recording of many windows; thresholds are fitted on what it gives, scan goes by it."""

import numpy as np

from deepcheck.metrics.arguments import Scores

SHARE = 1 / 3  # of the windows: so many together speak for the whole recording, at no surcharge


def recording_llr(llrs: Scores) -> float:
    """One log-likelihood ratio for the windows of a recording, (n,), n at least 1.

    The lowest, over k = 1 ... n, of the k-th lowest ratio + max(0, ln(SHARE n / (k - 1/2))). So a recording is called
    spoof if about a third of its windows are at or below the threshold, or fewer that are lower: one of the 29 of a
    minute by ln(29 / 1.5) = 3.0, one of the 1,800 of an hour by 7.1. (k - 1/2) / n is the share of a recording that
    its k-th lowest window stands for (Hazen 1914). Of a calibrated ratio P(llr = -y | bona fide) is
    e^-y P(llr = -y | spoof), so that what is y lower is some e^y times rarer in genuine speech: that has to make up
    for the chances that n windows have. It is a rule of thumb in that windows of one recording are not independent;
    what it comes to was measured.

    It depends on no order, is the ratio itself if all windows have the same, and windows above the threshold, however
    many, never make a spoof of a recording that is none without them.
    """
    k = np.arange(1, llrs.size + 1)
    return float((np.sort(llrs) + np.maximum(0.0, np.log(SHARE * llrs.size / (k - 0.5)))).min())
