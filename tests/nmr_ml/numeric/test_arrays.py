"""Rows that are taken and put together again are the rows there were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmr_ml.numeric.arrays import Ragged, RowWise, owners, ragged_rows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nmr_ml.numeric.arrays import Floats, Ints, Objects


@dataclass(frozen=True, slots=True)
class Tests(Ragged):
    """Some tests for each query, and what else a table may hold."""

    ITEMS: ClassVar[frozenset[str]] = frozenset({"hours"})
    SHARED: ClassVar[frozenset[str]] = frozenset({"names"})
    __test__: ClassVar[bool] = False

    names: tuple[str, ...]
    offsets: Ints
    hours: Floats
    shared_error: Floats


@dataclass(frozen=True, slots=True)
class Episodes(RowWise):
    """Tests of episodes, beside what else is known of each."""

    SHARED: ClassVar[frozenset[str]] = frozenset({"scale"})

    scale: float
    tests: Tests
    athlete: Objects
    groups: Mapping[str, Objects]
    family: Tests | None = None


def table_of(hours: list[list[float]]) -> Tests:
    counts = [len(some) for some in hours]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    flat = np.array([hour for some in hours for hour in some], np.float64)
    return Tests(("cmj",), offsets, flat, np.arange(len(hours), dtype=np.float64))


def plain(tests: Tests) -> list[list[float]]:
    return [part.tolist() for part in np.split(tests.hours, tests.offsets[1:-1])]


RAGGED = st.lists(st.lists(st.integers(0, 99).map(float), max_size=4), min_size=1, max_size=8)


@given(RAGGED, st.data())
def test_rows_are_taken_with_their_items(hours: list[list[float]], data: st.DataObject) -> None:
    rows = np.array(data.draw(st.lists(st.integers(0, len(hours) - 1), max_size=10)), np.int64)
    tests = table_of(hours)
    some = tests.take(rows)
    assert len(tests) == len(hours)
    assert len(some) == rows.size
    if rows.size:
        assert plain(some) == [hours[row] for row in rows]
    assert some.shared_error.tolist() == rows.tolist()
    assert some.names == ("cmj",)
    assert some.owner.tolist() == [i for i, row in enumerate(rows) for _ in hours[row]]


@given(st.lists(RAGGED, min_size=1, max_size=3))
def test_parts_follow_one_another(parts: list[list[list[float]]]) -> None:
    joined = Tests.concatenate([table_of(hours) for hours in parts])
    assert plain(joined) == [some for hours in parts for some in hours]
    assert joined.offsets.dtype == np.int64


@given(RAGGED, st.data())
def test_a_mask_takes_the_rows_it_marks(hours: list[list[float]], data: st.DataObject) -> None:
    n = len(hours)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_)
    marked = table_of(hours).take(mask)
    assert marked.offsets.tolist() == table_of(hours).take(np.flatnonzero(mask)).offsets.tolist()


def test_tables_hold_tables_and_what_all_rows_share() -> None:
    names = np.array(["a", "b", "c"], object)
    episodes = Episodes(2.5, table_of([[1.0], [], [2.0, 3.0]]), names, {"sex": names})
    some = episodes.take(np.array([2, 0]))
    assert len(episodes) == 3
    assert some.scale == 2.5
    assert plain(some.tests) == [[2.0, 3.0], [1.0]]
    assert some.athlete.tolist() == some.groups["sex"].tolist() == ["c", "a"]
    assert some.family is None


def test_owners_and_ragged_rows_by_hand() -> None:
    offsets = np.array([0, 2, 2, 5])
    assert owners(offsets).tolist() == [0, 0, 2, 2, 2]
    bounds, rows = ragged_rows(offsets, np.array([2, 1, 0]))
    assert bounds.tolist() == [0, 3, 3, 5]
    assert rows.tolist() == [2, 3, 4, 0, 1]


def test_a_table_that_is_no_dataclass_is_refused() -> None:
    class Bare(RowWise):
        __slots__ = ()

    with pytest.raises(TypeError):
        Bare().take(np.array([0]))
