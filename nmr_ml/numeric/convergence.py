"""Whether searches came to their end: fitting code tells it here, whoever runs a fit gathers it.

A search that ends at its limit of steps is no error: the fit goes on with the best it has. But its
reader is to know, so every search with a limit tells how it ended.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Search:
    """How one search ended.

    Parameters
    ----------
    name : str
        What was searched for; searches for the same have one name.
    steps : int
        Cycles, passes or evaluations, as its limit counts them.
    converged : bool
        Whether it ended by itself, before its limit.
    moved : float or None
        By how much its last step still moved anything, where that is known.
    """

    name: str
    steps: int
    converged: bool
    moved: float | None = None


_GATHERED: ContextVar[list[Search] | None] = ContextVar("gathered searches", default=None)


def tell(name: str, steps: int, *, converged: bool, moved: float | None = None) -> None:
    """Tell how a search ended to whoever gathers that; to nobody if nobody does."""
    found = _GATHERED.get()
    if found is not None:
        found.append(Search(name, steps, converged, moved))


@contextmanager
def gathering() -> Iterator[list[Search]]:
    """Gather what searches tell in the block, to the innermost such block alone.

    A thread has to run in a copy of the context (`contextvars.copy_context`) to be heard, a process
    has to hand its own list back.
    """
    found: list[Search] = []
    token = _GATHERED.set(found)
    try:
        yield found
    finally:
        _GATHERED.reset(token)
