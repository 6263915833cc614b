from __future__ import annotations

import numpy as np
import pytest

from nmr_ml.models.curve.boosted import TreeSettings
from nmr_ml.models.curve.likelihood import likelihood_tables
from nmr_ml.models.curve.target import posterior_moments
from tests.support.simulated_curves import SHARES, drawn_tests, one_prior
from training.baselines.empirical_bayes import grow_on_means, posterior_means, profile_spread
from training.scoring.forecasts import CurvePriors

N = 400
MEAN, SPREAD = (2.0, 3.6, 0.7), (0.4, 0.5, 0.12)
SETTINGS = TreeSettings(learning_rate=0.2, num_leaves=4, min_data_in_leaf=20, threads=1)


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    prior = one_prior(N, MEAN, SPREAD)
    # As noisy as the curves differ: posterior means are well shrunk.
    tests = drawn_tests(
        prior.means, prior.spreads, np.random.default_rng(5), error=3.0,
        hours=(1.0, 6.0, 12.0, 36.0, 60.0),
    )  # fmt: skip
    return likelihood_tables(tests, SHARES)[0]


def test_posterior_means_are_taken_under_each_episodes_own_prior(table: np.ndarray) -> None:
    spreads = np.where(np.arange(N)[:, None] % 2 == 0, [[0.4, 0.5, 0.2]], [[0.2, 0.9, 0.4]])
    priors = CurvePriors(np.tile(MEAN, (N, 1)), spreads)
    centre, variance = posterior_means(table, SHARES, priors)
    for row in (0, 1, 7):
        _, mean, var = posterior_moments(
            table, np.array([row]), SHARES.log_amplitude, SHARES.log_tau, SHARES.share,
            priors.means[[row]], spreads[[row]],
        )  # fmt: skip
        assert centre[row] == pytest.approx(mean[0])
        assert variance[row] == pytest.approx(var[0])


@pytest.mark.statistical
def test_the_profiled_spread_is_that_of_the_curves_and_not_of_the_shrunk_labels(
    table: np.ndarray,
) -> None:
    prior = one_prior(N, MEAN, SPREAD)
    found = profile_spread(table, SHARES, prior.means, np.array([0.8, 0.8, 0.4]))
    assert found == pytest.approx(SPREAD, rel=0.25)
    labels, _ = posterior_means(table, SHARES, prior)
    assert (labels.std(axis=0) < 0.8 * found).all()


def test_trees_follow_their_labels_and_are_reproducible() -> None:
    rng = np.random.default_rng(6)
    X = rng.standard_normal((N, 3))
    labels = np.column_stack([X[:, 0] > 0, 3.0 * (X[:, 1] > 0), 0.5 * (X[:, 2] > 0)]).astype(float)
    first, again = (grow_on_means(X, labels, SETTINGS, 30) for _ in range(2))
    found = first.means(X)
    assert np.abs(found - labels).mean() < 0.15
    assert np.array_equal(found, again.means(X))
    assert [b.num_trees() for b in first.boosters] == [30, 30, 30]
