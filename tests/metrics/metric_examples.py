"""Scores for the tests of the metrics, and the published definitions, spelt out threshold by threshold."""

import math
from itertools import pairwise

import numpy as np
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

# Whole and half numbers from a narrow range, so that many scores are equal, also across the classes.
TIED = st.lists(st.integers(-6, 6).map(lambda number: number / 2), min_size=1, max_size=12)

PERFECT = ([1.0, 2.0], [-1.0, -3.0, -2.0])
INVERTED = ([-1.0, -2.0], [1.0, 3.0, 2.0])
CONSTANT = ([0.0, 0.0, 0.0], [0.0, 0.0])
SINGLE = ([0.5], [-0.5])


def examples(number):
    """The same examples each time."""
    return settings(
        deadline=None,
        derandomize=True,
        database=None,
        max_examples=number,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )


def gaussian(bonafide=300, spoof=500, mean=1.0, seed=0):
    """Natural-log likelihood ratios that are right: 2 * mean * x, where x has unit variance around +mean or -mean."""
    draw = np.random.default_rng(seed)
    return 2 * mean * draw.normal(mean, 1, bonafide), 2 * mean * draw.normal(-mean, 1, spoof)


def heavy_tailed(bonafide=300, spoof=500, seed=0):
    draw = np.random.default_rng(seed)
    return 3 * draw.standard_t(2, bonafide) + 2, 3 * draw.standard_t(2, spoof) - 2


def rounded(bonafide=300, spoof=500, seed=0):
    return tuple(np.round(scores, 1) for scores in gaussian(bonafide, spoof, seed=seed))


def operating_points(*classes):
    """(threshold, share of the first class at or below, shares of the others above) of every threshold there is."""
    scores = sorted({score for one in classes for score in one})
    for threshold in [scores[0] - 0.001, *scores]:
        first, *others = classes
        miss = sum(score <= threshold for score in first) / len(first)
        yield threshold, miss, *(sum(score > threshold for score in other) / len(other) for other in others)


def literal_eer(bonafide, spoof):
    """compute_eer: the mean of the two rates where they differ least, the first such place."""
    points = list(operating_points(bonafide, spoof))
    differences = [abs(frr - far) for _, frr, far in points]
    threshold, frr, far = points[differences.index(min(differences))]
    return (frr + far) / 2, threshold


def literal_auc(bonafide, spoof):
    wins = sum((b > s) + (b == s) / 2 for b in bonafide for s in spoof)
    return wins / (len(bonafide) * len(spoof))


def literal_min_dcf(bonafide, spoof, p_spoof=0.05, c_miss=1, c_fa=10):
    """compute_mindcf: the least expected cost over that of the better constant decision."""
    costs = [c_miss * frr * (1 - p_spoof) + c_fa * far * p_spoof for _, frr, far in operating_points(bonafide, spoof)]
    return min(costs) / min(c_miss * (1 - p_spoof), c_fa * p_spoof)


def literal_act_dcf(bonafide, spoof, p_spoof=0.05, c_miss=1, c_fa=10):
    """compute_actDCF: the expected cost at the threshold that Bayes' rule sets."""
    threshold = -math.log(c_miss * (1 - p_spoof) / (c_fa * p_spoof))
    frr = sum(score <= threshold for score in bonafide) / len(bonafide)
    far = sum(score > threshold for score in spoof) / len(spoof)
    cost = c_miss * (1 - p_spoof) * frr + c_fa * p_spoof * far
    return cost / min(c_miss * (1 - p_spoof), c_fa * p_spoof)


def literal_cllr(bonafide, spoof):
    genuine = sum(math.log2(1 + math.exp(-score)) for score in bonafide) / len(bonafide)
    false = sum(math.log2(1 + math.exp(score)) for score in spoof) / len(spoof)
    return (genuine + false) / 2


def literal_min_cllr(bonafide, spoof):
    """Cllr after the best monotone map, which the max-min formula for isotonic regression gives at each score.

    Robertson, Wright and Dykstra, "Order Restricted Statistical Inference", 1988, theorem 1.4.4. Each class weighs
    one, so that the odds of the posterior are the likelihood ratio.
    """
    scores = sorted({*bonafide, *spoof})
    genuine = [list(bonafide).count(score) / len(bonafide) for score in scores]
    false = [list(spoof).count(score) / len(spoof) for score in scores]

    def posterior(first, last):
        own = sum(genuine[first : last + 1])
        return own / (own + sum(false[first : last + 1]))

    cost = 0.0
    for i in range(len(scores)):
        best = max(min(posterior(first, last) for last in range(i, len(scores))) for first in range(i + 1))
        cost -= genuine[i] * math.log2(best) if genuine[i] else 0
        cost -= false[i] * math.log2(1 - best) if false[i] else 0
    return cost / 2


def literal_min_t_dcf(bonafide, spoof, asv, legacy):
    """compute_tDCF and compute_tDCF_legacy with the priors and costs of ASVspoof 2019."""
    p_target, p_nontarget, p_spoof, c_miss, c_fa, c_fa_spoof = 0.95 * 0.99, 0.95 * 0.01, 0.05, 1, 10, 10
    c1 = p_target * (c_miss - c_miss * asv.miss) - p_nontarget * c_fa * asv.false_alarm
    c2 = c_fa_spoof * p_spoof * asv.spoof_false_alarm
    c0 = 0 if legacy else p_target * c_miss * asv.miss + p_nontarget * c_fa * asv.false_alarm
    return min((c0 + c1 * frr + c2 * far) / (c0 + min(c1, c2)) for _, frr, far in operating_points(bonafide, spoof))


def literal_min_a_dcf(target, nontarget, spoof, c_fa_spoof=20, p_target=0.9, p_nontarget=0.05, p_spoof=0.05):
    """_calculate_a_dcf, with the defaults of its authors."""
    accept_all, reject_all = 10 * p_nontarget + c_fa_spoof * p_spoof, p_target
    return min(
        (p_target * miss + 10 * p_nontarget * fa + c_fa_spoof * p_spoof * fa_spoof) / min(accept_all, reject_all)
        for _, miss, fa, fa_spoof in operating_points(target, nontarget, spoof)
    )


def is_convex(x, y):
    """Whether the points turn only to the left as they go on."""
    steps = list(zip(np.diff(x), np.diff(y), strict=True))
    return all(dx * next_dy - dy * next_dx >= -1e-12 for (dx, dy), (next_dx, next_dy) in pairwise(steps))
