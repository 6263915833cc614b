"""What a cohort's own tests say of their error, and of what its rested baselines still hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.baseline import REST_H, TYPICAL_REST_H
from nmr_ml.curve import coarse, likelihood_tables
from nmr_ml.population import fit_population

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nmr_ml.baseline import Baselines
    from nmr_ml.curve import CurveGrid
    from nmr_ml.labels import Followed

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

#: Multiples of the configured error that are tried, and the spread of the prior around 1: over a
#: small cohort the configured error is the better guess.
LOG_SCALES = tuple(np.linspace(np.log(0.5), np.log(2.83), 7).tolist())
PRIOR_LOG_SCALE = 0.25
#: Residual deficits that are tried, in typical errors of one test, and how fast they may fall.
RESIDUALS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2)
DECAYS_H = (48.0, 96.0, 192.0, 400.0)
#: From this factor on, up or down, the configured error is said to disagree with the data.
DISAGREES = 1.2
#: Episodes that are looked at; more move the peaks by less than their own width.
EPISODES = 3000
_ROUNDS = 15


@dataclass(frozen=True, slots=True)
class Measurement:
    """How the tests of a component are to be read.

    Parameters
    ----------
    error_scale : float
        What the configured typical errors are multiplied by.
    residual_deficit : float
        What a rested test taken `TYPICAL_REST_H` after a loading session still holds of it, on the
        component's scale: the athlete's full capacity lies that much above it.
    residual_decay_h : float, h
        Constant of the exponential by which that falls with more rest. Tests from before the first
        session hold nothing.
    """

    error_scale: float = 1.0
    residual_deficit: float = 0.0
    residual_decay_h: float = DECAYS_H[-1]

    def residual(self, baselines: Baselines) -> Floats:
        """Return what each baseline still holds of earlier sessions, shape (n_queries,)."""
        left = np.exp((TYPICAL_REST_H - REST_H) / self.residual_decay_h)
        return np.asarray(self.residual_deficit * (baselines.rest @ left))

    def read(self, followed: Followed) -> Followed:
        """Return `followed` with its errors scaled and deficits counted from full capacity."""
        owner = np.repeat(np.arange(len(followed)), np.diff(followed.offsets))
        return replace(
            followed,
            deficit=followed.deficit + self.residual(followed.baselines)[owner],
            error=followed.error * self.error_scale,
            shared_error=followed.shared_error * self.error_scale,
        )

    @property
    def error_disagrees(self) -> bool:
        """Whether the data speak for errors more than 20 % from the configured ones."""
        return bool(abs(np.log(self.error_scale)) > np.log(DISAGREES))


def profile_measurement(
    followed: Followed, grid: CurveGrid, group: Ints, *, seed: int
) -> Measurement:
    """Return the reading of the tests of highest marginal likelihood.

    The error is identified by how far tests of one episode scatter around any curve (its profile
    peaks at the truth in simulation), the residual by late tests that read better than a baseline
    taken soon after a session: no curve has a negative deficit.

    Parameters
    ----------
    group : int64 array, shape (n,)
        Groups (modalities) of the population that is fitted at each value.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(followed))[:EPISODES])
    some, group = followed.take(rows), np.unique(group[rows], return_inverse=True)[1]

    nodes = coarse(grid)

    def evidence(measurement: Measurement) -> float:
        table, top = likelihood_tables(measurement.read(some), nodes)
        fitted = fit_population(table, top, nodes, group.astype(np.int64), rounds=_ROUNDS)
        return fitted.evidence * len(some)

    def scaled(found: Measurement) -> Measurement:
        def height(log_scale: float) -> float:
            tried = replace(found, error_scale=float(np.exp(log_scale)))
            return evidence(tried) - 0.5 * (log_scale / PRIOR_LOG_SCALE) ** 2

        log_scale, _ = _peak(height, LOG_SCALES)
        return replace(found, error_scale=float(np.exp(log_scale)))

    def held(found: Measurement) -> tuple[float, Measurement]:
        def height(residual: float) -> float:
            return evidence(replace(found, residual_deficit=residual * unit))

        residual, top = _peak(height, RESIDUALS)
        return top, replace(found, residual_deficit=residual * unit)

    unit, found = float(np.median(followed.error)), scaled(Measurement())
    tried = [held(replace(found, residual_decay_h=decay_h)) for decay_h in DECAYS_H]
    # What the baselines hold looks like scatter until it is taken out.
    return scaled(max(tried, key=lambda one: one[0])[1])


def _peak(profile: Callable[[float], float], values: Sequence[float]) -> tuple[float, float]:
    """Return where the parabola through the highest of evenly spaced `values` peaks, and the top.

    The top is that of the values themselves.
    """
    heights = [profile(value) for value in values]
    best = int(np.clip(np.argmax(heights), 1, len(values) - 2))
    left, middle, right = heights[best - 1 : best + 2]
    bend = left - 2 * middle + right
    if bend >= 0:  # monotone over all of them: the end is the peak
        return float(values[int(np.argmax(heights))]), max(heights)
    peak = values[best] + 0.5 * (values[1] - values[0]) * (left - right) / bend
    return float(np.clip(peak, values[0], values[-1])), max(heights)
