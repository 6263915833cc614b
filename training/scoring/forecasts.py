"""What a method says of each test before any test of its episode is seen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import ndtr

from nmr_ml.labels.followed_tests import no_tests
from nmr_ml.models.curve.likelihood import normal_weights, remaining, shape_probabilities
from nmr_ml.models.curve.posterior import probability_below, recovery_quantiles
from nmr_ml.models.curve.read_off import read_off
from nmr_ml.numeric.arrays import RowWise, owners
from nmr_ml.numeric.compiled import inner, kept

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.models.curve.measurement import Measurement
    from nmr_ml.numeric.arrays import Bools, Floats, Ints
    from nmr_ml.recovery_tests import TestSpec


#: Nodes below this probability change no printed digit.
LEAST_PROBABILITY = 1e-7
#: A density is not told apart from none below this: e^-46, beyond 9 standard deviations.
LEAST_DENSITY = 1e-20
#: ForetoldTests count as rounded to a step where all are within this of a multiple of it.
ROUNDED = 1e-6
_ROOT_2 = math.sqrt(2.0)
_ROOT_2PI = math.sqrt(2.0 * math.pi)


@dataclass(frozen=True, slots=True)
class CurvePriors(RowWise):
    """What a method says of the curve of each episode: normal log amplitude, log tau, share.

    Parameters
    ----------
    means, spreads : float64 arrays, shape (n_episodes, 3)
    """

    means: Floats
    spreads: Floats

    @classmethod
    def of(cls, means: Floats, spread: Floats) -> CurvePriors:
        """Return priors that share one `spread`, shape (3,)."""
        return cls(np.ascontiguousarray(means), np.tile(spread, (len(means), 1)))


@dataclass(frozen=True, slots=True)
class ForetoldTests(RowWise):
    """The tests to foretell, and how they are read.

    Parameters
    ----------
    followed : Followed
        As they stand in the labels.
    grid : CurveGrid
    measurement : Measurement
    delta : float
        On the component's scale.
    step : float
        What readings are rounded to, on that scale; 0 where that is fine against the error.
    """

    SHARED: ClassVar[frozenset[str]] = frozenset({"grid", "measurement", "delta", "step"})

    followed: Followed
    grid: CurveGrid
    measurement: Measurement
    delta: float
    step: float


@dataclass(frozen=True, slots=True)
class Forecasts(RowWise):
    """A method's word on each test; all arrays have shape (n_tests,).

    Parameters
    ----------
    below : float64 array
        Probability that the deficit reads less than δ.
    log_density : float64 array
        Log predictive density of the reading, per % or point; of a rounded reading, log
        probability over the step.
    pit_low, pit_high : float64 arrays
        Predicted probability of a smaller deficit than the reading, at the ends of what is rounded
        to it; equal where nothing is rounded.
    """

    below: Floats
    log_density: Floats
    pit_low: Floats
    pit_high: Floats

    def put(self, tests: Bools, found: Forecasts) -> None:
        """Write what was `found` for `tests` in place."""
        for name in Forecasts.__slots__:
            getattr(self, name)[tests] = getattr(found, name)

    @classmethod
    def unknown(cls, tests_n: int) -> Forecasts:
        """Return NaN for each test, to be filled by `put`."""
        return cls(*(np.full(tests_n, np.nan) for _ in cls.__slots__))


def rounding_step(followed: Followed, spec: TestSpec) -> float:
    """Return 1 or 0.5 where every reading of a test in points is a multiple of it, else 0.

    Questionnaires are answered in whole or half points, which is no less than their error.
    """
    if spec.scale != "points" or not followed.deficit.size:
        return 0.0
    owner = owners(followed.offsets)
    value = followed.baselines.mean[owner] - followed.deficit
    for step in (1.0, 0.5):
        if np.all(np.abs(value / step - np.round(value / step)) < ROUNDED):
            return step
    return 0.0


def from_curves(readings: ForetoldTests, priors: CurvePriors) -> Forecasts:
    """Foretell readings from distributions over curves, errors of test and baseline included."""
    read = readings.measurement.read(readings.followed.alone())
    grid = readings.grid
    density, low, high = _foretell(
        priors.means, priors.spreads, read.offsets, read.hours, read.deficit, read.error,
        np.nan_to_num(read.shared_error), 0.5 * readings.step,
        grid.log_amplitude, grid.log_tau, grid.share, grid.slow, grid.power, grid.level,
        grid.weights,
    )  # fmt: skip
    limit = readings.delta + readings.measurement.residual(readings.followed.baselines)
    below = probability_below(grid, priors.means, priors.spreads, read, limit)
    return Forecasts(below, _log(density), low, high)


def from_normal(readings: ForetoldTests, centre: Floats, sd: float) -> Forecasts:
    """Foretell readings as normal around `centre`, shape (n_tests,)."""
    deficit, half = readings.followed.deficit, 0.5 * readings.step
    z = (deficit - centre) / sd
    low, high = ndtr(z - half / sd), ndtr(z + half / sd)
    away = np.abs(z)
    if half:
        density = (ndtr(half / sd - away) - ndtr(-half / sd - away)) / readings.step
    else:
        density = np.exp(-0.5 * z**2) / (sd * _ROOT_2PI)
    return Forecasts(ndtr((readings.delta - centre) / sd), _log(density), low, high)


def _log(density: Floats) -> Floats:
    return np.asarray(np.log(np.maximum(density, LEAST_DENSITY)))


@inner
def _tail(z: float) -> float:
    """Return the probability above `z`, precise where it is small."""
    return 0.5 * math.erfc(z / _ROOT_2)


@kept
def _foretell(
    means: Floats, spreads: Floats, offsets: Ints, hours: Floats, deficit: Floats, error: Floats,
    shared: Floats, half: float, log_amplitude: Floats, log_tau: Floats, share: Floats,
    slow: Floats, power: Floats, level: Ints, given_level: Floats,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    density, low, high = np.zeros(hours.size), np.zeros(hours.size), np.zeros(hours.size)
    amplitude, tau = np.exp(log_amplitude), np.exp(log_tau)
    for q in range(means.shape[0]):
        wa = normal_weights(log_amplitude, means[q, 0], spreads[q, 0])
        wb = normal_weights(log_tau, means[q, 1], spreads[q, 1])
        weights = shape_probabilities(share, level, given_level, means[q, 2], spreads[q, 2])
        for k in range(offsets[q], offsets[q + 1]):
            noise = np.sqrt(error[k] ** 2 + shared[q] ** 2)
            step = half / noise
            for s in range(slow.size):
                for j in range(tau.size):
                    w = weights[s] * wb[j]
                    if w < LEAST_PROBABILITY:
                        continue
                    left = remaining(hours[k], tau[j], slow[s], power[s])
                    for i in range(amplitude.size):
                        p = w * wa[i]
                        if p < LEAST_PROBABILITY:
                            continue
                        z = (deficit[k] - amplitude[i] * left) / noise
                        if half == 0.0:
                            density[k] += p * np.exp(-0.5 * z * z) / (noise * _ROOT_2PI)
                            low[k] += p * _tail(-z)
                            high[k] = low[k]
                        else:
                            away = abs(z)
                            inside = _tail(away - step) - _tail(away + step)
                            density[k] += p * inside / (2.0 * half)
                            low[k] += p * _tail(step - z)
                            high[k] += p * _tail(-step - z)
    return density, low, high


def time_quantiles(grid: CurveGrid, delta: float, priors: CurvePriors, levels: Floats) -> Floats:
    """Return quantiles of the recovery time of each episode, shape (n_episodes, n_levels), h."""
    # A population says the same of many episodes.
    both = np.column_stack([priors.means, priors.spreads])
    distinct, which = np.unique(both, axis=0, return_inverse=True)
    n = len(distinct)
    means, spreads = (np.ascontiguousarray(part) for part in np.split(distinct, 2, axis=1))
    found, _ = recovery_quantiles(
        read_off(grid, delta), means, spreads, no_tests(n), levels, np.zeros((n, 0))
    )
    return found[which]
