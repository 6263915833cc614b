from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.models.impulse.fit import fit_impulse
from nmr_ml.models.impulse.forecast import laid_out, learnt
from nmr_ml.models.impulse.posterior import factorise, felt_posterior, felt_sessions, whiten
from tests.support.impulse_streams import LOAD_FEATURE, Drawn, drawn_stream

if TYPE_CHECKING:
    from nmr_ml.models.impulse.model import ImpulseModel


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    return drawn_stream(12, 40, seed=11)


@pytest.fixture(scope="module")
def model(drawn: Drawn) -> ImpulseModel:
    return fit_impulse(drawn.stream, LOAD_FEATURE, [2.6], [True])


def test_factor_and_whitening_are_those_of_a_library() -> None:
    rng = np.random.default_rng(0)
    A = rng.normal(size=(9, 9))
    V, B = A @ A.T + np.eye(9), rng.normal(size=(9, 3))
    L, whitened = V.copy(), B.copy()
    factorise(L)
    whiten(L, whitened)
    np.testing.assert_allclose(np.tril(L), np.linalg.cholesky(V), atol=1e-12)
    np.testing.assert_allclose(whitened, np.linalg.solve(np.linalg.cholesky(V), B), atol=1e-12)


def test_felt_sessions_begin_with_the_own_one_and_go_back(
    drawn: Drawn, model: ImpulseModel
) -> None:
    s, k = laid_out(model, drawn.stream), learnt(model)
    felt = felt_sessions(s, k, 0, 10, float(s.end_h[10]), 0.05)
    assert felt[0] == 10
    assert set(felt[1:].tolist()) <= set(range(10))
    assert (np.diff(felt) < 0).all()
    assert felt_sessions(s, k, 0, 0, float(s.end_h[0]), 0.05).tolist() == [0]


def test_tests_move_an_athlete_towards_the_truth_and_narrow_what_is_left(
    drawn: Drawn, model: ImpulseModel
) -> None:
    s, k = laid_out(model, drawn.stream), learnt(model)
    last = drawn.stream.sessions.offsets[1:] - 1
    means, before, after = [], [], []
    for a, own in enumerate(last):
        felt = felt_sessions(s, k, a, own, float(s.end_h[own]), 0.05)
        mean, covariance = felt_posterior(s, k, a, False, felt, float(s.end_h[own]))
        assert (np.linalg.eigvalsh(covariance) > 0).all()
        means.append(mean[0])
        after.append(covariance[0, 0])
        before.append(felt_posterior(s, k, a, False, felt[:1], -1.0)[1][0, 0])
    assert np.corrcoef(means, drawn.athlete)[0, 1] > 0.8
    assert (np.array(after) < 0.9 * np.array(before)).all()


def test_what_is_known_later_changes_nothing(drawn: Drawn, model: ImpulseModel) -> None:
    k, own = learnt(model), 6
    s = laid_out(model, drawn.stream)
    as_of_h = float(s.end_h[own])
    felt = felt_sessions(s, k, 0, own, as_of_h, 0.05)
    mean, covariance = felt_posterior(s, k, 0, False, felt, as_of_h)
    later = s.taken_h > as_of_h
    changed = s._replace(apart=np.where(later, s.apart + 50.0, s.apart))
    again = felt_posterior(changed, k, 0, False, felt, as_of_h)
    np.testing.assert_array_equal(again[0], mean)
    np.testing.assert_array_equal(again[1], covariance)
    untold = s._replace(test_known_h=np.where(s.taken_h > 60.0, np.inf, s.test_known_h))
    few = s._replace(apart=np.where(s.taken_h > 60.0, np.nan, s.apart))
    few = few._replace(test_known_h=untold.test_known_h)
    np.testing.assert_array_equal(
        felt_posterior(few, k, 0, False, felt, as_of_h)[0],
        felt_posterior(untold, k, 0, False, felt, as_of_h)[0],
    )
