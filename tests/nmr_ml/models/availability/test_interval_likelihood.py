from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from nmr_ml.models.availability.interval_likelihood import (
    LEAST_CURVATURE,
    LOGISTIC,
    MOST_CURVATURE,
    NORMAL,
    interval_terms,
    mixture_log_survival,
    mixture_quantiles,
    newton_terms,
    past_evidence,
)

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats

FAMILIES = pytest.mark.parametrize("family", [NORMAL, LOGISTIC])
LAWS = {NORMAL: stats.norm, LOGISTIC: stats.logistic}
INF = np.inf


def random_intervals(seed: int, n: int = 4000) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    lower = rng.normal(0, 4, n)
    upper = lower + np.exp(rng.normal(0, 2, n))
    lower[: n // 8] = -INF
    upper[n // 8 : n // 4] = INF
    return lower, upper, rng.normal(0, 4, n), np.exp(rng.normal(-0.5, 0.5, n))


@FAMILIES
def test_the_probability_is_that_of_scipy(family: int) -> None:
    lower, upper, mu, scale = random_intervals(0)
    low, high, law = (lower - mu) / scale, (upper - mu) / scale, LAWS[family]
    right = low + high > 0  # where both cumulative probabilities are near 1, survival is exact
    p = np.where(right, law.sf(low) - law.sf(high), law.cdf(high) - law.cdf(low))
    told = p > 1e-250
    assert told.mean() > 0.8
    found = interval_terms(lower, upper, mu, scale, family).log_p
    assert found[told] == pytest.approx(np.log(p[told]), rel=1e-9, abs=1e-9)


@FAMILIES
def test_derivatives_are_those_of_finite_differences(family: int) -> None:
    lower, upper, mu, scale = random_intervals(1)
    eta, step = np.log(scale), 1e-5
    found = interval_terms(lower, upper, mu, scale, family)
    mu_up, mu_down = (
        interval_terms(lower, upper, mu + sign * step, scale, family) for sign in (1, -1)
    )
    up, down = (
        interval_terms(lower, upper, mu, np.exp(eta + sign * step), family) for sign in (1, -1)
    )
    for told, high, low in (
        (found.slope, -mu_up.log_p, -mu_down.log_p),
        (found.scale_slope, -up.log_p, -down.log_p),
        (found.curvature, mu_up.slope, mu_down.slope),
        (found.scale_curvature, up.scale_slope, down.scale_slope),
    ):
        difference = (high - low) / (2 * step)
        assert np.max(np.abs(told - difference) / (1 + np.abs(difference))) < 3e-7


@FAMILIES
@pytest.mark.parametrize("mu", [1e5, -1e5, 3e3, -40.0])
def test_nothing_breaks_in_the_extreme_tails(family: int, mu: float) -> None:
    lower, upper = np.array([0.0, -INF, 0.0, 0.0]), np.array([0.01, 1.0, INF, 1e-14])
    found = interval_terms(lower, upper, np.full(4, mu), np.full(4, 0.1), family)
    assert all(np.isfinite(part).all() for part in found)
    slope, curvature = newton_terms(lower, upper, np.full(4, mu), np.full(4, 0.1), family)
    assert np.all(np.sign(slope[[0, 3]]) == np.sign(mu))
    low, high = LEAST_CURVATURE / 0.01, MOST_CURVATURE / 0.01
    assert ((curvature >= low * (1 - 1e-12)) & (curvature <= high * (1 + 1e-12))).all()


def test_the_normal_tail_is_that_of_scipy() -> None:
    z = np.array([-5.0, -19.9, -20.1, -35.0, -1e3, -1e6])
    found = interval_terms(np.full(6, -INF), z, np.zeros(6), np.ones(6), NORMAL)
    assert found.log_p == pytest.approx(stats.norm.logcdf(z), rel=1e-12)
    hazard = np.exp(stats.norm.logpdf(z[:4]) - stats.norm.logcdf(z[:4]))
    assert found.slope[:4] == pytest.approx(hazard, rel=1e-9)


@FAMILIES
def test_an_interval_without_bounds_says_nothing(family: int) -> None:
    found = interval_terms(np.array([-INF]), np.array([INF]), np.zeros(1), np.ones(1), family)
    assert [part.item() for part in found] == [0.0] * 5


@FAMILIES
def test_adding_up_neighbouring_intervals(family: int) -> None:
    edges = np.array([-INF, -1.0, 0.2, 3.0, INF])
    p = np.exp(
        interval_terms(edges[:-1], edges[1:], np.full(4, 0.3), np.full(4, 0.7), family).log_p
    )
    assert p.sum() == pytest.approx(1.0, abs=1e-14)


@FAMILIES
@settings(deadline=None)
@given(
    elapsed=st.one_of(st.just(-INF), st.floats(-4, 12)),
    level=st.floats(0.01, 0.99),
    seed=st.integers(0, 100),
)
def test_quantiles_are_where_the_survival_has_fallen(
    family: int, elapsed: float, level: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    nodes, weight = rng.normal(0, 0.5, 5), rng.dirichlet(np.ones(5))
    parts = np.log(weight)[None, :], rng.normal(4, 1, 1), np.array([0.4]), nodes, family
    levels = np.array([level])
    found = mixture_quantiles(levels, np.array([elapsed]), *parts)
    assert found[0, 0] >= elapsed
    over = mixture_log_survival(np.array([[found[0, 0], elapsed]]), *parts)[0]
    assert over[0] - over[1] == pytest.approx(np.log1p(-level), abs=1e-6)


def test_quantiles_without_athletes_are_those_of_scipy() -> None:
    levels = np.array([0.1, 0.5, 0.9])
    for family, law in LAWS.items():
        found = mixture_quantiles(
            levels, np.array([-INF]), np.zeros((1, 1)), np.array([4.0]), np.array([0.5]),
            np.zeros(1), family,
        )  # fmt: skip
        assert found[0] == pytest.approx(4.0 + 0.5 * law.ppf(levels), abs=1e-9)


@FAMILIES
def test_past_episodes_count_as_they_were_known(family: int) -> None:
    hour, never = 3600, np.iinfo(np.int64).max
    onset = np.array([0, 1000, 2000, 3000]) * hour
    resolved = np.array([300 * hour, 1400 * hour, never, never])
    known = np.array([0, 1000, 2600, 3000]) * hour
    mu, scale, nodes = np.full(4, 5.0), np.full(4, 0.5), np.array([-0.4, 0.0, 0.4])
    first, last = np.zeros(1, np.int64), np.full(1, 4)

    def evidence(own: int, at_h: int) -> Floats:
        found: Floats = past_evidence(
            first, last, np.array([own]), np.array([at_h * hour]), onset, known, resolved, mu,
            scale, 12.0, nodes, family,
        )[0]  # fmt: skip
        return found

    def told(low_h: float, high_h: float) -> Floats:
        bounds = np.log([low_h, high_h])
        ones = np.ones(3)
        return interval_terms(
            bounds[0] * ones, bounds[1] * ones, 5.0 + nodes, 0.5 * ones, family
        ).log_p

    assert evidence(1, 1000) == pytest.approx(told(288, 312))
    assert evidence(0, 1200) == pytest.approx(told(200, INF))  # its end lies ahead
    assert evidence(0, 1500) == pytest.approx(told(388, 412))
    assert evidence(3, 2500) == pytest.approx(told(288, 312) + told(388, 412))  # not yet reported
    assert evidence(3, 3000) == pytest.approx(told(288, 312) + told(388, 412) + told(1000, INF))
    mu[0] = np.nan  # of a kind that is not learnt
    assert evidence(1, 1000).tolist() == [0.0] * 3
