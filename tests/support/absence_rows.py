"""Made-up episodes of a known law, and bundles that have learnt nothing but such episodes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.bundle.bundle import Bundle
from nmr_ml.features.contract import feature_contract
from nmr_ml.history.local_time import NEVER_S
from nmr_ml.models.availability.absences import Absences
from nmr_ml.models.availability.law import DurationLaw
from nmr_ml.models.availability.model import AvailabilityModel, Counted
from nmr_ml.recovery_tests import shipped_testspecs

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats


START_S = 1_750_000_000
DAY_S = 86_400
MEDIAN_D = {"injury": 16.0, "systemic": 6.0}


def drawn_absences(
    athletes: int, each: int, seed: int, *, sd: float = 0.5, athlete_sd: float = 0.3,
    shift: Floats | None = None, followed_d: float = 1000.0, median_d: dict[str, float] = MEDIAN_D,
) -> tuple[Absences, Floats]:  # fmt: skip
    """Return log-normal episodes, a hundred days apart, and their true hours.

    `shift` is added to the log hours of each; an end more than `followed_d` after its onset is not
    on record.
    """
    rng = np.random.default_rng(seed)
    n = athletes * each
    owner = np.repeat(np.arange(athletes), each)
    kind = np.array([*median_d], object)[rng.integers(0, len(median_d), n)]
    centre = np.log([24.0 * median_d[k] for k in kind]) + (0.0 if shift is None else shift)
    ln = centre + rng.normal(0, athlete_sd, athletes)[owner] + rng.normal(0, sd, n)
    true_h = np.exp(ln)
    onset = START_S + np.tile(np.arange(each), athletes) * 100 * DAY_S
    ended = true_h <= 24.0 * followed_d
    resolved = np.where(ended, onset + np.round(true_h * 3600).astype(np.int64), NEVER_S)
    last = onset + int(followed_d * DAY_S)
    names = np.array([f"squad/{a:03d}" for a in owner], object)
    ids = np.array([f"{name}-{i}" for i, name in enumerate(names)], object)
    grade, unknown = np.full(n, None, object), np.full(n, "unknown", object)
    return Absences(
        names, ids, kind, grade, unknown, unknown, onset, onset.copy(), resolved, last
    ), true_h


REGIONS = ("thigh", "knee", "ankle", "lower_leg", "hip_groin", "foot", "shoulder", "trunk_back")
DIAGNOSES = ("muscle", "tendon", "ligament_joint_sprain", "bone_fracture", "contusion")


def drawn_with_words(
    athletes: int, each: int, seed: int, *, sd: float, **more: Any
) -> tuple[Absences, Floats]:
    """Return injuries whose region, diagnosis and pair of both move log hours by this SD each.

    The shifts are drawn by `seed` too, so worlds of two seeds are two worlds; common regions are
    those that stand first.
    """
    rng, n = np.random.default_rng([seed, 1]), athletes * each
    of_region = rng.choice(len(REGIONS), n, p=_shares(len(REGIONS)))
    of_diagnosis = rng.choice(len(DIAGNOSES), n, p=_shares(len(DIAGNOSES)))
    shift = rng.normal(0, sd, len(REGIONS))[of_region]
    shift = shift + rng.normal(0, sd, len(DIAGNOSES))[of_diagnosis]
    shift += rng.normal(0, sd, (len(REGIONS), len(DIAGNOSES)))[of_region, of_diagnosis]
    absences, true_h = drawn_absences(
        athletes, each, seed, shift=shift, median_d={"injury": 16.0}, **more
    )
    words = {
        "region": np.array(REGIONS, object)[of_region],
        "diagnosis": np.array(DIAGNOSES, object)[of_diagnosis],
    }
    return replace(absences, **words), true_h


def _shares(n: int) -> Floats:
    weight = 1.0 / np.arange(1, n + 1)
    return np.asarray(weight / weight.sum())


def law(family: str = "lognormal", *, athlete_sd: float = 0.3, **more: Any) -> DurationLaw:
    """Return a law of the medians above."""
    return DurationLaw(
        family=family,
        location={k: float(np.log(24.0 * days)) for k, days in MEDIAN_D.items()},
        location_se=dict.fromkeys(MEDIAN_D, 0.0),
        scale=dict.fromkeys(MEDIAN_D, 0.5),
        grades={},
        athlete_sd=athlete_sd,
        **more,
    )


def learnt(of: DurationLaw, *kinds: str, **more: Any) -> AvailabilityModel:
    """Return a model that has learnt `kinds`, all by default."""
    enough, few = Counted(50, 40, 20, 2000.0), Counted(12, 7, 5, 400.0)
    counted = {kind: enough if kind in (kinds or MEDIAN_D) else few for kind in MEDIAN_D}
    medians, trees = more.get("medians"), more.get("trees")
    return AvailabilityModel(of, medians, trees, counted, 20, 10)


def bundle_of(model: AvailabilityModel, **card: Any) -> Bundle:
    """Return a bundle without any component but availability."""
    return Bundle(
        components={}, specs=shipped_testspecs(), contract=feature_contract(), card=card,
        golden={"rows": []}, availability=model,
    )  # fmt: skip
