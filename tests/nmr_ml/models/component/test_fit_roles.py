from __future__ import annotations

import numpy as np

from nmr_ml.features.contract import feature_contract
from nmr_ml.models.component.fit_roles import roles
from nmr_ml.recovery_tests import shipped_testspecs

NAMES = np.array(feature_contract().names)


def test_what_is_made_of_the_familys_own_tests_stays_out() -> None:
    specs = shipped_testspecs()
    power, perceptual = roles("power", specs), roles("perceptual", specs)
    index = np.char.startswith(NAMES, ("index_",)) | np.char.startswith(NAMES, ("baseline_",))
    assert index.any()
    assert not power.usable[index].any()
    answers = np.char.startswith(NAMES, "readiness_dev")
    assert power.usable[answers].all()
    assert not perceptual.usable[answers].any()


def test_categories_are_groups_and_not_numbers() -> None:
    found = roles("power", shipped_testspecs())
    assert not found.usable[np.isin(NAMES, ["session_modality", "session_kind"])].any()
    assert found.usable[NAMES == "sex"].all()


def test_amounts_of_the_session_itself_are_logged_and_have_slopes_of_their_own() -> None:
    found = roles("power", shipped_testspecs())
    load = NAMES == "session_load_au"
    assert found.own[load].all()
    assert found.logged[load].all()
    assert not found.own[NAMES == "load_sum_7d_au"].any()
    groups = set(found.group[found.own].tolist())
    assert len(groups) == 1
    assert groups.isdisjoint(found.group[~found.own].tolist())
