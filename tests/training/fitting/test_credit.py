"""Groups of features earn credit where they have it, and where they have none they get none."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.cohort.reader import canonical_cohort
from nmr_ml.features.contract import feature_contract
from nmr_ml.models.curve.boosted import TreeSettings
from nmr_ml.models.curve.fit import fit_curve
from nmr_ml.recovery_tests import shipped_testspecs
from nmr_ml.simulator import load_config, simulate
from training.data.dataset import component_data
from training.fitting.credit import group_credit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.simulator.config import Profile
    from training.fitting.credit import Credit

#: Even three times the published effects are small: they show in precise tests and frequent labs.
TEST_ERROR_PCT = 1.0
SETTINGS = (f"test_error_pct={TEST_ERROR_PCT}", "lab_interval_days=[2, 2]")


def credit_of(profile: Profile) -> Mapping[str, Credit]:
    sim = simulate(
        athletes=200, days=90, seed=1, profile=profile, config=load_config(None, SETTINGS)
    )
    cohort, _ = canonical_cohort(sim.name, sim.timezone, sim.tables, now=datetime.now(UTC))
    specs = dict(shipped_testspecs())
    jump = specs["cmj_height"]
    share = TEST_ERROR_PCT / float(jump.typical_error(np.array([np.nan]))[0])
    errors = {"between_day_te": jump.between_day_te * share, "trial_te": jump.trial_te * share}
    specs["cmj_height"] = jump.model_copy(update=errors)
    data = component_data(cohort, specs, [0.0, 24.0, 48.0], {"power": "cmj_height"})["power"]
    contract = feature_contract()
    fit = fit_curve(
        data.X, data.row_episode, data.followed, data.athlete, data.modality, TreeSettings(),
        contract.names,
    )  # fmt: skip
    return group_credit(data, fit, contract.groups, bootstrap=1000, seed=0)


@pytest.mark.slow
@pytest.mark.statistical
@pytest.mark.parametrize(("profile", "earned"), [("strong", True), ("null", False)])
def test_sleep_and_hormones_earn_credit_only_where_they_matter(
    profile: Profile, earned: bool
) -> None:
    credit = credit_of(profile)
    assert credit["load"].earned
    assert credit["history"].earned
    assert credit["load"].gain.lower > 0
    assert credit["sleep"].earned == earned
    assert credit["endocrine"].earned == earned
