"""Quantities of older work, for comparison with it: never features, and no model sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.contract import feature_contract

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from nmr_ml.numeric.arrays import Floats


ACUTE, CHRONIC = "load_sum_7d_au", "load_sum_28d_au"


def acwr(features: Floats) -> Floats:
    """Return the coupled acute:chronic workload ratio of each row.

    The mean daily load of 7 days over that of the 28 days that hold them; missing where either sum
    is, or nothing was done in the 28 days.

    It is a rescaling of the acute load (Impellizzeri 2020: c-statistic .574 against .544 for the
    acute load alone), and since the acute load is a part of the chronic one the two correlate
    (r about .50) where nothing connects them (Lolli 2017). Acute and chronic load and the
    difference of their logarithms are among the features instead.

    Parameters
    ----------
    features : float64 array, shape (n_rows, n_features)
        In the order of `nmr_ml.features.contract.feature_contract`.

    Returns
    -------
    float64 array, shape (n_rows,)
    """
    names = feature_contract().names
    acute, chronic = features[:, names.index(ACUTE)], features[:, names.index(CHRONIC)]
    ratio = np.full(len(features), np.nan)
    np.divide(acute / 7, chronic / 28, out=ratio, where=chronic > 0)
    return ratio


#: What may be asked for beside the features.
EXTRAS: Mapping[str, Callable[[Floats], Floats]] = {"acwr": acwr}
