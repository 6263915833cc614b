from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.numeric.parabola import peak

VALUES = np.linspace(-1.0, 1.0, 9)


@given(st.floats(-0.8, 0.8), st.floats(0.1, 50.0))
def test_the_top_of_a_parabola_is_found_exactly(top: float, bend: float) -> None:
    height = 3.0 - bend * (VALUES - top) ** 2
    assert peak(VALUES, height, int(np.argmax(height))) == pytest.approx(top, abs=1e-9)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_at_an_end_it_is_that_end(sign: float) -> None:
    height = np.exp(sign * VALUES)
    assert peak(VALUES, height, int(np.argmax(height))) == sign


def test_two_equal_heights_peak_between_them() -> None:
    height = np.array([0.0, 2.0, 2.0, 0.0])
    values = np.array([0.0, 1.0, 2.0, 3.0])
    assert peak(values, height, int(np.argmax(height))) == pytest.approx(1.5)
