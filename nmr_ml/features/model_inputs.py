"""What a model gets to see: the features, without the hormones of athletes who may be under 18."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.contract import feature_contract
from nmr_ml.features.engine import build_features, hide_endocrine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.numeric.arrays import Bools, Floats
    from nmr_ml.recovery_tests import TestSpec

#: Puberty confounds hormones, and consent differs: domain rule for minors.
ADULT_YEARS = 18
#: More threads than this wait for the memory that the matrix is written to.
THREADS = min(2, os.cpu_count() or 1)


def model_inputs(history: History, queries: Queries, specs: Mapping[str, TestSpec]) -> Floats:
    """Return the features of each query, shape (n_queries, n_features), in contract order.

    Training, batch scoring and the API all build their inputs here.
    """
    features = build_features(history, queries, specs, threads=THREADS)
    hide_endocrine(features, may_be_minor(history, queries), feature_contract())
    return features


def may_be_minor(history: History, queries: Queries) -> Bools:
    """Return whether the athlete may be under 18 at `as_of`; only the year of birth is known."""
    year = queries.as_of_s.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970
    return np.asarray(year - history.person["birth_year"][queries.athlete] <= ADULT_YEARS)
