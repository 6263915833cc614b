from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nmr_ml.history.rested_baseline import KEPT_TESTS, REST_H, Baselines
from nmr_ml.labels.followed_tests import Followed, no_tests
from nmr_ml.models.component.fit_offsets import NEW_ATHLETE, fit_offsets, fit_team
from nmr_ml.models.component.offsets import (
    ANY_TEAM,
    OffsetPrior,
    Offsets,
    Past,
    Team,
    athlete_offsets,
)
from nmr_ml.models.curve.grid import CurveGrid
from nmr_ml.models.curve.likelihood import remaining
from tests.support.levelled_grid import LEVELLED
from tests.support.small_cohorts import followed_of

GRID = CurveGrid.mixed(
    np.linspace(np.log(0.2), np.log(60), 26), np.linspace(np.log(3), np.log(500), 26),
    np.array([1.0]), np.array([1.0]), np.array([1.0]),
)  # fmt: skip
#: Of the slow share, the third, `GRID` has one level only.
MEAN = np.array([np.log(8.0), np.log(30.0), 1.0])
WITHIN, ATHLETE = np.array([0.2, 0.25, 0.1]), np.array([0.25, 0.2])
PRIOR = OffsetPrior(WITHIN, ATHLETE, np.array([0.15, 0.15]), {})
ERROR = 1.5
NOBODY = np.array([None], dtype=object)


def simulated(
    offsets: np.ndarray, episodes_n: int, rng: np.random.Generator, *,
    shared: np.ndarray | None = None, baseline_se: float = 0.0,
) -> Followed:  # fmt: skip
    """Tests at 6, 24 and 48 h of `episodes_n` episodes of each athlete."""
    tests = []
    for a, b in enumerate(offsets):
        for _ in range(episodes_n):
            log_a, log_tau = MEAN[:2] + b + WITHIN[:2] * rng.normal(size=2)
            off = 0.0 if shared is None else shared[a]
            tests.append(
                [(h, np.exp(log_a) * remaining(h, np.exp(log_tau), 1.0, 1.0) + off
                  + ERROR * rng.normal(), ERROR) for h in (6.0, 24.0, 48.0)]
            )  # fmt: skip
    followed = followed_of(tests, baseline_se)
    n = len(tests)
    # Every episode has a baseline of its own unless a test says otherwise.
    return replace(followed, baselines=baselines_of(np.arange(n)))


def baselines_of(newest_s: np.ndarray) -> Baselines:
    n = newest_s.size
    ones = np.ones(n)
    return Baselines(
        ones,
        ones,
        np.full(n, KEPT_TESTS),
        1000 * newest_s.astype(np.int64)[:, None] - np.arange(KEPT_TESTS),
        np.zeros((n, REST_H.size)),
        np.zeros(n),
    )


def before_one(followed: Followed, rows: list[int]) -> Past:
    means = np.tile(MEAN, (len(followed), 1))
    return Past(
        followed, means, np.zeros(1, np.int64), np.array([0, len(rows)]), np.array(rows, np.int64)
    )


def asking(newest_s: int = -1) -> Followed:
    return replace(
        no_tests(1),
        baselines=baselines_of(np.full(1, newest_s)),
    )


def nobodies(n: int) -> np.ndarray:
    return np.full(n, None, dtype=object)


def offsets_of(followed: Followed, rows: list[int], newest_s: int = -1) -> Offsets:
    past = before_one(followed, rows)
    return athlete_offsets(PRIOR, GRID, past, asking(newest_s), NOBODY, nobodies(len(followed)))


def test_without_an_earlier_episode_the_prior_of_any_team_stays() -> None:
    found = offsets_of(no_tests(0), [])
    assert found.mean[0] == pytest.approx([0.0, 0.0, 0.0], abs=1e-12)
    # Nodes up to 2.8 spreads hold 97 % of the variance.
    assert found.spread[0, :2] == pytest.approx(np.hypot(ATHLETE, 0.15), rel=0.03)
    assert found.spread[0, 2] == 0.0
    assert found.within[0] == pytest.approx(WITHIN)
    assert (found.shared_mean[0], found.episodes_n[0]) == (pytest.approx(0.0, abs=1e-12), 0)
    # Nodes up to 2.4 standard errors hold 96 % of the variance.
    assert found.shared_spread[0] == pytest.approx(1.0, rel=0.03)


