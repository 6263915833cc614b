"""What each recovery test measures, in which direction and with what error."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nmr_ml import configs
from nmr_ml.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

Component = Literal["power", "coordination", "central", "perceptual"]
COMPONENTS: tuple[Component, ...] = ("power", "coordination", "central", "perceptual")
#: The one component of injury and systemic episodes; its outcome is a date, not a test.
AVAILABILITY = "availability"
Positive = Annotated[float, Field(gt=0)]


class TestSpec(BaseModel):
    """One test of ``configs/tests.yaml``; errors and δ are on its `scale`."""

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
    range: tuple[float, float]

    @property
    def delta_unit(self) -> str:
        """`pct` or `points`."""
        return self.scale

    def typical_error(self, trials_n: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the typical error of a test day, by the number of trials averaged (NaN: usual)."""
        trials = np.where(np.isnan(trials_n), float(self.trials_n), trials_n)
        return np.sqrt(self.between_day_te**2 + self.trial_te**2 / trials)


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
