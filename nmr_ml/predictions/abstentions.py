"""Which questions get no numbers, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.predictions.availability import unlearnt
from nmr_ml.predictions.red_flags import red_flagged
from nmr_ml.reasons import Abstain
from nmr_ml.recovery_tests import COMPONENTS

if TYPE_CHECKING:
    from nmr_ml.bundle.bundle import Bundle
    from nmr_ml.history.episodes import Episodes
    from nmr_ml.history.history import History
    from nmr_ml.history.queries import Queries
    from nmr_ml.numeric.arrays import Objects


def abstentions(bundle: Bundle, history: History, episodes: Episodes, queries: Queries) -> Objects:
    """Return why a query gets no numbers, or None."""
    reasons = np.full(len(queries), None, dtype=object)
    exertion = queries.session >= 0
    load = history.sessions.columns["session_load_au"]
    missing = np.zeros(len(queries), dtype=bool)
    missing[exertion] = np.isnan(load[queries.session[exertion]])
    learnt = np.array([c in bundle.components for c in COMPONENTS] + [True])
    # The last one that applies is the one that is told: a red flag above all.
    reasons[~learnt[queries.component]] = Abstain.COMPONENT_NOT_LEARNT.value
    reasons[missing] = Abstain.LOAD_MISSING.value
    absent = np.flatnonzero(~exertion)
    kinds = episodes.kinds[queries.episode[absent]]
    reasons[absent[unlearnt(bundle.availability, kinds)]] = Abstain.TOO_LITTLE_DATA.value
    reasons[episodes.known_s[queries.episode] > queries.as_of_s] = Abstain.SESSION_NOT_KNOWN.value
    flagged = red_flagged(history, queries.athlete, queries.as_of_s)
    reasons[flagged] = Abstain.RED_FLAG.value
    return reasons
