"""What was on record of an athlete at a moment, as sorted arrays."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.history.episodes import Episodes, find_episodes
    from nmr_ml.history.history import History, build_history, history_of_columns
    from nmr_ml.history.queries import (
        Queries,
        at_landmarks,
        at_moment,
        expand,
        of_episode,
        parse_landmarks,
    )
    from nmr_ml.history.rested_baseline import rested_baselines
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "Episodes",
    "History",
    "Queries",
    "at_landmarks",
    "at_moment",
    "build_history",
    "expand",
    "find_episodes",
    "history_of_columns",
    "of_episode",
    "parse_landmarks",
    "rested_baselines",
]
