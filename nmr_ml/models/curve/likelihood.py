"""The recovery curve: its family, the likelihood of tests on a grid of curves, and times read off.

A deficit falls as ``d(t) = A e(t)`` with ``e(t) = (1 - w) 2^(-t / 3 h) + w exp(-(t / tau)^p)``: a
fast part for what food and water mend within hours, and a slow one, a stretched (p < 1) or delayed
(p > 1) exponential, for damage and drive. `A` and `tau` live on a logarithmic grid, the slow share
`w` on an even one, and each share has a few powers `p` whose weights are chosen by marginal
likelihood, so every integral is a sum over nodes: the likelihood of a label, the posterior once a
test is seen, and the distribution of the recovery time for any δ, without fitting again.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from nmr_ml.numeric.compiled import inner

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.labels.followed_tests import Followed

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

#: Half-life of the fast part: mid-way between the metabolic (2 h) and glycogen parts it stands for.
FAST_HALF_LIFE_H = 3.0
#: Times beyond this are not told apart from never: four follow-ups of 336 h.
LAST_H = 1344.0
#: Shares of the slow part that are tried, evenly spaced; the first is to be avoided.
SLOW_SHARES = (0.25, 0.4, 0.55, 0.7, 0.85, 1.0)
#: Exponents of the slow part that are tried; the first and last are to be avoided.
POWERS = (0.5, 0.7, 1.0, 1.4, 2.2, 3.0, 4.5)
#: The power, before any test: around 1.2, this spread of its log either way. Where tests are
#: few or noisy the weights stay near; started from equal ones, heavy tails kept theirs, and with
#: tests of 4 % the CRPS of new athletes was 2 % higher (seed 9012).
POWER_CENTRE, POWER_SPREAD = 1.2, 0.5
#: Logs of likelihoods that a float32 cannot hold beside 1.
LEAST_LOG = -88.0
#: Every node keeps this weight, so that a prior and tests that contradict it utterly still meet.
LEAST_WEIGHT = 1e-140
_BISECTIONS = 48


@dataclass(frozen=True, slots=True)
class CurveGrid:
    """Nodes of log amplitude, log time constant and slow share, and the shapes of each share.

    Parameters
    ----------
    log_amplitude : float64 array, shape (n_a,), log of per cent or points
    log_tau : float64 array, shape (n_b,), log of hours
    share : float64 array, shape (n_w,)
        Levels, evenly spaced, that an episode's share of the slow part is distributed over.
    slow, power : float64 arrays, shape (n_s,)
        Share `w` of the slow part and its exponent `p`, for each shape.
    level : int64 array, shape (n_s,)
        Position in `share` of the level that each shape belongs to.
    weights : float64 array, shape (n_s,)
        Probability of each shape given its level; sums to 1 over a level.
    """

    log_amplitude: Floats
    log_tau: Floats
    share: Floats
    slow: Floats
    power: Floats
    level: Ints
    weights: Floats

    @classmethod
    def mixed(
        cls, log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats, weights: Floats
    ) -> CurveGrid:
        """Return a grid of one level: every episode has the same mixture of shapes."""
        share = np.array([float(weights @ slow)])
        level = np.zeros(slow.size, np.int64)
        return cls(log_amplitude, log_tau, share, slow, power, level, weights)


def curve_grid(typical_error: float, *, amplitudes: int = 30, taus: int = 30) -> CurveGrid:
    """Return the full grid, one mixture of all shapes, as likely as they are before any test.

    Amplitudes reach from a twentieth of the `typical_error` of one test, which no number of tests
    tells from none, to thirty of them; time constants from 2 h to 500 h.
    """
    slow, power = (axis.ravel() for axis in np.meshgrid(SLOW_SHARES, POWERS, indexing="ij"))
    weight = np.exp(-0.5 * (np.log(power / POWER_CENTRE) / POWER_SPREAD) ** 2)
    return CurveGrid.mixed(
        np.linspace(np.log(typical_error / 20), np.log(typical_error * 30), amplitudes),
        np.linspace(np.log(2.0), np.log(500.0), taus),
        slow,
        power,
        weight / weight.sum(),
    )


def coarse(grid: CurveGrid) -> CurveGrid:
    """Return `grid` with every other node: enough to choose by, in a quarter of the time."""
    return replace(
        grid, log_amplitude=grid.log_amplitude[::2].copy(), log_tau=grid.log_tau[::2].copy()
    )


def edge_weight(grid: CurveGrid, by_share: Floats) -> float:
    """Return the weight of the shapes at the edge of those tried: the family may be too narrow.

    A curve that is slow altogether is no edge: there is nothing beyond it.

    Parameters
    ----------
    by_share : float64 array, shape (n_w,)
        Probability of each level.
    """
    edge = (grid.slow <= SLOW_SHARES[0]) | np.isin(grid.power, (POWERS[0], POWERS[-1]))
    return float((by_share[grid.level] * grid.weights)[edge].sum())


def keep_shapes(grid: CurveGrid, weights: Floats, *, at_least: float) -> CurveGrid:
    """Return one mixture of the shapes whose weight is `at_least`, weights made to sum to 1."""
    kept = weights >= at_least
    return CurveGrid.mixed(
        grid.log_amplitude,
        grid.log_tau,
        grid.slow[kept],
        grid.power[kept],
        weights[kept] / weights[kept].sum(),
    )


def by_share(grid: CurveGrid, weights: Floats, *, pseudo: float, at_least: float) -> CurveGrid:
    """Return every slow share as a level, its powers weighted as in the mixture `weights`.

    Parameters
    ----------
    grid : CurveGrid
        From `curve_grid`: each share with each power.
    weights : float64 array, shape (n_s,)
        Of its shapes, summing to 1.
    pseudo : float
        Each share's powers are pulled towards those of all as if it had this much more weight.
    at_least : float
        Powers below this probability, given the share, are dropped.
    """
    shares, powers = np.array(SLOW_SHARES), np.array(POWERS)
    table = weights.reshape(shares.size, powers.size)
    given = table + pseudo * table.sum(axis=0)
    given /= given.sum(axis=1, keepdims=True)
    given[given < at_least] = 0.0
    given /= given.sum(axis=1, keepdims=True)
    level, power = np.nonzero(given)
    return CurveGrid(
        grid.log_amplitude, grid.log_tau, shares, shares[level], powers[power], level,
        given[level, power],
    )  # fmt: skip


@inner
def normal_weights(nodes: Floats, mean: float, spread: float) -> Floats:
    """Return normal probabilities over `nodes`; they sum to 1 however far away the mean is."""
    z = ((nodes - mean) / spread) ** 2
    weight = np.maximum(np.exp(-0.5 * (z - z.min())), LEAST_WEIGHT)
    weight /= weight.sum()
    normal: Floats = weight
    return normal


@inner
def shape_probabilities(
    share: Floats, level: Ints, weights: Floats, mean: float, spread: float
) -> Floats:
    """Return the probability of each shape where the slow share is normal over its levels."""
    of_level = normal_weights(share, mean, spread)
    shapes = np.empty(level.size)
    for s in range(level.size):
        shapes[s] = weights[s] * of_level[level[s]]
    return shapes


@njit(cache=True, nogil=True)
def remaining(t_h: float, tau_h: float, slow: float, power: float) -> float:
    """Return e(t), the share of the initial deficit that is left after `t_h` hours."""
    fast = (1.0 - slow) * 2.0 ** (-t_h / FAST_HALF_LIFE_H)
    left: float = fast + slow * np.exp(-((t_h / tau_h) ** power))
    return left


@njit(cache=True, nogil=True)
def remaining_shares(hours: Floats, log_tau: Floats, slow: Floats, power: Floats) -> Floats:
    """Return `remaining` at each of `hours` for every shape and tau, shape (n_hours, n_s, n_b)."""
    left = np.empty((hours.size, slow.size, log_tau.size))
    for h in range(hours.size):
        for s in range(slow.size):
            for j in range(log_tau.size):
                left[h, s, j] = remaining(hours[h], np.exp(log_tau[j]), slow[s], power[s])
    return left


@njit(cache=True, nogil=True)
def shape_loglik(
    hours: Floats, deficit: Floats, error: Floats, shared: float,
    log_amplitude: Floats, log_tau: Floats, slow: float, power: float, out: Floats,
) -> None:  # fmt: skip
    """Write the log likelihood of one episode's tests at every (amplitude, tau) node of a shape.

    Residuals ``r = y - d(t)`` have covariance ``diag(error²) + shared²``; the matrix inverse is
    written out (Sherman-Morrison), so only weighted sums are needed. The constant ``n log(2 pi) /
    2`` is left out.

    Parameters
    ----------
    hours, deficit, error : float64 arrays, shape (n_tests,)
    shared : float
        Standard error of the baseline that all residuals share.
    out : float64 array, shape (n_a, n_b)
    """
    weight_sum = 0.0
    y = 0.0
    yy = 0.0
    log_det = 0.0
    for k in range(hours.size):
        w = 1.0 / error[k] ** 2
        weight_sum += w
        y += w * deficit[k]
        yy += w * deficit[k] ** 2
        log_det += np.log(error[k])
    shrink = shared**2 / (1.0 + shared**2 * weight_sum)
    log_det += 0.5 * np.log(1.0 + shared**2 * weight_sum)
    for j in range(log_tau.size):
        tau = np.exp(log_tau[j])
        e1 = 0.0
        ee = 0.0
        ye = 0.0
        for k in range(hours.size):
            e = remaining(hours[k], tau, slow, power)
            w = 1.0 / error[k] ** 2
            e1 += w * e
            ee += w * e * e
            ye += w * deficit[k] * e
        for i in range(log_amplitude.size):
            a = np.exp(log_amplitude[i])
            r = y - a * e1
            rr = yy - 2.0 * a * ye + a * a * ee
            out[i, j] = -0.5 * (rr - shrink * r * r) - log_det


@njit(cache=True, nogil=True)
def _tables(
    offsets: Ints, hours: Floats, deficit: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, levels: int, slow: Floats, power: Floats, level: Ints,
    weights: Floats,
) -> tuple[NDArray[np.float32], Floats]:  # fmt: skip
    n, n_a, n_b = shared.size, log_amplitude.size, log_tau.size
    table = np.empty((n, levels, n_a, n_b), np.float32)
    top = np.empty(n)
    one = np.empty((n_a, n_b))
    mixed = np.empty((levels, n_a, n_b))
    for q in range(n):
        tests = slice(offsets[q], offsets[q + 1])
        mixed[:] = 0.0
        highest = -np.inf
        for s in range(slow.size):
            shape_loglik(
                hours[tests], deficit[tests], error[tests], shared[q],
                log_amplitude, log_tau, slow[s], power[s], one,
            )  # fmt: skip
            peak = one.max()
            if peak > highest:
                mixed *= np.exp(highest - peak)
                highest = peak
            of_level = mixed[level[s]]
            for i in range(n_a):
                for j in range(n_b):
                    if one[i, j] - highest > LEAST_LOG:
                        of_level[i, j] += weights[s] * np.exp(one[i, j] - highest)
        table[q] = mixed
        top[q] = highest
    return table, top


def likelihood_tables(followed: Followed, grid: CurveGrid) -> tuple[NDArray[np.float32], Floats]:
    """Return each episode's likelihood over the nodes, mixed over a level's shapes; no δ is in it.

    Returns
    -------
    table : float32 array, shape (n, n_w, n_a, n_b)
        Likelihood divided by ``exp(top)``.
    top : float64 array, shape (n,)
        Log of the divisor, so that marginal likelihoods of families and errors compare.
    """
    table, top = _tables(
        followed.offsets, followed.hours, followed.deficit, followed.error, followed.shared_error,
        grid.log_amplitude, grid.log_tau, grid.share.size, grid.slow, grid.power, grid.level,
        grid.weights,
    )  # fmt: skip
    return table, top


@njit(cache=True, nogil=True)
def shape_evidence(
    offsets: Ints, hours: Floats, deficit: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats,
    prior_a: Floats, prior_b: Floats,
) -> Floats:  # fmt: skip
    """Return log evidence of every shape for every episode under node weights, shape (n, n_s).

    `prior_a` (n, n_a) and `prior_b` (n, n_b) are each episode's node probabilities.
    """
    n = shared.size
    evidence = np.empty((n, slow.size))
    one = np.empty((log_amplitude.size, log_tau.size))
    for q in range(n):
        tests = slice(offsets[q], offsets[q + 1])
        for s in range(slow.size):
            shape_loglik(
                hours[tests], deficit[tests], error[tests], shared[q],
                log_amplitude, log_tau, slow[s], power[s], one,
            )  # fmt: skip
            peak = one.max()
            total = 0.0
            for i in range(log_amplitude.size):
                row = 0.0
                for j in range(log_tau.size):
                    if one[i, j] - peak > LEAST_LOG:
                        row += np.exp(one[i, j] - peak) * prior_b[q, j]
                total += row * prior_a[q, i]
            evidence[q, s] = peak + np.log(max(total, 1e-300))
    return evidence


@njit(cache=True, nogil=True)
def recovery_hours(
    amplitude: float, tau_h: float, slow: float, power: float, delta: float
) -> float:
    """Return when ``A e(t)`` falls below `delta` for good, in hours; `inf` beyond `LAST_H`."""
    if amplitude < delta:
        return 0.0
    if amplitude * remaining(LAST_H, tau_h, slow, power) >= delta:
        return np.inf
    low, high = 0.0, LAST_H
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if amplitude * remaining(middle, tau_h, slow, power) >= delta:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@njit(cache=True, nogil=True)
def node_recovery_hours(
    log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats, delta: float
) -> Floats:
    """Return the recovery time of every node in hours, shape (n_s, n_a, n_b)."""
    times = np.empty((slow.size, log_amplitude.size, log_tau.size))
    for s in range(slow.size):
        for i in range(log_amplitude.size):
            for j in range(log_tau.size):
                times[s, i, j] = recovery_hours(
                    np.exp(log_amplitude[i]), np.exp(log_tau[j]), slow[s], power[s], delta
                )
    return times
