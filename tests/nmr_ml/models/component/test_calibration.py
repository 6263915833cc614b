from __future__ import annotations

import numpy as np
import pytest

from nmr_ml.models.component.calibration import (
    DISCREPANCY,
    EVERYONE,
    NEW_D,
    NEW_DISCREPANCY,
    Calibration,
    Correction,
    group_names,
)
from nmr_ml.models.component.fit_calibration import (
    LEAST_GROUP_ATHLETES,
    _log_evidence,
    fit_calibration,
)
from nmr_ml.models.curve.grid import CurveGrid
from nmr_ml.models.curve.likelihood import likelihood_tables, remaining
from tests.support.levelled_grid import LEVELLED, node_loglik, node_prior
from tests.support.small_cohorts import followed_of

GRID = CurveGrid.mixed(
    np.linspace(np.log(0.2), np.log(60), 26), np.linspace(np.log(3), np.log(500), 26),
    np.array([1.0]), np.array([1.0]), np.array([1.0]),
)  # fmt: skip
#: Of the slow share, the third, `GRID` has one level only.
MEAN, SPREAD = np.array([np.log(8.0), np.log(30.0), 1.0]), np.array([0.35, 0.35, 0.1])


def tables(n: int, rng: np.random.Generator, *, scale: float = 1.0) -> np.ndarray:
    tests = []
    for _ in range(n):
        log_a, log_tau = MEAN[:2] + scale * SPREAD[:2] * rng.normal(size=2)
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
@pytest.mark.parametrize("scale", [1.0, 0.7, 1.3])
def test_a_wrong_spread_is_put_right_but_never_narrowed(scale: float) -> None:
    table = tables(1200, np.random.default_rng(1), scale=scale)
    found = fitted(table, ["female/known"] * 1200, 60).groups[EVERYONE]
    assert found.scale == pytest.approx(max(scale, 1.0), rel=0.08)
    assert found.status == "calibrated"


def test_the_evidence_of_a_scale_is_a_sum_over_every_node_of_every_level() -> None:
    tests = [[(3.0, 6.0, 1.5), (30.0, 3.0, 1.5)], [(12.0, 2.0, 1.0)], [(12.0, 2.0, 1.0)], []]
    table, top = likelihood_tables(followed_of(tests, 0.5), LEVELLED)
    # The second and third differ in the mean of the slow share only.
    means = np.array([[1.8, 3.6, 0.9], [1.5, 3.2, 0.45], [1.5, 3.2, 0.95], [1.8, 3.6, 0.9]])
    spreads = np.array([[0.6, 0.7, 0.3], [0.5, 0.6, 0.15], [0.5, 0.6, 0.15], [0.6, 0.7, 0.3]])
    scales = np.array([0.8, 1.0, 1.3])
    axes = (LEVELLED.log_amplitude, LEVELLED.log_tau, LEVELLED.share)
    found = _log_evidence(table, *axes, means, spreads, scales)
    assert found.shape == (4, 3)
    constant = 0.5 * np.log(2 * np.pi) * np.array([2, 1, 1])
    for c, scale in enumerate(scales):
        for q in range(3):
            prior = node_prior(LEVELLED, means[q], spreads[q] * np.array([scale, scale, 1.0]))
            total = np.sum(prior * np.exp(node_loglik(LEVELLED, tests[q], 0.5)))
            assert found[q, c] + top[q] == pytest.approx(np.log(total) + constant[q], abs=1e-5)
    assert found[3] == pytest.approx(np.zeros(3), abs=1e-6)  # no test tells nothing
    assert (np.abs(found[1] - found[2]) > 0.05).all()


@pytest.mark.statistical
def test_what_the_slow_share_explains_is_not_taken_for_a_wrong_prior() -> None:
    # Sessions whose share is known: with that of others, curves would have to scatter more.
    rng, n = np.random.default_rng(7), 800
    grid = CurveGrid(
        GRID.log_amplitude, GRID.log_tau, share=np.array([0.4, 0.7, 1.0]),
        slow=np.array([0.4, 0.7, 1.0]), power=np.ones(3), level=np.arange(3), weights=np.ones(3),
    )  # fmt: skip
    tests = []
    for _ in range(n):
        log_a, log_tau = MEAN[:2] + SPREAD[:2] * rng.normal(size=2)
        tests.append(
            [(h, np.exp(log_a) * remaining(h, np.exp(log_tau), 0.4, 1.0) + rng.normal(), 1.0)
             for h in (1.0, 4.0, 24.0, 48.0, 72.0)]
        )  # fmt: skip
    table, _ = likelihood_tables(followed_of(tests, 1e-3), grid)
    athlete = np.array([f"a{i % 40}" for i in range(n)], dtype=object)
    group = np.full(n, "female/known", dtype=object)
    right, wrong = (
        fit_calibration(
            table, grid, np.tile([*MEAN[:2], share], (n, 1)), np.tile(SPREAD, (n, 1)), group,
            athlete,
        ).groups[EVERYONE]
        for share in (0.4, 1.0)
    )  # fmt: skip
    assert right.scale == pytest.approx(1.0, rel=0.1)
    assert wrong.scale > 1.2