def test_earlier_episodes_count_in_any_order_and_add_up() -> None:
    followed = simulated(np.zeros((1, 2)), 5, np.random.default_rng(1))
    one, other = offsets_of(followed, [0, 1, 2, 3, 4]), offsets_of(followed, [3, 1, 4, 0, 2])
    assert one.mean == pytest.approx(other.mean, abs=1e-12)
    assert one.spread == pytest.approx(other.spread, abs=1e-12)
    assert (one.spread < offsets_of(followed, [0]).spread)[:, :2].all()
    assert (one.mean[0, 2], one.spread[0, 2]) == (0.0, 0.0)


def test_what_the_share_explains_is_not_taken_for_the_athlete() -> None:
    # Small late deficits after a session of which most mends at once, and after another one.
    followed = followed_of([[(6.0, 4.0, 0.5), (24.0, 2.0, 0.5)]], 1e-3)
    few = replace(followed, baselines=baselines_of(np.arange(1)))
    asked, none, prior = asking(), nobodies(1), replace(PRIOR, within=np.array([0.2, 0.25, 0.1]))
    grid = replace(
        LEVELLED, log_amplitude=GRID.log_amplitude, log_tau=GRID.log_tau,
        power=np.ones(6),
    )  # fmt: skip
    offsets = []
    for share in (0.4, 1.0):
        means = np.array([[np.log(8.0), np.log(30.0), share]])
        past = Past(few, means, np.zeros(1, np.int64), np.array([0, 1]), np.zeros(1, np.int64))
        found = athlete_offsets(prior, grid, past, asked, none, none)
        assert found.mean.shape == found.spread.shape == found.within.shape == (1, 3)
        assert (found.mean[0, 2], found.spread[0, 2]) == (0.0, 0.0)
        offsets.append(found.mean[0])
    assert (offsets[0] > offsets[1] + 0.05)[:2].all()


@pytest.mark.statistical
def test_offsets_are_found_with_the_certainty_that_is_told() -> None:
    rng = np.random.default_rng(3)
    truth = rng.normal(size=(300, 2)) * np.hypot(ATHLETE, 0.15)
    followed = simulated(truth, 6, rng)
    n = len(followed)
    past = Past(
        followed, np.tile(MEAN, (n, 1)), np.arange(300), np.arange(0, n + 1, 6), np.arange(n)
    )
    seen = replace(no_tests(300), baselines=baselines_of(np.full(300, -1)))
    found = athlete_offsets(PRIOR, GRID, past, seen, nobodies(300), nobodies(n))
    z = (found.mean[:, :2] - truth) / found.spread[:, :2]
    # 300 athletes: the share within 1.28 spreads has a standard error of 2.3 %.
    assert (np.abs(z) < 1.28).mean(axis=0) == pytest.approx([0.8, 0.8], abs=0.07)
    assert (
        np.abs(found.mean[:, :2] - truth).mean(axis=0) < 0.75 * np.abs(truth).mean(axis=0)
    ).all()


@pytest.mark.statistical
def test_a_baseline_that_all_episodes_share_is_not_taken_for_the_athlete() -> None:
    rng = np.random.default_rng(4)
    se, athletes_n = 1.5, 120
    error = se * rng.normal(size=athletes_n)
    followed = simulated(np.zeros((athletes_n, 2)), 10, rng, shared=error, baseline_se=se)
    n = len(followed)
    past = Past(
        followed, np.tile(MEAN, (n, 1)), np.arange(athletes_n), np.arange(0, n + 1, 10),
        np.arange(n),
    )  # fmt: skip
    who = np.repeat(np.arange(athletes_n), 10)
    same = replace(followed, baselines=baselines_of(who))
    asked = baselines_of(np.arange(athletes_n))
    seen = replace(no_tests(athletes_n), baselines=asked)
    team = (nobodies(athletes_n), nobodies(n))
    told = athlete_offsets(PRIOR, GRID, replace(past, followed=same), seen, *team)
    others = replace(seen, baselines=baselines_of(np.full(athletes_n, -5)))
    ignored = athlete_offsets(PRIOR, GRID, past, others, *team)
    # Truly there are no offsets.
    assert np.abs(told.mean[:, :2]).mean() < 0.85 * np.abs(ignored.mean[:, :2]).mean()
    assert np.corrcoef(told.shared_mean, error)[0, 1] > 0.5
    assert (told.shared_spread < 1.0).all()
    read = told.read(replace(seen, shared_error=np.full(athletes_n, se)))
    assert read.shared_error == pytest.approx(se * told.shared_spread)


def test_what_is_known_of_the_baseline_moves_the_tests() -> None:
    seen = followed_of([[(24.0, 5.0, 1.0)], []], 2.0)
    nothing = offsets_of(no_tests(0), [])
    known = replace(
        nothing, shared_mean=np.array([0.5, 0.0]), shared_spread=np.array([0.4, 1.0])
    )  # fmt: skip
    read = known.read(seen)
    assert read.deficit == pytest.approx([4.0])
    assert read.shared_error == pytest.approx([0.8, 2.0])


