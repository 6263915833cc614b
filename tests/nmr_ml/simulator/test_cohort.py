"""Whole cohorts: reproducible, independent, in the format, and honest about the profiles."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from nmr_ml.cohort.reader import examine_cohort, read_truth
from nmr_ml.cohort.tables import TABLES, TRUTH
from nmr_ml.cohort.writer import write_cohort
from nmr_ml.errors import UsageError
from nmr_ml.recovery_tests import AVAILABILITY, COMPONENTS, shipped_testspecs
from nmr_ml.simulator import SimulatedCohort, load_config, simulate

if TYPE_CHECKING:
    from pathlib import Path

    from nmr_ml.simulator.config import Profile


@cache
def _cohort(athletes: int = 24, seed: int = 7, profile: Profile = "evidence") -> SimulatedCohort:
    # 100 days from 8 January pass the start of summer time.
    return simulate(athletes=athletes, days=100, seed=seed, profile=profile)


def _same(one: SimulatedCohort, other: SimulatedCohort, athletes: int) -> None:
    ids = {f"a{i:04d}" for i in range(athletes)}
    for name in (*one.tables, "truth"):
        left = one.truth if name == "truth" else one.tables[name]
        right = other.truth if name == "truth" else other.tables[name]
        left, right = (f[f["athlete_id"].isin(ids)].reset_index(drop=True) for f in (left, right))
        assert len(left) > 0
        pd.testing.assert_frame_equal(left, right, check_exact=True)


def test_the_same_arguments_give_the_same_cohort() -> None:
    again = simulate(athletes=24, days=100, seed=7)
    assert again.name == _cohort().name
    _same(_cohort(), again, 24)


def test_another_seed_gives_other_athletes() -> None:
    mine = _cohort().tables["athletes"]["body_mass_kg"]
    other = _cohort(seed=8).tables["athletes"]["body_mass_kg"]
    assert (mine != other).mean() > 0.9


def test_athletes_do_not_depend_on_how_many_there_are() -> None:
    _same(_cohort(), _cohort(athletes=12), 12)


def test_tables_have_the_columns_and_categories_of_the_format() -> None:
    cohort = _cohort()
    assert set(cohort.tables) == set(TABLES) - {"sleep_epochs"}
    frames = {**cohort.tables, TRUTH.name: cohort.truth}
    for name, frame in frames.items():
        table = TRUTH if name == TRUTH.name else TABLES[name]
        assert set(frame.columns) <= set(table.names)
        assert not frame.duplicated(list(table.key)).any()
        for column in table.columns:
            if column.name not in frame:
                assert not column.required
                continue
            values = frame[column.name].dropna()
            assert not column.required or len(values) == len(frame)
            if column.categories:
                assert set(values) <= set(column.categories)
            if column.kind == "time":
                assert frame[column.name].dtype == pd.DatetimeTZDtype("us", cohort.timezone)
    assert set(frames["tests"]["test"]) <= set(shipped_testspecs())
    assert set(cohort.truth["component"]) == {*COMPONENTS, AVAILABILITY}


@pytest.mark.parametrize("fmt", ["parquet", "csv"])
def test_nothing_of_a_written_cohort_is_quarantined(tmp_path: Path, fmt: str) -> None:
    cohort = _cohort()
    write_cohort(
        tmp_path / "cohort", name=cohort.name, timezone=cohort.timezone, tables=cohort.tables,
        truth=cohort.truth, fmt=fmt,  # type: ignore[arg-type]
    )  # fmt: skip
    read = examine_cohort(tmp_path / "cohort").cohort
    for name, frame in cohort.tables.items():
        assert read.counts[name].used == read.counts[name].rows_in == len(frame)
    assert len(read_truth(tmp_path / "cohort")) == len(cohort.truth)


def test_truth_has_each_episode_and_component_once() -> None:
    cohort = _cohort()
    truth = cohort.truth
    exertion = truth[truth["component"] != AVAILABILITY]
    assert len(exertion) == len(COMPONENTS) * len(cohort.tables["sessions"])
    assert set(exertion["episode_id"]) == set(cohort.tables["sessions"]["session_id"])
    for component, rows in exertion.groupby("component"):
        index = next(
            s for s in shipped_testspecs().values() if s.component == component and s.index
        )
        assert set(rows["delta"]) == {index.delta}
    length = truth[truth["component"] == AVAILABILITY]
    episodes = cohort.tables["episodes"]
    assert list(length["episode_id"]) == list(episodes["episode_id"])
    known = episodes["resolved_at"].notna().to_numpy()
    hours = (episodes["resolved_at"] - episodes["onset_at"]).dt.total_seconds() / 3600
    np.testing.assert_allclose(length["recovery_h"][known], hours[known], atol=0.02)
    assert length["delta"].isna().all()


def test_nobody_trains_or_is_tested_while_away() -> None:
    cohort = _cohort()
    tests = cohort.tables["tests"].query("test == 'cmj_height'")
    for episode in cohort.tables["episodes"].dropna(subset="resolved_at").to_dict("records"):
        for frame, column in ((cohort.tables["sessions"], "started_at"), (tests, "measured_at")):
            times = frame.loc[frame["athlete_id"] == episode["athlete_id"], column]
            assert not times.between(
                episode["onset_at"], episode["resolved_at"], inclusive="neither"
            ).any()


def test_sessions_do_not_overlap_and_tests_wait_for_their_end() -> None:
    cohort = _cohort()
    sessions = cohort.tables["sessions"]
    before = sessions.groupby("athlete_id")["ended_at"].shift()
    assert (before.isna() | (sessions["started_at"] >= before)).all()
    tests = cohort.tables["tests"].query("test == 'cmj_height'").sort_values("measured_at")
    last = pd.merge_asof(
        tests, sessions.sort_values("started_at"), left_on="measured_at", right_on="started_at",
        by="athlete_id",
    )  # fmt: skip
    assert not (last["measured_at"] < last["ended_at"]).any()
    assert last["ended_at"].notna().mean() > 0.8


def test_sleep_adds_up() -> None:
    sleep = _cohort().tables["sleep"]
    parts = sleep[["light_min", "deep_min", "rem_min"]].sum(axis=1)
    np.testing.assert_allclose(parts, sleep["asleep_min"])
    span = (sleep["wake_at"] - sleep["onset_at"]).dt.total_seconds() / 60
    np.testing.assert_allclose(span, sleep["asleep_min"] + sleep["awake_min"])
    assert (sleep["deep_first3h_min"] <= sleep["deep_min"]).all()


def test_enough_rested_tests_come_before_the_first_session() -> None:
    cohort = _cohort()
    first = cohort.tables["sessions"].groupby("athlete_id")["started_at"].min()
    tests = cohort.tables["tests"].query("test == 'cmj_height' and rested")
    early = tests[tests["measured_at"] < tests["athlete_id"].map(first)]
    counts = early.groupby("athlete_id").size().reindex(first.index, fill_value=0)
    assert (counts >= 3).mean() > 0.8


def test_declared_baselines_are_rested_and_silence_is_an_option() -> None:
    cohort = _cohort()
    sessions = cohort.tables["sessions"].query("modality != 'other'").sort_values("ended_at")
    tests = cohort.tables["tests"].query("test == 'cmj_height'").sort_values("measured_at")
    last = pd.merge_asof(
        tests, sessions[["athlete_id", "ended_at"]], left_on="measured_at", right_on="ended_at",
        by="athlete_id",
    )  # fmt: skip
    hours = (last["measured_at"] - last["ended_at"]).dt.total_seconds() / 3600
    in_season = last["rested"] & hours.notna()
    assert in_season.sum() > 50
    assert hours[in_season].min() >= 96.0
    config = load_config(settings=["tests.rested_by_clock=true"])
    silent = simulate(athletes=4, days=40, config=config).tables["tests"]["rested"]
    assert set(silent.dropna()) == {True}
    assert silent.isna().any()


def test_laboratories_differ_in_units_unless_told_not_to() -> None:
    mixed = _cohort().tables["labs"].groupby("analyte")["unit"].nunique()
    assert mixed["testosterone"] >= 3
    assert mixed["cortisol"] >= 2
    plain = simulate(athletes=12, days=30, config=load_config(settings=["unit_mix=false"]))
    assert len(plain.tables["labs"][["analyte", "unit"]].drop_duplicates()) == 6
    late = _cohort().tables["labs"]
    hours = (late["known_at"] - late["drawn_at"]).dt.total_seconds() / 3600
    assert hours.min() >= 0
    assert 24 < hours.max() <= 72.1
    assert late["below_loq"].any()


def test_most_athletes_are_adults() -> None:
    config = load_config(settings=["minor_share=1.0"])
    minors = simulate(athletes=3, days=14, config=config).tables["athletes"]["birth_year"]
    assert (2024 - minors < 18).all()
    assert ((2024 - _cohort().tables["athletes"]["birth_year"]) >= 18).mean() > 0.85


def _truth_with(profile: Profile, *settings: str) -> pd.DataFrame:
    config = load_config(settings=settings)
    return simulate(athletes=8, days=60, seed=3, profile=profile, config=config).truth


CHANGED = ("sleep.hours_mean=6.0", "hormones.testosterone_sd=0.4", "sleep.late_session_h=-3.0",
           "labs.draw_probability=0.2", "sleep.deep_reference_min=30")  # fmt: skip


def test_under_the_null_profile_sleep_and_hormones_change_no_truth() -> None:
    pd.testing.assert_frame_equal(_truth_with("null"), _truth_with("null", *CHANGED))


def test_under_the_other_profiles_they_do_and_more_so_when_strong() -> None:
    shift = {}
    for profile in ("evidence", "strong"):
        usual = _truth_with(profile)["recovery_h"]
        short = _truth_with(profile, "sleep.hours_mean=6.0")["recovery_h"]
        shift[profile] = float((short - usual).mean())
    assert shift["evidence"] > 0.5
    assert shift["strong"] > 2.0 * shift["evidence"]


def test_coaches_who_look_at_deficits_train_the_tired_less() -> None:
    usual = _cohort(athletes=12)
    informed = simulate(
        athletes=12, days=100, seed=7, config=load_config(settings=["informative_follow_up=true"])
    )
    kinds = [c.tables["sessions"]["kind"].value_counts() for c in (usual, informed)]
    assert kinds[1]["training"] < 0.95 * kinds[0]["training"]
    assert kinds[1]["match"] == kinds[0]["match"]


@pytest.mark.parametrize(
    "arguments", [{"athletes": 0}, {"days": 13}, {"days": 731}, {"seed": -1}, {"profile": "huge"}]
)
def test_arguments_out_of_bounds_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(UsageError) as caught:
        simulate(**{"athletes": 2, "days": 20, **arguments})  # type: ignore[arg-type]
    assert caught.value.code == "out_of_bounds"
