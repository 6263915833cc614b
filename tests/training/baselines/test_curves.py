from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.features.contract import feature_contract
from nmr_ml.models.curve.likelihood import likelihood_tables
from tests.support.simulated_curves import GRID, athletes, drawn_tests, starts_of
from training.baselines.curves import (
    ANY,
    DECAY,
    LEAST_LOOKUP,
    LINEAR,
    LOOKUP,
    MODALITY,
    OVERALL,
    RivalCurves,
    Starts,
    fit_baselines,
)

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.numeric.arrays import Floats

N, SPREAD = 360, np.array([0.3, 0.35])
#: Of the log amplitude: per log load in everybody, and of soccer against cycling.
LOAD_SLOPE, SOCCER = 0.5, 0.6


def example() -> tuple[Starts, Followed]:
    """Return 340 episodes of two sports, 20 of a rare one; sleep debt slows and load enlarges."""
    rng = np.random.default_rng(0)
    modality = np.where(np.arange(N) % 2 == 0, "soccer", "cycling").astype(object)
    modality[-20:] = "judo"
    load, debt = rng.uniform(100, 900, N), rng.standard_normal(N)
    last = np.where(np.arange(N) % 5 == 0, np.nan, rng.normal(1, 1, N))
    starts = starts_of(
        modality, session_load_au=load, sleep_debt_14d_h=debt, index_deficit_last=last
    )
    size = 1.5 + LOAD_SLOPE * np.log(load / 400) + SOCCER * (modality == "soccer")
    means = np.column_stack([size, 3.6 + 0.3 * debt])
    return starts, drawn_tests(means, np.tile(SPREAD, (N, 1)), rng)


@pytest.fixture(scope="module")
def fitted() -> RivalCurves:
    starts, followed = example()
    table, top = likelihood_tables(followed, GRID)
    return fit_baselines(starts, table, top, GRID, followed, athletes(36, 10))


def at(modality: str, load: float, debt: float = np.nan) -> Starts:
    names = np.array([modality], dtype=object)
    return starts_of(names, session_load_au=np.array([load]), sleep_debt_14d_h=np.array([debt]))


def test_each_modality_and_everybody_has_a_curve(fitted: RivalCurves) -> None:
    assert set(fitted.by_modality) == {"cycling", "soccer", "judo", ANY}
    size = {name: mean[0] for name, (mean, _) in fitted.by_modality.items()}
    assert size["cycling"] < size[ANY] < size["soccer"]
    assert size["soccer"] - size["cycling"] == pytest.approx(SOCCER, abs=0.12)


def test_a_modality_never_seen_gets_the_curve_of_all(fitted: RivalCurves) -> None:
    priors = fitted.priors(at("curling", 400.0))
    for part in ("means", "spreads"):
        found, overall = getattr(priors[MODALITY], part), getattr(priors[OVERALL], part)
        assert np.array_equal(found, overall)
    assert np.array_equal(priors[OVERALL].means[0], fitted.by_modality[ANY][0])


def test_load_is_looked_up_within_frequent_modalities(fitted: RivalCurves) -> None:
    starts, _ = example()
    assert set(fitted.by_load) == {"cycling", "soccer", ANY}  # judo has fewer than enough
    assert np.sum(starts.modality == "judo") < LEAST_LOOKUP
    soccer = starts.column("session_load_au")[starts.modality == "soccer"]
    thirds = fitted.by_load["soccer"]
    assert np.bincount(thirds.of(soccer)) == pytest.approx(np.full(3, soccer.size / 3), abs=1)
    assert (np.diff(thirds.means[:, 0]) > 0.15).all()  # heavier sessions, larger deficits
    light, heavy = (fitted.priors(at("soccer", load))[LOOKUP].means[0] for load in (120.0, 880.0))
    assert np.array_equal(light, thirds.means[0])
    assert np.array_equal(heavy, thirds.means[2])
    rare = fitted.priors(at("judo", 880.0))[LOOKUP]
    assert np.array_equal(rare.means[0], fitted.by_load[ANY].means[2])
    assert np.array_equal(rare.spreads[0], fitted.by_load[ANY].spreads[2])


@pytest.mark.statistical
def test_the_decay_grows_with_the_log_load(fitted: RivalCurves) -> None:
    small, large = (fitted.priors(at("soccer", load))[DECAY].means[0] for load in (200.0, 800.0))
    assert large[0] - small[0] == pytest.approx(LOAD_SLOPE * np.log(4), abs=0.12)
    assert large[1] - small[1] == pytest.approx(0.0, abs=0.15)
    other = fitted.priors(at("cycling", 800.0))[DECAY].means[0]
    assert np.array_equal(other, large)  # it sees nothing but the load


@pytest.mark.statistical
def test_the_linear_model_uses_every_feature(fitted: RivalCurves) -> None:
    def means(modality: str, load: float, debt: float = np.nan) -> Floats:
        found: Floats = fitted.priors(at(modality, load, debt))[LINEAR].means[0]
        return found

    slower = means("soccer", 400.0, 1.0) - means("soccer", 400.0, -1.0)
    assert slower[1] == pytest.approx(0.6, abs=0.15)
    assert slower[0] == pytest.approx(0.0, abs=0.12)
    assert means("soccer", 900.0)[0] - means("soccer", 200.0)[0] > 0.4
    assert means("soccer", 400.0) == pytest.approx(means("soccer", 400.0, np.nan))


def test_words_become_one_column_each() -> None:
    contract = feature_contract()
    words = contract.categories[contract.names.index("session_modality")]
    starts = starts_of(np.array(["x", "y"], dtype=object), session_modality=np.array([1, np.nan]))
    columns = sum(len(categories) or 1 for categories in contract.categories)
    found = starts.linear_features
    assert found.shape == (2, columns)
    first = contract.names.index("session_modality")
    first += sum(len(c) - 1 for c in contract.categories[:first] if c)
    assert found[0, first : first + len(words)].tolist() == [i == 1 for i in range(len(words))]
    assert np.isnan(found[1]).all()


def test_persistence_is_the_spread_around_the_last_test(fitted: RivalCurves) -> None:
    starts, followed = example()
    last = starts.column("index_deficit_last")
    squares = [
        (d - (0.0 if np.isnan(before) else before)) ** 2
        for d, before in zip(followed.deficit, np.repeat(last, 3), strict=True)
    ]
    assert fitted.persistence_sd == pytest.approx(np.sqrt(np.mean(squares)))


def test_baselines_survive_json(fitted: RivalCurves) -> None:
    again = RivalCurves.from_json(json.loads(json.dumps(fitted.as_json(), allow_nan=False)))
    assert again.persistence_sd == fitted.persistence_sd
    starts, _ = example()
    expected = fitted.priors(starts)
    assert list(expected) == [MODALITY, OVERALL, LOOKUP, DECAY, LINEAR]
    for method, priors in again.priors(starts).items():
        assert np.array_equal(priors.means, expected[method].means)
        assert np.array_equal(priors.spreads, expected[method].spreads)
