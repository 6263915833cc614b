"""The questions put to the features and the model: which episode, which component, as of when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Queries:
    """One row per episode, component and `as_of`; all arrays have shape (n_queries,).

    Parameters
    ----------
    episode : int64 array
        Position in `nmr_ml.episodes.Episodes`.
    component : int64 array
        Position in `nmr_ml.testspec.COMPONENTS`; their number stands for ``availability``.
    athlete : int64 array
        Index into `History.athlete_ids`.
    session : int64 array
        Row of `History.sessions`, -1 for an injury or systemic episode.
    test : int64 array
        Code of the component's index test in `History.test_names`, -1 where there is none.
    clock_start_s, as_of_s : int64 array, s since 1970 UTC
    """

    episode: Ints
    component: Ints
    athlete: Ints
    session: Ints
    test: Ints
    clock_start_s: Ints
    as_of_s: Ints

    def __len__(self) -> int:
        """Return the number of queries."""
        return int(self.episode.size)

    def take(self, rows: NDArray[np.intp]) -> Queries:
        """Return the queries at `rows`, in that order."""
        return Queries(
            self.episode[rows],
            self.component[rows],
            self.athlete[rows],
            self.session[rows],
            self.test[rows],
            self.clock_start_s[rows],
            self.as_of_s[rows],
        )
