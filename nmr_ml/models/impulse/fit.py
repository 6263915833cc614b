"""Fits a component: coefficients by Gauss-Newton, variances by scoring, slopes kept small by need.

Every step linearises all records, solves for the coefficients with the effects of people summed
out, moves the variances by average information (Gilmour et al. 1995, 10.2307/2533274) and lets
each group of columns choose how far its slopes may lie from 0 (an EM step; where nothing speaks for
them they stay there).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.sparse as sp

from nmr_ml.models.impulse.fit_priors import free_spreads, with_free
from nmr_ml.models.impulse.fit_problem import problem_of
from nmr_ml.models.impulse.fit_record import Record, record_terms
from nmr_ml.models.impulse.model import ImpulseModel
from nmr_ml.models.impulse.response import fresh_level, impulses, moved, response
from nmr_ml.numeric.convergence import tell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmr_ml.models.impulse.coefficients import Coefficients
    from nmr_ml.models.impulse.fit_problem import Features, Problem
    from nmr_ml.models.impulse.response import Response
    from nmr_ml.models.impulse.spreads import Spreads
    from nmr_ml.models.impulse.stream import Stream
    from nmr_ml.numeric.arrays import Floats, Ints

#: Steps at most; steps before the form of the kernel moves, and before slopes choose their size.
MOST_STEPS, FORM_WAITS, SLOPES_WAIT = 24, 5, 3
#: A search ends where no coefficient of an impulse and no log variance moves by more.
ENOUGH = 0.02
#: No coefficient of an impulse moves by more in a step (twice as much in the first two), nor does
#: a log variance.
LONGEST_STEP, LONGEST_SPREAD_STEP = 0.5, 0.8
#: Bounds of log c, between a sudden fall and an exponential.
LOG_PLATEAU = (-3.5, 4.0)
#: A group's slopes choose their variance as if so many more of half the believed size were there.
SLOPES_SEEN, SLOPES_SHARE = 4.0, 0.5
#: Holds the form of the kernel where it is.
_HELD = 1e6


@dataclass(frozen=True, slots=True)
class State:
    """Where a search stands.

    Parameters
    ----------
    coefficients : Coefficients
    spreads : Spreads
    precision : float64 array, shape (p, p)
        Of the belief about coefficients, with the slopes' present size.
    athlete : float64 array, shape (n_athletes, 2)
    modality : float64 array, shape (n_athletes, n_modalities, 2)
        Modes of the effects on log amplitude and log half-life.
    stride, turned : float64 arrays, shape (n_free,)
        How far the log of each free variance may move in a step, and its last move: one that turns
        back and forth moves by half as much each time.
    """

    coefficients: Coefficients
    spreads: Spreads
    precision: Floats
    athlete: Floats
    modality: Floats
    stride: Floats
    turned: Floats


class Sums(NamedTuple):
    """What all records and the belief say together, and what each record says of its athlete.

    `people` has for each athlete with tests the positions of its modalities, its effects, and how
    these fall with the step of the coefficients.
    """

    information: Floats
    pull: Floats
    score: Floats
    score_information: Floats
    log_likelihood: float
    people: dict[int, tuple[Ints, Floats, Floats]]


def fit_impulse(
    stream: Stream, features: Features, deltas: Sequence[float], in_pct: Sequence[bool],
    alike: ImpulseModel | None = None,
) -> ImpulseModel:  # fmt: skip
    """Fit one component.

    Parameters
    ----------
    stream : Stream
        The athletes to learn from.
    features : Features
    deltas, in_pct : sequences, one entry for each test of the family, the index test first
        The smallest deficit that counts, and whether the test is in per cent.
    alike : ImpulseModel or None
        Another component, fitted to the same sessions, whose speeds this one's are likely to be
        near to: power, for coordination that is told by the same jumps.
    """
    problem = problem_of(stream, features, deltas, in_pct, alike)
    state, step, taken = _start(problem), np.inf, 0
    sums = _sums(problem, state)
    while taken < MOST_STEPS and (taken < FORM_WAITS + 2 or step > ENOUGH):
        state, step = _stepped(problem, state, sums, taken)
        sums, taken = _sums(problem, state), taken + 1
    tell("impulses", taken, converged=step <= ENOUGH, moved=step)
    return _model(problem, state, sums, in_pct[0])


def _start(problem: Problem) -> State:
    n, prior = problem.stream.athletes_n, problem.prior
    modality = np.zeros((n, problem.modalities.size, 2))
    free = prior.certainty.size
    return State(
        prior.mean, prior.spreads, prior.precision, np.zeros((n, 2)), modality,
        np.full(free, LONGEST_SPREAD_STEP), np.zeros(free),
    )  # fmt: skip


def _sums(problem: Problem, state: State) -> Sums:
    """Return what the belief and every record say at `state`."""
    c, stream = state.coefficients, problem.stream
    by_session = _effects_of_sessions(problem, state)
    plain = impulses(c, problem.read, problem.read[:, problem.own], problem.group, problem.team)
    impulse = moved(plain, by_session[:, 0], by_session[:, 1])
    felt = response(impulse, problem.pairs, stream.tests.test, c)
    level = fresh_level(c, stream.tests.test, problem.at)
    apart = stream.tests.value - level + _by_test(problem, felt.left)
    slopes = _slopes(problem, state, felt, np.exp(by_session[:, 0]))
    information = state.precision.copy()
    pull = state.precision @ (problem.prior.mean.vector - c.vector)
    free = free_spreads(state.spreads).size
    score, score_information, likelihood = np.zeros(free), np.zeros((free, free)), 0.0
    people = {}
    for a in np.flatnonzero(np.diff(stream.tests.offsets)):
        places, record = _record(problem, state, felt, apart, slopes, int(a))
        terms = record_terms(record, state.spreads)
        information += terms.information
        pull += terms.pull
        score += terms.score
        score_information += terms.score_information
        likelihood += terms.log_likelihood
        people[int(a)] = (places, terms.effects, terms.of_step)
    return Sums(information, pull, score, score_information, likelihood, people)


def _effects_of_sessions(problem: Problem, state: State) -> Floats:
    """Return the modes of the effects on each session, shape (n_sessions, 2)."""
    owner = problem.stream.sessions.owner
    return np.asarray(state.athlete[owner] + state.modality[owner, problem.modality])


def _by_test(problem: Problem, of_pair: Floats) -> Floats:
    """Return sums over the pairs of each test."""
    total = np.concatenate([[0.0], np.cumsum(of_pair)])
    return np.asarray(np.diff(total[problem.pairs.offsets]), np.float64)


def _slopes(problem: Problem, state: State, felt: Response, grown: Floats) -> Floats:
    """Return the derivative of each test by each coefficient, shape (n_tests, p).

    Parameters
    ----------
    grown : float64 array, shape (n_sessions,)
        What the athlete's effects multiply an amplitude by.
    """
    c, tests, at = state.coefficients, problem.stream.tests, problem.at
    n = tests.value.size
    of_group, of_team = (
        _one_hot(problem.group, len(problem.groups)),
        _one_hot(problem.team, len(problem.teams)),
    )
    of_test = _one_hot(tests.test, c.level.size)
    of_device = _one_hot(at.device, len(problem.devices))
    both = _by_session(problem, felt.left)
    slow, tau = _by_session(problem, felt.slow), _by_session(problem, felt.slow_by_tau)
    team = np.append(c.team_slow, 0.0)[problem.team]
    unit = _by_session(problem, felt.fast_unit * (grown * np.exp(team))[problem.pairs.session])
    left = _by_test(problem, felt.left)[:, None]
    paced = _by_test(problem, felt.slow_by_tau)[:, None]
    parts: dict[str, Floats] = {
        "log_slow": -(slow @ of_group),
        "fast": -(unit @ of_group),
        "log_tau": -(tau @ of_group),
        "log_plateau": -(_by_session(problem, felt.slow_by_plateau) @ of_group),
        "log_fast_h": -_by_test(problem, felt.fast_by_half_life)[:, None],
        "slow_slope": -(slow @ problem.read),
        "tau_slope": -(tau @ problem.read),
        "fast_slope": -(unit @ problem.read[:, problem.own]),
        "log_share": -of_test * left,
        "log_pace": -of_test * paced,
        "level": of_test,
        "trend": of_test * at.season[:, None],
        "cosine": of_test * at.cosine[:, None],
        "sine": of_test * at.sine[:, None],
        "carried": -at.carried[:, None],
        "team_slow": -(both @ of_team),
        "team_tau": -(tau @ of_team),
        "device": of_device,
    }
    slopes = np.empty((n, c.vector.size))
    for name, place in c.places.items():
        slopes[:, place] = parts[name]
    return slopes


def _one_hot(code: Ints, n: int) -> Floats:
    return np.asarray(code[:, None] == np.arange(n), np.float64)


def _by_session(problem: Problem, of_pair: Floats) -> sp.csr_array:
    """Return the values of pairs as a matrix of tests by sessions."""
    pairs = problem.pairs
    shape = (pairs.offsets.size - 1, problem.group.size)
    return sp.csr_array((of_pair, pairs.session, pairs.offsets), shape=shape)


def _record(
    problem: Problem, state: State, felt: Response, apart: Floats, slopes: Floats, a: int
) -> tuple[Ints, Record]:
    """Return the positions of an athlete's modalities, and the record."""
    tests, sessions, pairs = problem.stream.tests, problem.stream.sessions, problem.pairs
    rows = slice(tests.offsets[a], tests.offsets[a + 1])
    first, last = sessions.offsets[a], sessions.offsets[a + 1]
    of_pair = slice(pairs.offsets[rows.start], pairs.offsets[rows.stop])
    n = rows.stop - rows.start
    v = np.repeat(np.arange(n), np.diff(pairs.offsets[rows.start : rows.stop + 1]))
    s = pairs.session[of_pair] - first
    by_slow, by_tau = np.zeros((n, last - first)), np.zeros((n, last - first))
    by_slow[v, s] = -felt.left[of_pair]
    by_tau[v, s] = -felt.slow_by_tau[of_pair]
    places, modality = np.unique(problem.modality[first:last], return_inverse=True)
    effects = np.concatenate([state.athlete[a], state.modality[a, places].T.ravel()])
    taken_d = (tests.taken_h[rows] - problem.stream.began_h[a]) / 24.0
    record = Record(
        apart[rows], slopes[rows], by_slow, by_tau, modality.astype(np.int64), effects, taken_d,
        tests.test[rows], tests.visit[rows], tests.device[rows], problem.at.device[rows],
        tests.error[rows], problem.at.carried[rows],
    )  # fmt: skip
    return places.astype(np.int64), record


