"""How much another test of the family falls where the index test falls by one per cent or point."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.labels.family_tests import TOGETHER_H, apart
from nmr_ml.models.curve.population import deficit_moments
from nmr_ml.numeric.arrays import owners

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.labels.family_tests import FamilyTests
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.curve.grid import CurveGrid
    from nmr_ml.models.curve.population import Population
    from nmr_ml.numeric.arrays import Floats, Ints, Objects


#: A scale is told where it lies so many standard errors above 0, with so many athletes behind it.
LEAST_RATIO, LEAST_ATHLETES = 3.0, 10
#: Hours at which the mean curve is worked out; in between it is interpolated.
HOURS = np.linspace(0.0, 336.0, 673)


@dataclass(frozen=True, slots=True)
class FamilyScale:
    """What another test says of the index test's curve.

    Parameters
    ----------
    scale, standard_error : float
        Its deficit, on its own scale, for a deficit of 1 of the index test.
    mismatch : float
        Spread of its deficits around `scale` times those of the index test beyond the errors of
        both, on its own scale: it does not measure quite the same.
    athletes_n, tests_n : int
        Behind it.
    """

    scale: float
    standard_error: float
    mismatch: float
    athletes_n: int
    tests_n: int

    @property
    def told(self) -> bool:
        """Whether the cohort shows that the test falls with the index test at all."""
        enough = self.athletes_n >= LEAST_ATHLETES
        return enough and self.scale > LEAST_RATIO * self.standard_error


def fit_scales(
    tests: FamilyTests, residual: Floats, population: Population, grid: CurveGrid, group: Ints,
    athlete: Objects,
) -> dict[str, FamilyScale]:  # fmt: skip
    """Return the scale of every test that `tests` hold, by name.

    A test's deficits are regressed through the origin on the mean curve of the index test for the
    session's group at that hour. No index test enters by itself: what is low on the same morning in
    both would look like a scale.

    Parameters
    ----------
    residual : float64 array, shape (n_queries,)
        What each rested baseline still holds, on the scale of the index test.
    population : Population
        Of the index test, by group.
    group : int64 array, shape (n_queries,)
    athlete : object array of str, shape (n_queries,)
        Standard errors are clustered by them.
    """
    mean, variance = deficit_moments(population, grid, HOURS)
    owner = tests.owner
    expected, spread = np.empty(owner.size), np.empty(owner.size)
    for g in range(len(mean)):
        rows = group[owner] == g
        expected[rows] = np.interp(tests.hours[rows], HOURS, mean[g])
        spread[rows] = np.interp(tests.hours[rows], HOURS, variance[g])
    found = {}
    for code in np.unique(tests.code):
        rows = tests.code == code
        found[tests.names[code]] = _scale(
            expected[rows] - residual[owner[rows]], spread[rows], tests.deficit[rows],
            tests.error[rows], athlete[owner[rows]],
        )  # fmt: skip
    return found


def _scale(
    expected: Floats, variance: Floats, deficit: Floats, error: Floats, athlete: Objects
) -> FamilyScale:
    weight = error**-2.0
    square = float(np.sum(weight * expected**2))
    names, who = np.unique(athlete.astype(str), return_inverse=True)
    scale = float(np.sum(weight * expected * deficit)) / max(square, 1e-12)
    left = deficit - scale * expected
    of_athlete = np.bincount(who, weight * expected * left)
    few = names.size / max(names.size - 1, 1)
    standard_error = float(np.sqrt(few * np.sum(of_athlete**2))) / max(square, 1e-12)
    beyond = np.average(left**2 - error**2 - scale**2 * variance, weights=weight)
    mismatch = float(np.sqrt(max(beyond, 0.0)))
    return FamilyScale(scale, standard_error, mismatch, int(names.size), int(deficit.size))


def with_family(followed: Followed, scales: Mapping[str, FamilyScale]) -> Followed:
    """Return `followed` with its family's other tests among the index tests, on their scale.

    Tests whose scale is not told are left out, and those taken together with a better one
    (`nmr_ml.labels.family_tests.apart`). The error of each is its own, that of its baseline and the
    mismatch; what the error of the index baseline adds is on the side of caution.
    """
    family = followed.family
    if family is None or not any(scale.told for scale in scales.values()):
        return followed.alone()
    unknown = FamilyScale(1.0, np.inf, 0.0, 0, 0)
    of_name = [scales.get(name, unknown) for name in family.names]
    rows = np.flatnonzero(np.array([one.told for one in of_name])[family.code])
    scale = np.array([one.scale for one in of_name])[family.code[rows]]
    mismatch = np.array([one.mismatch for one in of_name])[family.code[rows]]
    owner, hours = family.owner[rows], family.hours[rows]
    deficit, error = family.deficit[rows] / scale, np.hypot(family.error[rows], mismatch) / scale
    counts = np.bincount(owner, minlength=len(family))
    others = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    kept = apart(followed.offsets, followed.hours, others, hours, error, TOGETHER_H)
    return _merged(followed, owner[kept], hours[kept], deficit[kept], error[kept])


def _merged(
    followed: Followed, owner: Ints, hours: Floats, deficit: Floats, error: Floats
) -> Followed:
    own = owners(followed.offsets)
    whose, at_h = np.concatenate([own, owner]), np.concatenate([followed.hours, hours])
    order = np.lexsort((at_h, whose))
    counts = np.bincount(whose, minlength=len(followed))
    alone = np.isnan(followed.shared_error) & (counts > 0)
    return replace(
        followed,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        hours=at_h[order],
        deficit=np.concatenate([followed.deficit, deficit])[order],
        error=np.concatenate([followed.error, error])[order],
        # An episode without an index baseline has none whose error its tests could share.
        shared_error=np.where(alone, 0.0, followed.shared_error),
        family=None,
    )
