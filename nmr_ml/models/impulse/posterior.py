"""What an athlete's tests say of the sessions that are still felt."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.models.impulse.decay import fast_left, slow_slopes
from nmr_ml.models.impulse.response import LOG_AMPLITUDE, LOG_TAU, within
from nmr_ml.models.impulse.stream import REACH_H
from nmr_ml.numeric.compiled import inner

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats, Ints


#: Tests of an athlete that are looked at, the newest ones.
MOST_TESTS = 160
#: Sessions before the episode's own whose remains are told apart.
MOST_FELT = 9
#: A session of which less than this is left, in δ, is not told apart.
LEAST_FELT = 0.04
#: Times that the athlete's effects are linearised.
LOOKS = 2


class Laid(NamedTuple):
    """A stream as the kernels read it: rows of `Sessions` and `Tests`, impulses, and fresh levels.

    `log_slow` … `fast` are `nmr_ml.models.impulse.response.Impulses`, `apart` is each test less its
    fresh level, `since_d` the days since the record began.
    """

    session_offsets: Ints
    end_h: Floats
    session_known_h: Floats
    modality: Ints
    group: Ints
    log_slow: Floats
    log_tau: Floats
    log_plateau: Floats
    fast: Floats
    test_offsets: Ints
    taken_h: Floats
    test_known_h: Floats
    apart: Floats
    error: Floats
    test: Ints
    visit: Ints
    device: Ints
    known_device: Ints
    carried: Floats
    since_d: Floats


class Learnt(NamedTuple):
    """What a model knows, as the kernels read it; see `Coefficients` and `Spreads`."""

    effects: Floats
    start: Floats
    walk: Floats
    reading: Floats
    visit: float
    carried: float
    device: Floats
    log_share: Floats
    log_pace: Floats
    fast_h: float
    constants: Floats


@inner
def known_tests(s: Laid, athlete: int, as_of_h: float) -> Ints:
    """Return the newest `MOST_TESTS` tests known at `as_of_h`, in order of time."""
    rows = np.empty(MOST_TESTS, np.int64)
    n, v = 0, s.test_offsets[athlete + 1] - 1
    while v >= s.test_offsets[athlete] and n < MOST_TESTS:
        if s.taken_h[v] <= as_of_h and s.test_known_h[v] <= as_of_h:
            n += 1
            rows[MOST_TESTS - n] = v
        v -= 1
    return rows[MOST_TESTS - n :]


@inner
def felt_sessions(s: Laid, k: Learnt, athlete: int, own: int, as_of_h: float, least: float) -> Ints:
    """Return `own` and the earlier sessions that are felt most at its end, the newest first."""
    rows, left = np.empty(MOST_FELT + 1, np.int64), np.empty(MOST_FELT + 1)
    rows[0], n = own, 1
    for i in range(own - 1, s.session_offsets[athlete] - 1, -1):
        elapsed_h = s.end_h[own] - s.end_h[i]
        if elapsed_h >= REACH_H:
            break
        if s.session_known_h[i] > as_of_h:
            continue
        slow, fast, _ = part_left(s, k, i, elapsed_h, 0, 0.0, 0.0)
        much = abs(slow) + abs(fast)
        if much < least:
            continue
        if n <= MOST_FELT:
            rows[n], left[n] = i, much
            n += 1
        else:
            place = 1 + np.argmin(left[1:n])
            if left[place] < much:
                for j in range(place, n - 1):
                    rows[j], left[j] = rows[j + 1], left[j + 1]
                rows[n - 1], left[n - 1] = i, much
    return rows[:n]


@inner
def part_left(
    s: Laid, k: Learnt, i: int, elapsed_h: float, test: int, slow: float, tau: float
) -> tuple[float, float, float]:
    """Return what session `i` leaves of its slow and fast part, and the former's slope by log tau.

    `slow` and `tau` move the session's log amplitude and log half-life.
    """
    amplitude = np.exp(within(s.log_slow[i] + k.log_share[test] + slow, *LOG_AMPLITUDE))
    u = elapsed_h / np.exp(within(s.log_tau[i] + k.log_pace[test] + tau, *LOG_TAU))
    left, by_tau, _ = slow_slopes(u, np.exp(s.log_plateau[i]))
    quick = s.fast[i] * np.exp(k.log_share[test] + slow) * fast_left(elapsed_h, k.fast_h)
    return amplitude * left, quick, amplitude * by_tau


@inner
def modalities_of(s: Laid, athlete: int, last: int) -> tuple[Ints, int]:
    """Return the place of each session's modality among the athlete's, and how many there are."""
    first = s.session_offsets[athlete]
    places, n = np.empty(last + 1 - first, np.int64), 0
    for i in range(first, last + 1):
        places[i - first] = n
        for j in range(first, i):
            if s.modality[j] == s.modality[i]:
                places[i - first] = places[j - first]
                break
        if places[i - first] == n:
            n += 1
    return places, n


@inner
def linearised(
    s: Laid, k: Learnt, rows: Ints, first: int, last: int, as_of_h: float, place: Ints,
    effects: Floats, by_slow: Floats, by_tau: Floats, Z: Floats,
) -> Floats:  # fmt: skip
    """Return tests less what is expected of them at `effects`; fill their slopes.

    Parameters
    ----------
    rows : int64 array, shape (n,)
        The tests.
    first, last : int
        The sessions are ``first:last``.
    place : int64 array, shape (n_sessions,)
        Of each session's modality.
    effects : float64 array, shape (2 + 2 n_modalities,)
        Log amplitude and half-life of the athlete, then of each modality in turn.
    by_slow, by_tau : float64 arrays, shape (n, n_sessions)
        By the log amplitude and log half-life of each session.
    Z : float64 array, shape (n, 2 + 2 n_modalities)
        By the effects.
    """
    apart = np.empty(rows.size)
    by_slow[:], by_tau[:], Z[:] = 0.0, 0.0, 0.0
    for r in range(rows.size):
        v = rows[r]
        apart[r] = s.apart[v]
        for i in range(last - 1, first - 1, -1):
            elapsed_h = s.taken_h[v] - s.end_h[i]
            if elapsed_h <= 0.0 or s.session_known_h[i] > as_of_h:
                continue
            if elapsed_h >= REACH_H:
                break
            m = 2 + 2 * place[i - first]
            slow, fast, slope = part_left(
                s, k, i, elapsed_h, s.test[v], effects[0] + effects[m], effects[1] + effects[m + 1]
            )
            apart[r] += slow + fast
            by_slow[r, i - first], by_tau[r, i - first] = -(slow + fast), -slope
            Z[r, 0] -= slow + fast
            Z[r, m] -= slow + fast
            Z[r, 1] -= slope
            Z[r, m + 1] -= slope
    return apart


@inner
def test_covariance(
    s: Laid, k: Learnt, rows: Ints, omega: Floats, by_slow: Floats, by_tau: Floats, Z: Floats
) -> Floats:
    """Return the lower triangle of the covariance of the tests, shape (n, n)."""
    n = rows.size
    V, begin, end = np.empty((n, n)), np.empty(n, np.int64), np.empty(n, np.int64)
    for r in range(n):
        begin[r], end[r] = felt_between(by_slow[r])
        for q in range(r + 1):
            total = reading_covariance(s, k, rows[r], rows[q])
            for j in range(omega.size):
                total += omega[j] * Z[r, j] * Z[q, j]
            for i in range(max(begin[r], begin[q]), min(end[r], end[q])):
                total += k.effects[4] * by_slow[r, i] * by_slow[q, i]
                total += k.effects[5] * by_tau[r, i] * by_tau[q, i]
            V[r, q] = total
        V[r, r] += k.reading[s.test[rows[r]]] * s.error[rows[r]] ** 2
    return V


@inner
def felt_between(by_slow: Floats) -> tuple[int, int]:
    """Return the first session that a test feels, and the one after the last."""
    begin, end = by_slow.size, 0
    for i in range(by_slow.size):
        if by_slow[i] != 0.0:
            begin, end = min(begin, i), i + 1
    return begin, end


@inner
def reading_covariance(s: Laid, k: Learnt, v: int, w: int) -> float:
    """Return the covariance of tests `v` and `w` by level, device, visit and what came before."""
    total: float = k.carried * s.carried[v] * s.carried[w]
    if s.test[v] == s.test[w]:
        f = s.test[v]
        total += k.start[f] + k.walk[f] * min(s.since_d[v], s.since_d[w])
        if s.device[v] == s.device[w]:
            total += k.device[0] if s.known_device[v] >= 0 else k.device[1]
    if s.visit[v] == s.visit[w]:
        total += k.visit * s.error[v] * s.error[w]
    return total


@inner
def factorise(V: Floats) -> None:
    """Replace the lower triangle of `V` by its Cholesky factor."""
    n = V.shape[0]
    for j in range(n):
        root = np.sqrt(V[j, j])
        V[j, j] = root
        for i in range(j + 1, n):
            V[i, j] /= root
        for i in range(j + 1, n):
            times = V[i, j]
            for q in range(j + 1, i + 1):
                V[i, q] -= times * V[q, j]


@inner
def whiten(L: Floats, B: Floats) -> None:
    """Replace `B` by the solution of ``L X = B``."""
    n, m = B.shape
    for r in range(n):
        for q in range(r):
            times = L[r, q]
            for j in range(m):
                B[r, j] -= times * B[q, j]
        for j in range(m):
            B[r, j] /= L[r, r]


@inner
def effect_variances(k: Learnt, modalities_n: int, team: bool) -> Floats:
    """Return the variance of each effect; that of teams is added where the team is not known."""
    omega = np.empty(2 + 2 * modalities_n)
    omega[0], omega[1] = k.effects[0], k.effects[1]
    if not team:
        omega[0], omega[1] = omega[0] + k.effects[6], omega[1] + k.effects[7]
    for m in range(modalities_n):
        omega[2 + 2 * m], omega[3 + 2 * m] = k.effects[2], k.effects[3]
    return omega


@inner
def felt_posterior(
    s: Laid, k: Learnt, athlete: int, team: bool, felt: Ints, as_of_h: float
) -> tuple[Floats, Floats]:
    """Return mean and covariance of how far the sessions `felt` are from what is expected of them.

    Returns
    -------
    mean : float64 array, shape (2 n_felt,)
        Of log amplitude and log half-life of each session in turn.
    covariance : float64 array, shape (2 n_felt, 2 n_felt)
    """
    first, own = s.session_offsets[athlete], felt[0]
    last = own + 1
    while last < s.session_offsets[athlete + 1] and s.end_h[last] <= as_of_h:
        last += 1
    place, modalities_n = modalities_of(s, athlete, last - 1)
    omega = effect_variances(k, modalities_n, team)
    mean, covariance = np.zeros(2 * felt.size), prior_covariance(k, omega, place, felt, first)
    rows = known_tests(s, athlete, as_of_h)
    n = rows.size
    if n > 0:
        effects = np.zeros(omega.size)
        by_slow, by_tau = np.empty((n, last - first)), np.empty((n, last - first))
        Z, B = np.empty((n, omega.size)), np.empty((n, 1 + omega.size))
        for look in range(LOOKS):
            apart = linearised(s, k, rows, first, last, as_of_h, place, effects, by_slow, by_tau, Z)
            V = test_covariance(s, k, rows, omega, by_slow, by_tau, Z)
            factorise(V)
            for r in range(n):
                for j in range(omega.size):
                    apart[r] += Z[r, j] * effects[j]
            if look == LOOKS - 1:
                B = cross_covariance(k, omega, place, felt, first, by_slow, by_tau, Z, apart)
                whiten(V, B)
                condition(B, mean, covariance)
            else:
                B[:, 0] = apart
                B[:, 1:] = Z
                whiten(V, B)
                for j in range(omega.size):
                    total = 0.0
                    for r in range(n):
                        total += B[r, 0] * B[r, 1 + j]
                    effects[j] = omega[j] * total
    add_constants(s, k, felt, covariance)
    return mean, covariance


@inner
def prior_covariance(k: Learnt, omega: Floats, place: Ints, felt: Ints, first: int) -> Floats:
    """Return the covariance of the sessions `felt` before any test."""
    n = felt.size
    covariance = np.zeros((2 * n, 2 * n))
    for i in range(n):
        for j in range(n):
            same = place[felt[i] - first] == place[felt[j] - first]
            for part in range(2):
                total = omega[part] + (k.effects[2 + part] if same else 0.0)
                total += k.effects[4 + part] if i == j else 0.0
                covariance[2 * i + part, 2 * j + part] = total
    return covariance


@inner
def cross_covariance(
    k: Learnt, omega: Floats, place: Ints, felt: Ints, first: int, by_slow: Floats, by_tau: Floats,
    Z: Floats, apart: Floats,
) -> Floats:  # fmt: skip
    """Return `apart` beside the covariance of tests and sessions, shape (n, 1 + 2 n_felt)."""
    n = apart.size
    B = np.empty((n, 1 + 2 * felt.size))
    for r in range(n):
        B[r, 0] = apart[r]
        for i in range(felt.size):
            s, m = felt[i] - first, 2 + 2 * place[felt[i] - first]
            B[r, 1 + 2 * i] = omega[0] * Z[r, 0] + omega[m] * Z[r, m] + k.effects[4] * by_slow[r, s]
            B[r, 2 + 2 * i] = (
                omega[1] * Z[r, 1] + omega[m + 1] * Z[r, m + 1] + k.effects[5] * by_tau[r, s]
            )
    return B


@inner
def condition(B: Floats, mean: Floats, covariance: Floats) -> None:
    """Condition `mean` and `covariance` on the tests; `B` is whitened."""
    n, m = B.shape[0], mean.size
    for i in range(m):
        total = 0.0
        for r in range(n):
            total += B[r, 0] * B[r, 1 + i]
        mean[i] = total
        for j in range(i + 1):
            total = 0.0
            for r in range(n):
                total += B[r, 1 + i] * B[r, 1 + j]
            covariance[i, j] -= total
            if i != j:
                covariance[j, i] -= total


@inner
def add_constants(s: Laid, k: Learnt, felt: Ints, covariance: Floats) -> None:
    """Add what is not known of the groups' constants to `covariance`."""
    groups_n = k.constants.shape[0] // 3
    for i in range(felt.size):
        for j in range(felt.size):
            g, h = s.group[felt[i]], s.group[felt[j]]
            covariance[2 * i, 2 * j] += k.constants[g, h]
            covariance[2 * i + 1, 2 * j + 1] += k.constants[2 * groups_n + g, 2 * groups_n + h]
            covariance[2 * i, 2 * j + 1] += k.constants[g, 2 * groups_n + h]
            covariance[2 * i + 1, 2 * j] += k.constants[2 * groups_n + g, h]
