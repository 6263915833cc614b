from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.labels.family_tests import FamilyTests
from nmr_ml.models.curve.family_scale import LEAST_ATHLETES, FamilyScale, fit_scales, with_family
from nmr_ml.models.curve.grid import CurveGrid
from nmr_ml.models.curve.likelihood import likelihood_tables, remaining
from nmr_ml.models.curve.population import Population
from nmr_ml.models.curve.target import CurveTarget
from tests.support.small_cohorts import followed_of

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed

GRID = CurveGrid.mixed(
    np.linspace(np.log(0.2), np.log(60), 30), np.linspace(np.log(3), np.log(400), 30),
    np.ones(1), np.ones(1), np.ones(1),
)  # fmt: skip
#: Log amplitude, log tau and share of two groups, and their spread.
MEAN = np.array([[np.log(6.0), np.log(25.0), 1.0], [np.log(12.0), np.log(50.0), 1.0]])
SPREAD = np.array([0.4, 0.4, 0.1])
POPULATION = Population(MEAN, np.tile(SPREAD, (2, 1)), 0.0)
NAMES = ("grip", "jump", "sprint")
ATHLETES = 40


def drawn(
    scale: float, mismatch: float, *, seed: int, n: int = 800, morning: float = 0.0,
    held: float = 0.0,
) -> tuple[Followed, np.ndarray, np.ndarray, np.ndarray]:  # fmt: skip
    """Return index tests with jumps beside them, groups, athletes, and log tau behind them.

    `morning` is the spread of an error that both tests of a morning share; `held` what every
    rested baseline holds, on the index scale.
    """
    rng = np.random.default_rng(seed)
    group = rng.integers(0, 2, n)
    a, tau = np.exp(MEAN[group, :2] + SPREAD[:2] * rng.normal(size=(n, 2))).T
    hours = np.array([10.0, 34.0, 58.0])
    left = np.array([[remaining(h, t, 1.0, 1.0) for h in hours] for t in tau])
    shared = morning * rng.normal(size=(n, 3))
    index = a[:, None] * left - held + shared + 2.0 * rng.normal(size=(n, 3))
    off = mismatch * rng.normal(size=(n, 3)) + 1.5 * rng.normal(size=(n, 3))
    other = scale * (a[:, None] * left - held) + shared + off
    tests = [[(h, d, 2.0) for h, d in zip(hours, row, strict=True)] for row in index]
    owner = np.repeat(np.arange(n), 3)
    family = FamilyTests.gathered(
        NAMES, n, owner, np.tile(hours, n), other.ravel(), np.full(3 * n, 1.5),
        np.ones(3 * n, np.int64),
    )  # fmt: skip
    athlete = np.array([f"a{k}" for k in rng.integers(0, ATHLETES, n)], dtype=object)
    return replace(followed_of(tests, 0.5), family=family), group, athlete, np.log(tau)


def scale_of(
    followed: Followed, group: np.ndarray, athlete: np.ndarray, held: float = 0.0
) -> FamilyScale:
    assert followed.family is not None
    residual = np.full(len(followed), held)
    found = fit_scales(followed.family, residual, POPULATION, GRID, group, athlete)
    assert set(found) == {"jump"}
    return found["jump"]


@pytest.mark.statistical
@pytest.mark.parametrize(("scale", "mismatch"), [(1.6, 2.0), (0.5, 0.0)])
def test_scale_and_mismatch_are_found(scale: float, mismatch: float) -> None:
    z = []
    for seed in range(12):
        followed, group, athlete, _ = drawn(scale, mismatch, seed=seed)
        found = scale_of(followed, group, athlete)
        assert found.told
        assert (found.athletes_n, found.tests_n) == (ATHLETES, 2400)
        assert found.scale == pytest.approx(scale, rel=0.15)
        assert found.mismatch == pytest.approx(mismatch, abs=0.7)
        z.append((found.scale - scale) / found.standard_error)
    # Standard errors hold: of 12 draws, the mean square is beyond these with 1 in 1000.
    assert 0.15 < np.mean(np.square(z)) < 2.9


