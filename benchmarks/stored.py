"""A history and its queries as a folder of arrays, so that every contender starts from a file."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from nmr_ml.history.history import History, Rows
from nmr_ml.history.queries import Queries

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CLASSES = {kind.__name__: kind for kind in (History, Rows, Queries)}


class Problem(NamedTuple):
    """What every contender is asked: a history and the moments to build features for."""

    history: History
    queries: Queries


def save(problem: Problem, folder: Path) -> None:
    """Write the arrays of `problem` under `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, value in problem._asdict().items():
        arrays: dict[str, Any] = {}
        shape = _taken_apart(value, name, arrays)
        (folder / f"{name}.json").write_text(json.dumps(shape))
        np.savez(folder / f"{name}.npz", **arrays)


def load(folder: Path) -> Problem:
    """Read what `save` wrote."""
    parts = {}
    for name in Problem._fields:
        shape = json.loads((folder / f"{name}.json").read_text())
        with np.load(folder / f"{name}.npz") as arrays:
            parts[name] = _put_together(shape, arrays)
    return Problem(**parts)


def bytes_of(value: object) -> int:
    """Return the bytes of the arrays of numbers in `value`; ids are not counted."""
    arrays: dict[str, np.ndarray] = {}
    _taken_apart(value, "", arrays)
    return sum(array.nbytes for array in arrays.values() if array.dtype.kind in "fib")


def _taken_apart(value: object, at: str, arrays: dict[str, np.ndarray]) -> Any:  # noqa: ANN401
    """Move the arrays of `value` to `arrays`; return the rest as JSON that says where they are."""
    if isinstance(value, np.ndarray):
        arrays[at] = value.astype("U") if value.dtype == object else value
        return {"array": at, "object": value.dtype == object}
    if dataclasses.is_dataclass(value):
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value) if f.init}
        parts = {n: _taken_apart(v, f"{at}.{n}", arrays) for n, v in fields.items()}
        return {"class": type(value).__name__, "fields": parts}
    if hasattr(value, "items"):
        return {"map": {n: _taken_apart(v, f"{at}.{n}", arrays) for n, v in value.items()}}
    return {"tuple": list(value)} if isinstance(value, tuple) else {"plain": value}


def _put_together(shape: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> Any:  # noqa: ANN401
    if "array" in shape:
        array = arrays[shape["array"]]
        return array.astype(object) if shape["object"] else array
    if "class" in shape:
        parts = {n: _put_together(part, arrays) for n, part in shape["fields"].items()}
        return CLASSES[shape["class"]](**parts)
    if "map" in shape:
        return {n: _put_together(part, arrays) for n, part in shape["map"].items()}
    return tuple(shape["tuple"]) if "tuple" in shape else shape["plain"]
