"""Which test stands for a component in a cohort, and which others of its family are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from nmr_ml.recovery_tests import COMPONENTS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.history.history import History
    from nmr_ml.recovery_tests import TestSpec


def other_tests(
    history: History, specs: Mapping[str, TestSpec], index: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the tests on record of the families of the `index` tests, without these."""
    codes = history.tests.columns["test"]
    return tuple(
        name
        for i, name in enumerate(history.test_names)
        if specs[name].component in index and name not in index.values() and np.any(codes == i)
    )


def index_tests(history: History, specs: Mapping[str, TestSpec]) -> dict[str, str]:
    """Return the index test of each component that the cohort has tests of.

    The component's own index test where there is one, else the family's most frequent test
    (the first by name among equals).
    """
    codes = history.tests.columns["test"]
    counts = {name: int(np.sum(codes == i)) for i, name in enumerate(history.test_names)}
    chosen: dict[str, str] = {}
    for component in COMPONENTS:
        family = sorted(n for n, s in specs.items() if s.component == component and counts.get(n))
        if family:
            index = [name for name in family if specs[name].index]
            chosen[component] = (index or [max(family, key=lambda n: counts[n])])[0]
    return chosen