@pytest.mark.statistical
@pytest.mark.parametrize("told", [0.75, 1.0, 1.25])
@pytest.mark.parametrize(("between", "low", "high"), [(0.25, 0.19, 0.31), (0.0, 0.0, 0.13)])
def test_the_spread_of_athletes_is_found_whatever_total_was_told(
    between: float, low: float, high: float, told: float
) -> None:
    rng = np.random.default_rng(5)
    followed = simulated(between * rng.normal(size=(150, 2)), 10, rng)
    n = len(followed)
    athlete = np.repeat(np.arange(150), 10).astype(str).astype(object)
    total = np.append(np.hypot(WITHIN[:2], between), 0.1)
    prior = fit_offsets(
        followed, GRID, np.tile(MEAN, (n, 1)), told * total, athlete, nobodies(n), seed=0
    )  # fmt: skip
    found = np.hypot(prior.athlete, prior.team)
    assert ((found >= low) & (found <= high)).all()
    assert prior.within[:2] == pytest.approx(WITHIN[:2], rel=0.25)
    assert np.sqrt(prior.within[:2] ** 2 + found**2) == pytest.approx(total[:2], rel=0.2)
    assert prior.within[2] == told * total[2]  # athletes do not differ in the slow share


@pytest.mark.statistical
def test_a_team_that_recovers_slowly_is_told_apart_and_others_are_wide() -> None:
    rng = np.random.default_rng(6)
    teams = np.repeat([0.0, 0.4], 25)
    truth = 0.15 * rng.normal(size=(50, 2)) + np.column_stack([np.zeros(50), teams])
    followed = simulated(truth, 8, rng)
    athlete = np.repeat(np.arange(50), 8).astype(str).astype(object)
    team = np.repeat(np.where(teams > 0, "slow", "other"), 8).astype(object)
    means = np.tile(MEAN + np.array([0.0, 0.2, 0.0]), (400, 1))
    spread = np.append(np.hypot(WITHIN[:2], 0.28), 0.1)
    prior = fit_offsets(followed, GRID, means, spread, athlete, team, seed=0)
    gap = prior.teams["slow"].mean[1] - prior.teams["other"].mean[1]
    assert 0.2 < gap < 0.5
    mean, spread, _ = prior.of_teams(np.array(["slow", "another", None], dtype=object))
    assert mean[0] == pytest.approx(prior.teams["slow"].mean)
    assert (mean[1:] == 0).all()
    assert (spread[1:] > spread[0]).all()


def test_the_prior_survives_json() -> None:
    prior = replace(PRIOR, teams={"a": Team(np.array([0.1, -0.2]), np.array([0.05, 0.06]), 1.2)})
    read = OffsetPrior.from_json(prior.as_json())
    assert read.as_json() == prior.as_json()
    assert np.array_equal(read.teams["a"].mean, prior.teams["a"].mean)


@pytest.mark.statistical
def test_a_team_from_elsewhere_is_learnt_without_refitting() -> None:
    rng = np.random.default_rng(7)
    shift, scale = np.array([0.25, 0.4]), 1.4
    truth = shift + ATHLETE * rng.normal(size=(10, 2))
    tests = []
    for b in truth:
        for _ in range(12):
            log_a, log_tau = MEAN[:2] + b + scale * WITHIN[:2] * rng.normal(size=2)
            tests.append(
                [(h, np.exp(log_a) * remaining(h, np.exp(log_tau), 1.0, 1.0)
                  + ERROR * rng.normal(), ERROR) for h in (6.0, 24.0, 48.0)]
            )  # fmt: skip
    athlete = np.repeat(np.arange(10), 12).astype(str).astype(object)
    team = fit_team(PRIOR, followed_of(tests, 1e-3), GRID, np.tile(MEAN, (120, 1)), athlete)
    assert (np.abs(team.mean - shift) < 2.5 * team.spread).all()
    assert (team.spread > NEW_ATHLETE).all()
    assert (team.spread < np.hypot(NEW_ATHLETE, 0.12)).all()
    assert team.scale in (1.2, 1.4, 1.7)
    adapted = replace(PRIOR, teams={ANY_TEAM: team})
    mean, spread, within = adapted.of_teams(NOBODY)
    assert mean[0] == pytest.approx(team.mean)
    assert spread[0] == pytest.approx(np.hypot(ATHLETE, team.spread))
    assert within[0] == pytest.approx(team.scale * WITHIN)
