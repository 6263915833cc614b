from __future__ import annotations

import numpy as np
import pytest
from small_cohorts import followed_of

from nmr_ml.calibration import (
    DISCREPANCY,
    EVERYONE,
    LEAST_ATHLETES,
    Calibration,
    Correction,
    fit_calibration,
    group_names,
)
from nmr_ml.curve import CurveGrid, likelihood_tables, remaining

GRID = CurveGrid(
    np.linspace(np.log(0.2), np.log(60), 26), np.linspace(np.log(3), np.log(500), 26),
    np.array([1.0]), np.array([1.0]), np.array([1.0]),
)  # fmt: skip
MEAN, SPREAD = np.array([np.log(8.0), np.log(30.0)]), np.array([0.35, 0.35])


def tables(
    n: int, rng: np.random.Generator, *, shift: float = 0.0, scale: float = 1.0
) -> np.ndarray:
    tests = []
    for _ in range(n):
        log_a, log_tau = MEAN + np.array([0.0, shift]) + scale * SPREAD * rng.normal(size=2)
        tests.append(
            [(h, np.exp(log_a) * remaining(h, np.exp(log_tau), 1.0, 1.0) + rng.normal(), 1.0)
             for h in (4.0, 24.0, 48.0, 72.0)]
        )  # fmt: skip
    return likelihood_tables(followed_of(tests, 1e-3), GRID)[0]


def fitted(table: np.ndarray, groups: list[str], athletes_n: int) -> Calibration:
    n = len(table)
    athlete = np.array([f"{g}{i % athletes_n}" for i, g in enumerate(groups)], dtype=object)
    return fit_calibration(
        table, GRID, np.tile(MEAN, (n, 1)), np.tile(SPREAD, (n, 1)),
        np.array(groups, dtype=object), athlete,
    )  # fmt: skip


@pytest.mark.statistical
@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.15, 1.0), (0.0, 0.7), (-0.1, 1.3)])
def test_a_wrong_prior_is_put_right(shift: float, scale: float) -> None:
    table = tables(1200, np.random.default_rng(1), shift=shift, scale=scale)
    found = fitted(table, ["female/known"] * 1200, 60).groups[EVERYONE]
    assert found.shift == pytest.approx(shift, abs=0.04)
    assert found.scale == pytest.approx(scale, rel=0.08)
    assert found.status == "calibrated"


@pytest.mark.statistical
def test_groups_differ_only_as_far_as_they_show_it() -> None:
    rng = np.random.default_rng(2)
    table = np.concatenate([tables(900, rng, shift=0.15), tables(900, rng, shift=-0.05)])
    groups = ["female/known"] * 900 + ["male/known"] * 900
    found = fitted(table, groups, 45).groups
    assert found["female/known"].shift > found[EVERYONE].shift > found["male/known"].shift
    assert found["female/known"].shift - found["male/known"].shift == pytest.approx(0.2, abs=0.08)


def test_a_small_group_has_the_correction_of_all_and_says_so() -> None:
    rng = np.random.default_rng(3)
    table = np.concatenate([tables(300, rng, shift=0.1), tables(20, rng, shift=-0.3)])
    groups = ["female/known"] * 300 + ["male/known"] * 20
    found = fitted(table, groups, LEAST_ATHLETES).groups
    small = fitted(table, groups, LEAST_ATHLETES - 1).groups["male/known"]
    assert found["female/known"].status == "calibrated"
    assert small.status == "model_based"
    assert small.shift == fitted(table, groups, LEAST_ATHLETES - 1).groups[EVERYONE].shift


def test_an_athlete_with_many_episodes_counts_once() -> None:
    rng = np.random.default_rng(4)
    table = np.concatenate([tables(600, rng, shift=0.25), tables(60, rng)])
    n = len(table)
    means, spreads = np.tile(MEAN, (n, 1)), np.tile(SPREAD, (n, 1))
    group = np.full(n, "female/known", dtype=object)
    one = np.array(["busy"] * 600 + [f"a{i}" for i in range(60)], dtype=object)
    found = fit_calibration(table, GRID, means, spreads, group, one).groups[EVERYONE]
    assert abs(found.shift) < 0.12  # 0.23 if every episode counted


def test_corrections_are_applied_by_group() -> None:
    calibration = Calibration(
        {
            EVERYONE: Correction(0.1, 1.2, 50, "calibrated"),
            "female/known": Correction(-0.2, 0.9, 30, "calibrated"),
        }
    )
    names = np.array(["female/known", "unknown/cold_start"], dtype=object)
    means, spreads, told = calibration.correct(np.zeros((2, 2)), np.ones((2, 2)), names)
    assert means == pytest.approx(np.array([[0.0, -0.2], [0.0, 0.1]]))
    of_tau = np.hypot([0.9, 1.2], DISCREPANCY)
    assert spreads == pytest.approx(np.column_stack([[0.9, 1.2], of_tau]))
    assert told.tolist() == [True, False]


def test_without_calibration_only_what_tests_cannot_show_is_added() -> None:
    means, spreads = np.array([[1.0, 2.0]]), np.array([[0.3, 0.4]])
    nothing = Calibration({EVERYONE: Correction()})
    found = nothing.correct(means, spreads, np.array(["male/known"], dtype=object))
    assert np.array_equal(found[0], means)
    assert found[1] == pytest.approx(np.array([[0.3, np.hypot(0.4, DISCREPANCY)]]))
    assert not found[2].any()


def test_groups_are_sex_and_whether_the_athlete_is_known() -> None:
    names = group_names(np.array(["female", "male"], dtype=object), np.array([0, 3]))
    assert names.tolist() == ["female/cold_start", "male/known"]


def test_a_calibration_survives_json() -> None:
    calibration = Calibration({EVERYONE: Correction(0.1, 1.2, 50, "calibrated")})
    assert Calibration.from_json(calibration.as_json()) == calibration
