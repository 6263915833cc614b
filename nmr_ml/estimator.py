"""A scikit-learn regressor whose prediction is a recovery time with its whole distribution."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from lightgbm.basic import LightGBMError
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import Tags, check_array, column_or_1d
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from nmr_ml.errors import DataError, UsageError
from nmr_ml.labels.followed_tests import no_tests
from nmr_ml.models.curve.boosted import TreeSettings
from nmr_ml.models.curve.fit import fit_curve, fit_curve_to_times
from nmr_ml.models.curve.posterior import read_off_curves
from nmr_ml.models.curve.read_off import read_off
from nmr_ml.models.curve.store import read_curve, write_curve
from nmr_ml.models.curve.target_matrix import (
    TEST_COLUMNS,
    TargetError,
    followed_of_matrix,
    target_error,
)
from nmr_ml.runtime.home import writing_folder
from nmr_ml.runtime.replacement import restored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from nmr_ml.models.curve.boosted import Preset
    from nmr_ml.models.curve.fit import CurveFit
    from nmr_ml.numeric.arrays import Floats, Objects


ESTIMATOR_FORMAT = 3
ENTRY = "estimator.json"
STEM = "curve"
#: What scikit-learn calls a target that it should not look at.
NOT_CHECKED = "no_validation"


class ParameterError(UsageError, ValueError):
    """A parameter outside its range; a ValueError too, as scikit-learn's tools expect."""


@dataclass(frozen=True, slots=True)
class RecoveryCurves:
    """The course of recovery for each row of X.

    Parameters
    ----------
    hours : float64 array, shape (n_hours,), h after the clock start
    recovered : float64 array, shape (n, n_hours)
        Probability of having recovered by then.
    deficit, deficit_lower, deficit_upper : float64 arrays, shape (n, n_hours)
        Median of the latent deficit, and the band that holds it with the probability asked for,
        on the scale of the tests. NaN where the fit saw recovery times only: these say when a
        deficit ends, not how large it is.
    """

    hours: Floats
    recovered: Floats
    deficit: Floats
    deficit_lower: Floats
    deficit_upper: Floats


class RecoveryCurveRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]  # untyped bases
    """Boosted recovery curves, fitted to noisy tests of a deficit or to recovery times.

    Every row of X is one episode, and all episodes weigh the same. Folds by athlete choose the
    rounds and the spread; nothing is stopped on random rows.

    Parameters
    ----------
    delta : float
        The smallest deficit that counts as impaired, on the scale of the tests. The recovery time
        is when the deficit falls below it for good. The default is that of ``cmj_height`` in %.
    preset : "fast" or "accurate"
        One booster, or the mean of five at five times the cost.
    interval_level : float
        Level of `predict_interval` and of the band of `predict_curve`: 0.8 is 10-90 %.
    folds : int
        At most; fewer where there are fewer athletes.
    max_rounds, learning_rate, num_leaves, min_data_in_leaf, feature_fraction, bagging_fraction, \
lambda_l2, max_bin
        As in LightGBM; the defaults are those of ``configs/train.yaml``.
    seed, threads : int
        The same both times give the same fit, to the byte.

    Attributes
    ----------
    curve_ : nmr_ml.models.curve.boosted.BoostedCurve
    grid_ : nmr_ml.models.curve.grid.CurveGrid
    measurement_ : nmr_ml.models.curve.measurement.Measurement
        How the tests' errors were read; as given where recovery times were.
    figures_ : dict of str to float
        Rounds, spreads, evidence of the fit.
    fitted_delta_ : float or None
        The δ of the recovery times it was fitted to; None where it was fitted to tests, which
        serve any δ.
    n_features_in_ : int
    feature_names_in_ : object array of str
        Only where X had column names.

    Notes
    -----
    The target comes in one of two forms.

    - Shape (n,): recovery times in hours, 0 or more, as simulators know them.
    - Shape (n, 1 + 3 k): the tests. First the standard error of the baseline, then up to k times
      hours after the clock start, deficit and typical error, padded with NaN. It is what
      `nmr_ml.models.curve.target_matrix.test_matrix` makes of
      `nmr_ml.labels.followed_tests.Followed`. The R² of `score` is against known recovery times and
      has no meaning here.

    It passes all of scikit-learn's ``check_estimator`` with trees that fit the few rows of these
    checks; they only know targets of shape (n,). ``check_array_api_input`` is skipped, as for every
    estimator, unless ``SCIPY_ARRAY_API`` is set: LightGBM takes NumPy arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from nmr_ml.estimator import RecoveryCurveRegressor
    >>> rng = np.random.default_rng(0)
    >>> load = rng.uniform(100, 900, (200, 1))
    >>> hours = 0.08 * load[:, 0] * np.exp(0.2 * rng.normal(size=200))
    >>> model = RecoveryCurveRegressor(folds=3, max_rounds=100).fit(load, hours)
    >>> low, high = model.predict(np.array([[200.0], [800.0]]))
    >>> bool(low < high)
    True
    """

    def __init__(
        self,
        *,
        delta: float = 2.6,
        preset: Preset = "fast",
        interval_level: float = 0.8,
        folds: int = 5,
        max_rounds: int = 240,
        learning_rate: float = 0.06,
        num_leaves: int = 8,
        min_data_in_leaf: int = 40,
        feature_fraction: float = 0.5,
        bagging_fraction: float = 0.7,
        lambda_l2: float = 5.0,
        max_bin: int = 127,
        seed: int = 0,
        threads: int = 1,
    ) -> None:
        self.delta = delta
        self.preset = preset
        self.interval_level = interval_level
        self.folds = folds
        self.max_rounds = max_rounds
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_data_in_leaf = min_data_in_leaf
        self.feature_fraction = feature_fraction
        self.bagging_fraction = bagging_fraction
        self.lambda_l2 = lambda_l2
        self.max_bin = max_bin
        self.seed = seed
        self.threads = threads

    def __sklearn_tags__(self) -> Tags:
        """Say that X may hold NaN and that the target is not negative."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.target_tags.positive_only = True
        return tags

    def fit(self, X: ArrayLike, y: ArrayLike | None, groups: ArrayLike | None = None) -> Self:
        """Fit the curves.

        Parameters
        ----------
        X : array-like, shape (n, n_features)
            NaN where a value is absent.
        y : array-like, shape (n,) or (n, 1 + 3 k)
            Recovery times or tests; see the class.
        groups : array-like, shape (n,), optional
            The athlete of each row, whom folds keep together. Without, each row is its own.

        Raises
        ------
        TargetError
            ``target_invalid``, ``too_few_athletes``.
        ParameterError
            ``parameter_invalid``.
        """
        self._check_parameters()
        # scikit-learn has its own words for a target of None.
        X = _features(self, X, None if y is None else NOT_CHECKED, reset=True)
        target = check_array(
            y, dtype=np.float64, ensure_2d=False, ensure_all_finite=False, input_name="y"
        )
        check_consistent_length(X, target, groups)
        athlete = _athletes(groups, len(X))
        settings = self._settings(np.unique(athlete).size)
        names = tuple(f"x{i}" for i in range(X.shape[1]))
        fit: CurveFit
        if target.ndim == 2 and target.shape[1] > TEST_COLUMNS:
            followed, one = followed_of_matrix(target), np.full(len(X), "all", object)
            rows = np.arange(len(X))
            fit = fit_curve(X, rows, followed, athlete, one, settings, names)
            self.fitted_delta_ = None
        else:
            hours = _times(target)
            fit = fit_curve_to_times(X, hours, athlete, self.delta, settings, names)
            self.fitted_delta_ = float(self.delta)
        self.curve_, self.grid_ = fit.boosted.model, fit.grid
        self.measurement_, self.figures_ = fit.measurement, fit.figures()
        return self

    def predict(self, X: ArrayLike) -> Floats:
        """Return the median recovery time of each row in hours; `inf` beyond 1344 h."""
        return self.predict_quantiles(X, (0.5,))[:, 0]

    def predict_quantiles(
        self, X: ArrayLike, levels: Sequence[float], *, delta: float | None = None
    ) -> Floats:
        """Return quantiles of the recovery time in hours, shape (n, n_levels).

        Parameters
        ----------
        levels : sequence of float
            Between 0 and 1, exclusive.
        delta : float, optional
            Another δ than that of the constructor; only after a fit to tests.
        """
        return self._read(X, _levels(levels), (), delta)[0]

    def predict_interval(
        self, X: ArrayLike, level: float | None = None, *, delta: float | None = None
    ) -> Floats:
        """Return the bounds of the central interval in hours, shape (n, 2).

        `level` is by default that of the constructor, `delta` as in `predict_quantiles`.
        """
        return self.predict_quantiles(X, self._tails(level), delta=delta)

    def predict_curve(
        self, X: ArrayLike, hours: Sequence[float], *, delta: float | None = None
    ) -> RecoveryCurves:
        """Return the course of recovery at `hours` after the clock start.

        The band has the constructor's `interval_level`; `delta` as in `predict_quantiles`.
        """
        at_h = np.asarray(hours, np.float64).ravel()
        if not (np.isfinite(at_h) & (at_h >= 0)).all():
            raise ParameterError(
                "parameter_invalid",
                f"hours are {at_h.tolist()}, expected finite numbers from 0.",
                "Count them from the clock start.",
            )
        _, recovered, deficits = self._read(X, np.empty(0), tuple(at_h.tolist()), delta)
        lower, median, upper = np.moveaxis(deficits, 2, 0)
        return RecoveryCurves(at_h, recovered, median, lower, upper)

    def sample(self, X: ArrayLike, n: int, seed: int = 0, *, delta: float | None = None) -> Floats:
        """Draw `n` recovery times for each row, in hours, shape (len(X), n).

        The draws of a row are stratified (one from each n-th of its distribution, in random
        order), so means over them are less noisy than over independent ones; rows are
        independent of each other.
        """
        rng = np.random.default_rng(seed)
        levels = (np.arange(n) + rng.uniform(size=n)) / n
        return rng.permuted(self.predict_quantiles(X, levels.tolist(), delta=delta), axis=1)

    def save(self, path: str | Path) -> None:
        """Write the fitted estimator to the folder `path`, as text and JSON.

        Raises
        ------
        OutsideError
            ``cannot_write``.
        """
        check_is_fitted(self)
        names = getattr(self, "feature_names_in_", None)
        with writing_folder(Path(path)) as folder:
            entry = {
                "format": ESTIMATOR_FORMAT,
                "nmr_ml": version("nmr_ml"),
                "parameters": self.get_params(),
                "curve": write_curve(folder, STEM, self.curve_, self.grid_, self.measurement_),
                "figures": self.figures_,
                "fitted_delta": self.fitted_delta_,
                "n_features_in": self.n_features_in_,
                "feature_names_in": None if names is None else names.tolist(),
            }
            # Searches over parameters set them to NumPy's numbers.
            text = json.dumps(
                entry, indent=1, sort_keys=True, allow_nan=False, default=np.generic.item
            )
            (folder / ENTRY).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what `save` wrote.

        Raises
        ------
        DataError
            ``estimator_unreadable``.
        """
        folder = restored(Path(path))
        try:
            entry = json.loads((folder / ENTRY).read_text(encoding="utf-8"))
            if entry["format"] != ESTIMATOR_FORMAT:
                raise ValueError(entry["format"])  # noqa: TRY301  told as unreadable below
            model = cls(**entry["parameters"])
            model.curve_, model.grid_, model.measurement_ = read_curve(folder, STEM, entry["curve"])
            model.figures_ = dict(entry["figures"])
            model.fitted_delta_ = entry["fitted_delta"]
            model.n_features_in_ = entry["n_features_in"]
            if entry["feature_names_in"] is not None:
                model.feature_names_in_ = np.array(entry["feature_names_in"], object)
        except (OSError, ValueError, KeyError, TypeError, LightGBMError) as error:
            raise DataError(
                "estimator_unreadable",
                f"{folder} holds no estimator of format {ESTIMATOR_FORMAT}: "
                f"{type(error).__name__}.",
                "Name a folder that RecoveryCurveRegressor.save wrote with this version.",
            ) from error
        return model

    def _read(
        self, X: ArrayLike, levels: Floats, at_h: tuple[float, ...], delta: float | None
    ) -> tuple[Floats, Floats, Floats]:
        """Return quantiles, probabilities at `at_h`, and the deficits' band and median there."""
        check_is_fitted(self)
        X = _features(self, X, NOT_CHECKED, reset=False)
        means = self.curve_.means(X)
        table = read_off(self.grid_, self._delta(delta), at_h)
        lower, upper = self._tails(None)
        quantiles, recovered, deficits = read_off_curves(
            table, means, self.curve_.spread, no_tests(len(X)), levels,
            np.tile(at_h, (len(X), 1)), np.array([lower, 0.5, upper]),
        )  # fmt: skip
        if self.fitted_delta_ is not None:
            deficits = np.full_like(deficits, np.nan)
        return quantiles, recovered, deficits

    def _delta(self, delta: float | None) -> float:
        if self.fitted_delta_ is None:
            return _within("delta", self.delta if delta is None else delta, 0.0, np.inf)
        if delta is not None and delta != self.fitted_delta_:
            raise ParameterError(
                "parameter_invalid",
                f"delta is {delta}, but the fit saw recovery times for {self.fitted_delta_} only.",
                "Fit to tests, which serve any delta, or to recovery times for this one.",
            )
        return self.fitted_delta_

    def _tails(self, level: float | None) -> tuple[float, float]:
        level = _within("level", self.interval_level if level is None else level, 0.0, 1.0)
        return 0.5 - level / 2, 0.5 + level / 2

    def _check_parameters(self) -> None:
        _within("delta", self.delta, 0.0, np.inf)
        _within("interval_level", self.interval_level, 0.0, 1.0)
        _within("learning_rate", self.learning_rate, 0.0, np.inf)
        for name, least in (("folds", 2), ("max_rounds", 1), ("num_leaves", 2), ("max_bin", 2)):
            _within(name, getattr(self, name), least - 1, np.inf)
        if self.preset not in {"fast", "accurate"}:
            raise ParameterError(
                "parameter_invalid",
                f"preset is {self.preset!r}, expected fast or accurate.",
                "Choose one of them.",
            )

    def _settings(self, athletes: int) -> TreeSettings:
        if athletes < 2:
            raise TargetError(
                "too_few_athletes",
                f"n_samples = 1 or a single athlete in groups, expected at least 2 athletes "
                f"(there are {athletes}).",
                "Folds leave athletes out to choose rounds and spread.",
            )
        return replace(TreeSettings.of(self), folds=min(self.folds, athletes))


def _times(target: Floats) -> Floats:
    hours = np.array(column_or_1d(target, warn=True), np.float64)
    check_array(hours, ensure_2d=False, input_name="y")
    if negative := int(np.count_nonzero(hours < 0)):
        raise target_error(f"y holds {negative} recovery times below 0 h")
    return hours


def _features(estimator: BaseEstimator, X: ArrayLike, y: str | None, *, reset: bool) -> Floats:
    checked: Floats = validate_data(
        estimator, X, y, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan"
    )
    return checked


def _athletes(groups: ArrayLike | None, n: int) -> Objects:
    named = np.arange(n) if groups is None else column_or_1d(groups)
    return np.asarray(named).astype(str).astype(object)


def _levels(levels: Sequence[float]) -> Floats:
    return np.array([_within("level", level, 0.0, 1.0) for level in levels], np.float64)


def _within(name: str, value: float, low: float, high: float) -> float:
    """Return `value` where it lies between `low` and `high`, exclusive."""
    if not low < value < high:
        raise ParameterError(
            "parameter_invalid",
            f"{name} is {value}, expected a number between {low:g} and {high:g}.",
            "Both ends are excluded.",
        )
    return float(value)
