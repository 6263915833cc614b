"""Tables over what an athlete's episodes have in common: offsets of size and speed, baseline error.

The tests of one episode are as likely as `episode_likelihood` says at every node of (offset of log
amplitude, offset of log tau, error of the rested baseline). Tables of several episodes multiply in
any order, whatever is censored. Rested baselines of an athlete share tests, so their errors are
correlated: unless that is known, one error looks like the athlete's biology again and again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.history.rested_baseline import NO_TEST_S
from nmr_ml.models.curve.likelihood import remaining, shape_probabilities
from nmr_ml.models.curve.target import REACH
from nmr_ml.numeric.compiled import inner, kept

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Ints, Singles


#: Nodes of each offset, in spreads of the prior.
OFFSET_NODES = np.linspace(-2.8, 2.8, 9)
#: Nodes of the error of a rested baseline, in its standard errors.
SHARED = np.linspace(-3.2, 3.2, 9)
#: Shapes below this probability add nothing to what an episode says of its athlete.
LEAST_TOLD_SHAPE = 1e-3
#: Baselines correlated by more than 1 less a half of this square are one.
LEAST_APART = 1e-2
#: Logs of likelihoods, relative to the highest, that no baseline error brings back.
LEAST_LOG_OFFSET = -300.0
LEAST = 1e-300


@dataclass(frozen=True, slots=True)
class Likelihood:
    """How likely the tests of each episode are at every node.

    Parameters
    ----------
    table : float32 array, shape (n, 9, 9, 9)
        Over `OFFSET_NODES` of size and of speed and over `SHARED`, divided by ``exp(top)``; 1
        where an episode has no test.
    top : float64 array, shape (n,)
    """

    table: Singles
    top: Floats


@dataclass(frozen=True, slots=True)
class Posterior:
    """What the episodes of each subject say.

    Parameters
    ----------
    mean, variance : float64 arrays, shape (n, 3)
        Of the offsets of size and speed and of the error of the subject's own baseline, in spreads
        of their priors.
    evidence : float64 array, shape (n,), log
    """

    mean: Floats
    variance: Floats
    evidence: Floats


def episode_likelihood(
    followed: Followed, grid: CurveGrid, means: Floats, within: Floats, scale: Floats
) -> Likelihood:
    """Return how likely each episode's tests are at every offset and baseline error.

    Parameters
    ----------
    followed : Followed
        As read by the component's `Measurement`.
    means : float64 array, shape (n, 3)
        Centre of the offsets of each episode, and its slow share.
    within : float64 array, shape (3,) or (n, 3)
        Spread of an athlete's episodes.
    scale : float64 array, shape (n, 2)
        Spread that `OFFSET_NODES` are multiples of.
    """
    withins = np.ascontiguousarray(np.broadcast_to(within, means.shape))
    table, top = _likelihood(
        followed.offsets, followed.hours, followed.deficit, followed.error,
        np.nan_to_num(followed.shared_error), grid.log_amplitude, grid.log_tau, grid.share,
        grid.slow, grid.power, grid.weights, grid.level, means, withins, scale, OFFSET_NODES,
        SHARED,
    )  # fmt: skip
    return Likelihood(table, top)


@inner
def _window(nodes: Floats, centre: float, far: float) -> tuple[int, int]:
    """Return the range of the `nodes` within `far` of `centre`, two at least."""
    first = min(int(np.searchsorted(nodes, centre - far)), nodes.size - 2)
    return first, max(int(np.searchsorted(nodes, centre + far)), first + 2)


@inner
def _priors(nodes: Floats, centre: float, scale: float, within: float, offsets: Floats) -> Floats:
    """Return normal probabilities of `nodes` around each offset, shape (n_offsets, n_nodes)."""
    prior = np.empty((offsets.size, nodes.size))
    for k in range(offsets.size):
        one = np.exp(-0.5 * ((nodes - centre - offsets[k] * scale) / within) ** 2)
        prior[k] = one / max(one.sum(), LEAST)
    return prior


@inner
def _add_shape(
    hours: Floats, deficit: Floats, error: Floats, step: float, errors: Floats,
    log_amplitude: Floats, log_tau: Floats, slow: float, power: float, weight: float,
    highest: float, base: Floats, slope: Floats, mixed: Floats,
) -> float:  # fmt: skip
    """Add a shape to `mixed` (n_shared, n_a, n_b), relative to ``exp(highest)``; return the latter.

    With residuals ``r`` at no baseline error, the log likelihood at an error ``b`` is ``-sum(w r²)
    / 2 + b sum(w r) - b² sum(w) / 2``: over evenly spaced `errors` one exponential and products.
    """
    w_sum, wy, wyy = 0.0, 0.0, 0.0
    for k in range(hours.size):
        w = 1.0 / error[k] ** 2
        w_sum, wy, wyy = w_sum + w, wy + w * deficit[k], wyy + w * deficit[k] ** 2
    for j in range(log_tau.size):
        we, wee, wye = 0.0, 0.0, 0.0
        for k in range(hours.size):
            e, w = remaining(hours[k], np.exp(log_tau[j]), slow, power), 1.0 / error[k] ** 2
            we, wee, wye = we + w * e, wee + w * e * e, wye + w * deficit[k] * e
        for i in range(log_amplitude.size):
            a = np.exp(log_amplitude[i])
            base[i, j] = -0.5 * (wyy - 2.0 * a * wye + a * a * wee)
            slope[i, j] = wy - a * we
    peak = base.max()
    if peak > highest:
        mixed *= np.exp(highest - peak)
        highest = peak
    given = weight * np.exp(-0.5 * errors**2 * w_sum)
    for i in range(log_amplitude.size):
        for j in range(log_tau.size):
            if base[i, j] - highest > LEAST_LOG_OFFSET:
                value = np.exp(base[i, j] - highest + errors[0] * slope[i, j])
                ratio = np.exp(step * slope[i, j])
                for z in range(errors.size):
                    mixed[z, i, j] += given[z] * value
                    value *= ratio
    return highest


@kept
def _likelihood(
    offsets: Ints, hours: Floats, deficit: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, share: Floats, slow: Floats, power: Floats,
    given_level: Floats, level: Ints, means: Floats, withins: Floats, scale: Floats, nodes: Floats,
    shared_nodes: Floats,
) -> tuple[Singles, Floats]:  # fmt: skip
    n, m, n_z = means.shape[0], nodes.size, shared_nodes.size
    table, top = np.ones((n, m, m, n_z), np.float32), np.zeros(n)
    likely = np.empty((m, m, n_z))
    for e in range(n):
        if offsets[e] == offsets[e + 1]:
            continue
        tests, within = slice(offsets[e], offsets[e + 1]), withins[e]
        shapes = shape_probabilities(share, level, given_level, means[e, 2], within[2])
        far = REACH * within[:2] + np.abs(nodes).max() * scale[e]
        a0, a1 = _window(log_amplitude, means[e, 0], far[0])
        b0, b1 = _window(log_tau, means[e, 1], far[1])
        la, lt = log_amplitude[a0:a1], log_tau[b0:b1]
        base, slope = np.empty((la.size, lt.size)), np.empty((la.size, lt.size))
        mixed, highest = np.zeros((n_z, la.size, lt.size)), -np.inf
        errors = shared_nodes * shared[e]
        for s in range(slow.size):
            if shapes[s] >= LEAST_TOLD_SHAPE:
                highest = _add_shape(
                    hours[tests], deficit[tests], error[tests], errors[1] - errors[0], errors,
                    la, lt, slow[s], power[s], shapes[s], highest, base, slope, mixed,
                )  # fmt: skip
        wa = _priors(la, means[e, 0], scale[e, 0], within[0], nodes)
        wb = _priors(lt, means[e, 1], scale[e, 1], within[1], nodes)
        for z in range(n_z):
            likely[:, :, z] = wa @ (mixed[z] @ wb.T)
        most = max(likely.max(), LEAST)
        table[e] = likely / most
        top[e] = highest + np.log(most) - np.log(error[tests]).sum()
    return table, top


@inner
def _correlation(own_s: Ints, other_s: Ints, none_s: int) -> float:
    """Return how the means of two sets of tests, taken at these times, are correlated."""
    own, other, both = 0, 0, 0
    for k in range(other_s.size):
        other += other_s[k] != none_s
    for i in range(own_s.size):
        own += own_s[i] != none_s
        for k in range(other_s.size):
            both += own_s[i] == other_s[k] and own_s[i] != none_s
    return both / np.sqrt(own * other) if both else 0.0


@inner
def _transition(nodes: Floats, correlation: float, out: Floats) -> None:
    """Write P(other error | own error) over the nodes of both, each row summing to 1."""
    apart = max(np.sqrt(max(1.0 - correlation**2, 0.0)), LEAST_APART)
    for i in range(nodes.size):
        row = np.exp(-0.5 * ((nodes - correlation * nodes[i]) / apart) ** 2)
        out[i] = row / row.sum()


@kept
def _posteriors(
    subject: Ints, own_s: Ints, offsets: Ints, rows: Ints, past_s: Ints, none_s: int,
    table: Singles, top: Floats, prior: Floats, nodes: Floats, shared_nodes: Floats,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    m, n_z = nodes.size, shared_nodes.size
    mean, variance = np.empty((subject.size, 3)), np.empty((subject.size, 3))
    evidence, transition = np.zeros(subject.size), np.empty((n_z, n_z))
    joint = np.empty((m, m, n_z))
    for q in range(subject.size):
        joint[:] = prior
        for k in range(offsets[subject[q]], offsets[subject[q] + 1]):
            e = rows[k]
            _transition(shared_nodes, _correlation(own_s[q], past_s[e], none_s), transition)
            for i in range(m):
                for j in range(m):
                    for z in range(n_z):
                        likely = 0.0
                        for y in range(n_z):
                            likely += transition[z, y] * table[e, i, j, y]
                        joint[i, j, z] *= likely
            total = max(joint.sum(), LEAST)
            joint /= total
            evidence[q] += np.log(total) + top[e]
        for axis in range(3):
            along = shared_nodes if axis == 2 else nodes
            mean[q, axis], variance[q, axis] = _along(joint, along, axis)
    return mean, variance, evidence


@inner
def _along(joint: Floats, nodes: Floats, axis: int) -> tuple[float, float]:
    """Return mean and variance of the `nodes` of one axis under the probabilities `joint`."""
    first, second = 0.0, 0.0
    for i in range(joint.shape[0]):
        for j in range(joint.shape[1]):
            for k in range(joint.shape[2]):
                node = nodes[(i, j, k)[axis]]
                first += joint[i, j, k] * node
                second += joint[i, j, k] * node**2
    # Of a posterior on one node, rounding leaves a little less than nothing.
    return first, max(second - first**2, 0.0)


def posterior(
    likelihood: Likelihood, subject: Ints, own_s: Ints, offsets: Ints, rows: Ints, past_s: Ints
) -> Posterior:
    """Return what is known of the offsets of each query's athlete, and of its baseline's error.

    The errors of the baselines of two episodes are correlated by the tests these share, each with
    that of the query; beyond that they count as independent.

    Parameters
    ----------
    subject : int64 array, shape (n_queries,)
    own_s, past_s : int64 arrays, shapes (n_queries, 6) and (n_episodes, 6), s since 1970 UTC
        Times of the rested tests of each baseline, as in
        `nmr_ml.history.rested_baseline.Baselines`.
    offsets, rows : int64 arrays
        The episodes of subject ``s`` are ``rows[offsets[s]:offsets[s + 1]]``.
    """
    of_offset, of_error = np.exp(-0.5 * OFFSET_NODES**2), np.exp(-0.5 * SHARED**2)
    prior = of_offset[:, None, None] * of_offset[:, None] * of_error
    mean, variance, evidence = _posteriors(
        subject, own_s, offsets, rows, past_s, NO_TEST_S, likelihood.table, likelihood.top,
        prior / prior.sum(), OFFSET_NODES, SHARED,
    )  # fmt: skip
    return Posterior(mean, variance, evidence)
