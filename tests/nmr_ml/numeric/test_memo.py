"""What is kept is what was made, however many ask."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from nmr_ml.numeric.memo import Memo


def test_a_value_is_made_once_and_the_oldest_goes_first() -> None:
    memo: Memo[list[int]] = Memo(size=2)
    first = memo.get(1, lambda: [1])
    assert memo.get(1, lambda: [-1]) is first
    assert memo.get(2, lambda: [2]) == [2]
    assert memo.get(3, lambda: [3]) == [3]
    assert memo.get(2, lambda: [-2]) == [2]
    assert memo.get(1, lambda: [-1]) == [-1]


def test_a_failure_keeps_nothing() -> None:
    memo: Memo[int] = Memo()
    with pytest.raises(ZeroDivisionError):
        memo.get("a", lambda: 1 // 0)
    assert memo.get("a", lambda: 5) == 5


def test_many_threads_get_the_value_of_their_key() -> None:
    """Six threads on a dictionary that drops its oldest gave KeyError and RuntimeError."""
    memo: Memo[tuple[int]] = Memo(size=3)
    together = Barrier(6)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)

    def ask(thread: int) -> bool:
        together.wait()
        keys = [(7 * i + thread) % 11 for i in range(3000)]
        return all(memo.get(key, lambda key=key: (key,)) == (key,) for key in keys)  # type: ignore[misc]

    try:
        with ThreadPoolExecutor(6) as pool:
            assert all(pool.map(ask, range(6)))
    finally:
        sys.setswitchinterval(before)


def test_threads_that_miss_at_once_get_one_value() -> None:
    memo: Memo[object] = Memo()
    together = Barrier(4)

    def ask(_thread: int) -> object:
        def make() -> object:
            together.wait()
            return object()

        return memo.get("key", make)

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(ask, range(4)))) == 1
