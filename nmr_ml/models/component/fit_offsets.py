"""Learns how teams and athletes differ, by marginal likelihood."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import minimize

from nmr_ml.models.component.offset_posterior import episode_likelihood, posterior
from nmr_ml.models.component.offsets import OffsetPrior, Team
from nmr_ml.numeric.convergence import tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.component.offset_posterior import Likelihood, Posterior
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Ints, Objects


#: Teams of `TEAM_PRIOR` spread are assumed as often as this many more teams.
TEAM_PRIOR, PSEUDO_TEAMS = 0.10, 2.0


#: Spread of athletes, and of the episodes of one, that is expected, in spreads of the model, and
#: how far the logs of these may be off. Without a prior, 300 simulated athletes show 0.45 to 0.87
#: and 0.54 to 1.12 (seeds 9031, 9034, 9043 and 9053).
EXPECTED, LOG_EXPECTED_SPREAD = (0.6, 0.9), (0.5, 0.3)


#: Spread of the offset of a team that comes from elsewhere, and of the log of its scale.
NEW_TEAM, NEW_LOG_SCALE = 0.3, 0.25


#: Further spread of the athletes of such a team: features the model has not seen mislead it about
#: each athlete in another way. In simulation (clubs of other sports that recover 1.3 times as
#: slowly, seeds 9033, 9034 and 9043, two draws of ten labelled athletes each) it lowers the CRPS of
#: the others by 0 to 1.8 h where their own past is known, changes it by 0.2 h or less where it is
#: not, and intervals hold the true times 2-7 points more often.
NEW_ATHLETE = 0.2


#: Scales of the spread of an athlete's episodes that are tried for a team. None is below 1: what
#: tests inside the follow-up say does not speak for the hours beyond it.
SCALES = (1.0, 1.2, 1.4, 1.7)


#: Athletes that the spread of athletes is learnt from; more change it by less than its own error.
MOST_ATHLETES = 200


#: Rounds between teams and their spread, by how little the last may move the spread, and spreads
#: of athletes that are tried.
_ROUNDS, _STILL, _TRIED = 12, 1e-3, 60


def fit_offsets(
    followed: Followed, grid: CurveGrid, means: Floats, spread: Floats, athlete: Objects,
    team: Objects, *, seed: int,
) -> OffsetPrior:  # fmt: skip
    """Split the spread of held-out episodes into teams, athletes and an athlete's episodes.

    What makes the tests most likely, under a weak prior around `EXPECTED`: episodes of one athlete
    tell apart what `spread`, for which every episode is an athlete's only one, cannot. It is
    searched for, since expectation maximisation stands still long before the highest place: one
    episode's tests say little of its speed.

    Parameters
    ----------
    followed : Followed
        As read by the component's `Measurement`.
    means : float64 array, shape (n, 3)
        Of folds that did not see the athlete: in-sample means have absorbed the offsets.
    spread : float64 array, shape (3,)
    athlete, team : object arrays, shape (n,)
        `team` is None where it is not known.
    """
    names, who = np.unique(athlete.astype(str), return_inverse=True)
    chosen = np.random.default_rng(seed).permutation(names.size)[:MOST_ATHLETES]
    rows = np.flatnonzero(np.isin(who, chosen))
    some, centre = followed.take(rows), np.ascontiguousarray(means[rows])
    _, owner = np.unique(who[rows], return_inverse=True)

    expected = np.outer(EXPECTED, spread[:2]).ravel()

    def told(log_ratio: Floats) -> tuple[Floats, Floats, Posterior]:
        between, own = (expected * np.exp(log_ratio)).reshape(2, 2)
        within = np.append(own, spread[2])
        scale = np.tile(between, (len(some), 1))
        likelihood = episode_likelihood(some, grid, centre, within, scale)
        return within, between, _by_athlete(likelihood, some, owner)

    def unlikely(log_ratio: Floats) -> float:
        prior = 0.5 * (log_ratio / np.repeat(LOG_EXPECTED_SPREAD, 2)) ** 2
        return float(prior.sum() - told(log_ratio)[2].evidence.sum())

    within, between, found = told(_lowest(unlikely))
    moments = between * found.mean[:, :2], between**2 * found.variance[:, :2]
    return _with_teams(within, between, moments, team[rows], owner)


def _lowest(unlikely: Callable[[Floats], float]) -> Floats:
    """Return where `unlikely`, a function of four logs of ratios, is least."""
    corners = np.vstack([np.zeros(4), 0.25 * np.eye(4)])
    found = minimize(
        unlikely, corners[0], method="Nelder-Mead",
        options={"initial_simplex": corners, "xatol": 0.05, "fatol": 0.3, "maxfev": _TRIED},
    )  # fmt: skip
    tell("athlete_spread", int(found.nfev), converged=bool(found.success))
    return np.asarray(found.x)


def _by_athlete(likelihood: Likelihood, followed: Followed, owner: Ints) -> Posterior:
    """Return what the episodes of each athlete say; errors are told by the middle baseline."""
    order = np.argsort(owner, kind="stable")
    offsets = np.concatenate([[0], np.cumsum(np.bincount(owner))]).astype(np.int64)
    taken_s = followed.baselines.taken_s
    middle = order[(offsets[:-1] + offsets[1:]) // 2]
    return posterior(likelihood, np.arange(middle.size), taken_s[middle], offsets, order, taken_s)


def _with_teams(
    within: Floats, between: Floats, found: tuple[Floats, Floats], team: Objects, owner: Ints
) -> OffsetPrior:
    """Split the spread of athletes into that of teams and that of athletes in them."""
    first = np.unique(owner, return_index=True)[1]
    of = np.array([None if t is None else str(t) for t in team[first]], dtype=object)
    names = sorted({t for t in of if t is not None})
    spread = np.full(2, TEAM_PRIOR)
    offsets, left = np.empty((0, 2)), np.empty((0, 2))
    value, precision = _alone(*found, between)
    moved = 0.0
    for _ in range(_ROUNDS):
        parts = [_team_offset(value[of == n], precision[of == n], between, spread) for n in names]
        offsets, left = (np.array([part[i] for part in parts]).reshape(-1, 2) for i in (0, 1))
        square = (offsets**2 + left).sum(axis=0) + PSEUDO_TEAMS * TEAM_PRIOR**2
        before, spread = spread, np.sqrt(square / (len(names) + PSEUDO_TEAMS))
        moved = float(np.abs(spread - before).max())
    tell("team_spread", _ROUNDS, converged=moved < _STILL, moved=moved)
    if not names:  # they cannot be told apart, and the total is known
        spread = np.minimum(spread, np.sqrt(0.5) * between)
    athlete = np.sqrt(np.maximum(between**2 - spread**2, 0.25 * between**2))
    teams = {n: Team(offsets[i], np.sqrt(left[i])) for i, n in enumerate(names)}
    return OffsetPrior(within, athlete, spread, teams)


def _alone(mean: Floats, variance: Floats, between: Floats) -> tuple[Floats, Floats]:
    """Return what each athlete's episodes say by themselves: offset and precision, (n, 2).

    `mean` and `variance` are those under the prior ``N(0, between²)``, which is taken out again.
    """
    precision = np.maximum(1.0 / variance - 1.0 / between**2, 1e-9)
    return mean / variance / precision, precision


def _team_offset(
    value: Floats, precision: Floats, athlete: Floats, team: Floats
) -> tuple[Floats, Floats]:
    """Return mean and variance of the offset of a team with the prior ``N(0, team²)``."""
    weight = 1.0 / (athlete**2 + 1.0 / precision)
    left = 1.0 / (weight.sum(axis=0) + team**-2.0)
    return (weight * value).sum(axis=0) * left, left


def fit_team(
    prior: OffsetPrior, followed: Followed, grid: CurveGrid, means: Floats, athlete: Objects
) -> Team:
    """Return the offset of a team from elsewhere, from its athletes' labelled episodes.

    Nothing is refitted. The prior of a team from elsewhere is wide (`NEW_TEAM`), and so is that of
    its athletes (`NEW_ATHLETE`); the spread of an athlete's episodes is scaled by what makes their
    tests most likely.

    Parameters
    ----------
    followed : Followed
        As read by the component's `Measurement`; at least one episode with a test.
    means : float64 array, shape (n, 3)
        The model's means.
    athlete : object array of str, shape (n,)
    """
    _, owner = np.unique(athlete.astype(str), return_inverse=True)
    athletes = np.hypot(prior.athlete, NEW_ATHLETE)
    between = np.hypot(athletes, NEW_TEAM)
    wide = np.tile(between, (len(means), 1))
    tried = []
    for scale in SCALES:
        likelihood = episode_likelihood(followed, grid, means, scale * prior.within, wide)
        found = _by_athlete(likelihood, followed, owner)
        height = found.evidence.sum() - 0.5 * (np.log(scale) / NEW_LOG_SCALE) ** 2
        tried.append((height, scale, found))
    _, scale, found = max(tried, key=lambda one: one[0])
    alone = _alone(between * found.mean[:, :2], between**2 * found.variance[:, :2], between)
    offset, left = _team_offset(*alone, athletes, np.full(2, NEW_TEAM))
    return Team(offset, np.sqrt(left + NEW_ATHLETE**2), scale)