def _stepped(problem: Problem, state: State, sums: Sums, taken: int) -> tuple[State, float]:
    """Return the next state, and the largest move of an impulse's coefficient or log variance."""
    c = state.coefficients
    step = _coefficient_step(c, sums, taken)
    vector = c.vector + step
    form = c.places["log_plateau"]
    vector[form] = np.clip(vector[form], *LOG_PLATEAU)
    spreads, change, stride = _spreads_step(problem, state, sums)
    athlete, modality = state.athlete.copy(), state.modality.copy()
    for a, (places, effects, of_step) in sums.people.items():
        now = effects - of_step @ step
        athlete[a] = now[:2]
        modality[a, places] = now[2:].reshape(2, -1).T
    precision = state.precision if taken < SLOPES_WAIT else _slopes_size(problem, state, sums)
    went = np.abs(vector - c.vector)[: c.places["log_share"].start]
    largest = float(went.max(initial=0.0))
    moved_by = max(largest, float(np.abs(change).max()))
    after = State(c.of_vector(vector), spreads, precision, athlete, modality, stride, change)
    return after, moved_by


def _coefficient_step(c: Coefficients, sums: Sums, taken: int) -> Floats:
    information, form = sums.information, c.places["log_plateau"]
    if taken < FORM_WAITS:
        information = information.copy()
        information[form, form] += _HELD * np.eye(form.stop - form.start)
    step = np.linalg.solve(information, sums.pull)
    limit = LONGEST_STEP * (2.0 if taken < 2 else 1.0)
    of_impulses = slice(0, c.places["level"].start)
    step[of_impulses] = np.clip(step[of_impulses], -limit, limit)
    return np.asarray(step)


