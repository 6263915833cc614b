"""The clock: local days and hours against elapsed hours, over a change of the clocks."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.simulator.clock import Clock

CLOCK = Clock.of("Europe/Berlin", date(2024, 1, 8), 200)  # summer time begins on 31 March


@given(st.integers(0, 199), st.integers(4 * 60, 23 * 60))
def test_local_time_survives_the_way_to_elapsed_hours_and_back(day: int, minutes: int) -> None:
    elapsed = CLOCK.elapsed(day, minutes / 60.0)
    back_day, back_hour = CLOCK.local(elapsed)
    assert back_day == day
    assert abs(float(back_hour) * 60.0 - minutes) < 1e-6


@given(st.integers(0, 199), st.integers(4 * 60, 23 * 60))
def test_stamps_show_the_local_clock(day: int, minutes: int) -> None:
    stamp = CLOCK.stamps(np.atleast_1d(CLOCK.elapsed(day, minutes / 60.0)))[0]
    expected = pd.Timestamp("2024-01-08") + pd.Timedelta(days=day, minutes=minutes)
    assert stamp.tz_localize(None) == expected
    assert str(stamp.tz) == "Europe/Berlin"


def test_the_day_that_loses_an_hour_is_23_hours_long() -> None:
    day = (date(2024, 3, 31) - date(2024, 1, 8)).days
    assert CLOCK.elapsed(day, 12.0) - CLOCK.elapsed(day - 1, 12.0) == 23.0


def test_an_unknown_time_stays_unknown() -> None:
    stamps = CLOCK.stamps(np.array([np.nan, 0.0]))
    assert stamps.isna().tolist() == [True, False]
    assert stamps.dtype == pd.DatetimeTZDtype("us", "Europe/Berlin")
