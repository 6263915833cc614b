"""Groups of sessions that share an impulse: those of one modality and kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.models.impulse.stream import Sessions
    from nmr_ml.numeric.arrays import Ints


#: Fewer sessions than this make no group of their own.
LEAST_SESSIONS = 20


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups a model knows.

    Parameters
    ----------
    modality, kind : int64 arrays, shape (n_groups,)
        The first group is the most frequent one; it stands for sessions like none of them.
    """

    modality: Ints
    kind: Ints

    def __len__(self) -> int:
        """Return their number."""
        return int(self.modality.size)

    def of(self, sessions: Sessions) -> Ints:
        """Return the group of each session.

        A kind that is not known of a modality is read as the modality's most frequent kind.
        """
        found = np.zeros(sessions.end_h.size, np.int64)
        for g in reversed(range(len(self))):
            found[sessions.modality == self.modality[g]] = g
        for g in range(len(self)):
            same = (sessions.modality == self.modality[g]) & (sessions.kind == self.kind[g])
            found[same] = g
        return found

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"modality": self.modality.tolist(), "kind": self.kind.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Groups:
        """Read what `as_json` returned."""
        return cls(np.array(content["modality"], np.int64), np.array(content["kind"], np.int64))


def learn_groups(sessions: Sessions) -> Groups:
    """Return the groups of `sessions` that are large enough, the largest first."""
    both = np.column_stack([sessions.modality, sessions.kind])
    kinds, n = np.unique(both, axis=0, return_counts=True)
    order = np.argsort(-n, kind="stable")
    kept = order[(n[order] >= LEAST_SESSIONS) | (np.arange(n.size) == 0)]
    return Groups(kinds[kept, 0].astype(np.int64), kinds[kept, 1].astype(np.int64))
