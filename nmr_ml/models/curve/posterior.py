"""From a prior over curves and the tests seen so far to a recovery time with its uncertainty.

Nothing is drawn at random. For each shape and amplitude the time constants that have recovered by
an hour are those below a threshold in closed form, so the distribution of the recovery time is a
sum of cumulated node probabilities at thresholds that are tabulated once for each δ.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.models.curve.likelihood import (
    normal_weights,
    remaining,
    shape_loglik,
    shape_probabilities,
)
from nmr_ml.models.curve.read_off import KNOTS_H, ReadOff
from nmr_ml.numeric.compiled import inner, kept

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Ints


#: Nodes below this probability change no printed digit.
LEAST_NODE_PROBABILITY = 1e-8
#: A deficit below this share of the smallest amplitude is told as none.
LEAST_DEFICIT = 1e-3
_BISECTIONS = 12


@kept
def _posterior(
    wa: Floats, wb: Floats, weights: Floats, hours: Floats, deficit: Floats, error: Floats,
    shared: float, log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats,
) -> Floats:  # fmt: skip
    """Return the probability of every node, shape (n_s, n_a, n_b).

    `wa`, `wb` and `weights` are the priors of log amplitude, log tau and shape.
    """
    n_a, n_b = log_amplitude.size, log_tau.size
    nodes = np.zeros((slow.size, n_a, n_b))
    loglik = np.zeros((n_a, n_b))
    peak = -np.inf
    for s in range(slow.size):
        if hours.size and weights[s] > LEAST_NODE_PROBABILITY:
            shape_loglik(
                hours, deficit, error, shared, log_amplitude, log_tau, slow[s], power[s], loglik
            )
            nodes[s] = loglik
            peak = max(peak, loglik.max())
    total = 0.0
    for s in range(slow.size):
        if weights[s] <= LEAST_NODE_PROBABILITY:
            continue
        for i in range(n_a):
            for j in range(n_b):
                prior = weights[s] * wa[i] * wb[j]
                nodes[s, i, j] = prior * np.exp(nodes[s, i, j] - peak) if hours.size else prior
                total += nodes[s, i, j]
    for s in range(slow.size):
        for i in range(n_a):
            for j in range(n_b):
                nodes[s, i, j] /= total
    return nodes


@inner
def _cumulate(probability: Floats, cumulated: Floats) -> None:
    """Write 0 and the running sums of `probability`."""
    cumulated[0] = 0.0
    for k in range(probability.size):
        cumulated[k + 1] = cumulated[k] + probability[k]


@inner
def _at_place(cumulated: Floats, place: float) -> float:
    """Return the probability of the cells up to `place`, a cell counting by the part covered."""
    if place >= cumulated.size - 1:
        return float(cumulated[-1])
    if place <= 0.0:
        return 0.0
    k = int(place)
    return float(cumulated[k] + (place - k) * (cumulated[k + 1] - cumulated[k]))


@inner
def _distribution(
    nodes: Floats, cells: Floats, weights: Floats, wa: Floats, wb: Floats, seen: bool,
    spared: Floats, places: Floats, cdf: Floats,
) -> None:  # fmt: skip
    """Write P(T <= knot) to `cdf`: from `nodes` once tests are `seen`, else from the prior."""
    cdf[:] = 0.0
    _cumulate(wb, cells)
    for s in range(weights.size):
        for i in range(wa.size):
            share = 1.0 if seen else weights[s] * wa[i]
            if seen:
                _cumulate(nodes[s, i], cells)
            if share * cells[-1] > LEAST_NODE_PROBABILITY:
                at_once = share * spared[i] * cells[-1]
                share *= 1.0 - spared[i]
                for k in range(cdf.size):
                    cdf[k] += at_once + share * _at_place(cells, places[s, i, k])


@inner
def _quantile(cdf: Floats, level: float) -> float:
    """Return the hour at which the interpolated distribution reaches `level`."""
    if cdf[0] >= level:
        return 0.0
    k = np.searchsorted(cdf, level)
    if k >= cdf.size:
        return np.inf
    share = (level - cdf[k - 1]) / (cdf[k] - cdf[k - 1])
    return float(KNOTS_H[k - 1] + share * (KNOTS_H[k] - KNOTS_H[k - 1]))


@inner
def _probability(cdf: Floats, hour: float) -> float:
    """Return the interpolated probability of at most `hour`: the inverse of `_quantile`."""
    k = np.searchsorted(KNOTS_H, hour, side="right")
    if k == 0:
        return 0.0
    if k >= cdf.size:
        return float(min(cdf[-1], 1.0))
    share = (hour - KNOTS_H[k - 1]) / (KNOTS_H[k] - KNOTS_H[k - 1])
    return float(min(cdf[k - 1] + share * (cdf[k] - cdf[k - 1]), 1.0))


@inner
def _below_deficit(
    log_x: float, log_left: Floats, by_tau: Floats, shares: Floats, first: float, step: float
) -> float:
    """Return P(deficit <= x): of each shape and tau, the amplitudes up to ``x / e``."""
    total = 0.0
    for s in range(shares.shape[0]):
        for j in range(shares.shape[1]):
            if shares[s, j] * by_tau[s, j, -1] > LEAST_NODE_PROBABILITY:
                place = (log_x - log_left[s, j] - first) / step + 0.5
                total += shares[s, j] * _at_place(by_tau[s, j], place)
    return total


@inner
def _deficit_quantile(
    level: float, log_left: Floats, by_tau: Floats, shares: Floats, log_amplitude: Floats
) -> float:
    first, step = log_amplitude[0], log_amplitude[1] - log_amplitude[0]
    low, high = first + np.log(LEAST_DEFICIT), log_amplitude[-1] + step
    below = _below_deficit(low, log_left, by_tau, shares, first, step)
    if below >= level:
        return 0.0
    above = 1.0
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        found = _below_deficit(middle, log_left, by_tau, shares, first, step)
        if found >= level:
            high, above = middle, found
        else:
            low, below = middle, found
    return float(np.exp(low + (level - below) / (above - below) * (high - low)))


@inner
def _by_tau(
    nodes: Floats, wa: Floats, wb: Floats, weights: Floats, seen: bool
) -> tuple[Floats, Floats]:
    """Return the cumulated amplitudes of each shape and tau, and what each pair counts."""
    n_s, n_b = weights.size, wb.size
    by_tau, shares = np.empty((n_s, n_b, wa.size + 1)), np.ones((n_s, n_b))
    column = wa.copy()
    for s in range(n_s):
        for j in range(n_b):
            if seen:
                column[:] = nodes[s, :, j]
            else:
                shares[s, j] = weights[s] * wb[j]
            _cumulate(column, by_tau[s, j])
    return by_tau, shares


@kept
def _read_off(
    means: Floats, spreads: Floats,
    offsets: Ints, hours: Floats, deficit: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, share: Floats, slow: Floats, power: Floats,
    given_level: Floats, level: Ints, spared: Floats, places: Floats, log_left: Floats,
    levels: Floats, at_h: Floats, deficit_levels: Floats,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    n = means.shape[0]
    quantiles = np.empty((n, levels.size))
    probabilities = np.empty((n, at_h.shape[1]))
    deficits = np.empty((n, log_left.shape[0], deficit_levels.size))
    cdf, cells = np.empty(places.shape[2]), np.empty(log_tau.size + 1)
    none = np.empty((0, 0, 0))
    for q in range(n):
        tests = slice(offsets[q], offsets[q + 1])
        seen = offsets[q] < offsets[q + 1]
        wa = normal_weights(log_amplitude, means[q, 0], spreads[q, 0])
        wb = normal_weights(log_tau, means[q, 1], spreads[q, 1])
        weights = shape_probabilities(share, level, given_level, means[q, 2], spreads[q, 2])
        nodes = none
        if seen:
            nodes = _posterior(
                wa, wb, weights, hours[tests], deficit[tests], error[tests], shared[q],
                log_amplitude, log_tau, slow, power,
            )  # fmt: skip
        if levels.size + at_h.shape[1]:
            _distribution(nodes, cells, weights, wa, wb, seen, spared, places, cdf)
        for k in range(levels.size):
            quantiles[q, k] = _quantile(cdf, levels[k])
        for k in range(at_h.shape[1]):
            probabilities[q, k] = _probability(cdf, at_h[q, k])
        if deficits.size:
            by_tau, shares = _by_tau(nodes, wa, wb, weights, seen)
            for h in range(log_left.shape[0]):
                for k in range(deficit_levels.size):
                    deficits[q, h, k] = _deficit_quantile(
                        deficit_levels[k], log_left[h], by_tau, shares, log_amplitude
                    )
    return quantiles, probabilities, deficits


def read_off_curves(
    table: ReadOff, means: Floats, spread: Floats, seen: Followed, levels: Floats, at_h: Floats,
    deficit_levels: Floats,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Return recovery times, probabilities of having recovered, and deficits.

    Parameters
    ----------
    means : float64 array, shape (n, 3)
        Prior means of log amplitude, log tau and slow share.
    spread : float64 array, shape (3,) or (n, 3)
        Their normal spread.
    seen : Followed
        The tests of each episode known so far; they update the prior exactly.
    levels, deficit_levels : float64 arrays
        Levels of the quantiles of recovery time and deficit.
    at_h : float64 array, shape (n, n_hours), h after the clock start

    Returns
    -------
    quantiles : shape (n, n_levels), h; `inf` where the level lies beyond
    `nmr_ml.models.curve.likelihood.LAST_H` probabilities : shape (n, n_hours) deficits : shape (n,
    len(table.at_h), n_deficit_levels)
    """
    spreads = np.ascontiguousarray(np.broadcast_to(spread, means.shape))
    quantiles, probabilities, deficits = _read_off(
        means, spreads, *_tests(seen), *_nodes(table.grid), table.grid.level,
        table.spared, table.places,
        table.log_left, levels, at_h, deficit_levels,
    )  # fmt: skip
    return quantiles, probabilities, deficits


