"""What a cohort's own tests say of their error, and of what its rested baselines still hold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.curve import likelihood_tables
from nmr_ml.population import fit_population

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from nmr_ml.curve import CurveGrid
    from nmr_ml.labels import Followed

    Ints = NDArray[np.int64]

#: Multiples of the configured error that are tried, and the spread of the prior around 1: over a
#: small cohort the configured error is the better guess.
LOG_SCALES = tuple(np.linspace(np.log(0.5), np.log(2.83), 7).tolist())
PRIOR_LOG_SCALE = 0.25
#: Residual deficits that are tried, in typical errors of one test.
RESIDUALS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75)
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
        What rested baselines still hold of earlier sessions, on the component's scale: the
        athlete's full capacity lies that much above them.
    """

    error_scale: float = 1.0
    residual_deficit: float = 0.0

    def read(self, followed: Followed) -> Followed:
        """Return `followed` with its errors scaled and deficits counted from full capacity."""
        return replace(
            followed,
            deficit=followed.deficit + self.residual_deficit,
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
    """Return the error scale, then the residual deficit, of highest marginal likelihood.

    The error is identified by how far tests of one episode scatter around any curve (its profile
    peaks at the truth in simulation), the residual by late tests that read better than the
    baseline: no curve has a negative deficit.

    Parameters
    ----------
    group : int64 array, shape (n,)
        Groups (modalities) of the population that is fitted at each value.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(followed))[:EPISODES])
    some, group = followed.take(rows), np.unique(group[rows], return_inverse=True)[1]

    def evidence(measurement: Measurement) -> float:
        table, top = likelihood_tables(measurement.read(some), grid)
        fitted = fit_population(table, top, grid, group.astype(np.int64), rounds=_ROUNDS)
        return fitted.evidence * len(some)

    def of_scale(log_scale: float) -> float:
        return evidence(Measurement(float(np.exp(log_scale)))) - 0.5 * (
            (log_scale / PRIOR_LOG_SCALE) ** 2
        )

    scale = float(np.exp(_peak(of_scale, LOG_SCALES)))
    unit = float(np.median(followed.error)) * scale
    residual = _peak(lambda r: evidence(Measurement(scale, r * unit)), RESIDUALS)
    return Measurement(scale, residual * unit)


def _peak(profile: Callable[[float], float], values: Sequence[float]) -> float:
    """Return where the parabola through the highest of evenly spaced `values` peaks."""
    heights = [profile(value) for value in values]
    best = int(np.clip(np.argmax(heights), 1, len(values) - 2))
    left, middle, right = heights[best - 1 : best + 2]
    bend = left - 2 * middle + right
    if bend >= 0:  # monotone over all of them: the end is the peak
        return float(values[int(np.argmax(heights))])
    peak = values[best] + 0.5 * (values[1] - values[0]) * (left - right) / bend
    return float(np.clip(peak, values[0], values[-1]))
