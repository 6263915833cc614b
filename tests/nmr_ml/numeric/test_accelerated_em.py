from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.numeric.accelerated_em import CLOSE, climb
from nmr_ml.numeric.convergence import gathering

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats


def slow_step(centre: Floats, rates: Floats) -> tuple[list[Floats], object]:
    """Return a step that goes the fraction ``1 - rate`` of each way, and where it was asked."""
    asked: list[Floats] = []

    def step(at: Floats) -> tuple[Floats, float]:
        asked.append(at.copy())
        return centre + rates * (at - centre), -float(((at - centre) ** 2).sum())

    return asked, step


@given(
    st.lists(st.floats(-5, 5), min_size=3, max_size=3), st.floats(0.5, 0.97), st.floats(0.5, 0.97)
)
def test_it_gets_further_than_as_many_plain_steps(
    start: list[float], first: float, second: float
) -> None:
    centre, at = np.array([1.0, -2.0, 0.5]), np.array(start)
    rates = np.array([first, second, first])
    asked, step = slow_step(centre, rates)
    found = climb(step, at, cycles=6)  # type: ignore[arg-type]
    plain = centre + rates ** len(asked) * (at - centre)
    gone = np.abs(plain - centre).max()
    assert np.abs(found - centre).max() <= max(gone, 1e-4) * 1.001


def test_a_slow_step_is_taken_to_its_end() -> None:
    asked, step = slow_step(np.zeros(1), np.array([0.98]))
    found = climb(step, np.ones(1), cycles=5)  # type: ignore[arg-type]
    assert len(asked) <= 15
    assert abs(found[0]) < 1e-3 < 0.7 < 0.98**15


def test_it_stops_where_nothing_moves_any_more() -> None:
    asked, step = slow_step(np.ones(2), np.full(2, 0.5))
    assert climb(step, np.ones(2), cycles=50) == pytest.approx([1.0, 1.0])  # type: ignore[arg-type]
    assert len(asked) == 2


@pytest.mark.parametrize(("cycles", "steps", "converged"), [(1, 1, False), (50, 4, True)])
def test_it_tells_whether_it_came_to_its_end(cycles: int, steps: int, *, converged: bool) -> None:
    _, step = slow_step(np.zeros(2), np.array([0.9, 0.5]))
    with gathering() as found:
        climb(step, np.ones(2), cycles=cycles, name="centre")  # type: ignore[arg-type]
    (search,) = found
    assert (search.name, search.steps, search.converged) == ("centre", steps, converged)
    assert search.moved is not None
    assert (search.moved < CLOSE) is converged


def test_an_extrapolation_that_goes_down_is_not_taken() -> None:
    def cliff(at: Floats) -> tuple[Floats, float]:
        """Past 1 there is nothing; the way there looks ever longer."""
        return np.minimum(at + 0.1 * np.exp(at), 1.0), float(at[0]) if at[0] <= 1 else -np.inf

    found = climb(cliff, np.zeros(1), cycles=30)
    assert found == pytest.approx([1.0])
