"""Null rules and conventions, each in a cohort small enough to check by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from nmr_ml.features.contract import feature_contract
from nmr_ml.features.engine import build_features
from nmr_ml.history.queries import Queries
from nmr_ml.recovery_tests import shipped_testspecs
from tests.support.feature_cohorts import cohort, history_of

NAMES = feature_contract().names
CLOCK = pd.Timestamp("2026-06-15T18:00:00Z")  # 20:00 in Oslo, a Monday
DAY = pd.Timedelta(days=1)
ATHLETE = {"athlete_id": "a", "sex": "male", "birth_year": 2000, "body_mass_kg": 80.0,
           "fat_free_mass_kg": 70.0, "hr_max_bpm": 200.0}  # fmt: skip
NAN = float("nan")


def session(day: float, **columns: Any) -> dict[str, Any]:
    ended = CLOCK - day * DAY
    return {"session_id": f"{day:+08.3f}", "athlete_id": "a", "ended_at": ended, "known_at": ended,
            "started_at": ended - DAY / 24, "session_load_au": 100.0, "time_precision": "minute",
            **columns}  # fmt: skip


def night(day: float, **columns: Any) -> dict[str, Any]:
    wake = CLOCK - day * DAY
    return {"athlete_id": "a", "onset_at": wake - DAY / 3, "wake_at": wake, "known_at": wake,
            "asleep_min": 450.0, "device": "ring", **columns}  # fmt: skip


def sample(day: float, analyte: str, value: float, **columns: Any) -> dict[str, Any]:
    drawn = CLOCK - day * DAY
    return {"athlete_id": "a", "drawn_at": drawn, "analyte": analyte, "value": value, "unit": "1",
            "specimen": "serum", "known_at": drawn, **columns}  # fmt: skip


def answer(day: float, value: float, **columns: Any) -> dict[str, Any]:
    at = CLOCK - day * DAY
    return {"athlete_id": "a", "measured_at": at, "test": "soreness", "value": value,
            "time_precision": "minute", "known_at": at, **columns}  # fmt: skip


def features(
    *, as_of_h: float = 0, athlete: dict[str, Any] | None = None, **tables: Any
) -> dict[str, float]:
    """Return the features of the session that ends at `CLOCK`, or of an injury then."""
    history = history_of(cohort(athletes=[ATHLETE | (athlete or {})], **tables))
    clock = np.array([CLOCK.timestamp()], np.int64)
    own = np.flatnonzero(history.sessions.at_s == clock)[:1]
    zero = np.zeros(1, np.int64)
    queries = Queries(
        zero, zero, zero, own if own.size else zero - 1,
        zero + history.test_names.index("cmj_height"), clock, clock + int(as_of_h * 3600),
    )  # fmt: skip
    row = build_features(history, queries, shipped_testspecs())[0]
    return dict(zip(NAMES, row.tolist(), strict=True))


def check(found: dict[str, float], **expected: float) -> None:
    given = {name: found[name] for name in expected}
    assert given == pytest.approx(expected, nan_ok=True)


def test_rest_is_zero_and_no_record_is_missing() -> None:
    rest = features(sessions=[session(20)], as_of_h=0)
    check(rest, load_sum_7d_au=0, sessions_7d_n=0, load_sum_28d_au=NAN, load_record_d=20)
    check(features(), load_sum_7d_au=NAN, sessions_7d_n=0, load_record_d=NAN)


def test_unknown_load_is_counted_and_is_not_zero() -> None:
    unknown = session(2, session_load_au=NAN)
    check(features(sessions=[session(20), unknown]), load_sum_7d_au=NAN, load_sum_3d_au=NAN,
          unknown_load_sessions_7d_n=1, sessions_7d_n=1)  # fmt: skip
    check(features(sessions=[session(20), unknown, session(5)]), load_sum_7d_au=100,
          unknown_load_sessions_7d_n=1, sessions_7d_n=2)  # fmt: skip


def test_load_of_zero_is_a_load() -> None:
    check(features(sessions=[session(20), session(2, session_load_au=0.0)]), load_sum_7d_au=0,
          unknown_load_sessions_7d_n=0)  # fmt: skip


def test_window_holds_its_end_and_not_its_begin() -> None:
    found = features(sessions=[session(20), session(7), session(6.999), session(0)])
    check(found, load_sum_7d_au=200, sessions_7d_n=2)


def test_quantity_nobody_measures_is_missing_even_in_a_week_of_rest() -> None:
    found = features(sessions=[session(40), session(20, distance_m=5000.0)])
    check(found, distance_sum_7d_m=0, jumps_sum_7d_n=NAN)


def test_no_match_is_zero_only_where_kinds_are_known() -> None:
    check(features(sessions=[session(3), session(20)]), matches_7d_n=NAN, matches_28d_n=NAN)
    check(features(sessions=[session(3, kind="training"), session(20)]), matches_7d_n=0,
          matches_28d_n=0)  # fmt: skip
    check(features(sessions=[session(3), session(20, kind="match")]), matches_7d_n=NAN,
          matches_28d_n=1)  # fmt: skip
    # A week of rest has none, if kinds are told at all.
    check(features(sessions=[session(20, kind="race")]), matches_7d_n=0, matches_28d_n=1)
    check(features(sessions=[session(20)]), matches_7d_n=NAN, matches_28d_n=NAN)
    check(features(), matches_7d_n=NAN, matches_28d_n=NAN)


def test_session_not_known_yet_has_no_features() -> None:
    own = session(0, known_at=CLOCK + DAY, session_rpe=7.0)
    check(features(sessions=[own]), session_load_au=NAN, session_rpe=NAN, sessions_7d_n=0)
    check(features(sessions=[own], as_of_h=24), session_load_au=100, session_rpe=7)


def test_injury_has_no_session_features() -> None:
    found = features(sessions=[session(3, modality="soccer")])
    check(found, session_load_au=NAN, same_modality_gap_h=NAN, same_modality_28d_n=NAN,
          previous_session_gap_h=72)  # fmt: skip


def test_day_precision_gives_whole_days_only() -> None:
    by_day = {"time_precision": "day"}
    found = features(sessions=[session(2.4, **by_day), session(0)])
    check(found, previous_session_gap_h=48, session_start_clock_h=19)
    found = features(sessions=[session(1.4), session(0, **by_day)])
    check(found, previous_session_gap_h=24, session_start_clock_h=NAN)
    check(features(tests=[answer(1.5, 3, **by_day)]), soreness_age_h=24)
    check(features(tests=[answer(1.5, 3)]), soreness_age_h=36)


def test_previous_loading_session_skips_light_ones() -> None:
    rows = [session(9), session(5), session(2, session_load_au=20.0), session(0)]
    check(features(sessions=rows), previous_session_gap_h=48, previous_loading_gap_h=120)


def test_second_session_of_the_day() -> None:
    rows = [session(0.3), session(0, modality="soccer"), session(4, modality="soccer")]
    check(features(sessions=rows), same_day_sessions_before_n=1, same_modality_28d_n=1,
          same_modality_gap_h=96)  # fmt: skip


def test_monotony_counts_rest_days_and_needs_every_load() -> None:
    days = [session(day) for day in (1, 2, 4)]
    sums = np.array([100, 100, 0, 100, 0, 0, 0])
    monotony = sums.mean() / sums.std(ddof=1)
    whole = [session(20), *days]
    check(features(sessions=whole), monotony_7d=monotony, strain_7d_au=300 * monotony)
    check(features(sessions=days), monotony_7d=NAN)
    check(features(sessions=[*whole, session(3, session_load_au=NAN)]), monotony_7d=NAN)
    check(features(sessions=[session(d) for d in range(1, 9)]), monotony_7d=NAN)  # SD of 0


def test_banister_needs_pulse_sex_and_rest() -> None:
    own = session(0, mean_hr_bpm=150.0, duration_min=60.0, **{f"hr_zone{i}_min": 10.0 for i in
                                                              range(1, 6)})  # fmt: skip
    slept = [night(0.5, resting_hr_bpm=50.0)]
    expected = 60 * (2 / 3) * 0.64 * np.exp(1.92 * 2 / 3)
    check(features(sessions=[own], sleep=slept), session_banister_trimp_au=expected,
          session_edwards_trimp_au=150)  # fmt: skip
    check(features(sessions=[own]), session_banister_trimp_au=NAN)
    for unknown in ({"sex": "unknown"}, {"hr_max_bpm": NAN}, {"hr_max_bpm": 140.0}):
        found = features(sessions=[own], sleep=slept, athlete=unknown)
        check(found, session_banister_trimp_au=NAN)


NIGHTS = [night(day + 0.5, deep_min=60.0 + 10 * (day % 3)) for day in range(1, 10)]


def test_night_is_a_deviation_from_its_own_device() -> None:
    last = night(0.5, deep_min=100.0)
    usual = np.array([60 + 10 * (day % 3) for day in range(1, 10)])
    z = (100 - usual.mean()) / max(usual.std(ddof=1), 8)
    check(features(sleep=[last, *NIGHTS]), last_night_deep_z=z, last_night_age_h=12)
    other = night(0.5, deep_min=100.0, device="watch")
    check(features(sleep=[other, *NIGHTS]), last_night_deep_z=NAN, last_night_age_h=12)
    check(features(sleep=[last, *NIGHTS[:6]]), last_night_deep_z=NAN)  # 6 nights are too few
    check(features(sleep=NIGHTS[1:]), last_night_deep_z=NAN, last_night_age_h=NAN)  # 60 h old


def test_equal_nights_deviate_by_the_floor_not_by_infinity() -> None:
    same = [night(day + 0.5, hrv_rmssd_ms=60.0) for day in range(1, 10)]
    found = features(sleep=[night(0.5, hrv_rmssd_ms=66.0), *same])
    check(found, last_night_ln_rmssd_z=np.log(1.1) / 0.06)


def test_nights_since_the_clock_start_are_compared_with_those_before() -> None:
    found = features(sleep=[night(-0.5, deep_min=100.0), *NIGHTS], as_of_h=20)
    usual = np.array([60 + 10 * (day % 3) for day in range(1, 10)])
    z = (100 - usual.mean()) / max(usual.std(ddof=1), 8)
    check(found, nights_since_n=1, nights_since_deep_z=z, last_night_deep_z=z)


def test_naps_count_for_the_debt_only() -> None:
    nap = night(0.1, onset_at=CLOCK - 0.1 * DAY - DAY / 48, asleep_min=30.0)
    check(features(sleep=[nap, night(0.5), *NIGHTS]), last_night_age_h=12,
          sleep_debt_14d_h=10 * 8 - 10 * 7.5 - 0.5)  # fmt: skip
    check(features(sleep=NIGHTS), sleep_debt_14d_h=NAN)  # 9 days


BY_DAY = {"time_precision": "day"}


def test_night_of_day_precision_gives_no_time_within_the_day() -> None:
    told = {"latency_min": 10.0, "deep_min": 100.0, "deep_first3h_min": 50.0, "awake_min": 30.0}
    nights = [night(day + 0.5, **told) for day in range(1, 10)]
    by_day = [row | BY_DAY for row in nights]
    within = ("efficiency", "latency", "deep_first3h", "deep_first3h_share", "midpoint")
    timed = features(sleep=[night(0.5, **told), *nights])
    check(timed, **{f"last_night_{name}_z": 0 for name in (*within, "asleep", "deep", "awake")},
          last_night_age_h=12, midpoint_sd_14d_h=0)  # fmt: skip
    found = features(sleep=[night(0.5, **told, **BY_DAY), *by_day])
    check(found, **{f"last_night_{name}_z": NAN for name in within},
          **{f"last_night_{name}_z": 0 for name in ("asleep", "deep", "awake")},
          last_night_age_h=0, midpoint_sd_14d_h=NAN, sleep_debt_14d_h=10 * 0.5)  # fmt: skip
    mixed = features(sleep=[night(0.5, **told, **BY_DAY), *nights])
    check(mixed, last_night_deep_z=0, last_night_midpoint_z=NAN, midpoint_sd_14d_h=0)


def test_age_of_a_night_of_day_precision_is_in_whole_days() -> None:
    """Waking at 08:00 local time is a convention; the session ends at 20:00."""
    check(features(sleep=[night(1.5, **BY_DAY)]), last_night_age_h=24)
    check(features(sleep=[night(1.5)]), last_night_age_h=NAN)  # 36 h
    check(features(sleep=[night(2.4, **BY_DAY)]), last_night_age_h=NAN)
    check(features(sleep=[night(1.4)]), last_night_age_h=33.6)


def test_what_was_slept_tells_a_nap_where_bed_times_are_a_convention() -> None:
    for asleep, age in ((170.0, NAN), (180.0, 0), (NAN, 0)):
        found = features(sleep=[night(0.5, asleep_min=asleep, **BY_DAY)])
        check(found, last_night_age_h=age)


def test_sample_of_day_precision_has_no_time_within_the_day() -> None:
    awake = {"awake_at": CLOCK - DAY - DAY / 4}
    close = session(1 + 1 / 24)
    timed = features(labs=[sample(1, "cortisol", 400.0, **awake)], sessions=[close])
    check(timed, cortisol_ln=NAN, hormone_after_exercise=1)
    found = features(labs=[sample(1, "cortisol", 400.0, **awake, **BY_DAY)], sessions=[close])
    check(found, cortisol_ln=np.log(400), hormone_after_exercise=0, cortisol_age_d=1)
    # 1.5 days before 20:00 is 08:00 of the day before.
    check(features(labs=[sample(1.5, "ck", 90.0, **BY_DAY)]), ck_age_d=1)
    check(features(labs=[sample(1.5, "ck", 90.0)]), ck_age_d=1.5)


def test_ratio_of_samples_of_day_precision_takes_them_for_one_draw() -> None:
    awake = [row | {"awake_at": row["drawn_at"] - DAY / 24} for row in pairs(0.5)]
    by_day = [row | BY_DAY for row in awake]
    check(features(labs=awake), tc_drop_30pct_p=drop_probability(0.5, 0.24))
    check(features(labs=by_day), tc_dev_ln=np.log(0.5), tc_age_d=1,
          tc_drop_30pct_p=drop_probability(0.5, 0.35))  # fmt: skip
    mixed = [row | (BY_DAY if i % 2 else {}) for i, row in enumerate(awake)]
    check(features(labs=mixed), tc_dev_ln=NAN, tc_age_d=NAN)


def test_lab_deviation_needs_three_of_the_same_specimen() -> None:
    earlier = [sample(day, "ck", 100.0) for day in (20, 40, 60)]
    last = sample(1, "ck", 200.0)
    check(features(labs=[last, *earlier]), ck_ln=np.log(200), ck_dev_ln=np.log(2), ck_age_d=1)
    check(features(labs=[last, *earlier[:2]]), ck_ln=np.log(200), ck_dev_ln=NAN)
    saliva = [row | {"specimen": "saliva"} for row in earlier]
    check(features(labs=[last, *saliva]), ck_dev_ln=NAN)
    check(features(labs=earlier), ck_ln=NAN, ck_age_d=NAN)  # 20 days are too old for CK


def test_below_loq_is_censored() -> None:
    earlier = [sample(day, "il6", 4.0) for day in (20, 40, 60)]
    low = sample(1, "il6", 2.0, below_loq=True)
    check(features(labs=[low, *earlier]), il6_ln=np.log(2 / np.sqrt(2)))
    censored = [row | {"below_loq": True} for row in earlier]
    check(features(labs=[low, *censored]), il6_dev_ln=NAN)
    check(features(labs=[sample(1, "il6", 0.0)]), il6_ln=NAN)


def test_samples_after_exercise_are_left_out_of_resting_quantities() -> None:
    labs = [sample(1, "cortisol", 800.0), sample(5, "cortisol", 400.0), sample(1, "ck", 300.0)]
    close = session(1 + 1 / 24)
    found = features(labs=labs, sessions=[close])
    check(found, cortisol_ln=np.log(400), hormone_after_exercise=1, ck_ln=np.log(300))
    for harmless in (session(1 + 2 / 24), close | {"time_precision": "day"}):
        found = features(labs=labs, sessions=[harmless])
        check(found, cortisol_ln=np.log(800), hormone_after_exercise=0)
    late = close | {"known_at": CLOCK + DAY}
    check(features(labs=labs, sessions=[late]), cortisol_ln=np.log(800))
    check(features(labs=labs, sessions=[late], as_of_h=24), cortisol_ln=np.log(400))


def pairs(ratio: float, **columns: Any) -> list[dict[str, Any]]:
    rows = []
    for day, testosterone in ((1, 20 * ratio), (20, 20.0), (40, 20.0), (60, 20.0)):
        rows += [sample(day, "testosterone", testosterone, **columns),
                 sample(day, "cortisol", 400.0, **columns)]  # fmt: skip
    return rows


def drop_probability(ratio: float, sd: float, n: int = 3) -> float:
    """Return P(true change ≤ ln 0.7), by Bayes' rule for two normal distributions."""
    noise = sd**2 * (1 + 1 / n)
    precision = 1 / 0.25**2 + 1 / noise
    return float(norm.cdf(np.log(0.7), np.log(ratio) / noise / precision, precision**-0.5))


