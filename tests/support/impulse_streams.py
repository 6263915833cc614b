"""Streams of sessions and tests drawn from the impulse model's own equations, with the truth."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from nmr_ml.models.impulse.fit_problem import Features
from nmr_ml.models.impulse.stream import Sessions, Stream, Tests

if TYPE_CHECKING:
    from nmr_ml.numeric.arrays import Floats, Ints

#: What the streams are drawn with, on the scale of 100 ln.
SLOW, FAST, TAU_H, FAST_H, PLATEAU = 5.0, 3.0, 40.0, 2.5, 2.0
LOAD_SLOPE, ATHLETE_SD, ERROR = 0.3, 0.25, 2.0
#: The first feature is the session's load, the second is noise.
LOAD_FEATURE = Features(
    np.ones(2, np.bool_), np.zeros(2, np.bool_), np.array([True, False]), np.array([1, 0])
)


class Drawn(NamedTuple):
    """A stream, and the log amplitude by which each athlete differs."""

    stream: Stream
    athlete: Floats


def drawn_stream(athletes_n: int, days: int, seed: int, *, noise: float = 1.0) -> Drawn:
    """Return a session every other day and tests half an hour, 14, 24 and 38 h after it."""
    rng = np.random.default_rng(seed)
    end_h = np.arange(3, days, 2) * 24.0 + 18.0
    after_h = np.array([0.5, 14.0, 24.0, 38.0])
    before_h = np.array([10.0, 34.0, 58.0])
    taken_h = np.concatenate([before_h, (end_h[:, None] + after_h).ravel()])
    load = rng.normal(size=(athletes_n, end_h.size))
    apart = ATHLETE_SD * rng.normal(size=athletes_n)
    values = []
    for a in range(athletes_n):
        x = taken_h[:, None] - end_h
        left = np.exp(LOAD_SLOPE * load[a]) * SLOW * slow_share(x / TAU_H) + FAST * 0.5 ** (
            np.clip(x, 0, None) / FAST_H
        )
        felt = np.where((x > 0) & (x < 336.0), left, 0.0).sum(axis=1) * np.exp(apart[a])
        error = noise * ERROR * rng.normal(size=taken_h.size)
        values.append(350.0 + 10.0 * rng.normal() - felt + error)
    noisy = np.stack([load.ravel(), rng.normal(size=load.size)], axis=1)
    return Drawn(stream(np.tile(end_h, (athletes_n, 1)), taken_h, np.array(values), noisy), apart)


def slow_share(u: Floats) -> Floats:
    """Return the slow kernel as the documentation of `decay` writes it."""
    return np.asarray((1 + PLATEAU) / (1 + PLATEAU * (2 + 1 / PLATEAU) ** np.clip(u, 0, 300)))


def stream(end_h: Floats, taken_h: Floats, value: Floats, X: Floats) -> Stream:
    """Return athletes who all train and are tested at the same hours; one visit for each test."""
    athletes_n, sessions_n = end_h.shape
    tests_n = taken_h.size
    of_sessions, of_tests = _offsets(athletes_n, sessions_n), _offsets(athletes_n, tests_n)
    nothing, every = np.zeros(athletes_n * sessions_n, np.int64), np.tile(taken_h, athletes_n)
    alike = np.zeros(every.size, np.int64)
    return Stream(
        Sessions(of_sessions, end_h.ravel(), end_h.ravel(), nothing, nothing, X),
        Tests(
            of_tests, every, every, value.ravel(), np.full(every.size, ERROR), alike,
            np.tile(np.arange(tests_n), athletes_n), alike, np.full(every.size, np.nan),
            (every < end_h.min()).astype(np.int64), ("plate",),
        ),
        np.full(athletes_n, None, object),
    )  # fmt: skip


def _offsets(athletes_n: int, each: int) -> Ints:
    return np.arange(athletes_n + 1, dtype=np.int64) * each
