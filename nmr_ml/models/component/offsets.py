"""What an athlete's earlier episodes say of this one: offsets of size and speed.

An athlete's episodes lie around the model's means by offsets ``b`` of log amplitude and log tau,
``b ~ N(team, athlete²)`` and ``team ~ N(0, teams²)``; a team that was not learnt from has the wide
prior of any team. The posterior of ``b`` is a table over a small grid that adds up over episodes in
any order, whatever is censored, and needs no refitting. Rested baselines that share tests share
their error, which would look like the athlete's biology (at 15 episodes it took nine tenths of the
gain in simulation), so it is a third axis of that table
(`nmr_ml.models.component.offset_posterior`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.models.component.offset_posterior import episode_likelihood, posterior
from nmr_ml.numeric.arrays import owners

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.numeric.arrays import Floats, Ints, Objects


#: Name of the team of athletes whose team is not known or was not learnt from.
ANY_TEAM = "*"


@dataclass(frozen=True, slots=True)
class Team:
    """What is known of a team; columns are log amplitude and log tau.

    Parameters
    ----------
    mean, spread : float64 arrays, shape (2,)
        Its offset, and how far an athlete of it may lie from that besides the spread of athletes.
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
        earlier episode's baseline shares a test with it.
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
        owner = owners(seen.offsets)
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
    likelihood = episode_likelihood(
        past.followed, grid, past.means + _with_share(past_centre), past_within, past_spread
    )
    found = posterior(
        likelihood, past.subject, seen.baselines.taken_s, past.offsets, past.rows,
        past.followed.baselines.taken_s,
    )  # fmt: skip
    return Offsets(
        _with_share(centre + spread * found.mean[:, :2]),
        _with_share(spread * np.sqrt(found.variance[:, :2])),
        within,
        found.mean[:, 2],
        np.sqrt(found.variance[:, 2]),
        np.diff(past.offsets)[past.subject],
    )


def _with_share(offsets: Floats) -> Floats:
    """Return `offsets` (n, 2) with that of the slow share, which athletes do not differ in."""
    return np.column_stack([offsets, np.zeros(len(offsets))])