def test_ratio_drop_is_a_probability() -> None:
    found = features(labs=pairs(0.5))
    check(found, tc_dev_ln=np.log(0.5), tc_drop_30pct_p=drop_probability(0.5, 0.35), tc_age_d=1)
    waking = [row | {"awake_at": row["drawn_at"] - DAY / 24} for row in pairs(0.5)]
    check(features(labs=waking), tc_drop_30pct_p=drop_probability(0.5, 0.24))
    assert drop_probability(0.5, 0.24) > drop_probability(0.5, 0.35) > drop_probability(1, 0.24)


def test_no_ratio_of_samples_apart_or_of_blood_under_contraception() -> None:
    apart = pairs(0.5)
    for row in apart[1::2]:  # cortisol
        row["drawn_at"] += DAY / 47
    check(features(labs=apart), tc_dev_ln=NAN, tc_age_d=NAN)
    pill = {"sex": "female", "hormonal_contraception": True}
    check(features(labs=pairs(0.5), athlete=pill), tc_dev_ln=NAN, tc_drop_30pct_p=NAN,
          testosterone_ln=NAN, testosterone_dev_ln=np.log(0.5))  # fmt: skip
    found = features(labs=pairs(0.5, specimen="saliva"), athlete=pill)
    check(found, tc_dev_ln=np.log(0.5), testosterone_ln=NAN)


