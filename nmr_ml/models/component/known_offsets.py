"""What an athlete's earlier episodes say of the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nmr_ml.features.model_inputs import model_inputs
from nmr_ml.models.component.offsets import Past, athlete_offsets
from nmr_ml.models.component.past_episodes import past_episodes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.models.component.model import ComponentModel
    from nmr_ml.models.component.offsets import Offsets
    from nmr_ml.recovery_tests import TestSpec


def known_offsets(
    model: ComponentModel, history: History, episodes: Episodes, queries: Queries, seen: Followed,
    specs: Mapping[str, TestSpec],
) -> Offsets:  # fmt: skip
    """Return what each query's athlete has shown before its clock start.

    Parameters
    ----------
    queries : Queries
        Of the component of `model`.
    seen : Followed
        The tests of each query known so far.
    """
    others = model.measurement.told
    past = past_episodes(history, episodes, queries, specs, others=others)
    before = Past(
        model.measurement.read(past.followed),
        model.curve.means(model_inputs(history, past.queries, specs)),
        past.subject,
        past.offsets,
        past.rows,
    )
    team, past_team = history.teams[queries.athlete], history.teams[past.queries.athlete]
    return athlete_offsets(model.offsets, model.grid, before, seen, team, past_team)
