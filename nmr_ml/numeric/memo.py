"""Values that are worked out once and then kept, whichever threads ask for them."""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

_Value = TypeVar("_Value")


class Memo(Generic[_Value]):
    """The values made last, by their key.

    Threads that miss the same key at once each make the value and all get the one that came first:
    made under the lock, a slow value would hold up whoever asks for another.

    Parameters
    ----------
    size : int
        Values kept, at least 1; the oldest goes first.
    """

    def __init__(self, size: int = 16) -> None:
        self._size = size
        self._values: dict[Hashable, _Value] = {}
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], _Value]) -> _Value:
        """Return the value of `key`: the one that is kept, else what `make` returns."""
        with self._lock:
            if key in self._values:
                return self._values[key]
        made = make()
        with self._lock:
            kept = self._values.setdefault(key, made)
            while len(self._values) > self._size:
                self._values.pop(next(iter(self._values)))
        return kept
