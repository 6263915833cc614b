"""The one time with a guarantee: when few enough tests still read impaired.

Conformal risk control (Angelopoulos et al. 2022, arXiv 2208.02814). An episode is cleared at a
quantile of its predicted recovery time. An athlete's loss is the share of that athlete's tests that
come after the clearance time and still read at least δ below the baseline; it falls as the level of
the quantile rises. The level is the smallest whose mean loss over K held-out athletes satisfies
``(K loss + 1) / (K + 1) <= risk``. Then the expected loss of a new athlete is at most `risk`, if
that athlete is exchangeable with the K and is tested by the same habits; no assumption is made on
the model, the noise of the tests or the censoring. It says nothing on injury.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from nmr_ml.numeric.arrays import owners

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.labels.followed_tests import Followed
    from nmr_ml.numeric.arrays import Floats, Objects


#: Quantiles of the recovery time that an episode may be cleared at.
CLEARANCE_LEVELS = np.array(
    [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99]
)


@dataclass(frozen=True, slots=True)
class Clearance:
    """What clearing too early cost held-out athletes.

    Parameters
    ----------
    athletes_n : int
    loss : float64 array, shape (len(LEVELS),)
        Mean over athletes of the share of tests after the clearance time that still read impaired.
    """

    athletes_n: int
    loss: Floats

    def level(self, risk: float) -> float | None:
        """Return the smallest level whose risk is controlled; None where there is none.

        With K athletes no risk below 1 / (K + 1) can be had.
        """
        bound = (self.athletes_n * self.loss + 1.0) / (self.athletes_n + 1.0)
        held = np.flatnonzero(bound <= risk)
        return float(CLEARANCE_LEVELS[held[0]]) if held.size else None

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"athletes_n": self.athletes_n, "loss": self.loss.tolist()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Clearance:
        """Read what `as_json` returned."""
        return cls(content["athletes_n"], np.array(content["loss"], np.float64))


def fit_clearance(
    followed: Followed, cleared_h: Floats, delta: float, athlete: Objects
) -> Clearance:
    """Return the losses of held-out athletes.

    Parameters
    ----------
    followed : Followed
        The tests of each episode as they read, without any correction.
    cleared_h : float64 array, shape (n_episodes, len(LEVELS)), h
        Quantiles of the recovery time from folds without the athlete.
    delta : float
    athlete : object array of str, shape (n_episodes,)
    """
    owner = owners(followed.offsets)
    names, who = np.unique(athlete.astype(str)[owner], return_inverse=True)
    impaired = followed.deficit >= delta
    early = impaired[:, None] & (followed.hours[:, None] > cleared_h[owner])
    sums = np.zeros((names.size, CLEARANCE_LEVELS.size))
    np.add.at(sums, who, early.astype(np.float64))
    share = sums / np.bincount(who)[:, None]
    # Quantiles rise with their level, so that the loss cannot; rounding must not undo it.
    return Clearance(int(names.size), np.maximum.accumulate(share.mean(axis=0)[::-1])[::-1])
