"""The types of arrays, by what they hold, and tables of them with one row for each query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, ClassVar, Self, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from _typeshed import DataclassInstance

Floats: TypeAlias = NDArray[np.float64]
#: Likelihoods beside 1, where half the memory is worth more than digits.
Singles: TypeAlias = NDArray[np.float32]
Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
#: Sets of ranks, a bit for each.
Bits: TypeAlias = NDArray[np.uint64]
Bytes: TypeAlias = NDArray[np.uint8]
#: Texts, None where there is none.
Objects: TypeAlias = NDArray[np.object_]
Rows: TypeAlias = Ints | Bools | NDArray[np.intp]


def ragged_rows(offsets: Ints, some: Rows) -> tuple[Ints, Ints]:
    """Return offsets and rows of `some` of the groups ``offsets[k]:offsets[k + 1]``, in order."""
    counts = np.diff(offsets)[some]
    bounds = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return bounds, np.repeat(offsets[:-1][some] - bounds[:-1], counts) + np.arange(bounds[-1])


def owners(offsets: Ints) -> Ints:
    """Return the group of each row; those of group ``k`` are ``offsets[k]:offsets[k + 1]``."""
    return np.repeat(np.arange(offsets.size - 1), np.diff(offsets))


class RowWise:
    """A base for frozen dataclasses that hold arrays with one row for each query or episode.

    A field is an array whose first axis are the rows, a mapping of such arrays, another `RowWise`,
    or None. Fields named in `SHARED` are the same for all rows.
    """

    __slots__ = ()
    SHARED: ClassVar[frozenset[str]] = frozenset()

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(getattr(self, next(n for n in _names(self) if n not in self.SHARED)))

    def take(self, rows: Rows) -> Self:
        """Return the rows at `rows`, in that order."""
        return _rebuilt(self, lambda name: _taken(getattr(self, name), rows))

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of all `parts`, one after the other; what is shared is the first's."""
        return _rebuilt(parts[0], lambda name: _joined([getattr(p, name) for p in parts]))


class Ragged(RowWise):
    """A `RowWise` whose rows have any number of items each.

    The items of row ``q`` are ``offsets[q]:offsets[q + 1]`` of the arrays named in `ITEMS`; the
    dataclass has the field ``offsets`` of shape (n_rows + 1,).
    """

    __slots__ = ()
    ITEMS: ClassVar[frozenset[str]] = frozenset()
    if TYPE_CHECKING:
        offsets: Ints

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self.offsets.size) - 1

    @property
    def owner(self) -> Ints:
        """The row of each item."""
        return owners(self.offsets)

    def take(self, rows: Rows) -> Self:
        """Return the rows at `rows` with their items, in that order."""
        offsets, items = ragged_rows(self.offsets, rows)

        def change(name: str) -> Any:  # noqa: ANN401  whatever the field holds
            if name == "offsets":
                return offsets
            return _taken(getattr(self, name), items if name in self.ITEMS else rows)

        return _rebuilt(self, change)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the rows of all `parts`, one after the other; what is shared is the first's."""
        counts = np.concatenate([np.diff(part.offsets) for part in parts])
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

        def change(name: str) -> Any:  # noqa: ANN401  whatever the field holds
            return offsets if name == "offsets" else _joined([getattr(p, name) for p in parts])

        return _rebuilt(parts[0], change)


_Table = TypeVar("_Table", bound=RowWise)


def _names(table: RowWise) -> list[str]:
    return [field.name for field in fields(cast("DataclassInstance", table))]


def _rebuilt(table: _Table, change: Callable[[str], Any]) -> _Table:
    """Return a table with every field as `change` gives it, but for what is shared."""
    return type(table)(
        *(getattr(table, n) if n in table.SHARED else change(n) for n in _names(table))
    )


def _taken(value: Any, rows: Rows) -> Any:  # noqa: ANN401  whatever the field holds
    if isinstance(value, RowWise):
        return value.take(rows)
    if isinstance(value, Mapping):
        return {name: part[rows] for name, part in value.items()}
    return None if value is None else value[rows]


def _joined(values: list[Any]) -> Any:  # noqa: ANN401  whatever the field holds
    if any(value is None for value in values):
        return None
    if isinstance(values[0], RowWise):
        return type(values[0]).concatenate(values)
    return np.concatenate(values)