def test_waking_correction_refers_to_one_hour_after_waking() -> None:
    late = sample(1, "cortisol", 400.0, awake_at=CLOCK - DAY - DAY / 4)  # 6 h after waking
    shift = 0.45 * (np.cos(2 * np.pi * 5.5 / 24) - np.cos(2 * np.pi * 0.5 / 24))
    check(features(labs=[late]), cortisol_ln=np.log(400) - shift)


def test_food_per_kilogram_and_energy_availability() -> None:
    days = [
        {"athlete_id": "a", "date": pd.Timestamp("2026-06-14") - n * DAY, "energy_kcal": 3000.0,
         "carbohydrate_g": carbohydrate, "protein_g": NAN,
         "known_at": CLOCK - 0.5 * DAY - n * DAY}
        for n, carbohydrate in enumerate((400.0, 240.0))
    ]  # fmt: skip
    spent = session(1, energy_kcal=900.0)
    found = features(nutrition=days, sessions=[spent])
    check(found, carbohydrate_last_day_g_kg=5, carbohydrate_3d_g_kg=4, protein_3d_g_kg=NAN,
          energy_availability_kcal_kg=30, nutrition_age_h=20)  # fmt: skip
    unknown = features(nutrition=days, sessions=[session(1)])
    check(unknown, energy_availability_kcal_kg=NAN)
    check(features(nutrition=days, athlete={"body_mass_kg": NAN, "fat_free_mass_kg": NAN}),
          carbohydrate_last_day_g_kg=NAN, energy_availability_kcal_kg=NAN)  # fmt: skip


