"""The normal numbers that every episode's curves are drawn with."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtri

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats

_SEED = 2026


@cache
def fixed_normals(draws_n: int, dimensions: int) -> Floats:
    """Return standard normal numbers, the same at every call, shape (draws_n, dimensions).

    A Latin hypercube (McKay et al. 1979, 10.2307/1268522): each dimension holds the quantiles of a
    normal once each, in an order of its own, so that means and spreads of few draws are exact.
    """
    rng = np.random.default_rng(_SEED)
    quantiles = ndtri((np.arange(draws_n) + 0.5) / draws_n)
    columns = [rng.permutation(quantiles) for _ in range(dimensions)]
    return np.column_stack(columns)
