"""What each group of features is worth on athletes that the trees have not seen.

Trees give some credit to any column, noise included. Here a group has earned credit only where the
tests of held-out athletes become more likely with its contributions than without them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.latent import BoostedCurve, CurveTarget
from training.bootstrap import compare

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from nmr_ml.curve_fit import CurveFit
    from training.bootstrap import Estimate
    from training.dataset import ComponentData

    Floats = NDArray[np.float64]

_MODEL = "model"


def group_credit(
    data: ComponentData, fit: CurveFit, groups: Sequence[str], *, bootstrap: int, seed: int
) -> Mapping[str, Estimate]:
    """Return by how much each group raises the log likelihood of a held-out episode's tests.

    Parameters
    ----------
    data : ComponentData
        What `fit` was fitted to.
    groups : sequence of str, length n_features
        Group of each feature, from the contract.

    Returns
    -------
    mapping of group to Estimate
        Nats per episode with the athlete-clustered bootstrap interval (95 %). A group has earned
        credit where the lower end is above 0.

    Notes
    -----
    The contribution of a group is the sum of the exact tree contributions of its columns (TreeSHAP,
    Lundberg et al. 2020), so what two groups do together is shared between them. It is taken out
    but for its mean; the folds' own boosters are asked about the athletes they have not seen.
    """
    starts = data.starts
    means = fit.boosted.held_out_means[starts]
    episodes = np.arange(len(starts))
    target = CurveTarget(fit.grid, fit.table, episodes, np.ones(len(starts)))
    spread = fit.boosted.model.spread
    names = list(dict.fromkeys(groups))
    added = _by_group(data.X[starts], fit, groups, names)
    told = {_MODEL: target.moments(means, spread)[0]}
    for i, name in enumerate(names):
        without = np.ascontiguousarray(means - added[:, i])
        told[name] = target.moments(without, spread)[0]
    return compare(told, data.athlete, bootstrap=bootstrap, seed=seed).difference


def _by_group(X: Floats, fit: CurveFit, groups: Sequence[str], names: Sequence[str]) -> Floats:
    """Return what each group adds to the held-out means, less its mean in the fold, (n, g, 2)."""
    columns = [np.flatnonzero(np.asarray(groups) == name) for name in names]
    added = np.empty((len(X), len(names), 2))
    for fold, booster in zip(np.unique(fit.fold), fit.boosted.fold_boosters, strict=True):
        held = np.flatnonzero(fit.fold == fold)
        model: BoostedCurve = replace(fit.boosted.model, boosters=(booster,))
        each = model.contributions(X[held])
        total = np.stack([each[:, own].sum(axis=1) for own in columns], axis=1)
        added[held] = total - total.mean(axis=0)
    return added
