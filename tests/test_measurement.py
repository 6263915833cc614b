from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from small_cohorts import followed_of

from nmr_ml.baseline import REST_EDGES_H, REST_H
from nmr_ml.curve import CurveGrid, remaining
from nmr_ml.measurement import Measurement, profile_measurement

if TYPE_CHECKING:
    from nmr_ml.labels import Followed

GRID = CurveGrid.mixed(
    np.linspace(np.log(0.2), np.log(60), 26), np.linspace(np.log(3), np.log(400), 26),
    np.ones(1), np.ones(1), np.ones(1),
)  # fmt: skip


def scattered(n: int, *, noise: float, stated: float, held: float) -> Followed:
    """Return `n` episodes whose tests scatter by `noise` but are stated to by `stated`."""
    rng = np.random.default_rng(3)
    hours = np.array([12.0, 36.0, 60.0, 84.0, 108.0])
    episodes = []
    for _ in range(n):
        amplitude, tau = (
            np.exp(np.log(9) + 0.4 * rng.normal()),
            np.exp(np.log(30) + 0.4 * rng.normal()),
        )
        left = np.array([remaining(h, tau, 1.0, 1.0) for h in hours])
        shared = 0.4 * noise * rng.normal()
        read = amplitude * left + shared - held + noise * rng.normal(size=hours.size)
        episodes.append([(h, d, stated) for h, d in zip(hours, read, strict=True)])
    return followed_of(episodes, 0.4 * stated)


def test_reading_scales_errors_and_counts_from_full_capacity() -> None:
    some = followed_of([[(1, 2, 3)], [(4, -5, 6)]], 0.5)
    read = Measurement(2.0, 1.5).read(some)
    assert read.deficit.tolist() == [3.5, -3.5]
    assert read.error.tolist() == [6.0, 12.0]
    assert read.shared_error.tolist() == [1.0, 1.0]
    assert read.hours.tolist() == some.hours.tolist()
    assert some.deficit.tolist() == [2, -5]  # the original stays as it was


@pytest.mark.statistical
@pytest.mark.parametrize(("noise", "held"), [(2.0, 0.0), (2.0, 1.0), (3.0, 0.0), (1.3, 0.5)])
def test_the_error_and_what_baselines_still_hold_are_found(noise: float, held: float) -> None:
    followed = scattered(900, noise=noise, stated=2.0, held=held)
    found = profile_measurement(followed, GRID, np.zeros(900, np.int64), seed=0)
    # 900 episodes with 5 tests: the standard errors are about 2 % and 0.1.
    assert found.error_scale == pytest.approx(noise / 2.0, rel=0.1)
    assert found.residual_deficit == pytest.approx(held, abs=0.4)
    assert found.error_disagrees == (noise != 2.0)


def rested_after(followed: Followed, hours: np.ndarray) -> Followed:
    """Say how long after a session the baseline of each episode was taken; NaN: never one."""
    rest = np.zeros((len(followed), REST_H.size))
    known = np.flatnonzero(~np.isnan(hours))
    rest[known, np.searchsorted(REST_EDGES_H, hours[known], side="right")] = 1.0
    return replace(followed, baselines=replace(followed.baselines, rest=rest))


def test_a_baseline_holds_the_less_the_longer_the_rest() -> None:
    some = rested_after(followed_of([[(1, 2, 3)]] * 3), np.array([84.0, 240.0, np.nan]))
    found = Measurement(1.0, 2.0, 96.0).residual(some.baselines)
    assert found == pytest.approx([2.0, 2.0 * np.exp(-156 / 96), 0.0])


@pytest.mark.statistical
def test_only_baselines_taken_soon_after_a_session_are_put_right() -> None:
    rng = np.random.default_rng(8)
    hours = rng.choice([84.0, np.nan], 900)
    clean = rested_after(scattered(900, noise=2.0, stated=2.0, held=0.0), hours)
    held = np.repeat(np.where(np.isnan(hours), 0.0, 1.5), 5)
    followed = replace(clean, deficit=clean.deficit - held)
    found = profile_measurement(followed, GRID, np.zeros(900, np.int64), seed=0)
    assert found.residual_deficit == pytest.approx(1.5, abs=0.4)
    assert found.error_scale == pytest.approx(1.0, rel=0.1)
    wrong = np.abs(found.read(followed).deficit - clean.deficit).mean()
    assert wrong < 0.3 < held.mean()


def test_a_few_episodes_do_not_overrule_the_configured_error() -> None:
    followed = scattered(6, noise=2.0, stated=2.0, held=0.0)
    found = profile_measurement(followed, GRID, np.zeros(6, np.int64), seed=0)
    assert found.error_scale == pytest.approx(1.0, rel=0.35)
