from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nmr_ml.history.rested_baseline import REST_EDGES_H, REST_H, TYPICAL_REST
from nmr_ml.models.curve.grid import CurveGrid
from nmr_ml.models.curve.likelihood import remaining
from nmr_ml.models.curve.measurement import Measurement, profile_measurement
from nmr_ml.numeric.arrays import owners
from tests.support.small_cohorts import followed_of

if TYPE_CHECKING:
    from nmr_ml.labels.followed_tests import Followed

GRID = CurveGrid.mixed(
    np.linspace(np.log(0.2), np.log(60), 26), np.linspace(np.log(3), np.log(400), 26),
    np.ones(1), np.ones(1), np.ones(1),
)  # fmt: skip


#: Log amplitude and log tau of the episodes, and their spread.
MEAN, SPREAD = np.array([np.log(9.0), np.log(45.0)]), 0.4
#: What their mean curve leaves after so long, from 200,000 draws.
DRAWN = np.exp(MEAN[:, None] + SPREAD * np.random.default_rng(0).normal(size=(2, 200_000)))
LEFT = np.array([(DRAWN[0] * np.exp(-h / DRAWN[1])).mean() for h in REST_H])


def rested_after(followed: Followed, hours: np.ndarray) -> Followed:
    """Say how long after a session the baseline of each episode was taken; NaN: never one."""
    rest = np.zeros((len(followed), REST_H.size))
    known = np.flatnonzero(~np.isnan(hours))
    rest[known, np.searchsorted(REST_EDGES_H, hours[known], side="right")] = 1.0
    return replace(followed, baselines=replace(followed.baselines, rest=rest))


def scattered(n: int, *, noise: float, stated: float) -> tuple[Followed, Followed]:
    """Return `n` episodes read from full capacity, and as read from baselines that hold `LEFT`.

    Their tests scatter by `noise` but are stated to by `stated`; a third of the baselines was taken
    84 h after a session, a third 144 h after one, and a third before any.
    """
    rng = np.random.default_rng(3)
    hours = np.array([12.0, 36.0, 60.0, 84.0, 108.0])
    episodes = []
    for _ in range(n):
        amplitude, tau = np.exp(MEAN + SPREAD * rng.normal(size=2))
        left = np.array([remaining(h, tau, 1.0, 1.0) for h in hours])
        shared = 0.4 * noise * rng.normal()
        read = amplitude * left + shared + noise * rng.normal(size=hours.size)
        episodes.append([(h, d, stated) for h, d in zip(hours, read, strict=True)])
    rested_h = rng.choice([84.0, 144.0, np.nan], n)
    full = rested_after(followed_of(episodes, 0.4 * stated), rested_h)
    held = full.baselines.rest @ LEFT
    owner = owners(full.offsets)
    return full, replace(full, deficit=full.deficit - held[owner])


def at_typical(deficit: float) -> tuple[float, ...]:
    """Return what baselines hold that do so after the typical rest only."""
    return tuple(deficit if k == TYPICAL_REST else 0.0 for k in range(REST_H.size))


def test_reading_scales_errors_and_counts_from_full_capacity() -> None:
    some = followed_of([[(1, 2, 3)], [(4, -5, 6)]], 0.5)
    read = Measurement(2.0, at_typical(1.5)).read(some)
    assert read.deficit.tolist() == [3.5, -3.5]
    assert read.error.tolist() == [6.0, 12.0]
    assert read.shared_error.tolist() == [1.0, 1.0]
    assert read.hours.tolist() == some.hours.tolist()
    assert some.deficit.tolist() == [2, -5]  # the original stays as it was


@pytest.mark.statistical
@pytest.mark.parametrize("noise", [1.3, 2.0, 3.0])
def test_the_error_and_what_baselines_still_hold_are_found(noise: float) -> None:
    full, followed = scattered(900, noise=noise, stated=2.0)
    found = profile_measurement(followed, GRID, np.zeros(900, np.int64), seed=0)
    # 900 episodes with 5 tests: the standard error of the scale is about 2 %.
    assert found.error_scale == pytest.approx(noise / 2.0, rel=0.1)
    assert np.array(found.residual_deficit) == pytest.approx(LEFT, abs=0.5)
    assert found.residual_deficit[TYPICAL_REST] == pytest.approx(LEFT[TYPICAL_REST], abs=0.3)
    assert found.error_disagrees == (noise != 2.0)
    wrong = np.abs(found.read(followed).deficit - full.deficit).mean()
    assert wrong < 0.2 < 0.6 < np.abs(followed.deficit - full.deficit).mean()


def test_tests_that_were_read_from_full_capacity_are_left_alone() -> None:
    full, _ = scattered(300, noise=2.0, stated=2.0)
    never = rested_after(full, np.full(300, np.nan))
    found = profile_measurement(never, GRID, np.zeros(300, np.int64), seed=0)
    assert np.array_equal(found.read(never).deficit, never.deficit)


def test_a_baseline_holds_the_less_the_longer_the_rest() -> None:
    some = rested_after(followed_of([[(1, 2, 3)]] * 3), np.array([84.0, 240.0, np.nan]))
    found = Measurement(1.0, (4.0, 3.0, 2.0, 1.5, 1.0, 0.5, 0.0)).residual(some.baselines)
    assert found.tolist() == [2.0, 0.5, 0.0]


@pytest.mark.statistical
def test_an_offset_of_all_rested_tests_is_added_where_it_is_seen_clearly() -> None:
    _, followed = scattered(900, noise=2.0, stated=2.0)
    rested = followed.baselines.rest.sum(axis=1)
    owner = np.repeat(np.arange(900), np.diff(followed.offsets))
    for offset, least, most in ((0.0, 0.0, 0.1), (2.0, 1.0, 2.5)):
        low = replace(followed, deficit=followed.deficit - offset * rested[owner])
        found = profile_measurement(low, GRID, np.zeros(900, np.int64), seed=0)
        # After two weeks nothing is left of a curve, so that what is held is the offset.
        assert least <= found.residual_deficit[-1] <= most


def test_a_few_episodes_do_not_overrule_the_configured_error() -> None:
    _, followed = scattered(6, noise=2.0, stated=2.0)
    found = profile_measurement(followed, GRID, np.zeros(6, np.int64), seed=0)
    assert found.error_scale == pytest.approx(1.0, rel=0.35)
