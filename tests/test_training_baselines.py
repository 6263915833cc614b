from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm
from small_cohorts import followed_of

from nmr_ml.curve import CurveGrid, likelihood_tables
from nmr_ml.labels import Followed, no_tests
from nmr_ml.measurement import Measurement
from nmr_ml.posterior import probability_below, read_off, recovery_quantiles
from training.baselines import (
    ANY,
    MODALITY,
    OVERALL,
    PERSISTENCE,
    Baselines,
    fit_baselines,
    probabilities_below,
    time_quantiles,
)  # fmt: skip

GRID = CurveGrid(
    np.linspace(np.log(0.3), np.log(60), 20), np.linspace(np.log(3), np.log(400), 20),
    np.array([1.0]), np.array([1.0]), np.array([1.0]),
)  # fmt: skip
DELTA, MEASUREMENT = 2.6, Measurement(error_scale=1.3, residual_deficit=0.4)
LEVELS = np.array([0.1, 0.5, 0.9])


def example() -> tuple[Followed, np.ndarray, np.ndarray]:
    """Return light cycling and hard soccer, and the deficit of the last test before each."""
    rng = np.random.default_rng(0)
    modality = np.repeat(np.array(["cycling", "soccer"], dtype=object), 60)
    size = np.where(modality == "soccer", 12.0, 3.0)
    episodes = [
        [(h, s * np.exp(-h / 40) + rng.normal(), 1.5) for h in (12.0, 36.0, 60.0)] for s in size
    ]
    last = np.where(np.arange(120) % 5 == 0, np.nan, rng.normal(1, 1, 120))
    return followed_of(episodes, 0.5), modality, last


@pytest.fixture(scope="module")
def fitted() -> Baselines:
    followed, modality, last = example()
    table, top = likelihood_tables(followed, GRID)
    return fit_baselines(table, top, GRID, modality, followed, last)


def test_each_modality_and_everybody_has_a_curve(fitted: Baselines) -> None:
    assert set(fitted.by_modality) == {"cycling", "soccer", ANY}
    amplitude = {name: mean[0] for name, (mean, _) in fitted.by_modality.items()}
    assert amplitude["cycling"] < amplitude[ANY] < amplitude["soccer"]


def test_persistence_is_the_spread_around_the_last_test(fitted: Baselines) -> None:
    followed, _, last = example()
    squares = [
        (d - (0.0 if np.isnan(before) else before)) ** 2
        for d, before in zip(followed.deficit, np.repeat(last, 3), strict=True)
    ]
    assert fitted.persistence_sd == pytest.approx(np.sqrt(np.mean(squares)))


def test_probabilities_come_from_the_curve_of_the_modality(fitted: Baselines) -> None:
    followed, modality, last = example()
    modality = modality.copy()
    modality[3] = "curling"  # never seen: the overall curve stands for it
    found = probabilities_below(fitted, GRID, followed, modality, last, DELTA, MEASUREMENT)
    assert list(found) == [MODALITY, OVERALL, PERSISTENCE]
    for method, row, name in (
        (MODALITY, 0, "cycling"), (MODALITY, 70, "soccer"), (MODALITY, 3, ANY),
        (OVERALL, 70, ANY), (OVERALL, 0, ANY),
    ):  # fmt: skip
        mean, spread = fitted.by_modality[name]
        one = MEASUREMENT.read(followed.take(np.array([row])))
        expected = probability_below(GRID, mean[None, :], spread, one, DELTA + 0.4)
        assert found[method][3 * row : 3 * row + 3] == pytest.approx(expected)
    expected = norm.cdf((DELTA - np.nan_to_num(last)) / fitted.persistence_sd)
    assert found[PERSISTENCE] == pytest.approx(np.repeat(expected, 3))


def test_times_are_those_of_the_modalitys_curve(fitted: Baselines) -> None:
    modality = np.array(["soccer", "cycling", "curling", "soccer"], dtype=object)
    found = time_quantiles(fitted, GRID, DELTA, modality, LEVELS)
    assert np.array_equal(found[0], found[3])
    assert (found[1] <= found[0]).all()
    for row, name in enumerate(("soccer", "cycling", ANY)):
        mean, spread = fitted.by_modality[name]
        expected, _ = recovery_quantiles(
            read_off(GRID, DELTA), mean[None, :], spread, no_tests(1), LEVELS, np.zeros((1, 0))
        )
        assert np.array_equal(found[row], expected[0])


def test_baselines_survive_json(fitted: Baselines) -> None:
    again = Baselines.from_json(json.loads(json.dumps(fitted.as_json())))
    assert again.persistence_sd == fitted.persistence_sd
    assert set(again.by_modality) == set(fitted.by_modality)
    for name, (mean, spread) in fitted.by_modality.items():
        assert np.array_equal(again.by_modality[name][0], mean)
        assert np.array_equal(again.by_modality[name][1], spread)
