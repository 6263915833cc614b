from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.features.contract import feature_contract
from nmr_ml.features.model_inputs import may_be_minor, model_inputs
from nmr_ml.history.episodes import find_episodes
from nmr_ml.history.queries import at_landmarks, expand
from tests.support.small_cohorts import SPECS, at, history_of, person, session, small_cohort

if TYPE_CHECKING:
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries


def asked(birth_year: float) -> tuple[History, Queries]:
    labs = [
        {"athlete_id": "a", "drawn_at": at(-24.0 * d), "analyte": "testosterone", "value": 20.0 + d,
         "unit": "nmol/L", "specimen": "serum", "known_at": at(-24.0 * d)}
        for d in range(1, 20)
    ]  # fmt: skip
    athletes = [person("a", sex="male", birth_year=birth_year)]
    cohort = small_cohort([session(-100), session(0)], athletes=athletes, labs=labs)
    history = history_of(cohort)
    episodes = find_episodes(history)
    queries = expand(at_landmarks(episodes, [0]), episodes, history, {"power": "cmj_height"})
    return history, queries


@pytest.mark.parametrize(("birth_year", "hidden"), [(2008, True), (2007, False), (2012, True)])
def test_hormones_of_whoever_may_be_under_18_are_not_used(birth_year: int, hidden: bool) -> None:
    # The cohort is of 2026: who was born in 2008 may still be 17.
    history, queries = asked(birth_year)
    endocrine = np.array(feature_contract().groups) == "endocrine"
    X = model_inputs(history, queries, SPECS)
    assert may_be_minor(history, queries).tolist() == [hidden, hidden]
    assert np.isnan(X[:, endocrine]).all() == hidden


def test_everything_else_of_a_minor_is_used() -> None:
    minor, adult = (model_inputs(*asked(year), SPECS) for year in (2008, 2007))
    names = np.array(feature_contract().names)
    endocrine = np.array(feature_contract().groups) == "endocrine"
    same = (minor == adult) | (np.isnan(minor) & np.isnan(adult))
    assert names[~same.all(axis=0) & ~endocrine].tolist() == ["age_y"]


def test_inputs_are_in_contract_order() -> None:
    history, queries = asked(1995)
    X = model_inputs(history, queries, SPECS)
    assert X.shape == (2, len(feature_contract().names))
    load = X[:, feature_contract().names.index("session_load_au")]
    assert load.tolist() == [400.0, 400.0]
