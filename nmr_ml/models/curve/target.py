"""What curves are fitted to: the likelihood of an episode's tests under a normal prior.

The prior is over log amplitude, log tau and slow share; the episode's own are integrated over the
nodes of the grid. From here come the gradient of the trees, the moments of an episode's curve given
its tests, and the level and spread under which the tests of many episodes are most likely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from nmr_ml.numeric.accelerated_em import climb
from nmr_ml.numeric.arrays import RowWise
from nmr_ml.numeric.compiled import inner, kept, summed

if TYPE_CHECKING:
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Ints, Singles


#: What is told of a curve: log amplitude, log time constant, share of the slow part.
OUTPUTS = 3
#: Below these spreads a normal falls between the nodes, and an output is learnt slowly: a tight
#: prior leaves no gradient. Log tau has more: tests of 4 % error ask for a spread of 0.13 where
#: those of 2.5 % ask for 0.18 to 0.35 (simulated), and fewer true times are held with the former
#: (seed 9053: 70 % of new athletes' against 73 % with 0.25, at the same CRPS).
LEAST_SPREAD = np.array([0.12, 0.25, 0.1])
#: Nodes further than this many spreads from the mean are not looked at.
REACH = 4.5
#: Cycles of `nmr_ml.numeric.accelerated_em.climb` of the spread at each look, and at the last; of
#: the level.
STEP_CYCLES, CYCLES, LEVEL_CYCLES = 2, 10, 3
#: No spread is wider than ten times over and under.
MOST_LOG_SPREAD = float(np.log(np.log(10.0)))


@inner
def _weigh(nodes: Floats, mean: float, spread: float, out: Floats) -> tuple[int, int, int, float]:
    """Write the normal prior of evenly spaced `nodes` within `REACH`, 1 at the nearest to `mean`.

    Returns
    -------
    nearest, first, end : int
        Beyond ``first:end`` it is 0.
    total : float
        Sum of `out`.
    """
    out[:] = 0.0
    if nodes.size == 1:
        out[0] = 1.0
        return 0, 0, 1, 1.0
    step = nodes[1] - nodes[0]
    nearest = min(max(int(np.rint((mean - nodes[0]) / step)), 0), nodes.size - 1)
    reach = int(REACH * spread / step) + 1
    first, end = max(nearest - reach, 0), min(nearest + reach + 1, nodes.size)
    # exp(-(d + k step)² / 2 s²) is exp(-d² / 2 s²), left out, times ratio^k fall^(k²).
    ratio = np.exp((mean - nodes[nearest]) * step / spread**2)
    fall = np.exp(-0.5 * (step / spread) ** 2)
    out[nearest], total = 1.0, 1.0
    up, weight = ratio * fall, 1.0
    for k in range(nearest + 1, end):
        weight *= up
        up *= fall**2
        out[k] = weight
        total += weight
    down, weight = fall / ratio, 1.0
    for k in range(nearest - 1, first - 1, -1):
        weight *= down
        down *= fall**2
        out[k] = weight
        total += weight
    return nearest, first, end, total


@inner
def _moments(mass: Floats, nodes: Floats, nearest: int, total: float) -> tuple[float, float]:
    """Return mean and variance of evenly spaced `nodes` weighted by ``mass / total``.

    Taken in steps around the node `nearest` to the mean, so that nothing cancels in the variance.
    """
    first, second = 0.0, 0.0
    for k in range(mass.size):
        first += mass[k] * (k - nearest)
        second += mass[k] * (k - nearest) ** 2
    step = nodes[1] - nodes[0] if nodes.size > 1 else 1.0
    first /= total
    return nodes[nearest] + step * first, max(second / total - first**2, 0.0) * step**2


@summed
def posterior_moments(
    table: Singles,
    episode: Ints,
    log_amplitude: Floats,
    log_tau: Floats,
    share: Floats,
    mean: Floats,
    spread: Floats,
) -> tuple[Floats, Floats, Floats]:
    """Return log evidence, and mean and variance of each output given the tests.

    Parameters
    ----------
    table : float32 array, shape (n_episodes, n_w, n_a, n_b)
        Likelihood of each episode's tests, from `nmr_ml.models.curve.likelihood.likelihood_tables`.
    episode : int64 array, shape (n,)
        Row of `table` for each prior.
    log_amplitude, log_tau, share : float64 arrays, shapes (n_a,), (n_b,) and (n_w,)
        Evenly spaced nodes.
    mean, spread : float64 arrays, shape (n, 3)
        The normal prior of each row.

    Returns
    -------
    evidence : shape (n,), relative to the table's `top`
    mean, variance : shape (n, 3)
    """
    n, n_b = episode.size, log_tau.size
    wa, wb, ww = np.empty(log_amplitude.size), np.empty(n_b), np.empty(share.size)
    by_a, by_b, by_w = np.empty(log_amplitude.size), np.empty(n_b), np.empty(share.size)
    row = np.empty(n_b)
    evidence, centre, variance = np.empty(n), np.empty((n, 3)), np.empty((n, 3))
    for q in range(n):
        near_a, a0, a1, sum_a = _weigh(log_amplitude, mean[q, 0], spread[q, 0], wa)
        near_b, _b0, _b1, sum_b = _weigh(log_tau, mean[q, 1], spread[q, 1], wb)
        near_w, w0, w1, sum_w = _weigh(share, mean[q, 2], spread[q, 2], ww)
        by_a[:], by_b[:], by_w[:] = 0.0, 0.0, 0.0
        for i in range(a0, a1):
            row[:] = 0.0
            for c in range(w0, w1):
                nodes, total = table[episode[q], c, i], 0.0
                for j in range(n_b):  # over all of them: loops of one length are the fastest
                    weighed = nodes[j] * wb[j]
                    total += weighed
                    row[j] += ww[c] * weighed
                by_w[c] += ww[c] * wa[i] * total
            for j in range(n_b):
                by_b[j] += wa[i] * row[j]
            by_a[i] = wa[i] * row.sum()
        total = max(by_a.sum(), 1e-290)
        evidence[q] = np.log(total / (sum_a * sum_b * sum_w))
        centre[q, 0], variance[q, 0] = _moments(by_a, log_amplitude, near_a, total)
        centre[q, 1], variance[q, 1] = _moments(by_b, log_tau, near_b, total)
        centre[q, 2], variance[q, 2] = _moments(by_w, share, near_w, total)
    return evidence, centre, variance


@kept
def prior_moments(
    log_amplitude: Floats, log_tau: Floats, share: Floats, mean: Floats, spread: Floats
) -> tuple[Floats, Floats]:
    """Return mean and variance of each output's normal prior over the nodes.

    Cut at the ends of the grid it has another mean and a smaller variance than uncut, which the
    slow share, on few nodes near 1, would otherwise pay for.

    Parameters
    ----------
    mean, spread : float64 arrays, shape (n, 3)

    Returns
    -------
    mean, variance : shape (n, 3)
    """
    centre, variance = np.empty(mean.shape), np.empty(mean.shape)
    for axis, nodes in enumerate((log_amplitude, log_tau, share)):
        weight = np.empty(nodes.size)
        for q in range(mean.shape[0]):
            near, _first, _end, total = _weigh(nodes, mean[q, axis], spread[q, axis], weight)
            centre[q, axis], variance[q, axis] = _moments(weight, nodes, near, total)
    return centre, variance


@dataclass(frozen=True, slots=True)
class CurveTarget(RowWise):
    """What the boosted curve is fitted to: the tests of each row's episode.

    Parameters
    ----------
    grid : CurveGrid
    table : float32 array, shape (n_episodes, n_w, n_a, n_b)
        From `nmr_ml.models.curve.likelihood.likelihood_tables`.
    episode : int64 array, shape (n,)
        Row of `table`; an episode seen at several landmarks has several rows.
    weight : float64 array, shape (n,)
    """

    SHARED: ClassVar[frozenset[str]] = frozenset({"grid", "table"})

    grid: CurveGrid
    table: Singles
    episode: Ints
    weight: Floats

    def moments(self, mean: Floats, spread: Floats) -> tuple[Floats, Floats, Floats]:
        """Return `posterior_moments` of every row under normal priors; `spread` may be shared."""
        spreads = np.ascontiguousarray(np.broadcast_to(spread, mean.shape))
        evidence, centre, variance = posterior_moments(
            self.table, self.episode, self.grid.log_amplitude, self.grid.log_tau, self.grid.share,
            mean, spreads,
        )  # fmt: skip
        return evidence, centre, variance

    def prior(self, mean: Floats, spread: Floats) -> tuple[Floats, Floats]:
        """Return `prior_moments` of every row; `spread` may be shared."""
        spreads = np.ascontiguousarray(np.broadcast_to(spread, mean.shape))
        grid = self.grid
        centre, variance = prior_moments(
            grid.log_amplitude, grid.log_tau, grid.share, mean, spreads
        )
        return centre, variance


def refine_spread(
    target: CurveTarget, mean: Floats, spread: Floats, *, cycles: int = CYCLES,
    name: str = "episode_spread",
) -> tuple[Floats, float]:  # fmt: skip
    """Return the spread that makes the tests of held-out athletes most likely, and that evidence.

    Expectation maximisation for fixed means; the evidence is the weighted mean per row. Of the slow
    share, whose prior is cut at the ends of its few nodes, it finds a spread on the small side.
    """

    def step(at: Floats) -> tuple[Floats, float]:
        found, centre, variance = target.moments(mean, _wide_enough(at))
        around = np.average((centre - mean) ** 2 + variance, axis=0, weights=target.weight)
        around = np.maximum(around, LEAST_SPREAD**2)
        return 0.5 * np.log(around), float(np.average(found, weights=target.weight))

    at = climb(step, np.log(spread), cycles=cycles, name=name)
    return _wide_enough(at), step(at)[1]


def refine_level(target: CurveTarget, mean: Floats, spread: Floats) -> Floats:
    """Return what is to be added to all of `mean` (n, 3) so that `target` is most likely, (3,).

    Trees that were grown with a wider spread than `spread` are off by a constant: a wider normal
    log amplitude with the same mean deficit has a lower mean.
    """

    def step(at: Floats) -> tuple[Floats, float]:
        found, centre, _ = target.moments(mean + at, spread)
        before, _ = target.prior(mean + at, spread)
        moved = at + np.average(centre - before, axis=0, weights=target.weight)
        return moved, float(np.average(found, weights=target.weight))

    return climb(step, np.zeros(OUTPUTS), cycles=LEVEL_CYCLES, name="fold_level")


def _wide_enough(log_spread: Floats) -> Floats:
    return np.asarray(np.maximum(np.exp(np.minimum(log_spread, MOST_LOG_SPREAD)), LEAST_SPREAD))