def recovery_quantiles(
    table: ReadOff, means: Floats, spread: Floats, seen: Followed, levels: Floats, at_h: Floats
) -> tuple[Floats, Floats]:
    """Return the first two of `read_off_curves`."""
    return read_off_curves(table, means, spread, seen, levels, at_h, np.empty(0))[:2]


def _tests(seen: Followed) -> tuple[Ints, Floats, Floats, Floats, Floats]:
    # An episode without a baseline has no tests, and its shared error is not looked at.
    shared = np.nan_to_num(seen.shared_error)
    return seen.offsets, seen.hours, seen.deficit, seen.error, shared


def _nodes(grid: CurveGrid) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats]:
    return (
        grid.log_amplitude, grid.log_tau, grid.share, grid.slow, grid.power, grid.weights,
    )  # fmt: skip


@kept
def _below(
    means: Floats, spreads: Floats,
    offsets: Ints, hours: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, share: Floats, slow: Floats, power: Floats,
    given_level: Floats, level: Ints, limits: Floats,
) -> Floats:  # fmt: skip
    below = np.empty(hours.size)
    for q in range(means.shape[0]):
        if offsets[q] == offsets[q + 1]:
            continue
        wa = normal_weights(log_amplitude, means[q, 0], spreads[q, 0])
        wb = normal_weights(log_tau, means[q, 1], spreads[q, 1])
        weights = shape_probabilities(share, level, given_level, means[q, 2], spreads[q, 2])
        for k in range(offsets[q], offsets[q + 1]):
            noise = np.sqrt(2.0 * (error[k] ** 2 + shared[q] ** 2))
            total = 0.0
            for s in range(slow.size):
                for j in range(log_tau.size):
                    left = remaining(hours[k], np.exp(log_tau[j]), slow[s], power[s])
                    for i in range(log_amplitude.size):
                        prior = weights[s] * wa[i] * wb[j]
                        if prior > LEAST_NODE_PROBABILITY:
                            z = (limits[q] - np.exp(log_amplitude[i]) * left) / noise
                            total += prior * 0.5 * (1.0 + math.erf(z))
            below[k] = total
    return below


