"""What each group of features is worth on athletes that the trees have not seen.

Trees give some credit to any column, noise included. Here a group has earned credit only where its
contributions make the tests of held-out athletes more likely.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.models.curve.target import OUTPUTS, CurveTarget
from training.scoring.bootstrap import LEVEL, compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nmr_ml.models.curve.boosted import BoostedCurve
    from nmr_ml.models.curve.fit import CurveFit
    from nmr_ml.numeric.arrays import Floats, Ints
    from training.data.dataset import ComponentData
    from training.scoring.bootstrap import Estimate


@dataclass(frozen=True, slots=True)
class Credit:
    """What a group of features is worth on held-out athletes, in nats per episode and landmark.

    Parameters
    ----------
    slope : Estimate
        How fast the log likelihood of the tests rises as the group's contributions are let in,
        at the start: above 0 where they point the right way, however small the effect is.
    gain : Estimate
        By how much it has risen once they are in whole. A group whose effect is small, and whose
        size the trees overrate, may have a slope above 0 and no gain.
    """

    slope: Estimate
    gain: Estimate

    @property
    def earned(self) -> bool:
        """Whether the slope lies above 0 beyond the bootstrap's noise."""
        return self.slope.lower > 0


def group_credit(
    data: ComponentData, fit: CurveFit, groups: Sequence[str], *, bootstrap: int, seed: int
) -> Mapping[str, Credit]:
    """Return the credit of each group of features.

    Parameters
    ----------
    data : ComponentData
        What `fit` was fitted to.
    groups : sequence of str, length n_features
        Group of each feature, from the contract.

    Notes
    -----
    The contribution of a group is the sum of the exact tree contributions of its columns (TreeSHAP,
    Lundberg et al. 2020), so what two groups do together is shared between them. It is taken out
    but for its mean; the folds' own boosters are asked about the athletes they have not seen, and
    athletes are resampled. As all groups are looked at together, the intervals are those of 95 %
    for the lot (Bonferroni).
    """
    means, spread = fit.boosted.held_out_means, fit.boosted.model.spread
    target = CurveTarget(fit.grid, fit.table, data.row_episode, np.ones(len(means)))
    whole, _, _ = target.moments(means, spread)
    names = list(dict.fromkeys(groups))
    added = _by_group(data.X, fit, fit.fold[data.row_episode], groups, names)
    slopes, gains = {}, {}
    for i, name in enumerate(names):
        without = np.ascontiguousarray(means - added[:, i])
        evidence, centre, _ = target.moments(without, spread)
        slopes[name] = ((centre - without) / spread**2 * added[:, i]).sum(axis=1)
        gains[name] = whole - evidence
    athlete, level = data.athlete[data.row_episode], 1.0 - (1.0 - LEVEL) / len(names)
    slope, gain = (
        compare(parts, athlete, bootstrap=bootstrap, seed=seed, level=level).score
        for parts in (slopes, gains)
    )
    return {name: Credit(slope[name], gain[name]) for name in names}


def _by_group(
    X: Floats, fit: CurveFit, fold: Ints, groups: Sequence[str], names: Sequence[str]
) -> Floats:
    """Return what each group adds to the held-out means, less its mean in the fold, (n, g, 3)."""
    columns = [np.flatnonzero(np.asarray(groups) == name) for name in names]
    added = np.empty((len(X), len(names), OUTPUTS))
    for one, booster in zip(np.unique(fold), fit.boosted.fold_boosters, strict=True):
        held = np.flatnonzero(fold == one)
        model: BoostedCurve = replace(fit.boosted.model, boosters=(booster,))
        each = model.contributions(X[held])
        total = np.stack([each[:, own].sum(axis=1) for own in columns], axis=1)
        added[held] = total - total.mean(axis=0)
    return added
