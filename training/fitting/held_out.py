"""What each episode would have been told, had its athlete not been trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.features.moments import FEATURES_BACK_S
from nmr_ml.labels.followed_tests import no_tests
from nmr_ml.models.component.calibration import group_names
from nmr_ml.models.component.clearance import CLEARANCE_LEVELS, fit_clearance
from nmr_ml.models.component.fit_calibration import fit_calibration
from nmr_ml.models.component.fit_offsets import fit_offsets
from nmr_ml.models.component.offsets import Past, athlete_offsets
from nmr_ml.models.curve.posterior import recovery_quantiles
from nmr_ml.models.curve.read_off import read_off

if TYPE_CHECKING:
    from nmr_ml.models.component.calibration import Calibration
    from nmr_ml.models.component.clearance import Clearance
    from nmr_ml.models.component.offsets import OffsetPrior
    from nmr_ml.models.curve.fit import CurveFit
    from nmr_ml.numeric.arrays import Floats, Ints, Objects
    from training.data.dataset import ComponentData


@dataclass(frozen=True, slots=True)
class HeldOut:
    """The priors of all episodes at their clock start, and what was fitted to make them.

    Parameters
    ----------
    means, spreads : float64 arrays, shape (n_episodes, 3)
        Of log amplitude, log tau and slow share, from the fold without the athlete, with the
        athlete's earlier episodes and calibration. The few numbers of `offsets` and `calibration`
        know all athletes.
    offsets : OffsetPrior
    calibration : Calibration
    clearance : Clearance
    """

    means: Floats
    spreads: Floats
    offsets: OffsetPrior
    calibration: Calibration
    clearance: Clearance


def held_out(data: ComponentData, fit: CurveFit, delta: float, seed: int) -> HeldOut:
    """Fit adaptation, calibration and clearance on the folds that did not see the athlete."""
    means = np.ascontiguousarray(fit.boosted.held_out_means[data.starts])
    read = fit.measurement.read(data.followed)
    prior = fit_offsets(
        read, fit.grid, means, fit.boosted.model.spread, data.athlete, data.team, seed=seed
    )
    past = Past(read, means, np.arange(len(means)), *earlier_episodes(data))
    offsets = athlete_offsets(prior, fit.grid, past, read, data.team, data.team)
    centre, spreads = means + offsets.mean, np.hypot(offsets.within, offsets.spread)
    sex, record_d = sexes(data), fit.boosted.model.record_d(data.X[data.starts])
    groups = group_names(sex, offsets.episodes_n, record_d)
    nobody = group_names(sex, np.zeros(len(sex), np.int64), record_d)
    calibration = fit_calibration(
        fit.table, fit.grid, centre, spreads, groups, data.athlete,
        (*_nobody(prior, means), nobody),
    )  # fmt: skip
    spreads, _ = calibration.correct(spreads, groups)
    cleared, _ = recovery_quantiles(
        read_off(fit.grid, delta), centre, spreads, no_tests(len(centre)), CLEARANCE_LEVELS,
        np.zeros((len(centre), 0)),
    )  # fmt: skip
    clearance = fit_clearance(data.followed, cleared, delta, data.athlete)
    return HeldOut(centre, spreads, prior, calibration, clearance)


def _nobody(prior: OffsetPrior, means: Floats) -> tuple[Floats, Floats]:
    """Return means and spreads of episodes whose athlete and team are not known."""
    centre, spread, within = prior.of_teams(np.full(len(means), None, dtype=object))
    no_share = np.zeros(len(means))
    moved = means + np.column_stack([centre, no_share])
    return moved, np.hypot(within, np.column_stack([spread, no_share]))


def sexes(data: ComponentData) -> Objects:
    """Return the sex of each episode's athlete, ``unknown`` where `data` does not say."""
    if data.facts is None:
        return np.full(len(data.athlete), "unknown", dtype=object)
    return data.facts.sex


def earlier_episodes(data: ComponentData) -> tuple[Ints, Ints]:
    """Return the episodes of the same athlete that were over when each began, ragged.

    Returns
    -------
    offsets, rows : as in `nmr_ml.models.component.offsets.Past`, each episode being its own subject
    """
    followed, start_s = data.followed, data.clock_start_s
    over_s = start_s + (followed.over_h * 3600).astype(np.int64)
    labelled = np.diff(followed.offsets) > 0
    rows: list[Ints] = [np.empty(0, np.int64)] * len(start_s)
    _, who = np.unique(data.athlete.astype(str), return_inverse=True)
    order = np.argsort(who, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(who[order])) + 1):
        for q in own:
            recent = (start_s[own] < start_s[q]) & (start_s[own] >= start_s[q] - FEATURES_BACK_S)
            rows[q] = own[recent & (over_s[own] <= start_s[q]) & labelled[own]]
    counts = [part.size for part in rows]
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64), np.concatenate(rows)
