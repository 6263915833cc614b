"""Interval-censored accelerated failure times: log T = mu + scale · Z, Z normal or logistic.

An outcome is an interval ``(lower, upper]`` of log hours, ``-inf`` and ``+inf`` where it has no
end. Derivatives are taken in `mu` and in eta = ln scale. Formulas: method.md §4, with the normal
ones written in hazards, so that nothing cancels however far `mu` lies from the interval. All
kernels stand in this one file (`nmr_ml.numeric.compiled` says why).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.numeric.compiled import inner, kept

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats, Ints


#: Codes of the families: T is log-normal or log-logistic.
NORMAL, LOGISTIC = 0, 1
#: Bounds of a Newton step's curvature in units of 1/scale² (method.md §4: the normal one loses its
#: digits in the extreme tail, the logistic one underflows).
LEAST_CURVATURE, MOST_CURVATURE = 0.02, 1.0
#: Narrower intervals, in units of the scale, are read as this wide: log(0) has no slope.
LEAST_INTERVAL_WIDTH = 1e-9
#: Halvings of the bracket of a quantile, and where it begins, in scales below the location.
_STEPS, _REACH = 80, 40.0
#: Below this z the tail of the normal is taken from its asymptotic series (relative error 1e-12).
_FAR = -20.0
_LN_ROOT_2PI = 0.5 * math.log(2.0 * math.pi)


class Terms(NamedTuple):
    """Log probability of each interval, and the derivatives of minus it; shapes (n,).

    `slope` and `curvature` are in mu; `scale_slope` and `scale_curvature` in ln scale. The latter
    can be negative.
    """

    log_p: Floats
    slope: Floats
    curvature: Floats
    scale_slope: Floats
    scale_curvature: Floats


@kept
def interval_terms(
    lower_ln: Floats, upper_ln: Floats, mu: Floats, scale: Floats, family: int
) -> Terms:
    """Return the likelihood terms of intervals; all arrays have shape (n,)."""
    n = mu.size
    found = Terms(np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n))
    for i in range(n):
        s = scale[i]
        terms = interval((lower_ln[i] - mu[i]) / s, (upper_ln[i] - mu[i]) / s, family)
        found.log_p[i] = terms[0]
        found.slope[i] = terms[1] / s
        found.curvature[i] = terms[2] / (s * s)
        found.scale_slope[i], found.scale_curvature[i] = terms[3], terms[4]
    return found


@inner
def interval(low: float, high: float, family: int) -> tuple[float, float, float, float, float]:
    """Return log P(low < Z <= high) and the derivatives of minus it, for scale 1."""
    if low == -np.inf and high == np.inf:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    high = max(high, low + LEAST_INTERVAL_WIDTH * max(1.0, abs(low)))
    if family == LOGISTIC:
        return logistic_interval(low, high)
    return normal_interval(low, high)


@inner
def logistic_interval(low: float, high: float) -> tuple[float, float, float, float, float]:
    """Return the terms of `interval` for the logistic; F(u) - F(l) = F(u) F(-l) (1 - exp(l-u))."""
    below, above = sigmoid(low), sigmoid(-high)
    width = high - low
    log_p = log_sigmoid(high) + log_sigmoid(-low) + math.log(-math.expm1(-width))
    slope = above - below
    curvature = sigmoid(high) * above + below * sigmoid(-low)
    q = width / math.expm1(width) if width < 700.0 else 0.0
    from_low = low * below if low > -np.inf else 0.0
    from_high = high * above if high < np.inf else 0.0
    bend = q * q * math.exp(width) if width < 300.0 else 0.0
    if low > -np.inf:
        bend += low * low * below * sigmoid(-low) + from_low
    if high < np.inf:
        bend += high * high * sigmoid(high) * above - from_high
    return log_p, slope, curvature, from_high - from_low + q, bend - q


@inner
def normal_interval(low: float, high: float) -> tuple[float, float, float, float, float]:
    """Return the terms of `interval` for the normal, from its hazards on the side of the mean."""
    flipped = low + high > 0.0
    a, b = (-high, -low) if flipped else (low, high)
    ln_hazard = log_hazard(b)
    rest, at_a = 0.0, 0.0
    if a > -np.inf:
        between = 0.5 * (b - a) * (b + a)
        gap = min(between - log_hazard(a) + ln_hazard, -1e-12)
        rest = math.log(-math.expm1(gap))
        at_a = math.exp(min(ln_hazard - rest + between, 60.0))
    at_b = math.exp(min(ln_hazard - rest, 60.0))
    log_p = -0.5 * b * b - _LN_ROOT_2PI - ln_hazard + rest
    slope = at_b - at_a
    first = b * at_b - (a * at_a if a > -np.inf else 0.0)
    third = b**3 * at_b - (a**3 * at_a if a > -np.inf else 0.0)
    curvature = slope * slope + first
    return log_p, -slope if flipped else slope, curvature, first, first * first - first + third


@inner
def log_hazard(z: float) -> float:
    """Return ln(φ(z) / Φ(z)) of the standard normal."""
    if z < _FAR:
        r = 1.0 / (z * z)
        series = 1.0 - r * (1.0 - 3.0 * r * (1.0 - 5.0 * r * (1.0 - 7.0 * r * (1.0 - 9.0 * r))))
        return math.log(-z) - math.log(series)
    return -0.5 * z * z - _LN_ROOT_2PI - math.log(0.5 * math.erfc(-z / math.sqrt(2.0)))


@inner
def log_survival(z: float, family: int) -> float:
    """Return ln P(Z > z)."""
    if z == -np.inf:
        return 0.0
    if z == np.inf:
        return -np.inf
    if family == LOGISTIC:
        return log_sigmoid(-z)
    if z < 0.0:
        return math.log1p(-0.5 * math.erfc(-z / math.sqrt(2.0)))
    return -0.5 * z * z - _LN_ROOT_2PI - log_hazard(-z)


@inner
def sigmoid(z: float) -> float:
    """Return 1 / (1 + exp(-z))."""
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    part = math.exp(z)
    return part / (1.0 + part)


@inner
def log_sigmoid(z: float) -> float:
    """Return ln of `sigmoid`."""
    return -math.log1p(math.exp(-z)) if z >= 0.0 else z - math.log1p(math.exp(z))


@inner
def log_sum(parts: Floats) -> float:
    """Return ln Σ exp(parts)."""
    top = parts.max()
    if top == -np.inf:
        return -np.inf
    return float(top + math.log(np.exp(parts - top).sum()))


@kept
def past_evidence(
    first: Ints, last: Ints, own: Ints, as_of_s: Ints,
    onset_s: Ints, known_s: Ints, resolved_s: Ints,
    mu: Floats, scale: Floats, half_width_h: float, nodes: Floats, family: int,
) -> Floats:  # fmt: skip
    """Return the log likelihood of an athlete's other episodes, as known at each `as_of`.

    Parameters
    ----------
    first, last, own, as_of_s : int64 arrays, shape (n,)
        The episodes ``first:last`` are the athlete's; `own` is the one that is asked about.
    onset_s, known_s, resolved_s : int64 arrays, shape (n_episodes,), s
    mu, scale : float64 arrays, shape (n_episodes,)
        NaN for a kind that is not learnt, whose episodes say nothing.
    half_width_h : float, h
        An end is known this well.
    nodes : float64 array, shape (n_nodes,)
        Offsets of the athlete.

    Returns
    -------
    float64 array, shape (n, n_nodes)
    """
    found = np.zeros((own.size, nodes.size))
    for q in range(own.size):
        for j in range(first[q], last[q]):
            if j == own[q] or known_s[j] > as_of_s[q] or onset_s[j] >= as_of_s[q]:
                continue
            if np.isnan(mu[j]):
                continue
            low_h, high = (as_of_s[q] - onset_s[j]) / 3600.0, np.inf
            if resolved_s[j] <= as_of_s[q]:
                ended_h = (resolved_s[j] - onset_s[j]) / 3600.0
                low_h, high = ended_h - half_width_h, math.log(ended_h + half_width_h)
            low = math.log(low_h) if low_h > 0.0 else -np.inf
            for k in range(nodes.size):
                centre = mu[j] + nodes[k]
                terms = interval((low - centre) / scale[j], (high - centre) / scale[j], family)
                found[q, k] += terms[0]
    return found


@kept
def mixture_log_survival(
    at_ln: Floats, log_weight: Floats, mu: Floats, scale: Floats, nodes: Floats, family: int
) -> Floats:
    """Return ln P(log T > at_ln) for T of a mixture over an athlete's possible offsets.

    Parameters
    ----------
    at_ln : float64 array, shape (n, n_times)
    log_weight : float64 array, shape (n, n_nodes)
    mu, scale : float64 arrays, shape (n,)
    nodes : float64 array, shape (n_nodes,)
    """
    found = np.empty(at_ln.shape)
    parts = np.empty(nodes.size)
    for i in range(mu.size):
        for h in range(at_ln.shape[1]):
            found[i, h] = _mixture(
                at_ln[i, h], log_weight[i], mu[i], scale[i], nodes, family, parts
            )
    return found


@inner
def _mixture(
    at_ln: float, log_weight: Floats, mu: float, scale: float, nodes: Floats, family: int,
    parts: Floats,
) -> float:  # fmt: skip
    for k in range(nodes.size):
        parts[k] = log_weight[k] + log_survival((at_ln - mu - nodes[k]) / scale, family)
    return log_sum(parts)


@kept
def mixture_quantiles(
    levels: Floats, elapsed_ln: Floats, log_weight: Floats, mu: Floats, scale: Floats,
    nodes: Floats, family: int,
) -> Floats:  # fmt: skip
    """Return quantiles of log T given that log T > `elapsed_ln`, shape (n, n_levels).

    Arguments as in `mixture_log_survival`; `elapsed_ln` has shape (n,), -inf for no time yet.
    """
    found = np.empty((mu.size, levels.size))
    parts = np.empty(nodes.size)
    for i in range(mu.size):
        start = _mixture(elapsed_ln[i], log_weight[i], mu[i], scale[i], nodes, family, parts)
        least = mu[i] + nodes.min() - _REACH * scale[i]
        for level in range(levels.size):
            wanted = start + math.log1p(-levels[level])
            low, step = max(least, elapsed_ln[i]), scale[i]
            high = max(low, mu[i] + nodes.max()) + step
            while _mixture(high, log_weight[i], mu[i], scale[i], nodes, family, parts) > wanted:
                step *= 2.0
                high += step
            for _ in range(_STEPS):
                middle = 0.5 * (low + high)
                over = _mixture(middle, log_weight[i], mu[i], scale[i], nodes, family, parts)
                low, high = (middle, high) if over > wanted else (low, middle)
            found[i, level] = 0.5 * (low + high)
    return found


def rough_median(lower_ln: Floats, upper_ln: Floats) -> float:
    """Return where to begin a fit: the median of the bounds there are, 0 without any."""
    bound = np.where(np.isfinite(upper_ln), upper_ln, lower_ln)
    known = bound[np.isfinite(bound)]
    return float(np.median(known)) if known.size else 0.0


def newton_terms(
    lower_ln: Floats, upper_ln: Floats, mu: Floats, scale: Floats, family: int
) -> tuple[Floats, Floats]:
    """Return slope and bounded curvature of minus the log likelihood in mu, for boosting."""
    terms = interval_terms(lower_ln, upper_ln, mu, scale, family)
    bounds = LEAST_CURVATURE / scale**2, MOST_CURVATURE / scale**2
    return terms.slope, np.clip(terms.curvature, *bounds)