@pytest.mark.statistical
def test_groups_differ_only_as_far_as_they_show_it() -> None:
    rng = np.random.default_rng(2)
    table = np.concatenate([tables(900, rng, scale=1.4), tables(900, rng)])
    groups = ["female/known"] * 900 + ["male/known"] * 900
    found = fitted(table, groups, 45).groups
    assert found["female/known"].scale > found[EVERYONE].scale > found["male/known"].scale
    assert found["female/known"].scale - found["male/known"].scale == pytest.approx(0.4, abs=0.15)


def test_a_small_group_has_the_correction_of_all_and_says_so() -> None:
    rng = np.random.default_rng(3)
    table = np.concatenate([tables(300, rng, scale=1.2), tables(20, rng)])
    groups = ["female/known"] * 300 + ["male/known"] * 20
    found = fitted(table, groups, LEAST_GROUP_ATHLETES).groups
    small = fitted(table, groups, LEAST_GROUP_ATHLETES - 1).groups["male/known"]
    assert found["female/known"].status == "calibrated"
    assert small.status == "model_based"
    assert (
        small.scale == fitted(table, groups, LEAST_GROUP_ATHLETES - 1).groups[EVERYONE].scale > 1.0
    )


def test_an_athlete_with_many_episodes_counts_once() -> None:
    rng = np.random.default_rng(4)
    table = np.concatenate([tables(600, rng, scale=1.5), tables(60, rng)])
    n = len(table)
    means, spreads = np.tile(MEAN, (n, 1)), np.tile(SPREAD, (n, 1))
    group = np.full(n, "female/known", dtype=object)
    one = np.array(["busy"] * 600 + [f"a{i}" for i in range(60)], dtype=object)
    found = fit_calibration(table, GRID, means, spreads, group, one).groups[EVERYONE]
    assert found.scale < 1.15  # 1.4 if every episode counted


@pytest.mark.statistical
def test_athletes_without_a_past_have_the_scale_of_all_episodes_with_the_past_withheld() -> None:
    rng = np.random.default_rng(6)
    known, few = tables(1600, rng), tables(40, rng)
    table, n = np.concatenate([few, known]), 1640
    groups = np.array(["female/cold_start"] * 40 + ["female/known"] * 1600, dtype=object)
    athlete = np.array([f"a{i % 80}" for i in range(n)], dtype=object)
    means, spreads = np.tile(MEAN, (n, 1)), np.tile(SPREAD, (n, 1))
    alone = fit_calibration(table, GRID, means, spreads, groups, athlete).groups
    # Without the past the episodes lie further from the model than it says.
    nobody = (means, spreads / 1.3, np.full(n, "female/cold_start", dtype=object))
    both = fit_calibration(table, GRID, means, spreads, groups, athlete, nobody).groups
    cold = "female/cold_start"
    assert both[cold].scale == pytest.approx(1.3, abs=0.1)
    assert alone[cold].scale < 1.1
    assert both["female/known"] == alone["female/known"]
    assert both[EVERYONE] == alone[EVERYONE]


def test_corrections_are_applied_by_group() -> None:
    calibration = Calibration(
        {EVERYONE: Correction(1.2, 50, "calibrated"),
         "female/known": Correction(1.1, 30, "calibrated")}
    )  # fmt: skip
    names = np.array(["female/known", "unknown/cold_start", "female/new"], dtype=object)
    spreads, told = calibration.correct(np.tile([1.0, 1.0, 0.3], (3, 1)), names)
    # The slow share is not corrected.
    scaled = np.array([[1.1, 1.1, 0.3], [1.2, 1.2, 0.3], [1.2, 1.2, 0.3]])
    unseen = np.array([DISCREPANCY, DISCREPANCY, NEW_DISCREPANCY])
    assert spreads == pytest.approx(np.hypot(scaled, unseen))
    assert told.tolist() == [True, False, False]


def test_without_calibration_only_what_tests_cannot_show_is_added() -> None:
    nothing = Calibration({EVERYONE: Correction()})
    spreads = np.array([[0.3, 0.4, 0.2]])
    found, told = nothing.correct(spreads, np.array(["male/known"], dtype=object))
    assert found == pytest.approx(np.hypot(spreads, DISCREPANCY))
    assert not told.any()


def test_groups_are_sex_and_what_is_known_of_the_athlete() -> None:
    sex = np.array(["female", "male", "male", "female", "male"], dtype=object)
    record_d = np.array([NEW_D, 1.0, NEW_D - 0.1, np.nan, np.inf])
    names = group_names(sex, np.array([0, 3, 0, 0, 0]), record_d)
    assert names.tolist() == [
        "female/cold_start", "male/known", "male/new", "female/new", "male/cold_start",
    ]  # fmt: skip


def test_a_calibration_survives_json() -> None:
    calibration = Calibration({EVERYONE: Correction(1.2, 50, "calibrated")})
    assert Calibration.from_json(calibration.as_json()) == calibration
