"""What each recovery test measures, in which direction and with what error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nmr_ml.errors import UsageError
from nmr_ml.runtime import configs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from nmr_ml.numeric.arrays import Floats, Ints

Component = Literal["power", "coordination", "central", "perceptual"]
COMPONENTS: tuple[Component, ...] = ("power", "coordination", "central", "perceptual")
#: The one component of injury and systemic episodes; its outcome is a date, not a test.
AVAILABILITY = "availability"
Positive = Annotated[float, Field(gt=0)]


class TestSpec(BaseModel):
    """One test of ``configs/tests.yaml``; errors, δ and the effect of the hour are on its `scale`.

    `day_amplitude` is how much better than on average over the day the test turns out at
    `nmr_ml.history.rested_baseline.PEAK_H`; the rest of the day follows a cosine. It is configured
    and not estimated: the hour and the time since the session come together.
    """

    __test__ = False  # not a test case, whatever pytest makes of the name
    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: str
    accepted: tuple[str, ...]
    direction: Literal["higher", "lower"]
    component: Component
    index: bool = False
    scale: Literal["pct", "points"]
    delta: Positive
    between_day_te: Positive
    trial_te: Annotated[float, Field(ge=0)]
    trials_n: Annotated[int, Field(ge=1)]
    day_amplitude: Annotated[float, Field(ge=0)] = 0.0
    range: tuple[float, float]

    @property
    def delta_unit(self) -> str:
        """`pct` or `points`."""
        return self.scale

    def typical_error(self, trials_n: Floats) -> Floats:
        """Return the typical error of a test day, by the number of trials averaged (NaN: usual)."""
        return typical_errors((self,), np.zeros(trials_n.shape, np.int64), trials_n)


def typical_errors(specs: Sequence[TestSpec], code: Ints, trials_n: Floats) -> Floats:
    """Return the typical error of each test day, on the scale of its test.

    Parameters
    ----------
    specs : sequence of TestSpec
    code : int64 array
        Position of the test in `specs`; -1 for none of them, which gives NaN.
    trials_n : float64 array of the same shape
        Trials averaged; NaN means as many as usual.
    """
    parts = [(s.between_day_te**2, s.trial_te**2, float(s.trials_n)) for s in specs]
    between, trial, usual = np.array([*parts, (np.nan, np.nan, np.nan)]).T
    trials = np.where(np.isnan(trials_n), usual[code], trials_n)
    return np.asarray(np.sqrt(between[code] + trial[code] / trials), np.float64)


def load_testspecs(override: Path | None = None) -> Mapping[str, TestSpec]:
    """Read the test catalogue.

    Raises
    ------
    UsageError
        ``config_invalid`` where a test has an unknown key or an impossible value.
    """
    content = configs.load("tests.yaml", override=override)
    try:
        return {name: TestSpec.model_validate(entry) for name, entry in content.items()}
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            "config_invalid",
            f"tests.yaml: {'.'.join(map(str, first['loc']))}: {first['msg']}.",
            "Compare with the shipped configs/tests.yaml.",
        ) from error


@cache
def shipped_testspecs() -> Mapping[str, TestSpec]:
    """Return the catalogue in force, read once."""
    return load_testspecs()
