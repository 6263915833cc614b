"""What an athlete's earlier episodes say of this one: offsets of size and speed.

An athlete's episodes lie around the model's means by offsets ``b`` of log amplitude and log tau,
``b ~ N(team, athlete²)`` and ``team ~ N(0, teams²)``; a team that was not learnt from has the wide
prior of any team. The posterior of ``b`` is a table over a small grid that adds up over episodes in
any order, whatever is censored, and needs no refitting. Episodes with one and the same rested
baseline share its error, which would look like the athlete's biology (at 15 episodes it took nine
tenths of the gain in simulation), so it is a third axis of that table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.curve import shape_loglik, shape_probabilities
from nmr_ml.kernels import kept

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nmr_ml.curve import CurveGrid
    from nmr_ml.labels import Followed

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Objects = NDArray[np.object_]

#: Nodes of each offset, in spreads of the prior.
OFFSETS = np.linspace(-2.8, 2.8, 9)
#: Nodes and weights of the error of a shared baseline, in standard errors (Gauss-Hermite).
SHARED = np.array([-np.sqrt(3.0), 0.0, np.sqrt(3.0)])
SHARED_WEIGHTS = np.array([1.0, 4.0, 1.0]) / 6.0
#: Curves further than this many spreads from an episode's mean count for nothing.
REACH = 4.5
#: Teams of `TEAM_PRIOR` spread are assumed as often as this many more teams.
TEAM_PRIOR, PSEUDO_TEAMS = 0.10, 2.0
#: An athlete's own episodes keep at least this share of the spread.
LEAST_WITHIN = 0.5
#: Spread of the offset of a team that comes from elsewhere, and of the log of its scale.
NEW_TEAM, NEW_LOG_SCALE = 0.3, 0.25
#: Scales of the spread of an athlete's episodes that are tried for a team.
SCALES = (0.7, 0.85, 1.0, 1.2, 1.4, 1.7)
#: Shapes below this probability add nothing to what an episode says of its athlete.
LEAST_SHAPE = 1e-3
#: Name of the team of athletes whose team is not known or was not learnt from.
ANY_TEAM = "*"
#: Athletes that the spread of athletes is learnt from; more change it by less than its own error.
MOST_ATHLETES = 200
_ROUNDS = 12


@dataclass(frozen=True, slots=True)
class Team:
    """What is known of a team; columns are log amplitude and log tau.

    Parameters
    ----------
    mean, spread : float64 arrays, shape (2,)
        Its offset, and how well that is known.
    scale : float
        What the spread of an athlete's episodes is multiplied by.
    """

    mean: Floats
    spread: Floats
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class OffsetPrior:
    """How episodes, athletes and teams differ; columns are log amplitude and log tau.

    Parameters
    ----------
    within : float64 array, shape (3,)
        Spread of an athlete's episodes; the slow share, the third, differs between them only.
    athlete, team : float64 arrays, shape (2,)
        Spread of athletes in a team, and of teams.
    teams : mapping of name to Team
        Teams that were learnt from; `ANY_TEAM` stands for those not named and for athletes without
        one, which otherwise have the spread of teams.
    """

    within: Floats
    athlete: Floats
    team: Floats
    teams: Mapping[str, Team]

    def of_teams(self, names: Objects) -> tuple[Floats, Floats, Floats]:
        """Return what is known of an athlete before any episode.

        Returns
        -------
        mean, spread : shape (n, 2)
            Of the offsets.
        within : shape (n, 3)
            Spread of the athlete's episodes.
        """
        unseen = self.teams.get(ANY_TEAM, Team(np.zeros(2), self.team))
        found = [self.teams.get(str(name), unseen) for name in names]
        mean = np.array([team.mean for team in found]).reshape(-1, 2)
        spread = np.array([team.spread for team in found]).reshape(-1, 2)
        scale = np.array([team.scale for team in found]).reshape(-1, 1)
        return mean, np.hypot(self.athlete, spread), self.within * scale

    def as_json(self) -> dict[str, Any]:
        """Return plain lists and numbers."""
        teams = {
            name: {"mean": t.mean.tolist(), "spread": t.spread.tolist(), "scale": t.scale}
            for name, t in self.teams.items()
        }
        own = {name: getattr(self, name).tolist() for name in ("within", "athlete", "team")}
        return {**own, "teams": teams}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> OffsetPrior:
        """Read what `as_json` returned."""
        teams = {
            name: Team(np.array(t["mean"]), np.array(t["spread"]), t["scale"])
            for name, t in content["teams"].items()
        }
        within, athlete, team = (np.array(content[n]) for n in ("within", "athlete", "team"))
        return cls(within, athlete, team, teams)


@dataclass(frozen=True, slots=True)
class Offsets:
    """What is known of each query's athlete from earlier episodes.

    Parameters
    ----------
    mean, spread : float64 arrays, shape (n, 3)
        Of the offsets of log amplitude and log tau; that of the slow share is always 0.
    within : float64 array, shape (n, 3)
        Spread of the athlete's episodes around them.
    shared_mean, shared_spread : float64 arrays, shape (n,)
        Of the error of the query's rested baseline, in its standard errors: 0 and 1 where no
        earlier episode has the same baseline.
    episodes_n : int64 array, shape (n,)
        Earlier episodes that were looked at.
    """

    mean: Floats
    spread: Floats
    within: Floats
    shared_mean: Floats
    shared_spread: Floats
    episodes_n: Ints

    def read(self, seen: Followed) -> Followed:
        """Return `seen` with what is known of its baseline's error taken out."""
        owner = np.repeat(np.arange(len(seen)), np.diff(seen.offsets))
        error = np.nan_to_num(seen.shared_error)
        return replace(
            seen,
            deficit=seen.deficit - (self.shared_mean * error)[owner],
            shared_error=seen.shared_error * self.shared_spread,
        )


