"""What one athlete's tests say of coefficients, variances and the athlete: the algebra of a record.

With everything known but the coefficients, an athlete's tests are normal around their mean with
variance ``V = K + Z Ω Z'``: `K` of level, device, readings and visits, `Z` how effects of athlete,
modality and session move the tests. Effects of athlete and modality are linearised at their modes,
those of sessions at 0, for at their modes the slopes follow the noise and amplitudes come out too
large.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

if TYPE_CHECKING:
    from nmr_ml.models.impulse.spreads import Spreads
    from nmr_ml.numeric.arrays import Floats, Ints


class Record(NamedTuple):
    """One athlete's tests and how they move.

    Parameters
    ----------
    apart : float64 array, shape (n,)
        Tests less their mean, the latter with the athlete's effects at their modes.
    slopes : float64 array, shape (n, p)
        Derivative of each test by each coefficient.
    by_slow, by_tau : float64 arrays, shape (n, n_sessions)
        Derivative of each test by the log amplitude and log half-life of each session.
    modality : int64 array, shape (n_sessions,)
        Position of each session's modality among the athlete's.
    effects : float64 array, shape (2 + 2 n_modalities,)
        The athlete's log amplitude and log half-life, then those of modalities.
    taken_d : float64 array, shape (n,), d
        Since the record began.
    test, visit, device, known_device : int64 arrays, shape (n,)
    error, carried : float64 arrays, shape (n,)
    """

    apart: Floats
    slopes: Floats
    by_slow: Floats
    by_tau: Floats
    modality: Ints
    effects: Floats
    taken_d: Floats
    test: Ints
    visit: Ints
    device: Ints
    known_device: Ints
    error: Floats
    carried: Floats


class Terms(NamedTuple):
    """What a record adds to a step.

    `information` (p, p) and `pull` (p,) are of the coefficients, `score` and `score_information` of
    the free variances. The effects are ``effects - of_step @ step`` once coefficients took `step`.
    """

    information: Floats
    pull: Floats
    score: Floats
    score_information: Floats
    log_likelihood: float
    effects: Floats
    of_step: Floats


def record_terms(record: Record, spreads: Spreads) -> Terms:
    """Return what `record` says at the present coefficients and variances."""
    Z = effect_design(record)
    moving = moving_parts(record, Z, spreads.walk.size)
    variances = np.concatenate([spreads.effects[:6], spreads.walk, spreads.reading, spreads.visit])
    V = np.tensordot(variances, moving, 1) + standing_part(record, spreads)
    factor = np.linalg.cholesky(V)
    residual = record.apart + Z @ record.effects
    whitened = solve_triangular(
        factor, np.column_stack([record.slopes, Z, residual]), lower=True, check_finite=False
    )
    p, n = record.slopes.shape[1], residual.size
    G, W, r = whitened[:, :p], whitened[:, p:-1], whitened[:, -1]
    inverse_factor = solve_triangular(factor, np.eye(n), lower=True, check_finite=False)
    inverse = inverse_factor.T @ inverse_factor
    weights = inverse @ residual
    pushed = moving @ weights
    score = 0.5 * (pushed @ weights - np.tensordot(moving, inverse, 2))
    omega = effect_variances(spreads, record.modality)[:, None]
    return Terms(
        G.T @ G, G.T @ r,
        score * variances,
        0.5 * (pushed @ inverse @ pushed.T) * np.outer(variances, variances),
        float(-0.5 * r @ r - np.log(np.diag(factor)).sum()),
        omega[:, 0] * (W.T @ r),
        omega * (W.T @ G),
    )  # fmt: skip


def effect_design(record: Record) -> Floats:
    """Return how tests move with the effects of athlete and modalities, shape (n, n_effects)."""
    of_modality = (record.modality[:, None] == np.arange(_modalities(record))).astype(np.float64)
    return np.column_stack([
        record.by_slow.sum(axis=1), record.by_tau.sum(axis=1),
        record.by_slow @ of_modality, record.by_tau @ of_modality,
    ])  # fmt: skip


def _modalities(record: Record) -> int:
    return (record.effects.size - 2) // 2


def effect_variances(spreads: Spreads, modality: Ints) -> Floats:
    """Return the variance of each of an athlete's effects."""
    n = int(modality.max(initial=-1)) + 1
    slow, tau, of_slow, of_tau = spreads.effects[:4]
    return np.concatenate([[slow, tau], np.full(n, of_slow), np.full(n, of_tau)])


def moving_parts(record: Record, Z: Floats, tests_n: int) -> Floats:
    """Return the matrices that the free variances multiply, shape (n_free, n, n)."""
    n = _modalities(record)
    slow, tau = Z[:, 2 : 2 + n], Z[:, 2 + n :]
    effects = [
        np.outer(Z[:, 0], Z[:, 0]), np.outer(Z[:, 1], Z[:, 1]), slow @ slow.T, tau @ tau.T,
        record.by_slow @ record.by_slow.T, record.by_tau @ record.by_tau.T,
    ]  # fmt: skip
    of_test = record.test[:, None] == np.arange(tests_n)
    walked = np.minimum(record.taken_d[:, None], record.taken_d)
    walks = [np.outer(own, own) * walked for own in of_test.T]
    readings = [np.diag(own * record.error**2) for own in of_test.T]
    same_visit = record.visit[:, None] == record.visit
    visit = same_visit * np.outer(record.error, record.error)
    return np.stack([*effects, *walks, *readings, visit])


def standing_part(record: Record, spreads: Spreads) -> Floats:
    """Return the variance of start, of what was carried in, and of devices, shape (n, n)."""
    same_test = record.test[:, None] == record.test
    start = same_test * spreads.start[record.test]
    same_device = same_test & (record.device[:, None] == record.device)
    of_device = np.where(record.known_device >= 0, spreads.device[0], spreads.device[1])
    return np.asarray(
        start
        + same_device * of_device
        + spreads.carried[0] * np.outer(record.carried, record.carried)
    )
