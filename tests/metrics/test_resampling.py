import numpy as np
import pytest
from metric_examples import gaussian, rounded

from deepcheck.metrics.resampling import resampled, resampled_pairs
from deepcheck.metrics.tally import tally
from deepcheck.metrics.thinning import thinned


def all_counts(batches):
    """For each class one array (resamples, places)."""
    return [np.concatenate(of_class) for of_class in zip(*(batch.counts for batch in batches), strict=True)]


def draws(trials, number=2000, seed=0):
    return all_counts(resampled(trials, number, np.random.default_rng(seed)))


@pytest.mark.parametrize("number", [1, 7, 1000])
def test_as_many_resamples_as_asked_for_each_with_as_many_trials(number):
    trials = tally(*rounded(50, 80))
    for counts, size in zip(draws(trials, number), (50, 80), strict=True):
        assert counts.shape == (number, trials.edges.size)
        assert (counts.sum(axis=1) == size).all()


def test_places_without_a_trial_stay_empty():
    trials = tally(*gaussian(30, 40))
    for drawn, counts in zip(draws(trials), trials.counts, strict=True):
        assert not drawn[:, counts == 0].any()


def test_counts_have_the_moments_of_draws_with_replacement():
    trials = tally(*(np.round(scores) for scores in gaussian(50, 80)))
    number = 20_000
    for drawn, counts in zip(draws(trials, number), trials.counts, strict=True):
        share = counts / counts.sum()
        deviation = np.sqrt(counts * (1 - share))
        assert np.all(np.abs(drawn.mean(axis=0) - counts) <= 5 * deviation / np.sqrt(number))
        assert np.cov(drawn.T) == pytest.approx(counts.sum() * (np.diag(share) - np.outer(share, share)), abs=0.3)


def test_a_class_with_one_trial_and_one_in_a_million():
    trials = tally(np.array([0.0]), np.concatenate([np.zeros(999_999), [1.0]]))
    single, spoofs = draws(trials, 1000)
    assert (single == [1, 0]).all()
    assert (spoofs.sum(axis=1) == 1_000_000).all()
    assert spoofs[:, 1].mean() == pytest.approx(1, abs=0.15)


def test_the_seed_decides():
    trials = tally(*gaussian(30, 40))
    same = zip(draws(trials, 10, seed=1), draws(trials, 10, seed=1), strict=True)
    assert all(np.array_equal(one, other) for one, other in same)
    assert not np.array_equal(draws(trials, 10, seed=1)[0], draws(trials, 10, seed=2)[0])


@pytest.mark.parametrize("sizes", [(20, 30), (9000, 8000)])
def test_pairs_are_draws_of_the_same_trials(sizes):
    bonafide, spoof = gaussian(*sizes)
    first, second = (bonafide, spoof), (10 - bonafide, np.round(spoof))
    systems = [(thinned(tally(*scores)), scores) for scores in (first, second)]
    one, other = zip(*resampled_pairs(*systems, 25, np.random.default_rng(0)), strict=True)
    one, other = all_counts(one), all_counts(other)
    assert (one[0].sum(axis=1) == sizes[0]).all()
    # The second system turns the bona fide trials around, and rounds the scores of spoofs.
    held = [counts[0].nonzero()[0] for counts in (systems[0][0].counts, systems[1][0].counts)]
    if sizes == (20, 30):
        assert np.array_equal(one[0][:, held[0]], other[0][:, held[1]][:, ::-1])
    rough, fine = systems[1][0].edges, systems[0][0].edges
    for edge in rough[:-1]:
        between = edge + 0.5
        if between in fine or sizes == (20, 30):
            below = one[1][:, fine <= between].sum(axis=1)
            assert np.array_equal(below, other[1][:, rough <= edge].sum(axis=1))


def test_pairs_have_the_moments_of_draws_with_replacement():
    bonafide, spoof = (np.round(scores) for scores in gaussian(30, 40))
    trials = tally(bonafide, spoof)
    system = (trials, (bonafide, spoof))
    pairs = resampled_pairs(system, system, 20_000, np.random.default_rng(0))
    drawn = all_counts(one for one, _ in pairs)
    for counts, original in zip(drawn, trials.counts, strict=True):
        deviation = np.sqrt(original * (1 - original / original.sum()))
        assert np.all(np.abs(counts.mean(axis=0) - original) <= 5 * deviation / np.sqrt(20_000))
        assert counts.std(axis=0) == pytest.approx(deviation, abs=0.1)
