from __future__ import annotations

import doctest
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.utils.estimator_checks import check_estimator

from nmr_ml import estimator
from nmr_ml.errors import DataError, UsageError
from nmr_ml.estimator import ParameterError, RecoveryCurveRegressor
from nmr_ml.models.curve import target_matrix as followed_matrix
from nmr_ml.models.curve.boosted import BAG
from nmr_ml.models.curve.likelihood import remaining
from nmr_ml.models.curve.recovery_time import recovery_hours
from nmr_ml.models.curve.target_matrix import TargetError
from tests.support.small_cohorts import followed_of

if TYPE_CHECKING:
    from pathlib import Path

ERROR, DELTA = 1.5, 2.6
SLOW, POWER = 1.0, 1.4


@dataclass
class Drawn:
    X: np.ndarray
    tests: np.ndarray
    hours: np.ndarray
    athlete: np.ndarray


def draw(athletes: int, each: int, seed: int) -> Drawn:
    """Return episodes whose amplitude and time constant depend on the first two of 3 features."""
    rng = np.random.default_rng(seed)
    n = athletes * each
    X = rng.normal(size=(n, 3))
    athlete = np.repeat(np.arange(athletes), each)
    own = 0.15 * rng.normal(size=athletes)[athlete]
    amplitude = 9.0 * np.exp(0.5 * X[:, 0] + own + 0.25 * rng.normal(size=n))
    tau = 35.0 * np.exp(0.4 * X[:, 1] + 0.3 * rng.normal(size=n))
    X[rng.uniform(size=n) < 0.1, 2] = np.nan
    tests = []
    for a, t in zip(amplitude, tau, strict=True):
        at = np.sort(rng.uniform(4, 80, 3))
        tests.append([(h, a * remaining(h, t, SLOW, POWER) + ERROR * rng.normal(), ERROR)
                      for h in at])  # fmt: skip
    hours = np.array([recovery_hours(a, t, SLOW, POWER, DELTA)
                      for a, t in zip(amplitude, tau, strict=True)])  # fmt: skip
    return Drawn(X, followed_matrix.test_matrix(followed_of(tests, 0.2)), hours, athlete)


def quick(**changed: Any) -> RecoveryCurveRegressor:
    few = {"folds": 3, "max_rounds": 60, "learning_rate": 0.15, "min_data_in_leaf": 15}
    given: dict[str, Any] = few | changed
    return RecoveryCurveRegressor(**given)


@pytest.fixture(scope="module")
def train() -> Drawn:
    return draw(150, 4, seed=1)


@pytest.fixture(scope="module")
def fresh() -> Drawn:
    return draw(150, 4, seed=2)


@pytest.fixture(scope="module")
def of_tests(train: Drawn) -> RecoveryCurveRegressor:
    return quick().fit(train.X, train.tests, groups=train.athlete)


@pytest.fixture(scope="module")
def of_times(train: Drawn) -> RecoveryCurveRegressor:
    return quick().fit(train.X, train.hours, groups=train.athlete)


@pytest.mark.statistical
@pytest.mark.parametrize("target", ["of_tests", "of_times"])
def test_new_athletes_are_predicted_and_covered(
    target: str, train: Drawn, fresh: Drawn, request: pytest.FixtureRequest
) -> None:
    model: RecoveryCurveRegressor = request.getfixturevalue(target)
    error = np.abs(model.predict(fresh.X) - fresh.hours).mean()
    assert error < 0.8 * np.abs(np.median(train.hours) - fresh.hours).mean()
    lower, upper = model.predict_interval(fresh.X).T
    covered = (lower <= fresh.hours) & (fresh.hours <= upper)
    assert 0.72 <= covered.mean() <= 0.88


