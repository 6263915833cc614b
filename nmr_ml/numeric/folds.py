"""Folds that keep an athlete together: what is held out is people, never rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Ints, Objects


def athlete_folds(athlete: Objects, folds: int, seed: int) -> Ints:
    """Return a fold for each entry of `athlete`; equal athletes share one, folds are even."""
    names, position = np.unique(athlete.astype(str), return_inverse=True)
    order = np.random.default_rng(seed).permutation(names.size)
    return np.asarray(order[position] % folds, np.int64)
