"""The recovery curve: its family, the likelihood of tests on a grid of curves, and times read off.

A deficit falls as ``d(t) = A e(t)`` with ``e(t) = (1 - w) 2^(-t / 3 h) + w exp(-(t / tau)^p)``: a
fast part for what food and water mend within hours, and a slow one, a stretched (p < 1) or delayed
(p > 1) exponential, for damage and drive. `A` and `tau` live on a logarithmic grid, the slow share
`w` on an even one, and each share has a few powers `p` whose weights are chosen by marginal
likelihood, so every integral is a sum over nodes: the likelihood of a label, the posterior once a
test is seen, and the distribution of the recovery time for any δ, without fitting again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.numeric.compiled import inner, kept

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Ints, Singles


#: Half-life of the fast part: mid-way between the metabolic (2 h) and glycogen parts it stands for.
FAST_HALF_LIFE_H = 3.0
#: Times beyond this are not told apart from never: four follow-ups of 336 h.
LAST_H = 1344.0
#: Logs of likelihoods that a float32 cannot hold beside 1.
LEAST_LOG = -88.0
#: Every node keeps this weight, so that a prior and tests that contradict it utterly still meet.
LEAST_WEIGHT = 1e-140


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


@kept
def remaining(t_h: float, tau_h: float, slow: float, power: float) -> float:
    """Return e(t), the share of the initial deficit that is left after `t_h` hours."""
    fast = (1.0 - slow) * 2.0 ** (-t_h / FAST_HALF_LIFE_H)
    left: float = fast + slow * np.exp(-((t_h / tau_h) ** power))
    return left


@kept
def remaining_shares(hours: Floats, log_tau: Floats, slow: Floats, power: Floats) -> Floats:
    """Return `remaining` at each of `hours` for every shape and tau, shape (n_hours, n_s, n_b)."""
    left = np.empty((hours.size, slow.size, log_tau.size))
    for h in range(hours.size):
        for s in range(slow.size):
            for j in range(log_tau.size):
                left[h, s, j] = remaining(hours[h], np.exp(log_tau[j]), slow[s], power[s])
    return left


@kept
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


@kept
def _tables(
    offsets: Ints, hours: Floats, deficit: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, levels: int, slow: Floats, power: Floats, level: Ints,
    weights: Floats,
) -> tuple[Singles, Floats]:  # fmt: skip
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


def likelihood_tables(followed: Followed, grid: CurveGrid) -> tuple[Singles, Floats]:
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


@kept
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
