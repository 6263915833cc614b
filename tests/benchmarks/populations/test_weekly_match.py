"""The weekly match: its truth by a second way, its device step, its record."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from benchmarks.populations import weekly_match as world
from benchmarks.populations.population import DEFICIT_COLUMNS, DELTAS, TOLD_H, TRUTH_COLUMNS
from benchmarks.populations.surroundings import person_of

if TYPE_CHECKING:
    from benchmarks.populations.population import Population

DAYS, SEED = 42, 5


@pytest.fixture(scope="module")
def population() -> Population:
    return world.weekly_match(12, DAYS, SEED)


def plain_deficit(waves: world.Waves, hour: float) -> float:
    """Add the sessions up one by one, the dip written as a gamma density over its peak."""
    total = 0.0
    for ended_h, acute, late, fading_h, lowest_h in zip(*waves, strict=True):
        x = hour - ended_h
        if x >= 0:
            scale = lowest_h / world.BEND
            peak = lowest_h**world.BEND * np.exp(-lowest_h / scale)
            total += acute * np.exp(-x / fading_h)
            total += late * x**world.BEND * np.exp(-x / scale) / peak
    return float(total)


def test_the_truth_is_what_a_look_every_tenth_of_an_hour_finds(population: Population) -> None:
    season = world._season(person_of(world.NAME, SEED, 0), DAYS)
    truth = population.truth.set_index(["episode_id", "component"])
    for number, session in list(enumerate(season.sessions))[::5]:
        for component, waves in season.waves.items():
            so_far, row = waves.until(number + 1), (session.session_id, component)
            told = truth.loc[[row]].iloc[0]
            hours = np.arange(0.0, 300.0, 0.1)
            left = np.array([plain_deficit(so_far, session.ended_h + h) for h in hours])
            above = np.flatnonzero(left >= DELTAS[component])
            expected = hours[above[-1]] if above.size else 0.0
            assert told["recovery_h"] == pytest.approx(expected, abs=0.1001)
            at = [plain_deficit(so_far, session.ended_h + h) for h in TOLD_H]
            np.testing.assert_allclose(told[list(DEFICIT_COLUMNS)].astype(float), at, atol=1e-9)


def test_earlier_sessions_are_part_of_the_truth() -> None:
    season = world._season(person_of(world.NAME, SEED, 0), DAYS)
    waves, n = season.waves["power"], 12
    ended = season.sessions[n - 1].ended_h + np.array([1.0])
    alone = world.Waves(*(column[n - 1 : n] for column in waves))
    assert world.deficit(waves.until(n), ended) > world.deficit(alone, ended) + 0.1


def test_the_reader_uses_every_row(population: Population) -> None:
    cohort = population.cohort()
    assert sum(count.quarantined for count in cohort.counts.values()) == 0
    assert len(cohort["tests"]) == len(population.tables["tests"])
    assert set(population.truth["episode_id"]) == set(cohort["sessions"]["session_id"])
    assert list(population.truth.columns) == list(TRUTH_COLUMNS)
    start = cohort["sessions"].set_index("session_id")["ended_at"]
    minutes = population.tables["sessions"].set_index("session_id")["ended_at"]
    pd.testing.assert_series_equal(start, minutes, check_dtype=False, check_index_type=False)


def test_a_seed_is_a_population_and_an_athlete_does_not_depend_on_the_others(
    population: Population,
) -> None:
    again, fewer = world.weekly_match(12, DAYS, SEED), world.weekly_match(3, DAYS, SEED)
    pd.testing.assert_frame_equal(again.truth, population.truth)
    for name, table in population.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table)
        same = table[table["athlete_id"].isin(fewer.tables["athletes"]["athlete_id"])]
        pd.testing.assert_frame_equal(fewer.tables[name], same, check_dtype=False)
    other = world.weekly_match(3, DAYS, SEED + 1)
    for column in ("athlete_id", "team"):
        ours, theirs = (p.tables["athletes"][column] for p in (population, other))
        assert not set(ours) & set(theirs)


def test_the_mat_reads_more_from_mid_season_on(
    population: Population, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world, "MAT_FACTOR", 1.0)
    same = world.weekly_match(12, DAYS, SEED).tables["tests"]
    tests = population.tables["tests"]
    mat, jumps = tests["device"] == "jump mat", tests["test"] != "readiness"
    step = tests["value"] / same["value"]
    np.testing.assert_allclose(step[mat], 1.068, rtol=0.002)
    assert (step[~mat] == 1.0).all()
    assert (tests.loc[jumps, "method"] == np.where(mat[jumps], "flight_time", "impulse")).all()
    assert (tests.loc[jumps, "device"] == np.where(mat[jumps], "jump mat", "force plate")).all()
    changed = tests[mat].groupby("athlete_id")["measured_at"].min()
    assert 0.6 * 12 <= len(changed) < 12
    middle = pd.Timestamp(world.FIRST_MONDAY, tz=world.TIMEZONE) + pd.Timedelta(days=DAYS // 2)
    assert (changed >= middle).all()
    late = tests[jumps & (tests["measured_at"] >= middle)]
    assert len(late.drop_duplicates(["athlete_id", "device"])) == late["athlete_id"].nunique()


def test_the_dip_is_deepest_a_day_after_the_match() -> None:
    match = world.Waves(*(np.array([x]) for x in (0.0, 0.0, 7.0, 5.0, 24.0)))
    left = world.deficit(match, np.array([6.0, 24.0, 48.0, 96.0]))
    assert left[1] == pytest.approx(7.0)
    assert left.argmax() == 1
    assert all(later < earlier for earlier, later in pairwise(left[1:]))


def test_levels_rise_by_a_few_per_cent() -> None:
    """Of a season of 90 days: learnt are 3 %, wandered as many either way."""
    ends = [world._season(person_of(world.NAME, 3, i), 90).level[-1] for i in range(40)]
    assert 0.01 < np.mean(ends) < 0.06
    assert np.std(ends) > 0.015


def test_a_match_is_followed_by_tests_on_three_mornings(population: Population) -> None:
    tests, sessions = population.tables["tests"], population.tables["sessions"]
    jumps = tests[(tests["test"] == "cmj_height") & ~tests["rested"]]
    matches = sessions[sessions["kind"] == "match"]
    pairs = matches.merge(jumps, on="athlete_id")
    after = (pairs["measured_at"] - pairs["ended_at"]).dt.total_seconds() / 3600.0
    days = after[(after > 0) & (after < 72)].floordiv(24).value_counts()
    assert (days > 0.7 * len(matches)).tolist() == [True, True, True]
