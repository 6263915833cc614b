from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.optimize import minimize

from nmr_ml.models.availability import fit
from nmr_ml.models.availability.absences import Absences
from nmr_ml.models.availability.fit import fit_law
from nmr_ml.models.availability.law import FAMILIES, SD_OF_Z, DurationLaw
from nmr_ml.numeric.convergence import gathering
from tests.support.absence_rows import (
    DAY_S,
    MEDIAN_D,
    drawn_absences,
    drawn_with_words,
    law,
)


def fitted(absences: Absences, family: str = "lognormal", *, graded: bool = False) -> DurationLaw:
    return fit_law(absences, family=family, graded=graded)


def placed(of: DurationLaw, kind: str, *grades: str | None) -> tuple[np.ndarray, np.ndarray]:
    """Return mu and scale of episodes of these grades, about which no more is known."""
    n = len(grades)
    unknown = np.full(n, "unknown", object)
    return of.place(np.full(n, kind, object), np.array(grades, object), unknown, unknown)


@pytest.mark.statistical
@pytest.mark.parametrize("family", FAMILIES)
def test_a_fit_finds_the_law_behind_censored_episodes(family: str) -> None:
    absences, _ = drawn_absences(150, 4, seed=1, sd=0.5, athlete_sd=0.4, followed_d=20)
    assert 0.1 < np.mean(~absences.resolved) < 0.4
    found = fitted(absences, family)
    for kind, days in MEDIAN_D.items():
        assert found.location[kind] == pytest.approx(np.log(24 * days), abs=0.12)
        assert found.scale[kind] * SD_OF_Z[family] == pytest.approx(0.5, abs=0.08)
        assert 0.02 < found.location_se[kind] < 0.08
    assert found.athlete_sd == pytest.approx(0.4, abs=0.1)
    assert found.grades == {}


def test_one_athlete_with_many_episodes_does_not_speak_for_all() -> None:
    many, _ = drawn_absences(1, 60, seed=3, athlete_sd=0.0, median_d={"injury": 64.0})
    others, _ = drawn_absences(12, 1, seed=4, athlete_sd=0.0, median_d={"injury": 16.0})
    several = replace(others, athlete=np.array([f"other/{a}" for a in others.athlete], object))
    found = fitted(Absences.concatenate([many, several]))
    assert np.exp(found.location["injury"]) / 24 < 32  # the median of all episodes is near 60 d


def test_few_episodes_of_a_kind_are_drawn_towards_the_other() -> None:
    injuries, _ = drawn_absences(60, 2, seed=5, median_d={"injury": 60.0})
    illness, _ = drawn_absences(2, 1, seed=6, sd=0.0, athlete_sd=0.0, median_d={"systemic": 3.0})
    found = fitted(Absences.concatenate([injuries, illness]))
    alone = np.log(illness.lasted_h).mean()
    assert alone + 0.1 < found.location["systemic"] < found.location["injury"]
    assert found.location_se["systemic"] > 3 * found.location_se["injury"]


def test_grades_have_locations_and_an_unknown_one_has_their_spread() -> None:
    shift = np.tile([-0.8, 0.0, 0.8], 80)
    absences, _ = drawn_absences(80, 3, seed=7, shift=shift, athlete_sd=0.1)
    grade = np.array(["mild", "moderate", "severe"], object)[np.round(shift / 0.8).astype(int) + 1]
    found = fitted(replace(absences, grade=grade), graded=True)
    mu, scale = placed(found, "injury", "mild", "moderate", "severe", "odd", None)
    middle = np.log(24 * MEDIAN_D["injury"])
    assert mu[:3] == pytest.approx(middle + np.array([-0.8, 0, 0.8]), abs=0.2)
    assert mu[3] == mu[4] == pytest.approx(middle, abs=0.2)
    assert scale[:3] == pytest.approx([0.5] * 3, abs=0.1)
    assert scale[3] == scale[4] == pytest.approx(np.hypot(0.5, 0.65), abs=0.12)
    assert placed(found, "systemic", None)[1] < 1.2


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("athletes", "followed_d"), [(1, 1000.0), (4, 1000.0), (6, 5.0), (3, 0.1)])
def test_a_law_of_few_episodes_does_not_collapse(
    family: str, athletes: int, followed_d: float
) -> None:
    absences, _ = drawn_absences(athletes, 2, seed=athletes, sd=0.001, followed_d=followed_d)
    grade = np.array([f"{i % 4}" for i in range(2 * athletes)], object)
    found = fitted(replace(absences, grade=grade), family, graded=True)
    for kind, location in found.location.items():
        assert 0 < location < 12
        assert 0.1 < found.scale[kind] * SD_OF_Z[family] < 2.0
    assert 0.05 < found.athlete_sd < 1.0


