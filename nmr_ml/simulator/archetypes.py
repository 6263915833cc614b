"""From the load of a session to what it leaves behind (domain.md §6.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.numeric.arrays import RowWise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.numeric.arrays import Floats, Ints
    from nmr_ml.simulator.config import Mapping_, SimulatorConfig

#: Load markers, columns of `sessions`, in the order of the arrays below.
MARKERS = (
    "distance_m", "high_speed_distance_m", "accelerations_n", "decelerations_n", "collisions_n",
    "jumps_n", "tonnage_kg", "hard_sets_n", "eccentric_reps_n",
)  # fmt: skip
LIGHT = "light_technical"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The archetypes as arrays: the first axis is the archetype, in the order of `names`."""

    names: tuple[str, ...]
    modality: NDArray[np.str_]
    impulse: Floats
    duration_min: Floats
    rpe: Floats
    hr_reserve: Floats
    reps_in_reserve: Floats
    markers: Floats
    damage: Floats
    ck_extra: Floats
    crp_mg_l: Floats
    il6_fold: Floats

    @classmethod
    def of(cls, config: SimulatorConfig) -> Catalogue:
        """Read the archetypes of `config`; markers that an archetype has not are NaN."""
        kinds = list(config.archetypes.values())

        def column(name: str) -> Floats:
            values = [getattr(kind, name) for kind in kinds]
            return np.array([np.nan if v is None else v for v in values], dtype=np.float64)

        return cls(
            names=tuple(config.archetypes),
            modality=np.array([kind.modality for kind in kinds]),
            impulse=np.column_stack([column(name) for name in "fcdgh"]),
            duration_min=column("duration_min"),
            rpe=column("rpe"),
            hr_reserve=column("hr_reserve"),
            reps_in_reserve=column("reps_in_reserve"),
            markers=np.array([[k.markers.get(m, np.nan) for m in MARKERS] for k in kinds]),
            damage=np.array([[k.damage.get(m, 0.0) for m in MARKERS] for k in kinds]),
            ck_extra=column("ck_extra"),
            crp_mg_l=column("crp_mg_l"),
            il6_fold=column("il6_fold"),
        )


@dataclass(frozen=True, slots=True)
class Load(RowWise):
    """What was done in `n` sessions; `archetype` indexes the catalogue.

    `markers` has the shape (n, len(MARKERS)), NaN where the archetype has no such marker;
    `hr_reserve` is the mean share of the heart-rate reserve; `reps_in_reserve` is NaN outside the
    weight room.
    """

    archetype: Ints
    duration_min: Floats
    rpe: Floats
    hr_reserve: Floats
    reps_in_reserve: Floats
    markers: Floats


def mean_load(catalogue: Catalogue) -> Load:
    """Return one mean session of each archetype."""
    return Load(
        np.arange(len(catalogue.names)),
        catalogue.duration_min,
        catalogue.rpe,
        catalogue.hr_reserve,
        catalogue.reps_in_reserve,
        catalogue.markers,
    )


def damage_ratio(load: Load, catalogue: Catalogue) -> Floats:
    """Return the damaging load of each session over that of its archetype's mean session."""
    ratios = load.markers / catalogue.markers[load.archetype]
    shares: Floats = np.nansum(ratios * catalogue.damage[load.archetype], axis=1)
    return shares


def impulses(load: Load, catalogue: Catalogue, mapping: Mapping_) -> Floats:
    """Return F, C, D, G, H of each session in the reference athlete, shape (n, 5).

    Field sessions follow their markers, duration, heart rate (Banister's TRIMP, relative to the
    archetype's) and RPE. Sets in the weight room follow their number and how close to failure they
    were taken: (8 - repetitions in reserve) to a power for each impulse.
    """
    kind = load.archetype
    time = load.duration_min / catalogue.duration_min[kind]
    effort = load.rpe / catalogue.rpe[kind]
    beat = load.hr_reserve / catalogue.hr_reserve[kind]
    trimp = time * beat * np.exp(1.92 * (load.hr_reserve - catalogue.hr_reserve[kind]))
    damage = damage_ratio(load, catalogue)
    field = np.column_stack(
        [
            effort**mapping.f_rpe * time**mapping.f_duration,
            trimp**mapping.c_trimp,
            damage,
            time * beat**mapping.g_intensity,
            (effort * time) ** mapping.h_load,
        ]
    )
    close = mapping.repetitions_scale - load.reps_in_reserve
    close /= mapping.repetitions_scale - catalogue.reps_in_reserve[kind]
    powers = np.array([getattr(mapping.proximity, name) for name in "fcdgh"])
    lifted = damage[:, None] * close[:, None] ** powers
    ratio = np.where(np.isnan(load.reps_in_reserve)[:, None], field, lifted)
    return catalogue.impulse[kind] * ratio


def damage_protection(familiarity: Floats, training: float, mapping: Mapping_) -> Floats:
    """Return the factor on damage from familiarity with the exercise and training status (z)."""
    weight = mapping.familiarity_weight
    reference = 1.0 - weight * mapping.familiarity_reference
    protected: Floats = (
        (1.0 - weight * familiarity) / reference * np.exp(-mapping.training_slope * training)
    )
    return protected
