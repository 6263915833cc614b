"""Arithmetic without a domain: arrays, how kernels are compiled, sorted rows, folds."""

from typing import TYPE_CHECKING

from nmr_ml.lazy import lazily

if TYPE_CHECKING:
    from nmr_ml.numeric.accelerated_em import climb
    from nmr_ml.numeric.arrays import Bools, Floats, Ints, Objects
    from nmr_ml.numeric.compiled import inner, kept
    from nmr_ml.numeric.folds import athlete_folds
    from nmr_ml.numeric.sorted_rows import upper_bound
else:
    __getattr__, __dir__ = lazily(__name__)

__all__ = [
    "Bools",
    "Floats",
    "Ints",
    "Objects",
    "athlete_folds",
    "climb",
    "inner",
    "kept",
    "upper_bound",
]
