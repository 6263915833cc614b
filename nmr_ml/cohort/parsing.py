"""Cells as they come, text or typed, to typed columns; what cannot be read is said, not lost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from nmr_ml.reasons import Quarantine

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from nmr_ml.numeric.arrays import Bools

    Mask: TypeAlias = Bools
    Values: TypeAlias = NDArray[Any] | pd.api.extensions.ExtensionArray

#: The dtype of ids, texts and categories.
STR = pd.StringDtype("pyarrow", na_value=np.nan)
#: Text that stands for an empty cell; in an id only the empty text does, for `NA` may be an id.
MISSING_WORDS = ("", "NA", "N/A", "<NA>", "NaN", "nan", "NaT", "null", "NULL", "None")
_TRUE, _FALSE = ("true", "1", "1.0", "yes"), ("false", "0", "0.0", "no")
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_INFINITE = r"(?i)^[+-]?inf(inity)?$"


@dataclass(frozen=True, slots=True)
class Parsed:
    """A typed column and, by reason, the rows whose cell could not be read (missing in it)."""

    column: Values
    problems: tuple[tuple[Quarantine, Mask], ...] = ()


def texts(raw: pd.Series) -> pa.Array:
    """Return the cells as Arrow text, null where empty; what looks like `NA` stays text.

    A whole float becomes an integer text: Parquet and JSON turn the id 7 into 7.0 where another
    row has none.
    """
    if isinstance(raw.dtype, pd.StringDtype):
        text = pa.array(raw, type=pa.large_string(), from_pandas=True)
    else:
        cells = raw.astype(object).to_numpy()
        gone = pd.isna(cells)
        text = pa.array(
            [None if none else _text(cell) for cell, none in zip(cells, gone, strict=True)],
            type=pa.large_string(),
        )
    if isinstance(text, pa.ChunkedArray):
        text = text.combine_chunks()
    return only(text, pc.not_equal(pc.utf8_trim_whitespace(text), ""))


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    # Parquet without the text annotation holds bytes; JSON may escape half a character.
    text = cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell)
    return text.encode(errors="replace").decode()


def words(raw: pd.Series) -> pa.Array:
    """Return the cells as stripped Arrow text, null where empty or a word for missing."""
    text = pc.utf8_trim_whitespace(texts(raw))
    return only(text, pc.invert(among(text, MISSING_WORDS)))


def only(text: pa.Array, keep: pa.Array) -> pa.Array:
    """Return `text`, null where `keep` is not true."""
    return pc.if_else(keep, text, pa.scalar(None, text.type))


def among(text: pa.Array, choices: tuple[str, ...]) -> pa.Array:
    """Return which cells are one of `choices`."""
    return pc.is_in(text, value_set=pa.array(choices, type=text.type))


def matching(text: pa.Array, pattern: str) -> Mask:
    """Return which cells match the regular expression; empty ones do not."""
    return mask(pc.match_substring_regex(text, pattern))


def mask(flags: pa.Array) -> Mask:
    """Return Arrow flags as a NumPy mask; null is false."""
    found: Mask = pc.fill_null(flags, fill_value=False).to_numpy(zero_copy_only=False)
    return found


def given(text: pa.Array) -> Mask:
    """Return which cells are not empty."""
    return mask(text.is_valid())


def ids(raw: pd.Series) -> Parsed:
    """Return the cells as opaque text, exactly as written."""
    return Parsed(pd.array(texts(raw), dtype=STR))


def strings(raw: pd.Series) -> Parsed:
    """Return the cells as text without outer blanks."""
    return Parsed(pd.array(words(raw), dtype=STR))


def numbers(raw: pd.Series) -> Parsed:
    """Return the cells as float64; the decimal sign is a point, and infinity is out of range."""
    if raw.dtype.kind in "iuf":
        values = raw.to_numpy(dtype=np.float64, na_value=np.nan)
        broken = np.zeros(len(raw), dtype=np.bool_)
    else:
        text = words(raw)
        valid, infinite = matching(text, _NUMBER), matching(text, _INFINITE)
        values = np.where(infinite, np.inf, np.nan)
        # Python's own reading of a float is exact; that of pandas is not to the last digit.
        values[valid] = text.to_numpy(zero_copy_only=False)[valid].astype(np.float64)
        broken = given(text) & ~valid & ~infinite
    beyond = np.isinf(values)
    return Parsed(
        np.where(beyond, np.nan, values),
        ((Quarantine.NOT_A_NUMBER, broken), (Quarantine.OUT_OF_RANGE, beyond)),
    )


def bools(raw: pd.Series) -> Parsed:
    """Return the cells as ``boolean``: true, false, 1, 0, yes or no in any case."""
    if raw.dtype.kind == "b":
        return Parsed(raw.astype("boolean").array)
    text = pc.utf8_lower(words(raw))
    yes, no = mask(among(text, _TRUE)), mask(among(text, _FALSE))
    return Parsed(
        pd.arrays.BooleanArray(yes, ~(yes | no)),
        ((Quarantine.NOT_A_BOOL, given(text) & ~yes & ~no),),
    )