@pytest.mark.slow
def test_it_passes_scikit_learns_checks() -> None:
    model = RecoveryCurveRegressor(
        folds=2, max_rounds=20, learning_rate=0.3, min_data_in_leaf=3, lambda_l2=0.0,
        feature_fraction=1.0,
    )  # fmt: skip
    checked = check_estimator(model, on_fail=None, on_skip=None)
    assert len(checked) > 40
    passed = {"passed", "skipped"}
    assert {c["check_name"]: c["exception"] for c in checked if c["status"] not in passed} == {}
    skipped = {c["check_name"] for c in checked if c["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}


def test_quantiles_rise_and_bound_the_interval(
    of_tests: RecoveryCurveRegressor, fresh: Drawn
) -> None:
    X = fresh.X[:50]
    quantiles = of_tests.predict_quantiles(X, (0.05, 0.1, 0.5, 0.9))
    assert (np.diff(quantiles, axis=1) >= 0).all()
    assert np.array_equal(of_tests.predict(X), quantiles[:, 2])
    assert of_tests.predict_interval(X) == pytest.approx(quantiles[:, [1, 3]])
    assert of_tests.predict_interval(X, 0.9)[:, 0] == pytest.approx(quantiles[:, 0])


def test_the_curve_agrees_with_the_quantiles(
    of_tests: RecoveryCurveRegressor, fresh: Drawn
) -> None:
    x = fresh.X[:1]
    low, middle = of_tests.predict_quantiles(x, (0.2, 0.5))[0]
    curve = of_tests.predict_curve(x, (low, middle, 400.0))
    assert curve.recovered[0, :2] == pytest.approx([0.2, 0.5], abs=1e-6)
    assert curve.hours.tolist() == [low, middle, 400.0]
    for part in (curve.deficit, curve.deficit_lower, curve.deficit_upper):
        assert (np.diff(part[0]) < 0).all()
    # After 400 h nothing is left of any of them.
    assert (curve.deficit_lower[0, :2] < curve.deficit[0, :2]).all()
    assert (curve.deficit[0, :2] < curve.deficit_upper[0, :2]).all()


def test_a_fit_to_tests_serves_any_delta(of_tests: RecoveryCurveRegressor, fresh: Drawn) -> None:
    X = fresh.X[:20]
    strict, lax = (of_tests.predict_quantiles(X, (0.5,), delta=d) for d in (1.5, 4.0))
    assert (strict > lax).all()
    assert np.array_equal(
        of_tests.predict_quantiles(X, (0.5,), delta=2.6)[:, 0], of_tests.predict(X)
    )


def test_a_fit_to_times_knows_its_delta_only(
    of_times: RecoveryCurveRegressor, fresh: Drawn
) -> None:
    X = fresh.X[:5]
    with pytest.raises(ParameterError, match=r"2\.6 only"):
        of_times.predict_interval(X, delta=4.0)
    curve = of_times.predict_curve(X, (24.0, 48.0))
    assert np.isnan(curve.deficit).all()
    assert (np.diff(curve.recovered, axis=1) > 0).all()
    assert np.array_equal(of_times.predict_interval(X, delta=2.6), of_times.predict_interval(X))


def test_samples_follow_the_distribution(of_tests: RecoveryCurveRegressor, fresh: Drawn) -> None:
    X = fresh.X[:10]
    drawn = of_tests.sample(X, 400, seed=3)
    assert drawn.shape == (10, 400)
    levels = (0.1, 0.5, 0.9)
    expected = of_tests.predict_quantiles(X, levels)
    assert (expected > 0).all()
    # One draw from each 400th: of the hours themselves a thin tail would allow less.
    below = (drawn[:, None, :] <= expected[:, :, None]).mean(axis=2)
    assert below == pytest.approx(np.tile(levels, (10, 1)), abs=1 / 400)
    assert np.median(drawn, axis=1) == pytest.approx(expected[:, 1], rel=0.03)
    assert np.array_equal(drawn, of_tests.sample(X, 400, seed=3))
    # Rows are independent: what one draws says nothing of the other.
    assert abs(np.asarray(np.corrcoef(drawn[:2]))[0, 1]) < 0.2


def test_the_same_fit_is_the_same_to_the_byte(
    of_times: RecoveryCurveRegressor, train: Drawn
) -> None:
    again = quick().fit(train.X, train.hours, groups=train.athlete)
    other = quick(seed=1).fit(train.X, train.hours, groups=train.athlete)
    texts = [m.curve_.boosters[0].model_to_string() for m in (of_times, again, other)]
    assert texts[0] == texts[1] != texts[2]


def test_accurate_is_a_bag(train: Drawn) -> None:
    X, hours = train.X[:100], train.hours[:100]
    model = quick(preset="accurate", max_rounds=10).fit(X, hours)
    assert len(model.curve_.boosters) == BAG
    assert model.figures_["boosters"] == BAG


@pytest.mark.parametrize("fitted", ["of_tests", "of_times"])
def test_what_is_saved_is_loaded(
    fitted: str, fresh: Drawn, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    model: RecoveryCurveRegressor = request.getfixturevalue(fitted)
    model.save(tmp_path / "model")
    assert {f.suffix for f in (tmp_path / "model").iterdir()} == {".json", ".txt"}
    loaded = RecoveryCurveRegressor.load(tmp_path / "model")
    assert loaded.get_params() == model.get_params()
    assert loaded.figures_ == model.figures_
    levels = (0.1, 0.5, 0.9)
    assert np.array_equal(
        loaded.predict_quantiles(fresh.X, levels), model.predict_quantiles(fresh.X, levels)
    )
    with pytest.raises(ValueError, match="2 features"):
        loaded.predict(fresh.X[:, :2])


def test_column_names_are_kept(train: Drawn, tmp_path: Path) -> None:
    names = ["load [AU]", "sleep, h", "sex"]
    frame = pd.DataFrame(train.X[:100], columns=names)
    model = quick(max_rounds=np.int64(10)).fit(frame, train.hours[:100])
    model.save(tmp_path / "model")
    loaded = RecoveryCurveRegressor.load(tmp_path / "model")
    assert loaded.feature_names_in_.tolist() == names
    assert np.array_equal(loaded.predict(frame), model.predict(frame))
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[names[::-1]])


def test_a_folder_that_is_no_estimator_is_named(
    of_times: RecoveryCurveRegressor, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="FileNotFoundError") as caught:
        RecoveryCurveRegressor.load(tmp_path)
    assert caught.value.code == "estimator_unreadable"
    of_times.save(tmp_path / "model")
    entry = json.loads((tmp_path / "model" / estimator.ENTRY).read_text())
    (tmp_path / "model" / estimator.ENTRY).write_text(json.dumps(entry | {"format": 0}))
    with pytest.raises(DataError, match=f"format {estimator.ESTIMATOR_FORMAT}"):
        RecoveryCurveRegressor.load(tmp_path / "model")


def test_it_works_in_cross_validation_by_athlete(train: Drawn) -> None:
    rows = slice(0, 240)
    found = cross_val_predict(
        quick(max_rounds=20), train.X[rows], train.hours[rows],
        groups=train.athlete[rows], cv=GroupKFold(2),
    )  # fmt: skip
    assert np.corrcoef(found, train.hours[rows])[0, 1] > 0.4


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"delta": 0.0}, "delta is 0"),
        ({"preset": "best"}, "fast or accurate"),
        ({"interval_level": 80}, "interval_level is 80"),
        ({"folds": 1}, "folds is 1"),
        ({"max_rounds": 0}, "max_rounds is 0"),
    ],
)
def test_parameters_out_of_range_are_refused(changed: dict[str, object], words: str) -> None:
    with pytest.raises(ParameterError, match=words) as caught:
        quick(**changed).fit(np.zeros((4, 1)), np.ones(4))
    assert isinstance(caught.value, UsageError)


