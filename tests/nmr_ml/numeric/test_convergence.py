from __future__ import annotations

import contextvars
from concurrent.futures import ThreadPoolExecutor

import pytest

from nmr_ml.numeric.convergence import Search, gathering, tell


def test_searches_are_gathered_in_order_by_the_innermost_block() -> None:
    with gathering() as outer:
        tell("first", 3, converged=True)
        with gathering() as inner:
            tell("second", 9, converged=False)
        tell("third", 1, converged=True)
    assert [search.name for search in outer] == ["first", "third"]
    assert inner == [Search("second", 9, converged=False)]


def test_where_nobody_gathers_nothing_is_kept() -> None:
    with gathering() as before:
        pass
    tell("alone", 1, converged=False)
    with gathering() as after:
        pass
    assert before == after == []


def test_a_block_that_fails_gathers_no_more() -> None:
    with pytest.raises(ZeroDivisionError), gathering() as found:
        tell("now", 1 // len(found), converged=False)
    tell("later", 1, converged=False)
    assert found == []


def test_threads_in_a_copy_of_the_context_are_heard_and_others_are_not() -> None:
    def searched(number: int) -> None:
        tell(str(number), number, converged=True)

    with gathering() as found, ThreadPoolExecutor(4) as pool:
        for number in range(100):
            pool.submit(contextvars.copy_context().run, searched, number)
            pool.submit(searched, -1)
    assert sorted(search.steps for search in found) == list(range(100))


def test_blocks_of_two_threads_do_not_hear_each_other() -> None:
    def gathered(number: int) -> list[Search]:
        with gathering() as found:
            for _ in range(50):
                tell(str(number), number, converged=True)
        return found

    with ThreadPoolExecutor(4) as pool:
        for number, found in enumerate(pool.map(gathered, range(8))):
            assert found == [Search(str(number), number, converged=True)] * 50
