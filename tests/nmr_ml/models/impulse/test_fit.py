from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.models.impulse.fit import _slopes, _start, _sums, fit_impulse
from nmr_ml.models.impulse.fit_priors import free_spreads, with_free
from nmr_ml.models.impulse.fit_problem import Problem, problem_of
from nmr_ml.models.impulse.model import ImpulseModel
from nmr_ml.models.impulse.response import fresh_level, impulses, response
from nmr_ml.numeric.convergence import gathering
from tests.support.impulse_streams import (
    FAST,
    LOAD_FEATURE,
    LOAD_SLOPE,
    SLOW,
    TAU_H,
    drawn_stream,
)

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats


@pytest.fixture(scope="module")
def problem() -> Problem:
    return problem_of(drawn_stream(4, 24, seed=3).stream, LOAD_FEATURE, [2.6], [True])


def test_slopes_are_derivatives_of_the_mean(problem: Problem) -> None:
    state = _start(problem)
    c, test = state.coefficients, problem.stream.tests.test

    def mean(vector: Floats) -> Floats:
        moved = c.of_vector(vector)
        own = problem.read[:, problem.own]
        impulse = impulses(moved, problem.read, own, problem.group, problem.team)
        felt = response(impulse, problem.pairs, test, moved)
        owner = np.repeat(np.arange(test.size), np.diff(problem.pairs.offsets))
        left = np.bincount(owner, felt.slow + felt.fast, test.size)
        return fresh_level(moved, test, problem.at) - left

    own = problem.read[:, problem.own]
    impulse = impulses(c, problem.read, own, problem.group, problem.team)
    slopes = _slopes(
        problem, state, response(impulse, problem.pairs, test, c), np.ones(problem.group.size)
    )
    for j in range(c.vector.size):
        step = np.zeros(c.vector.size)
        step[j] = 1e-5
        change = (mean(c.vector + step) - mean(c.vector - step)) / 2e-5
        np.testing.assert_allclose(slopes[:, j], change, atol=1e-5, err_msg=f"coefficient {j}")


def test_the_score_of_variances_is_the_slope_of_the_likelihood(problem: Problem) -> None:
    """The mean and the effects of people stay where they are, as scoring has it."""
    state = _start(problem)
    spreads = state.spreads
    free = np.log(free_spreads(spreads))

    def likelihood(log_free: Floats) -> float:
        moved = with_free(spreads, np.exp(log_free))
        return _sums(problem, type(state)(
            state.coefficients, moved, state.precision, state.athlete, state.modality,
            state.stride, state.turned,
        )).log_likelihood  # fmt: skip

    score = _sums(problem, state).score
    for j in range(free.size):
        step = np.zeros(free.size)
        step[j] = 1e-4
        change = (likelihood(free + step) - likelihood(free - step)) / 2e-4
        assert score[j] == pytest.approx(change, abs=1e-3 + 1e-3 * abs(change))


@pytest.mark.statistical
def test_a_fit_finds_what_the_tests_were_drawn_with() -> None:
    """60 athletes with 100 tests each tell amplitudes and half-life to a few per cent."""
    with gathering() as searches:
        model = fit_impulse(drawn_stream(60, 54, seed=5).stream, LOAD_FEATURE, [2.6], [True])
    c = model.coefficients
    assert np.exp(c.log_slow[0]) == pytest.approx(SLOW, rel=0.12)
    assert c.fast[0] == pytest.approx(FAST, rel=0.3)
    assert np.exp(c.log_tau[0]) == pytest.approx(TAU_H, rel=0.15)
    assert c.slow_slope[0] == pytest.approx(LOAD_SLOPE, rel=0.25)
    assert abs(c.slow_slope[1]) < 0.02, "the second feature is noise"
    assert searches[-1].converged


def test_a_model_is_the_same_after_json() -> None:
    model = fit_impulse(drawn_stream(6, 24, seed=7).stream, LOAD_FEATURE, [2.6], [True])
    again = ImpulseModel.from_json(model.as_json())
    assert again.as_json() == model.as_json()
    np.testing.assert_array_equal(again.coefficients.vector, model.coefficients.vector)
    assert again.devices == ("plate",)
