from __future__ import annotations

import numpy as np
import pytest

from nmr_ml.models.availability.absences import Absences
from tests.support.absence_rows import MEDIAN_D, drawn_absences
from training.baselines.durations import DurationBaselines, fit_duration_baselines
from training.fitting.availability import forecast_at_onset

LEVELS = np.array([0.1, 0.5, 0.9])


@pytest.mark.statistical
def test_medians_and_spreads_are_those_of_the_kind() -> None:
    absences, true_h = drawn_absences(200, 2, seed=1, athlete_sd=0.0, followed_d=20)
    found = fit_duration_baselines(absences)
    for kind, days in MEDIAN_D.items():
        mean, sd = found.by_kind[kind]
        assert np.exp(mean) == pytest.approx(24 * days, rel=0.1)
        assert sd == pytest.approx(0.5, abs=0.08)
        inside = found.quantiles(absences, LEVELS)["kind_median"][absences.kind == kind]
        own = true_h[absences.kind == kind]
        share = np.mean((inside[:, 0] <= own) & (own <= inside[:, 2]))
        assert share == pytest.approx(0.8, abs=0.08)
    assert found.overall[1] > 0.55


def test_a_kind_with_few_ends_has_the_median_of_both() -> None:
    injuries, _ = drawn_absences(10, 2, seed=2, median_d={"injury": 16.0})
    illness, _ = drawn_absences(4, 1, seed=3, median_d={"systemic": 6.0})
    absences = Absences.concatenate([injuries, illness])
    found = fit_duration_baselines(absences)
    assert set(found.by_kind) == {"injury"}
    quantiles = found.quantiles(absences, LEVELS)
    assert quantiles["kind_median"][-1].tolist() == quantiles["overall_median"][-1].tolist()
    assert DurationBaselines.from_json(found.as_json()) == found
    forecasts = found.forecasts(absences)
    assert forecasts["overall_median"].quantiles.tolist() == quantiles["overall_median"].tolist()
    assert (forecasts["kind_median"].log_p < 0).all()
    law = found.law_of(["injury", "systemic"])
    assert law is not None
    at_onset = forecast_at_onset(law, absences, np.zeros(len(absences)))
    assert at_onset.log_p == pytest.approx(forecasts["kind_median"].log_p, abs=1e-9)
    assert at_onset.quantiles == pytest.approx(forecasts["kind_median"].quantiles, rel=1e-9)
    assert found.law_of([]) is None