def probability_below(
    grid: CurveGrid, means: Floats, spread: Floats, followed: Followed, limit: float | Floats
) -> Floats:
    """Return for every test of `followed` the probability that its deficit reads below `limit`.

    Before any test of the episode is seen, and with the errors of the test and of the baseline in
    it: what the noise-smoothed Brier score compares with the reading. `spread` as in
    `read_off_curves`; `limit` may be one for each query.
    """
    spreads = np.ascontiguousarray(np.broadcast_to(spread, means.shape))
    limits = np.ascontiguousarray(np.broadcast_to(limit, len(means)), np.float64)
    return np.asarray(
        _below(
            means, spreads, followed.offsets, followed.hours, followed.error,
            np.nan_to_num(followed.shared_error), *_nodes(grid), grid.level, limits,
        )
    )  # fmt: skip


@kept
def _expected(
    means: Floats, spreads: Floats,
    offsets: Ints, hours: Floats, deficit: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, share: Floats, slow: Floats, power: Floats,
    given_level: Floats, level: Ints, at_h: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    mean, spread = np.empty(at_h.size), np.empty(at_h.size)
    amplitude, tau = np.exp(log_amplitude), np.exp(log_tau)
    for q in range(at_h.size):
        tests = slice(offsets[q], offsets[q + 1])
        wa = normal_weights(log_amplitude, means[q, 0], spreads[q, 0])
        wb = normal_weights(log_tau, means[q, 1], spreads[q, 1])
        weights = shape_probabilities(share, level, given_level, means[q, 2], spreads[q, 2])
        nodes = _posterior(
            wa, wb, weights, hours[tests], deficit[tests], error[tests], shared[q],
            log_amplitude, log_tau, slow, power,
        )  # fmt: skip
        first, second = 0.0, 0.0
        for s in range(slow.size):
            for j in range(tau.size):
                left = remaining(at_h[q], tau[j], slow[s], power[s])
                for i in range(amplitude.size):
                    first += nodes[s, i, j] * amplitude[i] * left
                    second += nodes[s, i, j] * (amplitude[i] * left) ** 2
        mean[q], spread[q] = first, np.sqrt(max(second - first**2, 0.0))
    return mean, spread


def expected_deficits(
    grid: CurveGrid, means: Floats, spread: Floats, seen: Followed, at_h: Floats
) -> tuple[Floats, Floats]:
    """Return mean and standard deviation of the latent deficit at one hour per query.

    Parameters
    ----------
    means, spread, seen
        As in `read_off_curves`.
    at_h : float64 array, shape (n,), h after the clock start
    """
    spreads = np.ascontiguousarray(np.broadcast_to(spread, means.shape))
    mean, sd = _expected(means, spreads, *_tests(seen), *_nodes(grid), grid.level, at_h)
    return mean, sd
