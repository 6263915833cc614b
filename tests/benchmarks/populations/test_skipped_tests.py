"""Tests skipped when bad: the truth by steps of its differential equation, and who is seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from benchmarks.populations import skipped_tests as world
from benchmarks.populations.population import DEFICIT_COLUMNS, DELTAS, TOLD_H
from benchmarks.populations.surroundings import person_of

if TYPE_CHECKING:
    from benchmarks.populations.population import Population
    from nmr_ml.numeric.arrays import Floats

DAYS, SEED, STEP_H = 28, 8, 0.1


@pytest.fixture(scope="module")
def population() -> Population:
    return world.skipped_tests(12, DAYS, SEED)


def rates(pools: world.Pools) -> tuple[Floats, Floats]:
    """Return how fast amounts and brakes change: the equations, without their solution."""
    emptying = -pools.amount / (pools.tau_h * (1.0 + pools.brake))
    return emptying, -pools.brake / world.BRAKE_FADES_H


def moved(pools: world.Pools, slope: tuple[Floats, Floats], hours: float) -> world.Pools:
    return world.Pools(pools.amount + hours * slope[0], pools.tau_h, pools.brake + hours * slope[1])


def stepped(pools: world.Pools, hours: float) -> world.Pools:
    """Take one step of Runge and Kutta."""
    first = rates(pools)
    second = rates(moved(pools, first, hours / 2))
    third = rates(moved(pools, second, hours / 2))
    fourth = rates(moved(pools, third, hours))
    mean = [(a + 2 * b + 2 * c + d) / 6 for a, b, c, d in
            zip(first, second, third, fourth, strict=True)]  # fmt: skip
    return moved(pools, (mean[0], mean[1]), hours)


def solved(course: world.Course, component: str, number: int) -> Floats:
    """Return the deficit every `STEP_H` after session `number`, stepped from the first session."""
    nothing = np.empty(0)
    pools, hour = world.Pools(nothing, nothing, nothing), course.sessions[0].ended_h
    for session, after in zip(course.sessions, course.after[component], strict=True):
        n = max(round((session.ended_h - hour) / STEP_H), 1)
        for _ in range(n):
            pools = stepped(pools, (session.ended_h - hour) / n)
        brake = world.DOSES[session.arch][-1]
        pools = world.Pools(
            np.append(pools.amount, after.amount[-2:]), np.append(pools.tau_h, after.tau_h[-2:]),
            np.append(pools.brake + brake, [0.0, 0.0]),
        )  # fmt: skip
        hour = session.ended_h
        if session is course.sessions[number]:
            break
    left = [pools.amount.sum()]
    for _ in range(round(300.0 / STEP_H)):
        pools = stepped(pools, STEP_H)
        left.append(pools.amount.sum())
    return np.array(left)


@pytest.mark.parametrize("number", [0, 3, 9])
@pytest.mark.parametrize("component", ["power", "perceptual"])
def test_the_truth_is_what_small_steps_find(
    population: Population, component: str, number: int
) -> None:
    course = world._course(person_of(world.NAME, SEED, 0), DAYS)
    left = solved(course, component, number)
    truth = population.truth.set_index(["episode_id", "component"])
    told = truth.loc[[(course.sessions[number].session_id, component)]].iloc[0]
    above = np.flatnonzero(left >= DELTAS[component])
    expected = above[-1] * STEP_H if above.size else 0.0
    assert told["recovery_h"] == pytest.approx(expected, abs=1.001 * STEP_H)
    at = left[np.round(TOLD_H / STEP_H).astype(int)]
    np.testing.assert_allclose(told[list(DEFICIT_COLUMNS)].astype(float), at, atol=1e-4)


def test_a_second_session_slows_the_first_ones_clearing() -> None:
    filled = world.Pools(np.array([8.0]), np.array([30.0]), np.zeros(1))
    nothing = world.Pools(np.empty(0), np.empty(0), np.empty(0))
    braked = world.next_pools(filled, 10.0, nothing, 0.9)
    free = world.next_pools(filled, 10.0, nothing, 0.0)
    later = np.array([40.0])
    assert world.deficit(free, later)[0] == pytest.approx(8.0 * np.exp(-50.0 / 30.0))
    assert world.deficit(braked, later)[0] > 1.2 * world.deficit(free, later)[0]


def test_those_who_feel_bad_are_seen_less(population: Population) -> None:
    tests = population.tables["tests"]
    rated = tests[tests["test"] == "readiness"]
    midnight = pd.Timestamp(world.FIRST_MONDAY, tz=world.TIMEZONE)
    felt, seen = [], []
    for number, own in enumerate(population.tables["athletes"]["athlete_id"]):
        course = world._course(person_of(world.NAME, SEED, number), DAYS)
        at = rated.loc[rated["athlete_id"] == own, "measured_at"]
        days = set(((at - midnight).dt.total_seconds() // 86_400).astype(int))
        felt += [course.deficit("perceptual", 24.0 * day + 7.5) for day in range(DAYS)]
        seen += [day in days for day in range(DAYS)]
    fresh, bad = np.array(felt) < 0.3, np.array(felt) > 1.2
    assert fresh.sum() > 30
    assert bad.sum() > 30
    assert np.array(seen)[fresh].mean() > 0.75
    assert np.array(seen)[bad].mean() < 0.6


def test_jumps_are_skipped_too(population: Population, monkeypatch: pytest.MonkeyPatch) -> None:
    def jumps(some: Population) -> int:
        tests = some.tables["tests"]
        return int(((tests["test"] == "cmj_height") & ~tests["rested"]).sum())

    monkeypatch.setattr(world, "SKIPPED_PER_POINT", 0.0)
    assert jumps(population) < 0.8 * jumps(world.skipped_tests(12, DAYS, SEED))


def test_the_reader_uses_every_row(population: Population) -> None:
    cohort = population.cohort()
    assert sum(count.quarantined for count in cohort.counts.values()) == 0
    assert set(population.truth["episode_id"]) == set(cohort["sessions"]["session_id"])
    assert set(cohort["athletes"]["sport"]) == set(world.WEEKS)


def test_a_seed_is_a_population(population: Population) -> None:
    again = world.skipped_tests(12, DAYS, SEED)
    pd.testing.assert_frame_equal(again.truth, population.truth)
    for name, table in population.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)


def test_jumps_follow_a_session_by_1_to_72_hours(population: Population) -> None:
    tests, sessions = population.tables["tests"], population.tables["sessions"]
    jumps = tests[(tests["test"] == "cmj_height") & ~tests["rested"]]
    pairs = sessions.merge(jumps, on="athlete_id")
    after = (pairs["measured_at"] - pairs["ended_at"]).dt.total_seconds() / 3600.0
    follows = ((after > 0.98) & (after < 72.02)).groupby(
        [pairs["athlete_id"], pairs["measured_at"]]
    )
    assert follows.any().all()
    during = (pairs["measured_at"] > pairs["started_at"]) & (after < 0)
    assert not during.any()