def _spreads_step(problem: Problem, state: State, sums: Sums) -> tuple[Spreads, Floats, Floats]:
    """Return the next variances, by how much their logs moved, and how far they may move next."""
    free, believed = free_spreads(state.spreads), free_spreads(problem.prior.spreads)
    precision = problem.prior.certainty**-2.0
    log_free = np.log(free)
    score = sums.score - precision * (log_free - np.log(believed))
    step = np.linalg.solve(sums.score_information + np.diag(precision), score)
    stride = np.where(step * state.turned < 0.0, 0.5, 1.0) * state.stride
    change = np.clip(step, -stride, stride)
    return with_free(state.spreads, np.exp(log_free + change)), change, stride


def _slopes_size(problem: Problem, state: State, sums: Sums) -> Floats:
    """Return the belief with the variance of each group's slopes as the data ask for it."""
    c, precision = state.coefficients, state.precision.copy()
    variance = np.diag(np.linalg.inv(sums.information))
    for name in ("slow_slope", "tau_slope"):
        first = c.places[name].start
        for group in np.unique(problem.slopes_group):
            rows = first + np.flatnonzero(problem.slopes_group == group)
            believed = SLOPES_SHARE**2 / problem.prior.precision[rows, rows].max()
            seen = float(c.vector[rows] @ c.vector[rows] + variance[rows].sum())
            size = (seen + SLOPES_SEEN * believed) / (rows.size + SLOPES_SEEN)
            if problem.columns.own[rows[0] - first]:
                # Columns of the session itself go together, and trade amplitude for half-life.
                size = min(size, believed / SLOPES_SHARE**2)
            precision[rows, rows] = 1.0 / size
    return precision


def _model(problem: Problem, state: State, sums: Sums, in_pct: bool) -> ImpulseModel:
    c = state.coefficients
    last = c.places["log_plateau"].start
    constants = np.asarray(np.linalg.inv(sums.information)[:last, :last], np.float64)
    return ImpulseModel(
        groups=problem.groups,
        columns=problem.columns,
        coefficients=c,
        spreads=state.spreads,
        constants=constants,
        teams=problem.teams,
        devices=problem.devices,
        in_pct=in_pct,
    )