@dataclass(frozen=True, slots=True)
class Past:
    """The earlier labelled episodes of each query's athlete.

    Parameters
    ----------
    followed : Followed
        The tests of every earlier episode that any query needs, each once.
    means : float64 array, shape (n_episodes, 3)
        The model's means for each.
    subject : int64 array, shape (n_queries,)
        Queries of one athlete and clock start share a subject.
    offsets, rows : int64 arrays
        The episodes before subject ``s`` are ``rows[offsets[s]:offsets[s + 1]]``.
    """

    followed: Followed
    means: Floats
    subject: Ints
    offsets: Ints
    rows: Ints


@kept
def _evidence(
    offsets: Ints, hours: Floats, deficit: Floats, error: Floats, shared: Floats,
    log_amplitude: Floats, log_tau: Floats, share: Floats, slow: Floats, power: Floats,
    level: Ints, given_level: Floats, means: Floats, withins: Floats, scale: Floats, nodes: Floats,
    shared_nodes: Floats, reach: float,
) -> Floats:  # fmt: skip
    """Return log p(tests | offsets, baseline error), shape (n, n_nodes, n_nodes, n_shared)."""
    n, m = means.shape[0], nodes.size
    evidence = np.zeros((n, m, m, shared_nodes.size))
    for e in range(n):
        if offsets[e] == offsets[e + 1]:
            continue
        tests = slice(offsets[e], offsets[e + 1])
        within = withins[e]
        weights = shape_probabilities(share, level, given_level, means[e, 2], within[2])
        far = reach * within[:2] + np.abs(nodes).max() * scale[e]
        a0 = np.searchsorted(log_amplitude, means[e, 0] - far[0])
        a1 = max(np.searchsorted(log_amplitude, means[e, 0] + far[0]), a0 + 2)
        b0 = np.searchsorted(log_tau, means[e, 1] - far[1])
        b1 = max(np.searchsorted(log_tau, means[e, 1] + far[1]), b0 + 2)
        a0, b0 = min(a0, log_amplitude.size - 2), min(b0, log_tau.size - 2)
        la, lt = log_amplitude[a0:a1], log_tau[b0:b1]
        wa, wb = np.empty((m, la.size)), np.empty((lt.size, m))
        for k in range(m):
            one = np.exp(-0.5 * ((la - means[e, 0] - nodes[k] * scale[e, 0]) / within[0]) ** 2)
            wa[k] = one / max(one.sum(), 1e-300)
            two = np.exp(-0.5 * ((lt - means[e, 1] - nodes[k] * scale[e, 1]) / within[1]) ** 2)
            wb[:, k] = two / max(two.sum(), 1e-300)
        loglik, mixed = np.empty((la.size, lt.size)), np.empty((la.size, lt.size))
        for z in range(shared_nodes.size):
            read = deficit[tests] - shared_nodes[z] * shared[e]
            mixed[:] = 0.0
            highest = -np.inf
            for s in range(slow.size):
                if weights[s] < LEAST_SHAPE:
                    continue
                shape_loglik(hours[tests], read, error[tests], 0.0, la, lt, slow[s], power[s],
                             loglik)  # fmt: skip
                peak = loglik.max()
                if peak > highest:
                    mixed *= np.exp(highest - peak)
                    highest = peak
                mixed += weights[s] * np.exp(loglik - highest)
            evidence[e, :, :, z] = highest + np.log(np.maximum(wa @ (mixed @ wb), 1e-300))
    return evidence


