from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tests.support.absence_rows import drawn_absences, law, learnt
from training.baselines.durations import fit_duration_baselines
from training.fitting.availability import FittedAvailability, forecast_at_onset
from training.reports.absences import show_learnt
from training.reports.card import availability_json
from training.scoring.absence_scores import score_absences
from training.scoring.bootstrap import Estimate

if TYPE_CHECKING:
    import pytest


def test_what_was_learnt_is_said_in_days(capsys: pytest.CaptureFixture[str]) -> None:
    absences, _ = drawn_absences(10, 3, seed=1)
    baselines = fit_duration_baselines(absences)
    forecasts = {
        "model": forecast_at_onset(law(), absences, np.zeros(30)),
        **baselines.forecasts(absences),
    }
    scores = score_absences(absences, forecasts, np.ones(30, bool), bootstrap=50, seed=0)
    model = learnt(law(), "injury", medians=baselines.law_of(["injury"]))
    gain = {"injury": Estimate(-0.02, -0.1, 0.06)}
    fitted = FittedAvailability(model, baselines, scores, gain)
    show_learnt(availability_json(fitted))
    said = " ".join("".join(capsys.readouterr()).split())
    assert "30 episodes of 10 athletes, 30 with an end on record" in said
    assert f"{scores['icnll']['model']:.3f}" in said
    assert f"{scores['mae_h']['kind_median'] / 24:.1f}" in said
    assert (
        "availability after injury episodes: answered by the median by kind, for the law is no "
        "better beyond noise; law - median by kind -0.020 (95 % by athletes -0.100 to +0.060)."
    ) in said
    assert (
        "Not learnt: availability after systemic episodes (7 resolved systemic episodes of 5 "
        "athletes, needed 20 of 10)." in said
    )


def test_open_episodes_alone_have_no_days(capsys: pytest.CaptureFixture[str]) -> None:
    absences, _ = drawn_absences(6, 1, seed=2, followed_d=1e-3)
    learnt_from, _ = drawn_absences(10, 3, seed=1)
    baselines = fit_duration_baselines(learnt_from)
    forecasts = {
        "model": forecast_at_onset(law(), absences, np.zeros(6)),
        **baselines.forecasts(absences),
    }
    scores = score_absences(absences, forecasts, np.ones(6, bool), bootstrap=50, seed=0)
    show_learnt(availability_json(FittedAvailability(learnt(law()), baselines, scores)))
    assert "0 with an end on record" in "".join(capsys.readouterr())
