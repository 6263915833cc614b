"""Scores of predicted recovery times against those of a simulation, all of it and by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from training.scoring.as_json import estimate_json
from training.scoring.bootstrap import compare
from training.scoring.forecast_scores import LEAST_SCORED_ATHLETES
from training.scoring.scores import crps, time_scores

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Bools, Floats, Objects


#: Levels at which predicted recovery times are compared with the truth.
TIME_LEVELS = np.round(np.arange(0.05, 0.951, 0.05), 2)


def score_times(
    quantiles: Mapping[str, Floats], truth_h: Floats, athlete: Objects,
    groups: Mapping[str, Objects], *, bootstrap: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Return the scores as JSON, by method, with differences and the coverage by group.

    Parameters
    ----------
    quantiles : mapping of method to float64 array, shape (n_episodes, n_levels), h
        At `TIME_LEVELS`; the first method is the one the others are compared with.
    truth_h : float64 array, shape (n_episodes,), h
        At least one is known; NaN where the simulation says nothing.
    groups : mapping of what is split by to object array of str, shape (n_episodes,)
    """
    told = np.isfinite(truth_h)
    truth_h, athlete = truth_h[told], athlete[told]
    quantiles = {method: q[told] for method, q in quantiles.items()}
    first = next(iter(quantiles))
    inside = _inside(quantiles[first], truth_h)
    return {
        **{m: _told(time_scores(q, TIME_LEVELS, truth_h)) for m, q in quantiles.items()},
        "episodes": {"n": float(truth_h.size)},
        "difference": _differences(quantiles, truth_h, athlete, bootstrap, seed),
        "groups": {
            split: {
                name: _coverage(inside, athlete, names[told] == name, bootstrap, seed)
                for name in sorted(set(names[told].tolist()))
            }
            for split, names in groups.items()
        },
    }


def _differences(
    quantiles: Mapping[str, Floats], truth_h: Floats, athlete: Objects, bootstrap: int, seed: int
) -> dict[str, Any]:
    """Return the first method's mean error and CRPS less those of each other, in h."""
    median = int(np.argmin(np.abs(TIME_LEVELS - 0.5)))
    losses = {
        "crps_h": {m: crps(q, TIME_LEVELS, truth_h) for m, q in quantiles.items()},
        "mae_h": {m: np.abs(q[:, median] - truth_h) for m, q in quantiles.items()},
    }
    return {
        name: {
            method: estimate_json(difference)
            for method, difference in compare(
                parts, athlete, bootstrap=bootstrap, seed=seed
            ).difference.items()
        }
        for name, parts in losses.items()
    }


def _inside(quantiles: Floats, truth_h: Floats) -> Floats:
    low, high = (int(np.argmin(np.abs(TIME_LEVELS - level))) for level in (0.1, 0.9))
    return ((quantiles[:, low] <= truth_h) & (truth_h <= quantiles[:, high])).astype(np.float64)


def _coverage(
    inside: Floats, athlete: Objects, member: Bools, bootstrap: int, seed: int
) -> dict[str, Any]:
    names = athlete[member]
    athletes_n = len(set(names.tolist()))
    group = {"athletes_n": athletes_n, "episodes_n": int(member.sum())}
    if athletes_n < LEAST_SCORED_ATHLETES:
        return {**group, "too_small": True}
    found = compare({"model": inside[member]}, names, bootstrap=bootstrap, seed=seed)
    return {**group, "too_small": False, "coverage_80": estimate_json(found.score["model"])}


def _told(scores: dict[str, float]) -> dict[str, float]:
    """Leave out what cannot be told, such as an order of equal times; JSON has no NaN."""
    return {name: value for name, value in scores.items() if np.isfinite(value)}
