"""What a model has to beat, fitted on the same folds: populations without features, persistence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import ndtr

from nmr_ml.labels import no_tests
from nmr_ml.population import fit_population
from nmr_ml.posterior import probability_below, read_off, recovery_quantiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from nmr_ml.curve import CurveGrid
    from nmr_ml.labels import Followed
    from nmr_ml.measurement import Measurement

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Objects = NDArray[np.object_]

MODALITY = "modality_median"
OVERALL = "overall_median"
PERSISTENCE = "persistence"
#: The name under which `by_modality` keeps the group of every modality it has not seen.
ANY = "*"


@dataclass(frozen=True, slots=True)
class Baselines:
    """Fitted baselines of one component.

    Parameters
    ----------
    by_modality : mapping of modality to (mean, spread), each of shape (2,)
        The distribution of curves by modality; its recovery time is the median by modality. `ANY`
        stands for the rest, and is the overall median.
    persistence_sd : float
        Spread of a test around the last one before the episode, on the component's scale.
    """

    by_modality: Mapping[str, tuple[Floats, Floats]]
    persistence_sd: float

    def as_json(self) -> dict[str, Any]:
        """Return plain lists and numbers."""
        groups = {k: [m.tolist(), s.tolist()] for k, (m, s) in self.by_modality.items()}
        return {"by_modality": groups, "persistence_sd": self.persistence_sd}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Baselines:
        """Read what `as_json` returned."""
        groups = {k: (np.array(m), np.array(s)) for k, (m, s) in content["by_modality"].items()}
        return cls(groups, content["persistence_sd"])


def fit_baselines(
    table: NDArray[np.float32], top: Floats, grid: CurveGrid, modality: Objects,
    followed: Followed, last_deficit: Floats,
) -> Baselines:  # fmt: skip
    """Fit the baselines to labelled episodes; arguments as in `nmr_ml.population.fit_population`.

    Parameters
    ----------
    last_deficit : float64 array, shape (n_episodes,)
        Deficit of the last test before each episode; NaN where there is none.
    """
    names, group = np.unique(modality.astype(str), return_inverse=True)
    by_name = fit_population(table, top, grid, group.astype(np.int64))
    pooled = fit_population(table, top, grid, np.zeros(group.size, np.int64))
    groups = {n: (by_name.mean[i], by_name.spread[i]) for i, n in enumerate(names.tolist())}
    groups[ANY] = (pooled.mean[0], pooled.spread[0])
    owner = np.repeat(np.arange(len(followed)), np.diff(followed.offsets))
    change = followed.deficit - np.nan_to_num(last_deficit)[owner]
    return Baselines(groups, float(np.sqrt(np.mean(change**2))))


def probabilities_below(
    baselines: Baselines, grid: CurveGrid, followed: Followed, modality: Objects,
    last_deficit: Floats, delta: float, measurement: Measurement,
) -> dict[str, Floats]:  # fmt: skip
    """Return each baseline's probability that each test reads less than δ, shape (n_tests,).

    Parameters
    ----------
    measurement : Measurement
        How the tests were read when the curves were fitted.
    """
    owner = np.repeat(np.arange(len(followed)), np.diff(followed.offsets))
    expected = np.nan_to_num(last_deficit)[owner]
    everyone = np.full(modality.size, ANY, dtype=object)
    limit, read = delta + measurement.residual_deficit, measurement.read(followed)
    return {
        MODALITY: _population_below(baselines, grid, read, modality, limit),
        OVERALL: _population_below(baselines, grid, read, everyone, limit),
        PERSISTENCE: ndtr((delta - expected) / baselines.persistence_sd),
    }


def _population_below(
    baselines: Baselines, grid: CurveGrid, followed: Followed, modality: Objects, limit: float
) -> Floats:
    below = np.empty(followed.hours.size)
    owner = np.repeat(np.arange(len(followed)), np.diff(followed.offsets))
    for name, rows in _groups(baselines, modality):
        mean, spread = baselines.by_modality[name]
        means = np.tile(mean, (rows.size, 1))
        below[np.isin(owner, rows)] = probability_below(
            grid, means, spread, followed.take(rows), limit
        )
    return below


def time_quantiles(
    baselines: Baselines, grid: CurveGrid, delta: float, modality: Objects, levels: Floats
) -> Floats:
    """Return quantiles of the recovery time by modality, shape (n_episodes, n_levels), h."""
    table = read_off(grid, delta)
    quantiles = np.empty((modality.size, levels.size))
    for name, rows in _groups(baselines, modality):
        mean, spread = baselines.by_modality[name]
        found, _ = recovery_quantiles(
            table, mean[None, :], spread, no_tests(1), levels, np.zeros((1, 0))
        )
        quantiles[rows] = found[0]
    return quantiles


def _groups(baselines: Baselines, modality: Objects) -> list[tuple[str, Ints]]:
    known = np.array([m if m in baselines.by_modality else ANY for m in modality], dtype=object)
    return [(str(n), np.flatnonzero(known == n).astype(np.int64)) for n in set(known.tolist())]
