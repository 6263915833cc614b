from __future__ import annotations

from dataclasses import replace

import lightgbm as lgb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.features.contract import feature_contract
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.models.availability.absences import Absences, bounds_ln
from nmr_ml.models.availability.fit import grow_trees
from nmr_ml.models.availability.law import FAMILIES, LOG_PRIOR, NODES
from nmr_ml.models.availability.model import (
    TREE_COLUMNS,
    AvailabilityModel,
    DurationTrees,
    expect,
    ratios,
)
from tests.support.absence_rows import DAY_S, MEDIAN_D, START_S, drawn_absences, law, learnt

LEVELS = np.array([0.1, 0.25, 0.5, 0.75, 0.9])
Z = {"lognormal": np.random.Generator.normal, "loglogistic": np.random.Generator.logistic}


def one(**changes: object) -> Absences:
    """Return the first of two injuries of an athlete, a hundred days apart, both without an end."""
    absences, _ = drawn_absences(1, 2, seed=0, followed_d=1e-9, median_d={"injury": 16.0})
    return replace(absences, **changes)  # type: ignore[arg-type]


def at_start(absences: Absences, row: int = 0) -> tuple[np.ndarray, np.ndarray]:
    return np.array([row]), absences.onset_s[[row]]


@settings(deadline=None, max_examples=20)
@given(
    family=st.sampled_from(sorted(FAMILIES)),
    waited_d=st.floats(0, 60),
    seed=st.integers(0, 1000),
)
def test_what_is_left_is_what_a_simulation_leaves(family: str, waited_d: float, seed: int) -> None:
    absences, rng, n = one(), np.random.default_rng(seed), 400_000
    rows, start = at_start(absences)
    of = law(family)
    expected = expect(of, absences, rows, start + int(waited_d * DAY_S), np.zeros(2))
    offset = rng.choice(NODES, n, p=np.exp(LOG_PRIOR)) * of.athlete_sd
    drawn = np.exp(of.location["injury"] + offset + of.scale["injury"] * Z[family](rng, size=n))
    left = drawn[drawn > expected.elapsed_h[0]]
    if left.size < 2000:
        return
    hours = expected.quantiles(LEVELS)[0]
    share = (left[:, None] <= hours).mean(axis=0)
    assert share == pytest.approx(LEVELS, abs=4.5 / np.sqrt(left.size))
    assert expected.probability(hours[None, :])[0] == pytest.approx(LEVELS, abs=1e-6)


def test_time_that_has_passed_is_never_foretold_and_only_lengthens() -> None:
    absences = one()
    rows, start = at_start(absences)
    days = [0, 5, 16, 50, 400, 20_000]
    medians = []
    for waited_d in days:
        expected = expect(law(), absences, rows, start + waited_d * DAY_S, np.zeros(2))
        q = expected.quantiles(LEVELS)[0]
        assert (np.diff([24.0 * waited_d, *q]) > 0).all()
        assert expected.probability(np.array([[24.0 * waited_d * 0.9]]))[0, 0] == 0.0
        medians.append(q[2])
    assert medians == sorted(medians)
    assert medians[0] == pytest.approx(16 * 24, rel=1e-6)


def test_an_end_counts_from_the_moment_it_is_known() -> None:
    ended = np.array([START_S + 60 * DAY_S, NEVER_S])
    slow = one(resolved_s=ended)
    asked_s = slow.onset_s[[1]]
    rows = np.array([1])

    def median(absences: Absences) -> float:
        return float(expect(law(), absences, rows, asked_s, np.zeros(2)).quantiles(LEVELS)[0, 2])

    before = median(replace(slow, resolved_s=np.array([asked_s[0] + 1, NEVER_S])))
    assert median(slow) > 1.1 * 16 * 24  # the first one took 60 days, so the athlete is slow
    assert before == median(one())  # an end in the future is not known: open for 100 days so far
    assert before > median(slow)
    unreported = replace(slow, known_s=np.array([asked_s[0] + 1, asked_s[0]]))
    assert median(unreported) == pytest.approx(16 * 24, rel=1e-6)


def test_kinds_stay_apart() -> None:
    absences, _ = drawn_absences(40, 2, seed=2)
    rows = np.arange(80)
    expected = expect(law(), absences, rows, absences.onset_s - 1, np.zeros(80))
    median = expected.quantiles(LEVELS)[:, 2]
    assert median[absences.kind == "injury"].min() > median[absences.kind == "systemic"].max()


