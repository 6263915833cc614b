"""Which features a component's impulses may depend on, and how they are read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.catalogue import catalogue
from nmr_ml.features.measured import ITEMS
from nmr_ml.models.impulse.fit_problem import Features

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.recovery_tests import Component, TestSpec


#: Made of the tests themselves or of how long there is a record, or no amount of anything.
_LEFT_OUT = (
    "index_", "baseline_", "load_record_d", "landmark_h", "clock_weekday", "nights_since_",
    "last_night_age_h",
)  # fmt: skip
#: Amounts that are read as logs, by their unit.
_AMOUNTS = ("_au", "_m", "_n", "_kg", "_kcal", "_min", "gap_h")


def roles(component: Component, specs: Mapping[str, TestSpec]) -> Features:
    """Return what each feature of the contract is to `component`.

    Features made of the tests of the component's own family stay out of it: the likelihood of the
    tests holds them already.
    """
    features = catalogue()
    own_items = [item for item in ITEMS if item in specs and specs[item].component == component]
    left_out = (*_LEFT_OUT, *(f"{item}_" for item in own_items))
    usable = [
        not (f.name.startswith(left_out) or f.name.endswith(("_age_d", "_age_h")) or f.categories)
        or f.name == "sex"
        for f in features
    ]
    own = [f.name.startswith("session_") and f.name != "session_start_clock_h" for f in features]
    names = sorted({f.group for f in features})
    group = [len(names) if o else names.index(f.group) for f, o in zip(features, own, strict=True)]
    return Features(
        np.array(usable, np.bool_),
        np.array([f.name.endswith(_AMOUNTS) for f in features], np.bool_),
        np.array(own, np.bool_),
        np.array(group, np.int64),
    )
