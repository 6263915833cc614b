from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.cohort.tables import STAGES
from nmr_ml.ingest import hypnogram
from nmr_ml.ingest.hypnogram import CODE, Epochs

H = 3600.0


def night(*parts: tuple[str, float], number: int = 0, start: float = 0.0) -> Epochs:
    """Return contiguous epochs of one night from (stage, minutes)."""
    seconds = np.array([minutes * 60.0 for _, minutes in parts])
    begin = start + np.concatenate([[0.0], np.cumsum(seconds)[:-1]])
    stage = np.array([CODE[name] for name, _ in parts], dtype=np.int64)
    return hypnogram.epochs(np.full(len(parts), number, dtype=np.int64), begin, seconds, stage)


def together(*nights: Epochs) -> Epochs:
    return Epochs(*(np.concatenate([getattr(one, name) for one in nights])
                    for name in ("night", "start_s", "end_s", "stage")))  # fmt: skip


NO_WAKES = hypnogram.epochs(*(np.array([], dtype=kind) for kind in (int, float, float, int)))


def test_minutes_of_a_hand_computed_night() -> None:
    # 10 min awake in bed; asleep from minute 10; the window is minute 10 to 190.
    base = night(("awake", 10), ("light", 50), ("deep", 40), ("rem", 80), ("deep", 30),
                 ("awake", 20), ("light", 10))  # fmt: skip
    row = hypnogram.summary(base, np.array([240 * 60.0])).iloc[0]
    assert row["latency_min"] == 10
    assert row["onset_s"] == 600
    assert row["light_min"] == 60
    assert row["deep_min"] == 70
    assert row["rem_min"] == 80
    assert row["awake_min"] == 20
    assert row["asleep_min"] == 210
    # The second deep epoch runs from minute 180 to 210: ten of its minutes are in the window.
    assert row["deep_first3h_min"] == 50


def test_short_wakes_are_cut_out_of_the_epochs_they_interrupt() -> None:
    base = night(("deep", 60), ("light", 60))
    # One minute inside deep, two across the border, one beyond the end of the night.
    wakes = hypnogram.epochs(
        np.zeros(3, dtype=np.int64),
        np.array([600.0, 3540.0, 7200.0]),
        np.array([60.0, 120.0, 60.0]),
        np.full(3, CODE["awake"]),
    )
    merged = hypnogram.with_wakes(base, wakes)
    row = hypnogram.summary(merged, np.array([2 * H])).iloc[0]
    assert row["deep_min"] == 58
    assert row["light_min"] == 59
    assert row["awake_min"] == 3
    # deep, awake, deep, awake (the two minutes across the border are one piece), light
    assert merged.stage.tolist() == [CODE[name] for name in
                                     ("deep", "awake", "deep", "awake", "light")]  # fmt: skip
    assert merged.end_s[3] - merged.start_s[3] == 120


def test_a_night_that_only_tells_asleep_from_awake_has_no_stage_minutes() -> None:
    nights = together(night(("asleep", 90), ("awake", 10)), night(("deep", 5), number=1))
    rows = hypnogram.summary(nights, np.array([6000.0, 300.0]))
    missing = ["light_min", "deep_min", "rem_min", "deep_first3h_min"]
    assert rows.loc[0, missing].isna().all()
    assert rows.loc[0, "asleep_min"] == 90
    assert rows.loc[0, "awake_min"] == 10
    # A staged night without REM has zero minutes of it, not none.
    assert rows.loc[1, "rem_min"] == 0
    assert rows.loc[1, "deep_first3h_min"] == 5


def test_unknown_minutes_in_the_window_could_have_been_deep() -> None:
    early = night(("deep", 30), ("unknown", 10), ("light", 200))
    late = night(("deep", 30), ("light", 200), ("unknown", 10), number=1)
    rows = hypnogram.summary(together(early, late), np.full(2, 240 * 60.0))
    assert np.isnan(rows["deep_first3h_min"][0])
    assert rows.loc[1, "deep_first3h_min"] == 30
    assert rows["deep_min"].tolist() == [30, 30]
    assert rows["awake_min"].tolist() == [0, 0]


def test_a_record_without_sleep_has_no_night() -> None:
    rows = hypnogram.summary(night(("awake", 30)), np.array([1800.0]))
    assert rows.isna().all().all()


def test_clipping_cuts_the_last_epoch_and_drops_what_lies_beyond() -> None:
    base = night(("light", 60), ("deep", 60), ("unknown", 60))
    cut = hypnogram.clipped(base, np.array([90 * 60.0]))
    assert cut.end_s.tolist() == [3600.0, 5400.0]


def test_overlapping_epochs_are_found_by_night() -> None:
    good = night(("light", 10), ("deep", 10))
    bad = hypnogram.epochs(np.array([1, 1]), np.array([0.0, 30.0]), np.array([60.0, 60.0]),
                           np.array([1, 2]))  # fmt: skip
    assert hypnogram.overlapping(together(good, bad), 3).tolist() == [False, True, False]


def test_no_epochs_at_all() -> None:
    assert len(hypnogram.with_wakes(NO_WAKES, NO_WAKES).night) == 0


Part = tuple[str, int]
Wake = tuple[int, int]
PARTS = st.lists(
    st.tuples(st.sampled_from([name for name in STAGES if name != "asleep"]), st.integers(1, 60)),
    min_size=1, max_size=12,
)  # fmt: skip
WAKES = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 6)), max_size=8)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(PARTS, WAKES), min_size=1, max_size=4))
def test_every_half_minute_counts_once(record: list[tuple[list[Part], list[Wake]]]) -> None:
    base = together(*(night(*[(name, half / 2) for name, half in parts], number=n)
                      for n, (parts, _) in enumerate(record)))  # fmt: skip
    flat = [(n, at * 30.0, length * 30.0) for n, (_, w) in enumerate(record) for at, length in w]
    length_s = np.array([sum(half for _, half in parts) * 30.0 for parts, _ in record])
    wakes = hypnogram.epochs(np.array([n for n, _, _ in flat], dtype=np.int64),
                             np.array([at for _, at, _ in flat]),
                             np.array([length for _, _, length in flat]),
                             np.full(len(flat), CODE["awake"]))  # fmt: skip
    merged = hypnogram.with_wakes(base, hypnogram.clipped(wakes, length_s))
    rows = hypnogram.summary(merged, length_s)
    for n, (parts, short) in enumerate(record):
        # The same by hand on a grid of half minutes.
        grid = [name for name, half in parts for _ in range(half)]
        for at, length in short:
            grid[at : at + length] = ["awake"] * len(grid[at : at + length])
        asleep = [i for i, name in enumerate(grid) if name in ("light", "deep", "rem")]
        if not asleep:
            assert rows.loc[n].isna().all()
            continue
        onset, window = asleep[0], grid[asleep[0] : asleep[0] + 360]
        after = grid[onset:]
        row = rows.loc[n]
        assert row["latency_min"] == onset / 2
        assert row["asleep_min"] == len(asleep) / 2
        assert row["awake_min"] == after.count("awake") / 2
        assert row["deep_min"] == after.count("deep") / 2
        in_bed = row[["latency_min", "asleep_min", "awake_min"]].sum() + after.count("unknown") / 2
        assert in_bed == len(grid) / 2
        if "unknown" in window:
            assert np.isnan(row["deep_first3h_min"])
        else:
            assert row["deep_first3h_min"] == window.count("deep") / 2
            assert row["deep_first3h_min"] <= row["deep_min"]
    assert merged.end_s.sum() - merged.start_s.sum() == pytest.approx(length_s.sum())
