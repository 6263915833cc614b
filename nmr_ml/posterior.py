"""From a prior over curves and the tests seen so far to a recovery time with its uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from nmr_ml.curve import node_deficits, node_recovery_hours, remaining, shape_loglik

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.curve import CurveGrid
    from nmr_ml.labels import Followed

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

#: Hours after the clock start at which the curve of an answer is given.
CURVE_H = (0.0, 6.0, 12.0, 24.0, 36.0, 48.0, 60.0, 72.0, 96.0, 120.0, 168.0, 240.0, 336.0)
#: Nodes below this probability change no printed digit.
LEAST_PROBABILITY = 1e-9
LEAST_WEIGHT = 1e-140


@dataclass(frozen=True, slots=True)
class ReadOff:
    """What does not depend on the query: recovery times and deficits of every node, in order.

    Parameters
    ----------
    grid : CurveGrid
    delta : float
        On the component's scale.
    hours : float64 array, shape (n_nodes,), h
        Recovery times in ascending order; `order` holds the nodes they belong to.
    at_h : tuple of float, h after the clock start
    deficits : float64 array, shape (n_hours, n_nodes)
        Deficits at each of `at_h` in ascending order; `deficit_order` their nodes.
    """

    grid: CurveGrid
    delta: float
    hours: Floats
    order: Ints
    at_h: tuple[float, ...]
    deficits: Floats
    deficit_order: Ints


def read_off(grid: CurveGrid, delta: float, at_h: tuple[float, ...] = (24.0,)) -> ReadOff:
    """Tabulate recovery times for `delta`, and deficits at `at_h`, over the nodes of `grid`."""
    hours = node_recovery_hours(
        grid.log_amplitude, grid.log_tau, grid.slow, grid.power, delta
    ).ravel()
    order = np.argsort(hours, kind="stable")
    deficits = np.stack([node_deficits(grid, hour).ravel() for hour in at_h])
    deficit_order = np.argsort(deficits, axis=1, kind="stable")
    return ReadOff(
        grid,
        delta,
        hours[order],
        order,
        at_h,
        np.take_along_axis(deficits, deficit_order, axis=1),
        deficit_order,
    )


class ReadOffCache:
    """The tables made last: to make one costs more than a prediction from it.

    Parameters
    ----------
    size : int
        Tables kept; a default δ for each component needs four, a request may bring its own.
    """

    def __init__(self, size: int = 16) -> None:
        self._size = size
        self._tables: dict[tuple[str, float, tuple[float, ...]], ReadOff] = {}

    def get(
        self, component: str, grid: CurveGrid, delta: float, at_h: tuple[float, ...]
    ) -> ReadOff:
        """Return ``read_off(grid, delta, at_h)``, from before where it is still there."""
        key = (component, delta, at_h)
        if key not in self._tables:
            while len(self._tables) >= self._size:
                self._tables.pop(next(iter(self._tables)))
            self._tables[key] = read_off(grid, delta, at_h)
        return self._tables[key]


@njit(cache=True, nogil=True)
def _posterior(
    mean: Floats, spread: Floats, hours: Floats, deficit: Floats, error: Floats, shared: float,
    log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats, weights: Floats,
) -> Floats:  # fmt: skip
    """Return the probability of every node, shape (n_s * n_a * n_b,)."""
    n_a, n_b = log_amplitude.size, log_tau.size
    # The floor keeps a total above zero where prior and tests contradict each other utterly.
    wa = np.maximum(np.exp(-0.5 * ((log_amplitude - mean[0]) / spread[0]) ** 2), LEAST_WEIGHT)
    wb = np.maximum(np.exp(-0.5 * ((log_tau - mean[1]) / spread[1]) ** 2), LEAST_WEIGHT)
    nodes = np.empty((slow.size, n_a, n_b))
    loglik = np.zeros((n_a, n_b))
    peak = -np.inf
    if hours.size:
        for s in range(slow.size):
            shape_loglik(
                hours, deficit, error, shared, log_amplitude, log_tau, slow[s], power[s], loglik
            )
            nodes[s] = loglik
            peak = max(peak, loglik.max())
    total = 0.0
    for s in range(slow.size):
        for i in range(n_a):
            for j in range(n_b):
                prior = weights[s] * wa[i] * wb[j]
                nodes[s, i, j] = prior * np.exp(nodes[s, i, j] - peak) if hours.size else prior
                total += nodes[s, i, j]
    flat = nodes.ravel()
    for k in range(flat.size):
        flat[k] /= total
    return flat


@njit(cache=True, nogil=True)
def _accumulate(probability: Floats, order: Ints) -> Floats:
    cumulated = np.empty(order.size)
    total = 0.0
    for k in range(order.size):
        total += probability[order[k]]
        cumulated[k] = total
    return cumulated


@njit(cache=True, nogil=True)
def _quantile(values: Floats, cumulated: Floats, level: float) -> float:
    """Return the smallest value whose interpolated distribution reaches `level`."""
    k = min(int(np.searchsorted(cumulated, level)), values.size - 1)
    if k == 0 or values[k] == values[k - 1] or np.isinf(values[k]):
        return float(values[k])
    share = (level - cumulated[k - 1]) / (cumulated[k] - cumulated[k - 1])
    return float(values[k - 1] + share * (values[k] - values[k - 1]))


@njit(cache=True, nogil=True)
def _probability(values: Floats, cumulated: Floats, value: float) -> float:
    """Return the interpolated probability of at most `value`: the inverse of `_quantile`."""
    k = np.searchsorted(values, value, side="right")
    if k == 0:
        return 0.0
    if k >= values.size or np.isinf(values[k]):
        return float(min(cumulated[k - 1], 1.0))
    share = (value - values[k - 1]) / (values[k] - values[k - 1])
    return float(min(cumulated[k - 1] + share * (cumulated[k] - cumulated[k - 1]), 1.0))


@njit(cache=True, nogil=True)
def _read(
    means: Floats, spread: Floats,
    offsets: Ints, hours: Floats, deficit: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats, weights: Floats,
    node_hours: Floats, order: Ints, levels: Floats, at_h: Floats,
) -> tuple[Floats, Floats]:  # fmt: skip
    n = means.shape[0]
    quantiles = np.empty((n, levels.size))
    probabilities = np.empty((n, at_h.shape[1]))
    for q in range(n):
        tests = slice(offsets[q], offsets[q + 1])
        posterior = _posterior(
            means[q], spread, hours[tests], deficit[tests], error[tests], shared[q],
            log_amplitude, log_tau, slow, power, weights,
        )  # fmt: skip
        cumulated = _accumulate(posterior, order)
        for k in range(levels.size):
            quantiles[q, k] = _quantile(node_hours, cumulated, levels[k])
        for k in range(at_h.shape[1]):
            probabilities[q, k] = _probability(node_hours, cumulated, at_h[q, k])
    return quantiles, probabilities


@njit(cache=True, nogil=True)
def _read_deficits(
    means: Floats, spread: Floats,
    offsets: Ints, hours: Floats, deficit: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats, weights: Floats,
    node_deficits: Floats, order: Ints, levels: Floats,
) -> Floats:  # fmt: skip
    n = means.shape[0]
    quantiles = np.empty((n, order.shape[0], levels.size))
    for q in range(n):
        tests = slice(offsets[q], offsets[q + 1])
        posterior = _posterior(
            means[q], spread, hours[tests], deficit[tests], error[tests], shared[q],
            log_amplitude, log_tau, slow, power, weights,
        )  # fmt: skip
        for h in range(order.shape[0]):
            cumulated = _accumulate(posterior, order[h])
            for k in range(levels.size):
                quantiles[q, h, k] = _quantile(node_deficits[h], cumulated, levels[k])
    return quantiles


def recovery_quantiles(
    table: ReadOff, means: Floats, spread: Floats, seen: Followed, levels: Floats, at_h: Floats
) -> tuple[Floats, Floats]:
    """Return quantiles of the recovery time and the probability of having recovered.

    Parameters
    ----------
    means : float64 array, shape (n, 2)
        Prior means of log amplitude and log tau; `spread`, shape (2,), their normal spread.
    seen : Followed
        The tests of each episode known so far; they update the prior exactly.
    levels : float64 array, shape (n_levels,)
    at_h : float64 array, shape (n, n_hours), h after the clock start

    Returns
    -------
    quantiles : shape (n, n_levels), h; `inf` where the level lies beyond `nmr_ml.curve.LAST_H`
    probabilities : shape (n, n_hours)
    """
    quantiles, probabilities = _read(
        means, spread, *_tests(seen), *_nodes(table.grid), table.hours, table.order, levels, at_h
    )
    return quantiles, probabilities


def deficit_quantiles(
    table: ReadOff, means: Floats, spread: Floats, seen: Followed, levels: Floats
) -> Floats:
    """Return quantiles of the latent deficit at ``table.at_h``, shape (n, n_hours, n_levels)."""
    return np.asarray(
        _read_deficits(
            means, spread, *_tests(seen), *_nodes(table.grid),
            table.deficits, table.deficit_order, levels,
        )
    )  # fmt: skip


def _tests(seen: Followed) -> tuple[Ints, Floats, Floats, Floats, Floats]:
    # An episode without a baseline has no tests, and its shared error is not looked at.
    shared = np.nan_to_num(seen.shared_error)
    return seen.offsets, seen.hours, seen.deficit, seen.error, shared


def _nodes(grid: CurveGrid) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    return grid.log_amplitude, grid.log_tau, grid.slow, grid.power, grid.weights


@njit(cache=True, nogil=True)
def _below(
    means: Floats, spread: Floats,
    offsets: Ints, hours: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, slow: Floats, power: Floats, weights: Floats,
    limit: float,
) -> Floats:  # fmt: skip
    below = np.empty(hours.size)
    none = np.empty(0)
    for q in range(means.shape[0]):
        if offsets[q] == offsets[q + 1]:
            continue
        prior = _posterior(
            means[q], spread, none, none, none, 0.0, log_amplitude, log_tau, slow, power, weights
        ).reshape(slow.size, log_amplitude.size, log_tau.size)
        for k in range(offsets[q], offsets[q + 1]):
            noise = np.sqrt(2.0 * (error[k] ** 2 + shared[q] ** 2))
            total = 0.0
            for s in range(slow.size):
                for j in range(log_tau.size):
                    left = remaining(hours[k], np.exp(log_tau[j]), slow[s], power[s])
                    for i in range(log_amplitude.size):
                        if prior[s, i, j] > LEAST_PROBABILITY:
                            z = (limit - np.exp(log_amplitude[i]) * left) / noise
                            total += prior[s, i, j] * 0.5 * (1.0 + math.erf(z))
            below[k] = total
    return below


def probability_below(
    grid: CurveGrid, means: Floats, spread: Floats, followed: Followed, limit: float
) -> Floats:
    """Return for every test of `followed` the probability that its deficit reads below `limit`.

    Before any test of the episode is seen, and with the errors of the test and of the baseline in
    it: what the noise-smoothed Brier score compares with the reading.
    """
    return np.asarray(
        _below(
            means, spread, followed.offsets, followed.hours, followed.error,
            np.nan_to_num(followed.shared_error), *_nodes(grid), limit,
        )
    )  # fmt: skip
