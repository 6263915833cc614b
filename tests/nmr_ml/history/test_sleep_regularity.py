"""Pairs of nights, each small enough to add up by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nmr_ml.cohort.tables import STAGES
from nmr_ml.history.sleep_regularity import night_pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

HOUR = 3600
Night = tuple[float, float]
Epoch = tuple[float, float, str]


def pairs(
    nights: Sequence[Night], epochs: Sequence[Epoch], known_h: Sequence[float] | None = None,
    by_day: bool = False,
) -> list[tuple[float, float, Any]]:  # fmt: skip
    """Return waking (h), when it is known (h) and the same share of each pair of one athlete.

    Nights are onset and waking, epochs start, end and stage, all in hours.
    """
    n, e = len(nights), len(epochs)
    wake = np.array([HOUR * wake for _, wake in nights], np.int64)
    known = wake if known_h is None else np.array([HOUR * h for h in known_h], np.int64)
    _, at_s, known_s, same = night_pairs(
        np.array([0, n]), np.array([HOUR * onset for onset, _ in nights], np.float64), wake, known,
        np.full(n, float(by_day)), np.array([0, e]),
        np.array([HOUR * start for start, _, _ in epochs], np.int64),
        np.array([HOUR * (end - start) for start, end, _ in epochs], np.float64),
        np.array([STAGES.index(stage) for _, _, stage in epochs], np.float64),
    )  # fmt: skip
    return list(zip(at_s / HOUR, known_s / HOUR, same, strict=True))


FIRST, SECOND = (22.0, 30.0), (46.0, 54.0)


def test_same_times_of_sleep_are_the_same_all_day() -> None:
    assert pairs([FIRST, SECOND], [(22, 30, "deep"), (46, 54, "light")]) == [(54, 54, 1.0)]


def test_hours_asleep_on_one_day_only_differ() -> None:
    # Asleep 22-30 and, a day later, 24-32: two hours at either end differ.
    shifted = [(22, 30, "deep"), (48, 56, "deep")]
    assert pairs([FIRST, (48.0, 56.0)], shifted) == [(56, 56, pytest.approx(20 / 24))]


def test_awake_in_bed_is_awake() -> None:
    epochs = [(22, 30, "deep"), (46, 50, "rem"), (50, 51, "awake"), (51, 54, "asleep")]
    assert pairs([FIRST, SECOND], epochs) == [(54, 54, pytest.approx(23 / 24))]


def test_epoch_ends_where_the_next_one_starts_or_the_night_ends() -> None:
    epochs = [(22, 29, "deep"), (26, 27, "awake"), (27, 31, "light"), (46, 54, "deep")]
    assert pairs([FIRST, SECOND], epochs) == [(54, 54, pytest.approx(23 / 24))]


def test_night_that_is_not_filled_makes_no_pair() -> None:
    whole = [(46, 54, "deep")]
    assert pairs([FIRST, SECOND], [(22, 29.3, "deep"), *whole])
    assert not pairs([FIRST, SECOND], [(22, 29.1, "deep"), *whole])
    assert not pairs([FIRST, SECOND], [(22, 29, "deep"), (29, 30, "unknown"), *whole])


def test_only_nights_about_a_day_apart_make_a_pair() -> None:
    nights = [FIRST, SECOND, (94.0, 102.0)]
    epochs = [(22, 30, "deep"), (46, 54, "deep"), (94, 102, "deep")]
    assert [wake for wake, _, _ in pairs(nights, epochs)] == [54]


def test_nap_and_night_of_day_precision_make_no_pair() -> None:
    epochs = [(22, 30, "deep"), (46, 48.5, "deep")]
    assert not pairs([FIRST, (46.0, 48.5)], epochs)
    assert not pairs([FIRST, SECOND], [(22, 30, "deep"), (46, 54, "deep")], by_day=True)


def test_pair_is_known_once_both_nights_are() -> None:
    epochs = [(22, 30, "deep"), (46, 54, "deep")]
    assert pairs([FIRST, SECOND], epochs, known_h=[80, 60]) == [(54, 80, 1.0)]