def test_a_kind_that_was_not_fitted_has_no_place() -> None:
    absences, _ = drawn_absences(20, 1, seed=8, median_d={"injury": 16.0})
    mu, scale = placed(fitted(absences), "systemic", None)
    assert np.isnan([mu[0], scale[0]]).all()


def test_what_is_not_known_of_the_location_widens_the_law() -> None:
    sure = law()
    unsure = replace(sure, location_se={"injury": 0.5, "systemic": 0.5})
    assert placed(sure, "injury", None)[1][0] == pytest.approx(0.5)
    assert placed(unsure, "injury", None)[1][0] == pytest.approx(np.hypot(0.5, 0.5))
    logistic = replace(unsure, family="loglogistic")
    assert placed(logistic, "injury", None)[1][0] == pytest.approx(
        np.hypot(0.5, 0.5 / SD_OF_Z["loglogistic"])
    )
    assert [*sure.nodes[[0, 20, 40]]] == pytest.approx([-1.2, 0.0, 1.2])


@pytest.mark.statistical
def test_words_that_matter_are_found_as_far_as_they_were_seen() -> None:
    absences, _ = drawn_with_words(150, 4, seed=21, sd=0.4, athlete_sd=0.1)
    found = fitted(absences)
    # Of 8 regions and 5 diagnoses the SD of the SD is a quarter and a third of it.
    assert 0.15 < found.spread["region"] < 0.8
    assert 0.1 < found.spread["pair"] < 0.7
    assert found.scale["injury"] == pytest.approx(0.5, abs=0.08)
    mu, _ = found.place(*absences.labels)
    ln = np.log(absences.lasted_h)
    # The median of a cell with many episodes is what they say; one seen once hardly moves.
    cells = np.array([f"{r} {d}" for r, d in zip(absences.region, absences.diagnosis, strict=True)])
    for cell in set(cells):
        own = cells == cell
        if own.sum() >= 30:
            assert mu[own][0] == pytest.approx(ln[own].mean(), abs=0.2)


def test_a_region_seen_once_moves_little_and_one_never_seen_not_at_all() -> None:
    absences, _ = drawn_with_words(80, 3, seed=22, sd=0.3)
    rare = absences.region.copy()
    rare[0] = "head_neck"
    resolved = absences.resolved_s.copy()
    resolved[0] = absences.onset_s[0] + 64 * DAY_S  # 4 times the median
    found = fitted(replace(absences, region=rare, resolved_s=resolved))
    kind, grade = np.full(3, "injury", object), np.full(3, None, object)
    region = np.array(["head_neck", "elsewhere", "unknown"], object)
    mu, scale = found.place(kind, grade, region, np.full(3, "mystery", object))
    assert 0.0 < mu[0] - found.location["injury"] < 0.5 * np.log(4)
    assert mu[1] == mu[2] == found.location["injury"]
    assert scale[1] > found.scale["injury"]
    strange = [found.is_strange("injury", None, r, "unknown") for r in region]
    assert strange == [False, True, False]
    assert found.is_strange("injury", None, "knee", "concussion")


@pytest.mark.statistical
def test_words_that_do_not_matter_come_to_nothing() -> None:
    spreads, moved = [], []
    for seed in range(30, 36):
        absences, _ = drawn_with_words(60, 3, seed=seed, sd=0.0)
        found = fitted(absences)
        spreads.append(len(found.spread))
        moved.append(np.std(found.place(*absences.labels)[0]))
    assert min(spreads) == 0  # exactly nothing, not only little
    assert np.median(moved) < 0.08
    assert max(moved) < 0.25


def test_a_word_that_all_episodes_of_a_kind_share_says_nothing() -> None:
    absences, _ = drawn_absences(40, 2, seed=23)
    same = np.full(80, "knee", object)
    found, plain = fitted(replace(absences, region=same)), fitted(absences)
    assert found == plain
    assert (found.shifts, found.spread) == ({}, {})


def test_offsets_are_taken_away_before_the_law_is_fitted() -> None:
    shift = np.random.default_rng(9).normal(0, 1, 160)
    absences, _ = drawn_absences(80, 2, seed=9, shift=shift, median_d={"injury": 16.0})
    found = fit_law(absences, family="lognormal", graded=False, offset=shift)
    without = fitted(absences)
    assert found.scale["injury"] == pytest.approx(0.5, abs=0.1)
    assert without.scale["injury"] > 0.9


def test_a_fit_tells_whether_it_came_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    absences, _ = drawn_absences(20, 3, seed=8)

    def stopped(*arguments: Any, options: dict[str, Any], **more: Any) -> Any:
        return minimize(*arguments, options={**options, "maxiter": 1}, **more)

    with gathering() as searches:
        fitted(absences)
        monkeypatch.setattr(fit, "minimize", stopped)
        fitted(absences)
    assert [(one.name, one.converged) for one in searches] == [
        ("absence_law", True),
        ("absence_law", False),
    ]
    assert searches[1].steps == 1 < searches[0].steps