def test_questionnaire_needs_five_earlier_and_a_fresh_one() -> None:
    earlier = [answer(day, 3) for day in (2, 3, 4, 5, 6)]
    check(features(tests=[answer(1, 5), *earlier]), soreness_dev_28d=2, soreness_dev_ewm=2,
          soreness_change=2, soreness_age_h=24)  # fmt: skip
    check(features(tests=[answer(1, 5), *earlier[:4]]), soreness_dev_28d=NAN, soreness_change=2)
    stale = [answer(day + 2, 3) for day in (1, 2, 3, 4, 5, 6)]
    check(features(tests=stale), soreness_dev_28d=NAN, soreness_age_h=NAN)
    after = answer(-0.2, 1)
    check(features(tests=[after, answer(1, 5), *earlier], as_of_h=24), soreness_dev_28d=2)


def test_earlier_injuries_and_what_is_open() -> None:
    def injury(onset: float, resolved: float | None) -> dict[str, Any]:
        at = None if resolved is None else CLOCK - resolved * DAY
        return {"episode_id": f"e{onset}", "athlete_id": "a", "kind": "injury",
                "onset_at": CLOCK - onset * DAY, "resolved_at": at,
                "known_at": CLOCK - onset * DAY}  # fmt: skip

    rows = [injury(400, 380), injury(100, 90), injury(10, -5), injury(8, None), injury(0, -1)]
    check(features(episodes=rows), injuries_365d_n=3, open_events_n=2, since_resolved_d=90)
    check(features(episodes=rows, as_of_h=144), open_events_n=1, since_resolved_d=1)
    check(features(episodes=rows[:1]), injuries_365d_n=0, since_resolved_d=NAN)


def test_index_deficit_has_the_impaired_direction() -> None:
    jump = {"test": "cmj_height"}
    rows = [answer(day, 40, rested=True, **jump) for day in (20, 21, 22)]
    found = features(tests=[answer(2, 38, rested=False, **jump), *rows])
    check(found, index_deficit_last=5, index_deficit_7d=5, index_age_h=48, baseline_tests_n=3,
          index_tests_28d_n=4)  # fmt: skip
    check(features(tests=rows[:2]), index_deficit_last=NAN, baseline_tests_n=2, baseline_se=NAN)


def test_person_and_clock() -> None:
    check(features(as_of_h=5, athlete={"sex": "unknown", "birth_year": 1996.0}), sex=NAN, age_y=30,
          fat_free_share=0.875, landmark_h=5, clock_weekday=0)  # fmt: skip
    check(features(athlete={"fat_free_mass_kg": 90.0}), fat_free_share=NAN)