@pytest.mark.statistical
def test_a_test_that_has_nothing_to_do_with_the_index_test_is_not_told() -> None:
    told = [scale_of(*drawn(0.0, 1.0, seed=seed)[:3]).told for seed in range(40)]
    assert sum(told) <= 2  # 1 in 740 each


@pytest.mark.statistical
def test_a_bad_morning_in_both_tests_is_no_scale() -> None:
    followed, group, athlete, _ = drawn(0.0, 0.5, seed=3, morning=4.0)
    found = scale_of(followed, group, athlete)
    assert abs(found.scale) < 4 * found.standard_error < 0.2
    index = followed.deficit - followed.deficit.mean()
    assert followed.family is not None
    together = float(index @ followed.family.deficit / (index @ index))
    assert together > 0.3  # what a regression on the index tests would take for one


@pytest.mark.statistical
def test_what_rested_baselines_hold_is_allowed_for() -> None:
    followed, group, athlete, _ = drawn(1.0, 0.5, seed=5, held=2.0)
    assert scale_of(followed, group, athlete, held=2.0).scale == pytest.approx(1.0, abs=0.1)
    assert scale_of(followed, group, athlete).scale < 0.8


def test_few_athletes_tell_no_scale() -> None:
    some = FamilyScale(1.0, 0.1, 0.0, LEAST_ATHLETES, 500)
    assert some.told
    assert not replace(some, athletes_n=LEAST_ATHLETES - 1).told
    assert not replace(some, standard_error=0.4).told
    assert not replace(some, scale=-1.0).told


def test_tests_are_turned_into_those_of_the_index_and_put_in_order() -> None:
    alone = followed_of([[(24.0, 3.0, 2.0)], []], 0.5)
    alone = replace(alone, shared_error=np.array([0.5, np.nan]))
    owner, code = np.array([0, 0, 0, 1]), np.array([1, 1, 0, 1])
    family = FamilyTests.gathered(
        NAMES, 2, owner, np.array([23.0, 40.0, 60.0, 12.0]), np.array([9.0, 4.0, 7.0, -1.0]),
        np.array([1.2, 1.2, 0.1, 0.9]), code,
    )  # fmt: skip
    scales = {"jump": FamilyScale(2.0, 0.1, 1.6, 20, 99), "grip": FamilyScale(1.0, 0.9, 0, 20, 99)}
    read = with_family(replace(alone, family=family), scales)
    # The jump at 23 h came with an index test, the grip at 60 h has no scale.
    assert read.offsets.tolist() == [0, 2, 3]
    assert read.hours.tolist() == [24.0, 40.0, 12.0]
    assert read.deficit.tolist() == [3.0, 2.0, -0.5]
    assert read.error == pytest.approx([2.0, np.hypot(1.2, 1.6) / 2, np.hypot(0.9, 1.6) / 2])
    assert read.shared_error.tolist() == [0.5, 0.0]  # no index baseline: nothing shared
    assert read.family is None
    for untold in ({}, {"grip": scales["grip"]}):
        left = with_family(replace(alone, family=family), untold)
        assert (left.hours.tolist(), left.family) == ([24.0], None)


@pytest.mark.statistical
def test_other_tests_bring_the_curve_closer_to_the_truth() -> None:
    followed, group, athlete, log_tau = drawn(1.6, 1.0, seed=11)
    scale = scale_of(followed, group, athlete)
    # Index tests only at 10 h, jumps later: what the other test adds is how fast it mends.
    rows = np.flatnonzero(followed.hours == 10.0)
    first = replace(
        followed, offsets=np.arange(len(followed) + 1), hours=followed.hours[rows],
        deficit=followed.deficit[rows], error=followed.error[rows],
    )  # fmt: skip
    missed = []
    for scales in ({}, {"jump": scale}):
        table, _ = likelihood_tables(with_family(first, scales), GRID)
        target = CurveTarget(GRID, table, np.arange(len(first)), np.ones(len(first)))
        _, centre, _ = target.moments(MEAN[group], SPREAD)
        missed.append(np.abs(centre[:, 1] - log_tau).mean())
    assert missed[1] < 0.93 * missed[0]
