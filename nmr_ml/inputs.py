"""What a model gets to see: the features, without the hormones of athletes who may be under 18."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from nmr_ml.features.contract import feature_contract
from nmr_ml.features.engine import build_features, hide_endocrine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nmr_ml.history import History
    from nmr_ml.queries import Queries
    from nmr_ml.testspec import TestSpec

#: Puberty confounds hormones, and consent differs: domain rule for minors.
ADULT_YEARS = 18


def model_inputs(
    history: History, queries: Queries, specs: Mapping[str, TestSpec]
) -> NDArray[np.float64]:
    """Return the features of each query, shape (n_queries, n_features), in contract order.

    Training, batch scoring and the API all build their inputs here.
    """
    features = build_features(history, queries, specs)
    return hide_endocrine(features, may_be_minor(history, queries), feature_contract())


def may_be_minor(history: History, queries: Queries) -> NDArray[np.bool_]:
    """Return whether the athlete may be under 18 at `as_of`; only the year of birth is known."""
    year = pd.DatetimeIndex(queries.as_of_s.astype("datetime64[s]")).year.to_numpy()
    return np.asarray(year - history.person["birth_year"][queries.athlete] <= ADULT_YEARS)
