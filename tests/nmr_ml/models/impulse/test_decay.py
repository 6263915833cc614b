from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmr_ml.models.impulse.decay import fast_left, slow_left, slow_rate, slow_slopes

HALF_LIVES = st.floats(0.01, 20.0)
FORMS = st.floats(0.03, 50.0)


@settings(deadline=None)  # the first call compiles
@given(c=FORMS)
def test_half_is_left_after_a_half_life_whatever_the_form(c: float) -> None:
    assert slow_left(0.0, c, slow_rate(c)) == pytest.approx(1.0)
    assert slow_left(1.0, c, slow_rate(c)) == pytest.approx(0.5)
    assert fast_left(2.5, 2.5) == pytest.approx(0.5)


@settings(deadline=None)
@given(u=HALF_LIVES, c=FORMS)
def test_slopes_are_those_of_the_kernel(u: float, c: float) -> None:
    left, by_log_tau, by_log_c = slow_slopes(u, c)
    step = 1e-5

    def of(log_tau: float, log_c: float) -> float:
        form = c * math.exp(log_c)
        return slow_left(u * math.exp(-log_tau), form, slow_rate(form))

    assert left == pytest.approx(of(0.0, 0.0))
    assert by_log_tau == pytest.approx((of(step, 0) - of(-step, 0)) / (2 * step), abs=1e-6)
    assert by_log_c == pytest.approx((of(0, step) - of(0, -step)) / (2 * step), abs=1e-6)


def test_a_large_c_is_an_exponential_and_a_small_one_a_plateau() -> None:
    u = np.linspace(0.0, 4.0, 9)
    exponential = [slow_left(x, 1e6, slow_rate(1e6)) for x in u]
    np.testing.assert_allclose(exponential, 0.5**u, rtol=1e-4)
    assert slow_left(0.5, 0.03, slow_rate(0.03)) > 0.85
    assert slow_left(1.5, 0.03, slow_rate(0.03)) < 0.16


def test_the_kernel_is_zero_and_finite_at_the_end() -> None:
    assert slow_left(1e9, 0.03, slow_rate(0.03)) == pytest.approx(0.0, abs=1e-200)
    assert np.isfinite(slow_slopes(1e9, 0.03)).all()