def test_the_probability_of_an_interval_is_that_of_its_ends() -> None:
    absences, _ = drawn_absences(10, 3, seed=3)
    expected = expect(law(), absences, np.arange(30), absences.onset_s, np.zeros(30))
    low, high = np.full(30, 24.0), np.full(30, 500.0)
    p = expected.probability(np.column_stack([low, high]))
    assert expected.log_p(np.log(low), np.log(high)) == pytest.approx(
        np.log(p[:, 1] - p[:, 0]), rel=1e-9
    )


@pytest.fixture(scope="module")
def trees() -> tuple[DurationTrees, Absences, np.ndarray]:
    X = np.full((200, len(TREE_COLUMNS)), np.nan)
    age = np.random.default_rng(4).uniform(18, 36, 200)
    X[:, TREE_COLUMNS.index("age_y")] = age
    absences, _ = drawn_absences(100, 2, seed=4, shift=np.where(age > 27, 0.7, -0.7))
    params = {"num_leaves": 4, "learning_rate": 0.1, "verbosity": -1, "num_threads": 1,
              "min_data_in_leaf": 20, "deterministic": True, "seed": 0}  # fmt: skip
    return DurationTrees(grow_trees(X, absences, law(), params, 30), TREE_COLUMNS), absences, X


def test_trees_learn_from_intervals(trees: tuple[DurationTrees, Absences, np.ndarray]) -> None:
    found, absences, X = trees
    moved = found.booster.predict(X, raw_score=True)
    old = X[:, TREE_COLUMNS.index("age_y")] > 27
    assert moved[old].mean() == pytest.approx(0.7, abs=0.2)
    assert moved[~old].mean() == pytest.approx(-0.7, abs=0.2)
    assert found.contributions(X).shape == X.shape
    lower, upper = bounds_ln(absences)
    expected = expect(law(), absences, np.arange(200), absences.onset_s, moved)
    plain = expect(law(), absences, np.arange(200), absences.onset_s, np.zeros(200))
    assert expected.log_p(lower, upper).mean() > plain.log_p(lower, upper).mean() + 0.2


def test_a_ratio_is_what_the_median_gains(
    trees: tuple[DurationTrees, Absences, np.ndarray],
) -> None:
    found, absences, X = trees
    parts = found.contributions(X)
    offset = np.asarray(found.booster.predict(X, raw_score=True))
    alone = law(athlete_sd=1e-9)
    first = expect(alone, absences, np.array([0]), absences.onset_s[:1], offset)
    [(column, ratio)] = ratios(first, parts[0])
    assert TREE_COLUMNS[column] == "age_y"
    # Nothing has elapsed and nothing is known of the athlete: the location moves the median alone.
    assert ratio == pytest.approx(np.exp(parts[0, column]), rel=1e-6)
    later = expect(alone, absences, np.array([0]), absences.onset_s[:1] + 30 * DAY_S, offset)
    [(_, after)] = ratios(later, parts[0])
    assert abs(np.log(after)) < abs(np.log(ratio))  # both have lasted for 30 days already
    assert ratios(first, np.zeros(len(TREE_COLUMNS))) == []


def test_columns_are_features() -> None:
    names = feature_contract().names
    assert set(TREE_COLUMNS) <= set(names)
    X = np.arange(2.0 * len(names)).reshape(2, -1)
    picked = DurationTrees(lgb.Booster, ("age_y", "sex")).select(X, names)
    assert picked[0].tolist() == [names.index("age_y"), names.index("sex")]


def test_a_model_comes_back_from_json(trees: tuple[DurationTrees, Absences, np.ndarray]) -> None:
    of = replace(
        law(), grades={"injury": {"1": (5.0, 0.1), "": (4.5, 0.2)}}, spread={"region": 0.3},
        shifts={"injury": {"": {"": (0.0, 0.1)}, "knee": {"": (0.4, -0.01)}}},
    )  # fmt: skip
    medians = replace(law(athlete_sd=0.0), location={"systemic": 4.0})
    model = learnt(of, trees=trees[0], medians=medians)
    assert [model.by_median(kind) for kind in MEDIAN_D] == [False, True]
    assert AvailabilityModel.from_json(model.as_json(), trees[0].booster) == model
    nothing = AvailabilityModel(None, None, None, {}, 20, 10)
    assert AvailabilityModel.from_json(nothing.as_json(), None) == nothing


def test_a_kind_needs_enough_episodes_and_athletes() -> None:
    model = learnt(law(), "injury")
    assert [model.learnt(kind) for kind in ("injury", "systemic")] == [True, False]
    assert model.needed("systemic") == (
        "7 resolved systemic episodes of 5 athletes, needed 20 of 10"
    )
    assert not AvailabilityModel(None, None, None, model.counted, 20, 10).learnt("injury")
    assert not replace(model, least_athletes=21).learnt("injury")
    assert not replace(model, least_resolved=41).learnt("injury")
