from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.predictions.red_flags import red_flagged
from tests.support.small_cohorts import at, at_s, history_of, person, session, small_cohort

DAY = 24.0


def lab(hour: float, value: float, analyte: str = "ck", **more: Any) -> dict[str, Any]:
    known = more.pop("known_h", hour)
    return {"athlete_id": "a", "drawn_at": at(hour), "analyte": analyte, "value": value,
            "unit": "1", "specimen": "serum", "known_at": at(known), **more}  # fmt: skip


def flags(labs: list[dict[str, Any]], hours: list[float], *, sex: str = "male") -> list[bool]:
    athletes = [person("a", sex=sex), person("b", sex="male")]
    cohort = small_cohort([session(0), session(0, athlete="b")], athletes=athletes, labs=labs)
    as_of = np.array([at_s(h) for h in hours])
    history = history_of(cohort)
    assert not red_flagged(history, np.ones(as_of.size, np.int64), as_of).any()
    flagged: list[bool] = red_flagged(history, np.zeros(as_of.size, np.int64), as_of).tolist()
    return flagged


def test_ck_above_ten_thousand_flags_for_a_week_from_when_it_is_known() -> None:
    found = flags([lab(10, 10_001.0, known_h=20)], [19.9, 20, 10 + 7 * DAY, 10 + 7 * DAY + 0.1])
    assert found == [False, True, True, False]
    assert flags([lab(10, 10_000.0)], [20]) == [False]


@pytest.mark.parametrize("specimen", ["saliva", "urine"])
def test_only_blood_flags(specimen: str) -> None:
    assert flags([lab(10, 20_000.0, specimen=specimen)], [20]) == [False]
    assert flags([lab(10, 20_000.0, specimen="capillary")], [20]) == [True]


def test_crp_flags_where_it_lasts_longer_than_three_days() -> None:
    first = lab(0, 11.0, "crp")
    assert flags([first], [10]) == [False]
    assert flags([first, lab(71.9, 30.0, "crp")], [80]) == [False]
    assert flags([first, lab(72, 30.0, "crp")], [71.9, 72, 72 + 7 * DAY + 0.1]) == [
        False, True, False,
    ]  # fmt: skip
    assert flags([first, lab(72, 10.0, "crp")], [80]) == [False]
    assert flags([first, lab(15 * DAY, 30.0, "crp")], [15 * DAY]) == [False]


def test_crp_flags_once_both_samples_are_known() -> None:
    labs = [lab(0, 11.0, "crp", known_h=100), lab(80, 12.0, "crp")]
    assert flags(labs, [99, 100]) == [False, True]


def test_low_testosterone_of_a_man_in_two_mornings_flags() -> None:
    mornings = [lab(8 + DAY * i, 7.9, "testosterone") for i in (0, 30)]
    assert flags(mornings[:1], [40 * DAY]) == [False]
    assert flags(mornings, [29 * DAY, 31 * DAY, 119 * DAY, 121 * DAY]) == [False, True, True, False]
    assert flags(mornings, [31 * DAY], sex="female") == [False]
    evening = [mornings[0], lab(20 + 30 * DAY, 7.9, "testosterone")]
    assert flags(evening, [31 * DAY]) == [False]
    same_morning = [mornings[0], lab(9, 7.0, "testosterone")]
    assert flags(same_morning, [10]) == [False]
    normal = [mornings[0], lab(8 + DAY * 30, 8.0, "testosterone")]
    assert flags(normal, [31 * DAY]) == [False]


def test_the_morning_is_the_athletes_own() -> None:
    # 20:00 UTC is 07:00 in Auckland on the next day.
    labs = [lab(20 + DAY * i, 5.0, "testosterone") for i in (0, 5)]
    athletes = [person("a", sex="male")]
    as_of, who = np.array([at_s(7 * DAY)]), np.zeros(1, np.int64)
    found = {
        zone: bool(
            red_flagged(
                history_of(small_cohort([session(0)], timezone=zone, athletes=athletes, labs=labs)),
                who,
                as_of,
            )[0]
        )
        for zone in ("UTC", "Pacific/Auckland")
    }
    assert found == {"UTC": False, "Pacific/Auckland": True}


SAMPLES = (("ck", 20_000.0), ("ck", 100.0), ("crp", 11.0), ("crp", 5.0), ("testosterone", 7.0))


def random_lab(rng: np.random.Generator, hour: float) -> dict[str, Any]:
    analyte, value = SAMPLES[rng.integers(len(SAMPLES))]
    return lab(hour, value, analyte, known_h=hour + rng.choice([0, 0, 60, 900]))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_agrees_with_the_rules_read_sample_by_sample(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labs = [random_lab(rng, float(hour)) for hour in rng.choice(60 * 24, 40, replace=False)]
    hours = rng.integers(0, 200 * 24, 60).astype(float).tolist()
    assert flags(labs, hours) == [_plain(labs, at(hour)) for hour in hours]


def _plain(labs: list[dict[str, Any]], as_of: pd.Timestamp) -> bool:
    """Return whether a flag stands, by the thresholds of `nmr_ml.predictions.red_flags`."""
    known = [one for one in labs if one["known_at"] <= as_of]

    def stands(days: float, drawn_at: pd.Timestamp) -> bool:
        return bool(as_of - drawn_at <= pd.Timedelta(days=days))

    def lasting(samples: list[dict[str, Any]], least_h: float, most_d: float) -> list[pd.Timestamp]:
        drawn = [one["drawn_at"] for one in samples]
        least, most = pd.Timedelta(hours=least_h), pd.Timedelta(days=most_d)
        return [late for late in drawn if any(least <= late - early <= most for early in drawn)]

    ck = [one["drawn_at"] for one in known if one["analyte"] == "ck" and one["value"] > 10_000]
    crp = [one for one in known if one["analyte"] == "crp" and one["value"] > 10]
    low = [
        one for one in known if one["analyte"] == "testosterone" and 5 <= one["drawn_at"].hour <= 11
    ]
    return (
        any(stands(7, drawn) for drawn in ck)
        or any(stands(7, drawn) for drawn in lasting(crp, 72, 14))
        or any(stands(90, drawn) for drawn in lasting(low, 12, 90))
    )