def episode_evidence(
    followed: Followed, grid: CurveGrid, means: Floats, within: Floats, scale: Floats
) -> Floats:
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
        Spread that `OFFSETS` are multiples of.

    Returns
    -------
    float64 array, shape (n, 9, 9, 3), log; 0 where an episode has no test
    """
    withins = np.ascontiguousarray(np.broadcast_to(within, means.shape))
    return np.asarray(
        _evidence(
            followed.offsets, followed.hours, followed.deficit, followed.error,
            np.nan_to_num(followed.shared_error), grid.log_amplitude, grid.log_tau, grid.share,
            grid.slow, grid.power, grid.level, grid.weights, means, withins, scale, OFFSETS,
            SHARED, REACH,
        )
    )  # fmt: skip


@kept
def _posteriors(
    subject: Ints, newest_s: Ints, tests_n: Ints, offsets: Ints, rows: Ints,
    past_newest_s: Ints, past_tests_n: Ints, evidence: Floats, without_error: Floats,
    log_prior: Floats,
) -> Floats:  # fmt: skip
    """Return the posterior over `log_prior`'s nodes for each query."""
    posteriors = np.empty((subject.size, *log_prior.shape))
    for q in range(subject.size):
        joint = log_prior.copy()
        for k in range(offsets[subject[q]], offsets[subject[q] + 1]):
            e = rows[k]
            if past_newest_s[e] == newest_s[q] and past_tests_n[e] == tests_n[q]:
                joint += evidence[e]
            else:
                joint += without_error[e].reshape(joint.shape[0], joint.shape[1], 1)
        joint = np.exp(joint - joint.max())
        posteriors[q] = joint / joint.sum()
    return posteriors


def _over_shared(evidence: Floats) -> Floats:
    """Return log evidence with the baseline error integrated, shape (n, n_nodes, n_nodes)."""
    top = evidence.max(axis=3)
    # Not a matrix product: its last bits depend on how many episodes are asked about at once.
    mass = sum(w * np.exp(evidence[..., k] - top) for k, w in enumerate(SHARED_WEIGHTS))
    return np.asarray(top + np.log(mass))


def _log_prior() -> Floats:
    """Return the log prior of offsets and baseline error over their nodes."""
    by_offset = -0.5 * OFFSETS**2
    return np.asarray(by_offset[:, None, None] + by_offset[:, None] + np.log(SHARED_WEIGHTS))


@kept
def _moments(posterior: Floats, nodes: Floats, axis: int) -> tuple[Floats, Floats]:
    """Return mean and variance along one axis of the nodes, each of shape (n,)."""
    mean, variance = np.empty(posterior.shape[0]), np.empty(posterior.shape[0])
    for q in range(posterior.shape[0]):
        first, second = 0.0, 0.0
        for i in range(posterior.shape[1]):
            for j in range(posterior.shape[2]):
                for k in range(posterior.shape[3]):
                    node = nodes[(i, j, k)[axis - 1]]
                    first += posterior[q, i, j, k] * node
                    second += posterior[q, i, j, k] * node**2
        # Of a posterior on one node, rounding leaves a little less than nothing.
        mean[q], variance[q] = first, max(second - first**2, 0.0)
    return mean, variance


def athlete_offsets(
    prior: OffsetPrior, grid: CurveGrid, past: Past, seen: Followed, team: Objects,
    past_team: Objects,
) -> Offsets:  # fmt: skip
    """Return the offsets of each query's athlete given the earlier episodes.

    Parameters
    ----------
    past : Past
        Its tests as read by the component's `Measurement`.
    seen : Followed
        Of the queries; its baselines say which earlier episodes share one.
    team, past_team : object arrays of str or None, shapes (n_queries,) and (n_episodes,)
    """
    centre, spread, within = prior.of_teams(team)
    past_centre, past_spread, past_within = prior.of_teams(past_team)
    evidence = episode_evidence(
        past.followed, grid, past.means + _with_share(past_centre), past_within, past_spread
    )
    own, before = seen.baselines, past.followed.baselines
    posterior = _posteriors(
        past.subject, own.newest_s, own.tests_n, past.offsets, past.rows,
        before.newest_s, before.tests_n, evidence, _over_shared(evidence), _log_prior(),
    )  # fmt: skip
    size, speed = _moments(posterior, OFFSETS, 1), _moments(posterior, OFFSETS, 2)
    shared_mean, shared_variance = _moments(posterior, SHARED, 3)
    return Offsets(
        _with_share(centre + spread * np.column_stack([size[0], speed[0]])),
        _with_share(spread * np.sqrt(np.column_stack([size[1], speed[1]]))),
        within,
        shared_mean,
        np.sqrt(shared_variance),
        np.diff(past.offsets)[past.subject],
    )


