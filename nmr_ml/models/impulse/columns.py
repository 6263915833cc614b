"""Features as the linear part reads them: on a scale of standard deviations, 0 where missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.models.impulse.stream import Sessions
    from nmr_ml.numeric.arrays import Bools, Floats, Ints


#: Values further from the mean are read as if they were there, in SD.
FURTHEST = 3.0
#: A feature known of fewer sessions teaches nothing.
LEAST_KNOWN = 0.02


@dataclass(frozen=True, slots=True)
class Columns:
    """The features that a model reads and how.

    Parameters
    ----------
    taken : int64 array, shape (n_columns,)
        Their positions among the features.
    logged : bool array, shape (n_columns,)
        Amounts, which are read as ln(1 + amount).
    own : bool array, shape (n_columns,)
        Of the session itself; they are compared with sessions of the same group.
    mean : float64 array, shape (n_groups, n_columns)
        Of each group of sessions where `own`, else of all sessions.
    sd : float64 array, shape (n_columns,)
    """

    taken: Ints
    logged: Bools
    own: Bools
    mean: Floats
    sd: Floats

    def read(self, X: Floats, group: Ints) -> Floats:
        """Return the columns of sessions, shape (n_sessions, n_columns)."""
        apart = (_amounts(X[:, self.taken], self.logged) - self.mean[group]) / self.sd
        return np.clip(np.nan_to_num(apart, nan=0.0), -FURTHEST, FURTHEST)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {name: getattr(self, name).tolist() for name in self.__slots__}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Columns:
        """Read what `as_json` returned."""
        kinds = {"taken": np.int64, "logged": np.bool_, "own": np.bool_}
        return cls(*(np.array(content[n], kinds.get(n, np.float64)) for n in cls.__slots__))


def learn_columns(
    sessions: Sessions, group: Ints, groups_n: int, usable: Bools, logged: Bools, own: Bools
) -> Columns:
    """Return the columns of the `usable` features that vary among `sessions`.

    Parameters
    ----------
    group : int64 array, shape (n_sessions,)
    usable, logged, own : bool arrays, shape (n_features,)
    """
    with np.errstate(over="ignore"):
        X = _amounts(sessions.X, logged)
    known = ~np.isnan(X)
    enough = usable & (known.mean(axis=0) >= LEAST_KNOWN)
    sd = np.zeros(X.shape[1])
    sd[enough] = np.nanstd(X[:, enough], axis=0)
    taken = np.flatnonzero(enough & (sd > 1e-9))
    X, known = X[:, taken], known[:, taken]
    overall = np.nanmean(X, axis=0) if taken.size else np.empty(0)
    mean = np.tile(overall, (groups_n, 1))
    for g in range(groups_n):
        rows = group == g
        n, total = known[rows].sum(axis=0), np.nansum(X[rows], axis=0)
        of_group = own[taken] & (n > 0)
        mean[g, of_group] = total[of_group] / n[of_group]
    return Columns(taken, logged[taken], own[taken], mean, sd[taken])


def _amounts(X: Floats, logged: Bools) -> Floats:
    return np.where(logged, np.log1p(np.maximum(X, 0.0)), X)