def test_targets_that_are_none_are_refused(train: Drawn) -> None:
    X, hours = train.X[:6], train.hours[:6]
    with pytest.raises(TargetError, match="1 recovery times below 0 h"):
        quick().fit(X, [-1.0, *hours[1:]])
    with pytest.raises(ValueError, match="y contains"):
        quick().fit(X, [np.nan, *hours[1:]])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        quick().fit(X, hours, groups=["a"])
    with pytest.raises(TargetError, match="at least 2 athletes") as caught:
        quick().fit(X, hours, groups=["a"] * 6)
    assert caught.value.code == "too_few_athletes"
    with pytest.raises(TargetError, match="5 columns"):
        quick().fit(X, train.tests[:6, :5])


def test_questions_out_of_range_are_refused(of_times: RecoveryCurveRegressor, train: Drawn) -> None:
    X = train.X[:2]
    with pytest.raises(NotFittedError):
        quick().predict(X)
    for level in (0.0, 1.0, np.nan):
        with pytest.raises(ParameterError, match="level is"):
            of_times.predict_quantiles(X, (level,))
    with pytest.raises(ParameterError, match="hours are"):
        of_times.predict_curve(X, (-1.0,))


def test_the_example_in_the_docstring_works() -> None:
    assert doctest.testmod(estimator).failed == 0
