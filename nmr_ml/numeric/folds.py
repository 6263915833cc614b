"""Folds that keep an athlete together: what is held out is people, never rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def athlete_folds(athlete: NDArray[np.object_], folds: int, seed: int) -> NDArray[np.int64]:
    """Return a fold for each entry of `athlete`; equal athletes share one, folds are even."""
    names, position = np.unique(athlete.astype(str), return_inverse=True)
    order = np.random.default_rng(seed).permutation(names.size)
    return np.asarray(order[position] % folds, np.int64)
