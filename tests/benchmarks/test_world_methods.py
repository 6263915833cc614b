"""Methods learn from a cohort and answer with the columns of a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from benchmarks import world_methods
from benchmarks.populations.skipped_tests import skipped_tests
from benchmarks.world_methods import label_medians, today
from tests.support.training import SMALL

if TYPE_CHECKING:
    from nmr_ml.cohort.cohort import Cohort

DELTAS = {"power": 2.6, "perceptual": 0.5}


@pytest.fixture(scope="module")
def train() -> Cohort:
    return skipped_tests(12, 56, 2).cohort()


@pytest.fixture(scope="module")
def asked() -> Cohort:
    return skipped_tests(3, 28, 900).cohort()


def test_label_medians_answer_every_session_by_its_modality(train: Cohort, asked: Cohort) -> None:
    frame = label_medians(train, DELTAS)(asked)
    assert len(frame) == 2 * len(asked["sessions"])
    assert (frame["lower_h"] <= frame["recovery_h"]).all()
    assert (frame["recovery_h"] <= frame["upper_h"]).all()
    modality = asked["sessions"].set_index("session_id")["modality"]
    by = frame.groupby(["component", frame["episode_id"].map(modality)])["recovery_h"]
    assert (by.max() == by.min()).all()


@pytest.mark.slow
def test_the_product_answers_at_the_clock_start(
    train: Cohort, asked: Cohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(world_methods, "UNSCORED", SMALL)
    frame = today(train, DELTAS)(asked)
    power = frame[frame["component"] == "power"]
    assert set(power["episode_id"]) == set(asked["sessions"]["session_id"])
    answered = power[power["status"] == "ok"]
    assert len(answered) > 0.9 * len(power)
    assert (answered["as_of"] == answered["clock_start"]).all()
    np.testing.assert_array_equal(answered["delta"], 2.6)