def _with_share(offsets: Floats) -> Floats:
    """Return `offsets` (n, 2) with that of the slow share, which athletes do not differ in."""
    return np.column_stack([offsets, np.zeros(len(offsets))])


def fit_offsets(
    followed: Followed, grid: CurveGrid, means: Floats, spread: Floats, athlete: Objects,
    team: Objects, *, seed: int,
) -> OffsetPrior:  # fmt: skip
    """Split the spread of held-out episodes into teams, athletes and an athlete's episodes.

    Expectation maximisation on the marginal likelihood of the tests; the total stays `spread`, so
    the distribution for an unknown athlete does not change.

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
    total = spread[:2]
    between = 0.4 * total
    for _ in range(_ROUNDS):
        left = np.sqrt(np.maximum(total**2 - between**2, (LEAST_WITHIN * total) ** 2))
        within = np.append(left, spread[2])
        scale = np.tile(between, (len(some), 1))
        evidence = episode_evidence(some, grid, centre, within, scale)
        mean, variance, _ = _by_athlete(evidence, owner)
        between = between * np.sqrt((mean**2 + variance).mean(axis=0))
    found = (mean * between, variance * between**2)
    return _with_teams(within, between, found, team[rows], owner)


def _by_athlete(evidence: Floats, owner: Ints) -> tuple[Floats, Floats, float]:
    """Return mean and variance of each athlete's offsets, shape (n_athletes, 2), in spreads.

    The third value is the log evidence of all episodes but for a constant.
    """
    summed = np.zeros((int(owner.max()) + 1, *evidence.shape[1:3], 1))
    np.add.at(summed, owner, _over_shared(evidence)[..., None])
    summed += _log_prior()[:, :, [0]]
    top = summed.max(axis=(1, 2, 3), keepdims=True)
    p = np.exp(summed - top)
    total = p.sum(axis=(1, 2, 3), keepdims=True)
    size, speed = _moments(p / total, OFFSETS, 1), _moments(p / total, OFFSETS, 2)
    mean, variance = (np.column_stack([size[i], speed[i]]) for i in (0, 1))
    return mean, variance, float((top + np.log(total)).sum())


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
    for _ in range(_ROUNDS):
        parts = [_team_offset(value[of == n], precision[of == n], between, spread) for n in names]
        offsets, left = (np.array([part[i] for part in parts]).reshape(-1, 2) for i in (0, 1))
        square = (offsets**2 + left).sum(axis=0) + PSEUDO_TEAMS * TEAM_PRIOR**2
        spread = np.sqrt(square / (len(names) + PSEUDO_TEAMS))
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

    Nothing is refitted. The prior of a team from elsewhere is wide (`NEW_TEAM`); the spread of an
    athlete's episodes is scaled by what makes their tests most likely.

    Parameters
    ----------
    followed : Followed
        As read by the component's `Measurement`; at least one episode with a test.
    means : float64 array, shape (n, 3)
        The model's means.
    athlete : object array of str, shape (n,)
    """
    _, owner = np.unique(athlete.astype(str), return_inverse=True)
    between = np.hypot(prior.athlete, NEW_TEAM)
    wide = np.tile(between, (len(means), 1))
    tried = []
    for scale in SCALES:
        evidence = episode_evidence(followed, grid, means, scale * prior.within, wide)
        mean, variance, height = _by_athlete(evidence, owner)
        tried.append((height - 0.5 * (np.log(scale) / NEW_LOG_SCALE) ** 2, scale, mean, variance))
    _, scale, mean, variance = max(tried, key=lambda one: one[0])
    alone = _alone(mean * between, variance * between**2, between)
    offset, left = _team_offset(*alone, prior.athlete, np.full(2, NEW_TEAM))
    return Team(offset, np.sqrt(left), scale)
