"""A component to be fitted: its records laid out once for every step of a search."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.models.impulse.columns import learn_columns
from nmr_ml.models.impulse.fit_priors import Sizes, TestScale, prior_of
from nmr_ml.models.impulse.groups import learn_groups
from nmr_ml.models.impulse.response import circumstances
from nmr_ml.models.impulse.stream import pairs_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmr_ml.models.impulse.columns import Columns
    from nmr_ml.models.impulse.fit_priors import Prior
    from nmr_ml.models.impulse.groups import Groups
    from nmr_ml.models.impulse.model import ImpulseModel
    from nmr_ml.models.impulse.response import Circumstances
    from nmr_ml.models.impulse.stream import Pairs, Stream
    from nmr_ml.numeric.arrays import Bools, Floats, Ints


@dataclass(frozen=True, slots=True)
class Features:
    """What is known of each feature; arrays have shape (n_features,).

    Parameters
    ----------
    usable : bool array
        Not made of the family's own tests, and a number.
    logged : bool array
        An amount, to be read as a log.
    own : bool array
        Of the session itself.
    group : int64 array
        Which features share a size of slopes.
    """

    usable: Bools
    logged: Bools
    own: Bools
    group: Ints


class Problem(NamedTuple):
    """What does not change while searching.

    `read` are the columns of each session and `own` the positions of those of the session itself;
    `slopes_group` is the group of each column, `team` and `modality` positions by session in
    `teams` and `modalities`.
    """

    stream: Stream
    groups: Groups
    group: Ints
    columns: Columns
    read: Floats
    own: Ints
    slopes_group: Ints
    teams: tuple[str, ...]
    team: Ints
    modalities: Ints
    modality: Ints
    pairs: Pairs
    at: Circumstances
    devices: tuple[str, ...]
    prior: Prior


def problem_of(
    stream: Stream, features: Features, deltas: Sequence[float], in_pct: Sequence[bool],
    alike: ImpulseModel | None = None,
) -> Problem:  # fmt: skip
    """Lay out what `nmr_ml.models.impulse.fit.fit_impulse` is given."""
    sessions, tests = stream.sessions, stream.tests
    groups = learn_groups(sessions)
    group = groups.of(sessions)
    columns = learn_columns(
        sessions, group, len(groups), features.usable, features.logged, features.own
    )
    teams, team, share = _teams(stream)
    devices = tests.devices
    own = np.flatnonzero(columns.own)
    modalities, modality = np.unique(sessions.modality, return_inverse=True)
    sizes = Sizes(len(groups), columns.taken.size, own, share, len(devices))
    return Problem(
        stream, groups, group, columns, columns.read(sessions.X, group), own,
        features.group[columns.taken], teams, team[sessions.owner], modalities,
        modality.astype(np.int64), pairs_of(stream), circumstances(stream, devices), devices,
        prior_of(
            _scales(tests.value, tests.test, deltas, in_pct), sizes,
            None if alike is None else alike.coefficients,
        ),
    )  # fmt: skip


def _teams(stream: Stream) -> tuple[tuple[str, ...], Ints, Floats]:
    """Return names, position by athlete (-1 without a team) and share of athletes of each."""
    names = tuple(sorted({name for name in stream.team if isinstance(name, str)}))
    place = {name: i for i, name in enumerate(names)}
    team = np.array([place.get(name, -1) for name in stream.team], np.int64)
    counts = np.bincount(team[team >= 0], minlength=len(names))
    return names, team, counts / max(int(counts.sum()), 1)


def _scales(
    value: Floats, test: Ints, deltas: Sequence[float], in_pct: Sequence[bool]
) -> list[TestScale]:
    scales = []
    for f, (delta, pct) in enumerate(zip(deltas, in_pct, strict=True)):
        values = value[test == f]
        mean, sd = (values.mean(), values.std()) if values.size else (0.0, 0.0)
        scales.append(TestScale(delta, pct, float(mean), float(sd)))
    return scales
